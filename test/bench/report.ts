import { closeSync, fdatasyncSync, openSync, statfsSync, writeFileSync, writeSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { median } from './load.ts';
import { monotonicMs } from './webhooks.ts';

interface Row {
  what: string;
  /** `bare`, or a store. */
  at: string;
  value: number;
  unit: string;
  aim: string | null;
  reached: boolean | null;
}

/** An aim: at most, or at least, this value, in the row's unit. */
export type Aim = { atMost: number } | { atLeast: number };

export class Report {
  readonly rows: Row[] = [];
  /** What was odd: failed answers, accounts that do not add up, parts that could not be measured. */
  readonly notes: string[] = [];
  /** Every single measurement, for the JSON. */
  readonly raw: object[] = [];
  readonly #startedAt = monotonicMs();

  progress(text: string): void {
    console.error(`${((monotonicMs() - this.#startedAt) / 1000).toFixed(0).padStart(4)} s  ${text}`);
  }

  note(text: string): void {
    this.notes.push(text);
    this.progress(`! ${text}`);
  }

  add(what: string, at: string, value: number, unit: string, aim?: Aim): void {
    // An aim that could not be measured is not reached.
    const reached = aim === undefined ? null : 'atMost' in aim ? value <= aim.atMost : value >= aim.atLeast;
    const words = aim === undefined ? null : 'atMost' in aim ? `≤ ${aim.atMost}` : `≥ ${aim.atLeast}`;
    this.rows.push({ what, at, value, unit, aim: words, reached });
  }

  /** A part that could not be measured to its end has not reached its aims. */
  fail(part: string): void {
    this.rows.push({ what: `${part}, all of it`, at: 'all', value: Number.NaN, unit: '', aim: null, reached: false });
  }

  print(): void {
    const cells = this.rows.map(({ what, at, value, unit, aim, reached }) => [
      what,
      at,
      `${format(value)} ${unit}`,
      aim ?? '',
      reached === null ? '' : reached ? 'reached' : 'NOT REACHED',
    ]);
    const table = [['measured', 'at', 'figure', 'aim', ''], ...cells];
    const widths = [0, 1, 2, 3, 4].map(column => Math.max(...table.map(row => row[column]?.length ?? 0)));
    for (const row of table)
      console.log(
        row
          .map((cell, column) => (column === 2 ? cell.padStart(widths[2] ?? 0) : cell.padEnd(widths[column] ?? 0)))
          .join('  ')
          .trimEnd(),
      );
    const judged = this.rows.filter(row => row.reached !== null);
    const missed = judged.filter(row => !row.reached);
    console.log(`\n${judged.length - missed.length} of ${judged.length} aims reached.`);
    for (const note of this.notes) console.log(`! ${note}`);
  }

  write(file: string, about: object): void {
    const { rows, notes, raw } = this;
    writeFileSync(file, `${JSON.stringify({ ...about, rows, notes, raw }, null, 1)}\n`);
  }
}

function format(value: number): string {
  if (Number.isNaN(value)) return 'not measured';
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(value >= 10 ? 1 : 2);
}

/** What the figures depend on most: cores, Node, and how busy they are with others' work, and what it costs to have bytes on disk where the stores live. */
export function machine(folder: string): {
  node: string;
  cpu: string;
  cores: number;
  load: number;
  fdatasyncMs: number;
  memoryDisk: boolean;
} {
  const file = openSync(join(folder, 'fdatasync'), 'w');
  const page = Buffer.alloc(4096, 1);
  const times = Array.from({ length: 200 }, () => {
    const start = monotonicMs();
    writeSync(file, page);
    fdatasyncSync(file);
    return monotonicMs() - start;
  });
  closeSync(file);
  const tmpfs = 0x01021994;
  return {
    node: process.versions.node,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    load: loadavg()[0] ?? Number.NaN,
    fdatasyncMs: median(times),
    memoryDisk: statfsSync(folder).type === tmpfs,
  };
}
