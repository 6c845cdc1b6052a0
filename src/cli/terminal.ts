import { createInterface } from 'node:readline/promises';
import { styleText } from 'node:util';
import { env, stderr, stdin, stdout } from 'node:process';
import { plain, record, table } from './table.js';

/** Ends a command: the message, which contains no secret, is printed to standard error, and the process exits with `exitCode`. */
export class CliError extends Error {
  /** @param exitCode 1: failed; 2: wrong usage; 78: wrong settings */
  constructor(
    message: string,
    readonly exitCode: 1 | 2 | 78 = 1,
  ) {
    super(message);
  }
}

const highlights = [
  ['green', /^(ok|ready|delivered|done)$/],
  ['yellow', /^(warning|retrying|paused|not ready)$/],
  ['red', /^(mistake|failure|failed|refused|misconfigured|down|parked)$/],
] as const;

/** Whether the terminal supports cursor movement. */
const interactive = stdout.isTTY && env['TERM'] !== 'dumb';
const colourful = interactive && !env['NO_COLOR'];

function colour(text: string): string {
  const [name] = highlights.find(([, pattern]) => pattern.test(text)) ?? [];
  return name === undefined ? text : styleText(name, text);
}

/** Colours table cells; `undefined` without colours. */
const look = colourful ? colour : undefined;

/** Prints results to standard output. Pass texts from outside through `plain` first. */
export function print(text: string): void {
  progress('');
  stdout.write(`${text}\n`);
}

export function printTable(rows: readonly object[], columns: string): void {
  print(table(rows, columns, look));
}

export function printRecord(thing: object): void {
  print(record(thing, look));
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

let shown = false;

/** Shows progress on the last line of a terminal, until something else is printed. */
export function progress(text: string): void {
  if (!interactive || (!shown && text === '')) return;
  stdout.write(`\r\u001b[K${plain(text)}`);
  shown = text !== '';
}

export function printError(text: string): void {
  progress('');
  stderr.write(`${text.split('\n').map(plain).join('\n')}\n`);
}

/** Prints what is about to be done, and asks unless `yes`; with `yes` and `json` it does neither. @throws CliError if not confirmed */
export async function confirm(what: string, { yes, json }: { yes?: true; json?: true }): Promise<void> {
  const canAsk = stdin.isTTY && stdout.isTTY;
  if (!yes && !canAsk) throw new CliError(`${what}. Nothing was done: without a terminal it needs --yes`, 2);
  if (!yes || !json) print(plain(`${what}.`));
  if (yes) return;
  const lines = createInterface({ input: stdin, output: stdout });
  const closed = new Promise<string>(resolve => lines.once('close', () => resolve('')));
  const answer = await Promise.race([lines.question('Go on? [y/N] '), closed]);
  lines.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new CliError('nothing was done');
}

/** Exits silently when the reader of the output closes the pipe, such as `head`; reports other write errors, such as a full disk. */
export function endQuietly(): void {
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
      if (stream === stdout) printError(`the output cannot be written (${error.code})`);
      process.exit(1);
    });
  }
}
