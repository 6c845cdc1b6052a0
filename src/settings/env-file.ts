import { parse } from 'dotenv';
import { type Environment, envFile } from './environment.js';
import { isOurs } from './settings.js';

/** Stands in for a `#` that would end a value; no text holds it. */
const hash = '\uffff';
/** A `#` right after a character; one that begins a value begins a comment if a blank follows. */
const ending = /(?<=\S)(?<!^\s*(?:export\s+)?[\w.-]+\s*=)#|(?<==)#(?=\S)/gm;

/** The names in a `.env` file whose unquoted value ends at a `#` right after a character, so that its rest is lost. */
export function cutNames(text: string): string[] {
  const read = parse(text);
  const whole = parse(text.replace(ending, hash));
  return Object.entries(read).flatMap(([name, value]) => {
    // A quote that is not closed belongs to the value, as long as none stands at its end.
    const starts = [value, value.replace(/^["'`]/, '')];
    return starts.some(start => whole[name]?.startsWith(start + hash)) ? [name] : [];
  });
}

/** The names in a `.env` file that it was to set, but that its reader passes over, such as in `set A_B=c`, `A_B:c` and `"A_B"=c`. */
export function unreadNames(text: string): string[] {
  const read = parse(text);
  return text.split(/[\r\n]+/).flatMap(line => {
    const [, first = ''] = /^\s*(?:export\s+)?([\w.-]+)/.exec(line) ?? [];
    if (/^\s*#/.test(line) || read[first] !== undefined) return [];
    const name = /[A-Z][A-Z\d]*(_[A-Z\d]+)+/.exec(line)?.[0] ?? '';
    return isOurs(name) && read[name] === undefined ? [name] : [];
  });
}

/**
 * Variables and, behind them, those of the file `.env` in the folder that the process runs in; and what people should look at there, a line each, without a value.
 * @throws SettingsError if there is such a file that cannot be read
 */
export function withEnvFile(variables: Environment): { variables: Environment; warnings: string[] } {
  const text = envFile();
  if (text === null) return { variables, warnings: [] };
  const isSet = (name: string): boolean => variables[name] !== undefined;
  const cut = cutNames(text).flatMap(name => (isSet(name) ? [] : `${name} is cut at a # in .env: put its value in quotes`));
  const unread = unreadNames(text).flatMap(name => (isSet(name) ? [] : `${name} is not set by its line in .env: write ${name}=value`));
  return { variables: { ...parse(text), ...variables }, warnings: [...cut, ...unread] };
}
