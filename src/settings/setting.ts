import { X509Certificate } from 'node:crypto';
import { ArrayNotEmpty, IsInt, IsOptional, Max, Min, ValidateBy, type ValidationOptions, isURL, validateSync } from 'class-validator';
import type { Clean } from './cleaner.js';
import { clean } from './environment.js';

/** How one setting is read and explained. The same text serves the mistakes, `.env.example`, the page of settings and the schema of the chart. */
export interface SettingOptions {
  /** What it does, with its unit; one sentence. */
  meaning: string;
  /** The value when the variable is not set, written as one would write it in the environment. Without one it may be left out, unless it is required. */
  default?: string;
  required?: true;
  /** A value that works, for `.env.example`. */
  example?: string;
  /** True if the value may never be printed. */
  secret?: boolean;
  /** Turns the text into the value; an unreadable text gives a value that the class-validator rules of the property refuse. */
  parse?: (text: string) => unknown;
}

/** One declared setting: its property is the end of the variable's name. */
export interface DeclaredSetting extends SettingOptions {
  property: string;
}

/** A class whose properties are settings; `check` finds what no single property can tell. */
export interface SettingsClass<T extends object = object> {
  new (): T;
  /**
   * Mistakes between settings, each as `[property, what to do]`.
   * @param valid whether these settings are right each by itself, so that their values can be looked at
   * @param clean takes secrets out of what a mistake is to show
   */
  check?(settings: T, valid: (...properties: string[]) => boolean, clean: Clean): [property: string, message: string][];
}

const declarations = new WeakMap<object, DeclaredSetting[]>();

/** Declares a property of a settings class as a variable of the environment. */
export function Setting(options: SettingOptions): PropertyDecorator {
  return (target, property) => {
    const own = declarations.get(target) ?? [];
    declarations.set(target, [...own, { ...options, property: String(property) }]);
    if (options.parse === list) [ByCommas, ArrayNotEmpty()].forEach(rule => rule(target, property));
    if (options.default === undefined && !options.required) IsOptional()(target, property);
  };
}

/** All settings of a class in the order of their declaration, those of its own before those of its parents. */
export function settingsOf(settings: SettingsClass): DeclaredSetting[] {
  const found: DeclaredSetting[] = [];
  for (let proto = settings.prototype as object | null; proto; proto = Object.getPrototypeOf(proto) as object | null) {
    found.push(...(declarations.get(proto) ?? []).filter(one => !found.some(other => other.property === one.property)));
  }
  return found;
}

/** Reads one settings class out of texts by property; gives every mistake at once, by full variable name and never with a value. */
export function readClass<T extends object>(
  settingsClass: SettingsClass<T>,
  texts: ReadonlyMap<string, string>,
  prefix = '',
  cleanBy: (value: T) => Clean = () => text => text,
): { value: T; mistakes: string[] } {
  const value = new settingsClass();
  for (const { property, parse = String, default: fallback } of settingsOf(settingsClass)) {
    const text = texts.get(property) ?? fallback;
    if (text !== undefined) Object.assign(value, { [property]: parse(text) });
  }
  const invalid = validateSync(value, { forbidUnknownValues: false });
  const mistakes = invalid.map(({ property, constraints }) => {
    if (!texts.has(property) && value[property as keyof T] === undefined) return `${prefix}${property} is required`;
    // Rules are checked from the last declared to the first; the first says best what is wrong.
    const rule = Object.values(constraints ?? {}).at(-1) ?? 'is wrong';
    return prefix + (rule.startsWith(property) ? rule : `${property} ${rule}`);
  });
  const valid = (...properties: string[]): boolean => !invalid.some(({ property }) => properties.includes(property));
  const between = settingsClass.check?.(value, valid, text => cleanBy(value)(text)) ?? [];
  return { value, mistakes: [...mistakes, ...between.map(([property, message]) => `${prefix}${property} ${message}`)] };
}

/** A rule of one setting; the message never holds the value, which may be a secret. */
export function Must(be: string, validate: (value: unknown) => boolean): PropertyDecorator {
  return ValidateBy({ name: be, validator: { validate } }, { message: `$property must be ${be}` });
}

/** A rule: a whole number, from the least to the most. */
export function Whole(least: number, most: number, options?: ValidationOptions): PropertyDecorator {
  return (target, property) => [Max(most), Min(least), IsInt(options)].forEach(rule => rule(target, property));
}

/** Other separators would make one word of all, which for a token or a filter nothing else would tell. */
const ByCommas = Must(
  'separated by commas (,) alone, not by line breaks or Chinese commas',
  words => Array.isArray(words) && !words.some(word => /[，、\r\n]/.test(String(word))),
);

/** Comma-separated words, blanks around them dropped, empty ones left out. */
export function list(text: string): string[] {
  return text
    .split(',')
    .map(clean)
    .filter(word => word !== '');
}

/** A whole number, or NaN. */
export function wholeNumber(text: string): number {
  return /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
}

/** A number in decimal digits, with or without a fraction, or NaN. */
export function decimal(text: string): number {
  return /^\d{1,9}(\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
}

const unitBytes = { b: 1, kb: 1024, mb: 1024 ** 2 } as const;

/** A size such as `1mb` in bytes, or NaN. */
export function size(text: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,9})?)(b|kb|mb)?$/i.exec(text);
  return match ? Math.floor(Number(match[1]) * unitBytes[(match[2]?.toLowerCase() ?? 'b') as keyof typeof unitBytes]) : Number.NaN;
}

const unitMs = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A span such as `24h` in milliseconds, or NaN. */
export function duration(text: string): number {
  const match = /^(\d{1,9})([smhd])$/.exec(text);
  return match ? Number(match[1]) * unitMs[match[2] as keyof typeof unitMs] : Number.NaN;
}

/** Whether a text is an http(s) URL, of any length; hosts without a dot are fine, since in-cluster names have none, and so are those that end with one. */
export function isHttpUrl(text: unknown): boolean {
  const host = { require_tld: false, allow_underscores: true, allow_trailing_dot: true, validate_length: false };
  return typeof text === 'string' && isURL(text, { protocols: ['http', 'https'], require_protocol: true, ...host }) && URL.canParse(text);
}

/** Whether a text is `sqlite:` and a path, or a `postgres://` URL that can be read; one of a socket has no host. */
export function isDatabaseUrl(text: unknown): boolean {
  if (typeof text !== 'string') return false;
  return /^sqlite:./s.test(text) || (/^postgres(ql)?:\/\/./.test(text) && URL.canParse(text.replace('@/', '@socket/')));
}

/** Whether a text is one or more certificates in PEM. */
export function isCertificates(text: unknown): boolean {
  const blocks = typeof text === 'string' ? text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) : null;
  return blocks?.every(block => succeeds(() => new X509Certificate(block))) ?? false;
}

/** Whether something can be done, for rules whose checks throw. */
export function succeeds(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}
