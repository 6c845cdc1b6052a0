import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { ArrayNotEmpty, IsIn, IsInt, IsOptional, Max, Min, ValidateBy, type ValidationOptions, isURL, validateSync } from 'class-validator';
import type { Clean } from './cleaner.js';
import { clean } from './environment.js';

/** How one setting is parsed and documented; the source of `.env.example`, the settings page and the schema of the Helm chart. */
export interface SettingOptions {
  /** The value if the variable is not set, as it would be written in the environment. */
  default?: string;
  required?: true;
  /** A valid value, for `.env.example`. */
  example?: string;
  /** True if the value must never be printed. */
  secret?: boolean;
  /** True if the value may have several lines. Elsewhere a line break is from a quote in `.env` that a later line closes. */
  lines?: boolean;
  /** Converts the text to the value; for an invalid text it returns a value that the property's class-validator rules reject. */
  parse?: (text: string) => unknown;
}

/** A declared setting; `property` is the suffix of the variable's name, `meaning` one sentence with the unit. */
export interface DeclaredSetting extends SettingOptions {
  property: string;
  meaning: string;
}

export type Mistake = [property: string, message: string];
/** Whether each of these settings is valid by itself, so that its value can be used. */
export type Valid = (...properties: string[]) => boolean;

/** A class whose properties are settings. */
export interface SettingsClass<T extends object = object> {
  new (): T;
  /** Finds mistakes that involve several settings. @param clean removes secrets from a text before it goes into a mistake */
  check?(settings: T, valid: Valid, clean: Clean): Mistake[];
}

const declarations = new WeakMap<object, DeclaredSetting[]>();

/** Declares a property of a settings class as an environment variable. */
export function Setting(meaning: string, options: SettingOptions = {}): PropertyDecorator {
  return (target, property) => {
    const own = declarations.get(target) ?? [];
    declarations.set(target, [...own, { ...options, meaning, property: String(property) }]);
    if (options.parse === list) [ByCommas, ArrayNotEmpty()].forEach(rule => rule(target, property));
    if (options.default === undefined && !options.required) IsOptional()(target, property);
  };
}

/** All settings of a class in order of declaration, its own before those of its parents. */
export function settingsOf(settings: SettingsClass): DeclaredSetting[] {
  const found: DeclaredSetting[] = [];
  for (let proto = settings.prototype as object | null; proto; proto = Object.getPrototypeOf(proto) as object | null) {
    found.push(...(declarations.get(proto) ?? []).filter(({ property }) => !found.some(other => other.property === property)));
  }
  return found;
}

/** Parses and validates one settings class. Collects all mistakes, with full variable names and without secrets. */
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
  // Lists have a rule of their own.
  const oneLine = settingsOf(settingsClass).filter(({ lines, parse }) => !lines && parse !== list);
  const broken = oneLine.map(({ property }) => property).filter(property => /[\r\n]/.test(texts.get(property) ?? ''));
  const invalid = validateSync(value, { forbidUnknownValues: false }).filter(({ property }) => !broken.includes(property));
  const mistakes = invalid.map(({ property, constraints }) => {
    if (!texts.has(property) && value[property as keyof T] === undefined) return `${prefix}${property} is required`;
    // Constraints come last declared first; the first declared has the most helpful message.
    const rule = Object.values(constraints ?? {}).at(-1) ?? 'is wrong';
    return prefix + (rule.startsWith(property) ? rule : `${property} ${rule}`);
  });
  mistakes.push(...broken.map(property => `${prefix}${property} must be one line: in .env, close its quotes where they open`));
  const valid: Valid = (...properties) =>
    !invalid.some(({ property }) => properties.includes(property)) && !broken.some(one => properties.includes(one));
  const between = settingsClass.check?.(value, valid, text => cleanBy(value)(text)) ?? [];
  return { value, mistakes: [...mistakes, ...between.map(([property, message]) => `${prefix}${property} ${message}`)] };
}

/** A validation rule; the message never contains the value, which may be a secret. */
export function Must(be: string, validate: (value: unknown) => boolean): PropertyDecorator {
  return ValidateBy({ name: be, validator: { validate } }, { message: `$property must be ${be}` });
}

/** A validation rule: a whole number within these bounds, inclusive, in the unit that the property's name ends with. */
export function Whole(min: number, max: number, options?: ValidationOptions): PropertyDecorator {
  return (target, property) => {
    const [, unit = ''] = /_(DAYS|SECONDS|MS)$/.exec(String(property)) ?? [];
    const unitless = unit && `, in ${unit === 'MS' ? 'milliseconds' : unit.toLowerCase()}, without a unit`;
    const rule = options ?? { message: `$property must be a whole number from ${min} to ${max}${unitless}` };
    [Max(max, rule), Min(min, rule), IsInt(rule)].forEach(one => one(target, property));
  };
}

/** A validation rule: one of these words. */
export function OneOf(words: readonly string[]): PropertyDecorator {
  return IsIn(words, { message: `$property must be ${alternatives(words)}` });
}

/** As in `a, b or c`. */
export function alternatives(words: readonly string[]): string {
  return [words.slice(0, -1).join(', '), words.at(-1)].join(' or ');
}

/** A validation rule for a URL, which names blanks by themselves: they are easily overlooked. */
export function IsUrl(
  be: string,
  validate: (value: unknown) => boolean,
  mayHaveBlanks: (text: string) => boolean = () => false,
): PropertyDecorator {
  const isWhole = (value: unknown): boolean => !/\s/.test(String(value)) || mayHaveBlanks(String(value));
  return (target, property) =>
    [Must(be, validate), Must('an http or https URL without blanks: in a path or query write %20', isWhole)].forEach(rule =>
      rule(target, property),
    );
}

/** Rejects other separators, which would silently make one item of the whole list. */
const ByCommas = Must(
  'separated by commas (,) alone, not by line breaks or Chinese commas',
  words => Array.isArray(words) && !words.some(word => /[，、\r\n]/.test(String(word))),
);

/** Splits at commas; trims the items and drops empty ones. */
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

/** A decimal number, or NaN. */
export function decimal(text: string): number {
  return /^\d{1,9}(\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
}

/** A size such as `1mb` in bytes, or NaN. */
export function size(text: string): number {
  const [, count, unit = 'b'] = /^(\d{1,9}(?:\.\d{1,9})?)(b|kb|mb)?$/i.exec(text) ?? [];
  return Math.floor(Number(count) * { b: 1, kb: 1024, mb: 1024 ** 2 }[unit.toLowerCase() as 'b' | 'kb' | 'mb']);
}

/** A duration such as `24h` in milliseconds, or NaN. */
export function duration(text: string): number {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  return Number(count) * { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit as 's' | 'm' | 'h' | 'd'];
}

/** Whether this is an IP address, or may be a host name. */
export function isHost(text: unknown): boolean {
  return typeof text === 'string' && (isIP(text) > 0 || !/[\s:/?#@[\]]/.test(text));
}

/** Whether this is an http(s) URL of any length. Hosts without a dot, as inside a cluster, and with a trailing dot are allowed. */
export function isHttpUrl(text: unknown): boolean {
  const host = { require_tld: false, allow_underscores: true, allow_trailing_dot: true, validate_length: false };
  return typeof text === 'string' && isURL(text, { protocols: ['http', 'https'], require_protocol: true, ...host }) && URL.canParse(text);
}

/** Whether a path can be appended to this http(s) URL: it has no query or fragment, not even an empty one. It also has no user. */
export function isBaseUrl(text: unknown): boolean {
  return isHttpUrl(text) && !/[?#]|^https?:\/\/[^/]*@/i.test(String(text));
}

/** Whether this is one or more PEM certificates. */
export function isCertificates(text: unknown): boolean {
  const blocks = typeof text === 'string' ? text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) : null;
  return blocks?.every(block => succeeds(() => new X509Certificate(block))) ?? false;
}

/** Whether this is an object of names and texts that HTTP can carry as headers. */
export function isHeaders(value: unknown): value is Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.entries(value).every(
    ([name, text]) =>
      typeof text === 'string' &&
      succeeds(() => {
        validateHeaderName(name);
        validateHeaderValue(name, text);
      }),
  );
}

export function succeeds(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}
