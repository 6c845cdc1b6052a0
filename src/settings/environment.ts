import { isUtf8 } from 'node:buffer';
import { existsSync, readFileSync, statSync } from 'node:fs';

/** Far more than any setting needs, and little enough to be read and looked at in no time. */
const mostBytes = 1024 * 1024;

export type Environment = Readonly<Record<string, unknown>>;

/** What the environment says, by the names of the settings. */
export interface Given {
  /** Those given as a file read from it; set but empty is unset. */
  texts: Map<string, string>;
  /** The variable that each was given as. */
  names: Map<string, string>;
  /** Why some, which are set, have no text. */
  unreadable: Map<string, string>;
  mistakes: string[];
}

/** Everything that is wrong with the environment, a line each. */
export class SettingsError extends Error {
  constructor(readonly mistakes: readonly string[]) {
    super(mistakes.join('\n'));
  }
}

/** Drops the white space, byte-order marks and other invisible characters around a value, which editors, shells and copying leave behind. */
export function clean(text: string): string {
  // Looked for at its beginning alone, a long run of blanks in the middle costs no more than its length.
  return text.replace(/^[\s\p{Cc}\p{Cf}]+|(?<![\s\p{Cc}\p{Cf}])[\s\p{Cc}\p{Cf}]+$/gu, '');
}

/** Variables that Kubernetes injects for a Service, whatever that is called. */
export function isInjected(name: string, value: string): boolean {
  return /_SERVICE_(HOST|PORT(_.+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_.+)?$/.test(name) || (name.endsWith('_PORT') && isAddress(value));
}

/** The form in which Kubernetes tells of a Service's port. */
export function isAddress(value: string): boolean {
  return /^(tcp|udp|sctp):\/\//.test(value);
}

/** The variables that are set. */
export function valuesOf(environment: Environment): Map<string, string> {
  const values = Object.entries(environment).map(([name, value]) => [name, typeof value === 'string' ? clean(value) : ''] as const);
  return new Map(values.filter(([, value]) => value !== ''));
}

/** Reads the settings whose names are `wanted`, each out of its variable or out of the file that `<name>_FILE` names. */
export function textsOf(environment: Environment, wanted: (name: string) => boolean): Given {
  const given: Given = { texts: new Map(), names: new Map(), unreadable: new Map(), mistakes: [] };
  const values = valuesOf(environment);
  for (const [name, value] of values) {
    // A port of a Service may be called `file`; its value is its number.
    const isFile = name.endsWith('_FILE') && !(isInjected(name, value) && /^\d+$/.test(value));
    const base = isFile ? name.slice(0, -'_FILE'.length) : name;
    if (!wanted(name) && !wanted(base)) continue;
    if (isFile && values.has(base)) {
      given.mistakes.push(`${base} and ${name} are both set: keep one of them`);
      continue;
    }
    const { text = '', problem } = isFile ? fileText(value) : valueText(value);
    if (problem !== undefined) given.unreadable.set(base, `${name} ${isFile ? 'names a file that ' : ''}${problem}`);
    else if (text === '') continue;
    given.texts.set(base, text);
    given.names.set(base, name);
  }
  return given;
}

/** A text, or what is wrong with it in words that follow its name. */
type Read = { text: string; problem?: never } | { text?: never; problem: string };

/** The text of a file, without what surrounds it. */
export function fileText(path: string): Read {
  try {
    const found = statSync(path);
    // A pipe or a device may never end.
    if (!found.isFile() && !found.isDirectory()) return { problem: 'is no regular file' };
    if (found.size > mostBytes) return { problem: 'is larger than 1 MB' };
    const bytes = readFileSync(path);
    // UTF-16, which some shells write, would pass for text full of NULs.
    return isUtf8(bytes) && !bytes.includes(0) ? { text: clean(bytes.toString()) } : { problem: 'is not text in UTF-8' };
  } catch (error) {
    return { problem: `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})` };
  }
}

/** The text of the file `.env` in the folder that the process runs in; `null` if there is none. @throws SettingsError if it cannot be read */
export function envFile(): string | null {
  if (!existsSync('.env')) return null;
  const { text, problem } = fileText('.env');
  if (problem !== undefined) throw new SettingsError([`.env ${problem}`]);
  return text;
}

/** `docker run --env-file` keeps quotes, and word processors make others of them; as part of a secret or a URL they would show in nothing but failures. */
function valueText(text: string): Read {
  const quoted = /^(["'`])[^]*\1$|^[“”„‘«「『][^]*[“”’»」』]$/.test(text);
  return quoted ? { problem: 'stands in quotes, which count as part of it: leave them out' } : { text };
}
