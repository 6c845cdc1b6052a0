import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual, styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Colour, unless the reader is a file or asked for none (NO_COLOR). */
export const paint = (style: Style, text: string) => styleText(style, text, { stream: process.stdout });

/** Breaks off a check, saying what was expected and what came. */
export function same(what: string, expected: unknown, came: unknown): void {
  if (isDeepStrictEqual(expected, came)) return;
  throw new Error(`${what}: expected ${JSON.stringify(expected)}, came ${JSON.stringify(came)}`);
}

/** As `same`, of these fields of an object. */
export function matches(what: string, expected: object, came: object | undefined): void {
  const fields = Object.keys(expected).map(field => [field, (came as Record<string, unknown> | undefined)?.[field]]);
  same(what, expected, Object.fromEntries(fields));
}

/** Text from outside, for a terminal: without what would move its cursor or turn its lines round. */
export const printable = (text: string) => text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, '�');

/** A value of a profile, for a reader. */
export const shown = (value: string | null) => (value === null ? '—' : `“${printable(value)}”`);

/** What differs, for a reader. */
export const differences = (changes: readonly { field: string; from: string | null; to: string | null }[]) =>
  changes.map(({ field, from, to }) => `${field}: ${shown(from)} → ${shown(to)}`).join(', ');

const holdMs = 30_000;
/** A person may have to find a button first. */
export const patienceMs = 60_000;

/** A step of the story, as far as it was told. */
export interface Step {
  title: string;
  why: string;
  claims: { kind: 'said' | 'passed' | 'failed'; who: string; what: string }[];
}

/** Tells the story and keeps the score. */
export class Teller {
  readonly steps: Step[] = [];
  passed = 0;
  failed = 0;
  #deadline = 0;
  readonly #over: AbortSignal;

  /** @param over ends all waiting */
  constructor(over: AbortSignal) {
    this.#over = over;
  }

  /** Begins a step. All the waiting of a step together may take 30 s. */
  step(title: string, why: string): void {
    this.steps.push({ title, why, claims: [] });
    console.log(`\n${paint('bold', `${this.steps.length}  ${title}`)}\n   ${paint('dim', why)}`);
    this.#deadline = Date.now() + holdMs;
  }

  /** A line that claims nothing. */
  say(who: string, what: string): void {
    this.#keep('said', who, what);
    console.log(`   ${paint('cyan', '→')} ${who.padEnd(7)} ${what}`);
  }

  /** A claim: what `prove` returns is told; what it throws counts as failed. */
  async check(who: string, prove: () => Promise<string> | string): Promise<void> {
    try {
      const told = await prove();
      this.passed++;
      this.#keep('passed', who, told);
      console.log(`   ${paint('green', '✔')} ${who.padEnd(7)} ${told}`);
    } catch (error) {
      this.#over.throwIfAborted();
      this.fail(who, error);
    }
  }

  fail(who: string, error: unknown): void {
    this.failed++;
    const what = error instanceof Error ? error.message : String(error);
    this.#keep('failed', who, what);
    console.log(paint('red', `   ✘ ${who.padEnd(7)} ${what}`));
  }

  #keep(kind: Step['claims'][number]['kind'], who: string, what: string): void {
    this.steps.at(-1)?.claims.push({ kind, who, what: what.replaceAll(/\n\s+/g, ' · ') });
  }

  /** Whether this comes true while we wait for a person. */
  async isSoon(look: () => Promise<boolean>): Promise<boolean> {
    const end = Date.now() + patienceMs;
    let came = false;
    while (!came && Date.now() < end) {
      await sleep(200, undefined, { signal: this.#over });
      came = await look();
    }
    this.#deadline = Date.now() + holdMs;
    return came;
  }

  /** Waits until `look` finds something, and returns it. */
  async until<T>(what: string, look: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
    for (;;) {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      if (Date.now() > this.#deadline) throw new Error(`waited ${holdMs / 1000} s in vain for ${what}`);
      await sleep(25, undefined, { signal: this.#over });
    }
  }
}
