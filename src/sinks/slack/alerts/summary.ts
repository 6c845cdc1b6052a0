import type { Alert } from '../../alert.js';
import { type RichElement, words } from '../card/blocks.js';
import { clean } from '../card/card-text.js';
import type { Words } from '../words/en.js';

type Summary = Extract<Alert, { kind: 'summary' }>;

const mostLines = 20;

/** A day in a phrase. */
export function summaryPhrase({ changes, channels, sinks }: Summary, { summary: texts }: Words): string {
  const parked = sum(sinks.map(one => one.parked));
  const waiting = sum(sinks.map(one => one.waiting));
  return texts.phrase(texts.changes(changes, channels), parked + waiting === 0 ? texts.well : texts.open(parked, waiting));
}

/** The messageRefs of the notices that a summary can link to. */
export function messageRefsOf({ sinks }: Summary): string[] {
  return sinks.flatMap(({ messageRefs: { parked, waiting } }) => [parked, waiting]).filter(one => one !== null);
}

/**
 * One line per sink. Of too many, those that have nothing open are left out first.
 * @param links where notices stand, by their messageRefs
 */
export function summaryLines({ sinks }: Summary, { summary: texts }: Words, links: ReadonlyMap<string, string>): RichElement[][] {
  const linked = (text: string, messageRef: string | null): RichElement[] => {
    const url = links.get(messageRef ?? '');
    return url === undefined ? words(text) : [{ type: 'link', url, text }];
  };
  const kept = new Set([...sinks].sort((a, b) => Number(isOpen(b)) - Number(isOpen(a))).slice(0, mostLines));
  const lines = sinks
    .filter(one => kept.has(one))
    .map(({ sink, delivered, slowestMs, parked, waiting, messageRefs }): RichElement[] => {
      const what = [words(texts.delivered(delivered)), ...(slowestMs === null ? [] : [words(texts.slowest(slowestMs))])];
      if (parked > 0) what.push(linked(texts.parked(parked), messageRefs.parked));
      if (waiting > 0) what.push(linked(texts.waiting(waiting), messageRefs.waiting));
      const icon = parked > 0 ? 'x' : waiting > 0 ? 'hourglass_flowing_sand' : 'white_check_mark';
      const phrase = what.flatMap((one, index) => [...words(index === 0 ? ' ' : texts.next), ...one]);
      return [{ type: 'emoji', name: icon }, ...words(` ${clean(sink, 60)}`, { bold: true }), ...phrase];
    });
  return sinks.length > kept.size ? [...lines, words(texts.more(sinks.length - kept.size))] : lines;
}

function isOpen({ parked, waiting }: Summary['sinks'][number]): boolean {
  return parked > 0 || waiting > 0;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
