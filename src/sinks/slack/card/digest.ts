import type { Report } from '../../report-sink.js';
import {
  type RenderContext,
  type Message,
  type RichElement,
  date,
  dateMarkup,
  header,
  lengthOf,
  mostInAll,
  richText,
  words,
} from './blocks.js';
import { changeLine, idOf, nameOf, operatorOf, saidOf } from './card.js';
import { clean, escape } from './card-text.js';

const mostLines = 20;
/** How much the lines of the first message may take up. */
const mostUnits = 7000;
/** Slack allows short bursts only: with the message itself these are four calls. */
const mostParts = 3;

/** Many changes that every sink has, in one message. */
export function digest(reports: readonly Report[], context: RenderContext): Message {
  const { digest: texts } = context.words;
  const kept = firstLines(reports, context);
  const more = reports.length - kept.length;
  const times = reports.map(({ event }) => Date.parse(event.timestamp));
  const title = texts.title(reports.length);
  const names = reports.slice(0, 3).map(report => clean(nameOf(report, context.words), 60));
  return {
    text: escape(texts.notification(title, names, names.length === reports.length)),
    blocks: [
      header(title),
      richText([...kept, ...(more > 0 ? [words(context.threads ? texts.moreInThread(more) : texts.more(more), { italic: true })] : [])]),
      { type: 'context', elements: [{ type: 'mrkdwn', text: periodOf(Math.min(...times), Math.max(...times), context) }] },
    ],
  };
}

/** The same changes in full, for the thread, if the message itself could not take them all. */
export function digestThread(reports: readonly Report[], context: RenderContext): Message[] {
  const { digest: texts } = context.words;
  if (!context.threads || firstLines(reports, context).length === reports.length) return [];
  const lines = reports.map(report => [
    ...lineOf(report, context),
    ...words(` · ${operatorOf(report, context.words, 60)} · `),
    date(Date.parse(report.event.timestamp), context),
  ]);
  const all = pages(lines, mostInAll);
  const parts = all.slice(0, mostParts);
  const rest = all.slice(mostParts).flat().length;
  if (rest > 0) parts.at(-1)?.push(words(texts.rest(rest), { italic: true }));
  return parts.map((part, index) => ({ text: texts.part(index + 1, parts.length), blocks: [richText(part)] }));
}

/** What the message itself shows: the first changes, in short. */
function firstLines(reports: readonly Report[], context: RenderContext): RichElement[][] {
  const lines = reports.slice(0, mostLines).map(report => lineOf(report, context, 40));
  return pages(lines, mostUnits)[0] ?? [];
}

/** A span of time in mrkdwn. */
export function periodOf(from: number, to: number | null, context: RenderContext): string {
  const start = dateMarkup(from, context);
  if (to === null) return context.words.since(start);
  const end = dateMarkup(to, context);
  return start === end ? start : context.words.period(start, end);
}

function lineOf(report: Report, { words: messages }: RenderContext, graphemes?: number): RichElement[] {
  const { changes, channelId, revision } = report.event.data;
  const updated = revision !== null && report.event.type === 'channel.profile.updated';
  const what = updated
    ? changes.flatMap((change, index) => [
        ...(index > 0 ? words(messages.digest.next) : []),
        ...changeLine(change, 'channel.profile.updated', messages, graphemes),
      ])
    : words(saidOf(report, messages));
  return [
    ...words(clean(nameOf(report, messages), graphemes), { bold: true }),
    ...words(' '),
    idOf(channelId, messages, graphemes),
    ...words(' '),
    ...what,
  ];
}

/** Lines, as many together as fit. */
function pages(lines: readonly RichElement[][], units: number): RichElement[][][] {
  const all: RichElement[][][] = [];
  let left = 0;
  for (const line of lines) {
    const length = lengthOf(line);
    if (length > left || all.length === 0) {
      all.push([]);
      left = units;
    }
    all.at(-1)?.push(line);
    left -= length;
  }
  return all;
}
