import type { Notice } from '../sink.js';
import { type RichElement, words } from './blocks.js';
import { clean } from './card-text.js';
import type { Words } from './en.js';

type Summary = Extract<Notice, { kind: 'summary' }>;

const mostLines = 20;

/** A day in a phrase. */
export function summaryPhrase({ changes, channels, sinks }: Summary, { summary: texts }: Words): string {
  const parked = sum(sinks.map(one => one.parked));
  const waiting = sum(sinks.map(one => one.waiting));
  return texts.phrase(texts.changes(changes, channels), parked + waiting === 0 ? texts.well : texts.open(parked, waiting));
}

/** One line per sink. Of too many, those that have nothing open are left out first. */
export function summaryLines({ sinks }: Summary, { summary: texts }: Words): RichElement[][] {
  const kept = new Set([...sinks].sort((a, b) => Number(isOpen(b)) - Number(isOpen(a))).slice(0, mostLines));
  const lines = sinks
    .filter(one => kept.has(one))
    .map(({ sink, delivered, slowestMs, parked, waiting }): RichElement[] => {
      const what = [texts.delivered(delivered), ...(slowestMs === null ? [] : [texts.slowest(slowestMs)])];
      if (parked > 0) what.push(texts.parked(parked));
      if (waiting > 0) what.push(texts.waiting(waiting));
      const icon = parked > 0 ? 'x' : waiting > 0 ? 'hourglass_flowing_sand' : 'white_check_mark';
      return [{ type: 'emoji', name: icon }, ...words(` ${clean(sink, 60)}`, { bold: true }), ...words(texts.sink(what))];
    });
  return sinks.length > kept.size ? [...lines, words(texts.more(sinks.length - kept.size))] : lines;
}

function isOpen({ parked, waiting }: Summary['sinks'][number]): boolean {
  return parked > 0 || waiting > 0;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
