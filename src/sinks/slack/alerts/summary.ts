import type { RichTextElement } from '@slack/types';
import type { Alert } from '../../alert.js';
import { sinkLine, text } from '../card/blocks.js';
import type { Words } from '../words/en.js';

type Summary = Extract<Alert, { kind: 'summary' }>;

const maxLines = 20;

/** The day in one phrase. */
export function summaryPhrase({ changes, channels, sinks }: Summary, { summary: words }: Words): string {
  const parked = sinks.reduce((total, sink) => total + sink.parked, 0);
  const waiting = sinks.reduce((total, sink) => total + sink.waiting, 0);
  return words.phrase(words.changes(changes, channels), parked + waiting === 0 ? words.well : words.open(parked, waiting));
}

/** The messageRefs of the alerts that a summary can link to. */
export function messageRefsOf({ sinks }: Summary): string[] {
  return sinks.flatMap(({ messageRefs: { parked, waiting } }) => [parked, waiting]).filter(ref => ref !== null);
}

/**
 * One line per sink. If there are too many, sinks with nothing open are left out first.
 * @param links permalinks of alerts by their messageRefs
 */
export function summaryLines({ sinks }: Summary, { summary: words, next }: Words, links: ReadonlyMap<string, string>): RichTextElement[][] {
  const linked = (phrase: string, messageRef: string | null): RichTextElement => {
    const url = links.get(messageRef ?? '');
    return url === undefined ? text(phrase) : { type: 'link', url, text: phrase };
  };
  const isOpen = ({ parked, waiting }: Summary['sinks'][number]): boolean => parked > 0 || waiting > 0;
  const kept = new Set([...sinks.filter(isOpen), ...sinks.filter(sink => !isOpen(sink))].slice(0, maxLines));
  const lines = sinks
    .filter(sink => kept.has(sink))
    .map(({ sink, delivered, slowestMs, parked, waiting, messageRefs }): RichTextElement[] => {
      const more = [
        ...(slowestMs === null ? [] : [text(words.slowest(slowestMs))]),
        ...(parked > 0 ? [linked(words.parked(parked), messageRefs.parked)] : []),
        ...(waiting > 0 ? [linked(words.waiting(waiting), messageRefs.waiting)] : []),
      ];
      const icon = parked > 0 ? 'x' : waiting > 0 ? 'hourglass_flowing_sand' : 'white_check_mark';
      return [...sinkLine(icon, sink, ` ${words.delivered(delivered)}`), ...more.flatMap(phrase => [text(next), phrase])];
    });
  return sinks.length > kept.size ? [...lines, [text(words.more(sinks.length - kept.size))]] : lines;
}
