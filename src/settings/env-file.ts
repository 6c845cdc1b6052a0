import { existsSync } from 'node:fs';
import { parse } from 'dotenv';
import { type Environment, fileText } from './environment.js';
import { SettingsError } from './settings.js';

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

/**
 * Variables and, behind them, those of the file `.env` in the folder that the process runs in; and the names that are cut there.
 * @throws SettingsError if there is such a file that cannot be read
 */
export function withEnvFile(variables: Environment): { variables: Environment; cut: string[] } {
  if (!existsSync('.env')) return { variables, cut: [] };
  const { text, problem } = fileText('.env');
  if (problem !== undefined) throw new SettingsError([`.env ${problem}`]);
  return { variables: { ...parse(text), ...variables }, cut: cutNames(text).filter(name => variables[name] === undefined) };
}
