import { isUtf8 } from 'node:buffer';
import { existsSync, readFileSync, statSync } from 'node:fs';

/** More than any setting needs, and small enough to read at once. */
const maxFileBytes = 1024 * 1024;

export type Environment = Readonly<Record<string, unknown>>;

/** The unparsed settings of the environment, keyed by setting name. */
export interface RawSettings {
  /** The values, read from the file where `<name>_FILE` is set; empty ones count as unset. */
  texts: Map<string, string>;
  /** The variable that set each: the name itself or `<name>_FILE`. */
  names: Map<string, string>;
  /** The reason, for settings whose value could not be read. */
  unreadable: Map<string, string>;
  mistakes: string[];
}

/** Rules for MANAGEMENT_TOKEN, most helpful message first. Here because the command line reads it without the other settings. */
export const tokenRules = [
  [/^[^\s\p{C}]+$/u, { message: '$property must have no blanks and no control characters: it travels in a header' }],
  [/^.{16,}$/su, { message: '$property must have 16 characters or more' }],
] as const;

/** All mistakes in the settings, one line each. */
export class SettingsError extends Error {
  constructor(readonly mistakes: readonly string[]) {
    super(mistakes.join('\n'));
  }
}

/** Trims white space, byte-order marks and other invisible characters, which editors, shells and copying leave around a value. */
export function clean(text: string): string {
  // The lookbehind keeps this linear in the length of a run of blanks inside the value.
  return text.replace(/^[\s\p{Cc}\p{Cf}]+|(?<![\s\p{Cc}\p{Cf}])[\s\p{Cc}\p{Cf}]+$/gu, '');
}

/** Whether Kubernetes injected the variable for a Service. */
export function isInjected(name: string, value: string): boolean {
  return /_SERVICE_(HOST|PORT(_.+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_.+)?$/.test(name) || (name.endsWith('_PORT') && isAddress(value));
}

/** Whether the value has the form that Kubernetes uses for the port of a Service. */
export function isAddress(value: string): boolean {
  return /^(tcp|udp|sctp):\/\//.test(value);
}

/** The variables that are set and not empty, trimmed. */
export function valuesOf(environment: Environment): Map<string, string> {
  const values = Object.entries(environment).map(([name, value]) => [name, typeof value === 'string' ? clean(value) : ''] as const);
  return new Map(values.filter(([, value]) => value !== ''));
}

/** Reads the settings whose names are `wanted`, each from its variable or from the file that `<name>_FILE` names. */
export function textsOf(environment: Environment, wanted: (name: string) => boolean): RawSettings {
  const raw: RawSettings = { texts: new Map(), names: new Map(), unreadable: new Map(), mistakes: [] };
  const values = valuesOf(environment);
  for (const [name, value] of values) {
    // Kubernetes injects `…_PORT_FILE` for a Service port called `file`; the value is a number.
    const isFile = name.endsWith('_FILE') && !(isInjected(name, value) && /^\d+$/.test(value));
    const base = isFile ? name.slice(0, -'_FILE'.length) : name;
    if (!wanted(name) && !wanted(base)) continue;
    if (isFile && values.has(base)) {
      raw.mistakes.push(`${base} and ${name} are both set: keep one of them`);
      continue;
    }
    const { text = '', problem } = isFile ? fileText(value) : valueText(value, base);
    if (problem !== undefined) raw.unreadable.set(base, `${name} ${isFile ? 'names a file that ' : ''}${problem}`);
    else if (text === '') continue;
    raw.texts.set(base, text);
    raw.names.set(base, name);
  }
  return raw;
}

/** A text, or a problem, worded to follow the variable's name. */
type Read = { text: string; problem?: never } | { text?: never; problem: string };

export function fileText(path: string): Read {
  try {
    const stats = statSync(path);
    // Reading a pipe or a device may never end.
    if (!stats.isFile() && !stats.isDirectory()) return { problem: 'is no regular file' };
    if (stats.size > maxFileBytes) return { problem: 'is larger than 1 MB' };
    const bytes = readFileSync(path);
    // UTF-16, which some shells write, can be valid UTF-8 full of NULs.
    return isUtf8(bytes) && !bytes.includes(0) ? { text: clean(bytes.toString()) } : { problem: 'is not text in UTF-8' };
  } catch (error) {
    return { problem: `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})` };
  }
}

/** The text of `.env` in the working directory; `null` if there is none. @throws SettingsError if it cannot be read */
export function envFile(): string | null {
  if (!existsSync('.env')) return null;
  const { text, problem } = fileText('.env');
  if (problem !== undefined) throw new SettingsError([`.env ${problem}`]);
  return text;
}

/** Kinds of quotes; those of prose pair with each other. */
const quotes = ['"', "'", '`', '“”„‘’«»「」『』'];
/** Matches a value that begins or ends with the only quote of its kind. */
const unpaired = quotes.map(kind => new RegExp(`^[${kind}][^${kind}]*$|^[^${kind}]*[${kind}]$`));
/** Settings for any text, which an apostrophe may begin or end. */
const prose = /^SINK_.+_TEMPLATE$/;

/**
 * Rejects values with quotes around them, which `docker run --env-file` keeps, and with half of them, which dotenv keeps: as part of a secret
 * or URL they only show up as failed requests.
 */
function valueText(text: string, name: string): Read {
  const quoted = /^(["'`])[^]*\1$|^[“”„‘«「『][^]*[“”’»」』]$/.test(text);
  if (quoted) return { problem: 'is in quotes, which count as part of the value: remove them' };
  if (prose.test(name) || !unpaired.some(pattern => pattern.test(text))) return { text };
  const where = quotes.some(kind => kind.includes(text[0]!))
    ? 'begins with a quote that nothing closes'
    : 'ends with a quote that nothing opens';
  return { problem: `${where}: remove it, or put the value into the file of ${name}_FILE if it belongs to it` };
}
