import { parse } from 'dotenv';
import { type Environment, envFile } from './environment.js';
import { isOurs } from './settings.js';

/** Replaces a `#` that would end a value; does not occur in texts. */
const hash = '\uffff';
/** Marks a blank line, so that dotenv skips it at once: it reads a run of them in quadratic time. Does not occur in texts. */
const blank = '\ufffe';
/** A `#` that directly follows a character. At the start of a value it begins a comment only if a blank follows. */
const ending = /(?<=\S)(?<!^\s*(?:export\s+)?[\w.-]+\s*=)#|(?<==)#(?=\S)/gm;

/** The variables in a `.env` file whose unquoted value is cut at a `#`. */
export function truncatedNames(text: string): string[] {
  const read = parse(text);
  const whole = parse(text.replace(ending, hash));
  return Object.entries(read).flatMap(([name, value]) => {
    // dotenv keeps an unclosed quote as part of the value, unless the value ends in a quote.
    const starts = [value, value.replace(/^["'`]/, '')];
    return starts.some(start => whole[name]?.startsWith(start + hash)) ? [name] : [];
  });
}

/** The variables in a `.env` file whose line dotenv ignores, as in `set A_B=c`, `A_B:c` and `"A_B"=c`. */
export function ignoredNames(text: string): string[] {
  const read = parse(text);
  return text.split(/[\r\n]+/).flatMap(line => {
    const [, first = ''] = /^\s*(?:export\s+)?([\w.-]+)/.exec(line) ?? [];
    if (/^\s*#/.test(line) || read[first] !== undefined) return [];
    const name = /(?<![A-Z\d])[A-Z][A-Z\d]*(_[A-Z\d]+)+/.exec(line)?.[0] ?? '';
    return isOurs(name) && read[name] === undefined ? [name] : [];
  });
}

/** The variables that a `.env` file sets more than once. */
export function repeatedNames(text: string): string[] {
  // With a number of its own in each name, dotenv keeps them all.
  const numbered = text.replace(/^([^\S\r\n]*(?:export\s+)?[\w.-]+)(?=\s*=|:\s)/gm, (name, _, at) => `${name}.${at}`);
  const names = Object.keys(parse(numbered)).map(name => name.replace(/\.\d+$/, ''));
  return Array.from(Map.groupBy(names, name => name)).flatMap(([name, times]) => (times.length > 1 ? [name] : []));
}

/**
 * Adds the variables of `.env` in the working directory, which those given override. Warnings contain no values.
 * @throws SettingsError if the file exists and cannot be read
 */
export function withEnvFile(variables: Environment): [variables: Environment, warnings: string[]] {
  const text = envFile()?.replace(/^(?=[^\S\r\n]*$)/gm, blank);
  if (text === undefined) return [variables, []];
  const isSet = (name: string): boolean => variables[name] !== undefined;
  const truncated = truncatedNames(text).flatMap(name => (isSet(name) ? [] : `${name} is cut at a # in .env: put its value in quotes`));
  const ignored = ignoredNames(text).flatMap(name => (isSet(name) ? [] : `${name} is not set by its line in .env: write ${name}=value`));
  const repeated = repeatedNames(text).flatMap(name => (isSet(name) ? [] : `${name} is set more than once in .env: the last value counts`));
  const read = Object.entries(parse(text)).map(([name, value]) => [name, value.replaceAll(blank, '')] as const);
  return [{ ...Object.fromEntries(read), ...variables }, [...truncated, ...ignored, ...repeated]];
}
