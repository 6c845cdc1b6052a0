import { createInterface } from 'node:readline/promises';
import { styleText } from 'node:util';
import { env, stderr, stdin, stdout } from 'node:process';
import { Fault } from './fault.js';
import { plain, record, table } from './table.js';

/** The words that stand out, whole cells of tables. */
const words = {
  green: /^(ok|ready|delivered|done)$/,
  yellow: /^(warning|retrying|paused|not ready)$/,
  red: /^(mistake|failure|failed|refused|misconfigured|down|parked)$/,
} as const;

/** Whether a cursor can be moved. */
const smart = stdout.isTTY && env['TERM'] !== 'dumb';
const colourful = smart && !env['NO_COLOR'];

function colour(text: string): string {
  const [name] = Object.entries(words).find(([, one]) => one.test(text)) ?? [];
  return name === undefined ? text : styleText(name as keyof typeof words, text);
}

/** What a terminal makes of a cell; whatever else reads the output gets it as it is. */
const look = stdout.isTTY ? (text: string): string => (colourful ? colour(text) : text) : undefined;

/** Results, on standard output. Texts from outside go through `plain` first. */
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

/** As it is, for programs. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

let shown = false;

/** What is going on, on the last line of a terminal, until something else is printed. */
export function progress(text: string): void {
  if (!smart || (!shown && text === '')) return;
  stdout.write(`\r\u001b[K${plain(text)}`);
  shown = text !== '';
}

/** What went wrong, on standard error. */
export function complain(text: string): void {
  progress('');
  stderr.write(`${text.split('\n').map(plain).join('\n')}\n`);
}

/**
 * Says what is about to be done, and asks whether it may be.
 * @param given with `yes` nobody is asked, with `json` programs read what is printed
 * @throws Fault if it may not
 */
export async function agree(what: string, { yes, json }: { yes?: true; json?: true }): Promise<void> {
  const canAsk = stdin.isTTY && stdout.isTTY;
  if (!yes && !canAsk) throw new Fault(`${what}. Nothing was done: without a terminal it needs --yes`, 2);
  if (!yes || !json) print(plain(`${what}.`));
  if (yes) return;
  const lines = createInterface({ input: stdin, output: stdout });
  const closed = new Promise<string>(resolve => lines.once('close', () => resolve('')));
  const answer = await Promise.race([lines.question('Go on? [y/N] '), closed]);
  lines.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new Fault('nothing was done');
}

/** Whoever reads what we print may stop reading: then nothing more is to be said. A disk that is full is told. */
export function endQuietly(): void {
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
      if (stream === stdout) complain(`the output cannot be written (${error.code})`);
      process.exit(1);
    });
  }
}
