import type { RichTextElement } from '@slack/types';
import { type ListedChange, effectOf } from '../../lookup.js';
import type { Report } from '../../report-sink.js';
import {
  type Message,
  type RenderContext,
  date,
  firstFitting,
  header,
  moreLine,
  maxMessageLength,
  period,
  richText,
  text,
} from './blocks.js';
import { changeLine, idOf, nameOf, operatorOf } from './card.js';
import { clean, escape } from './card-text.js';
import type { Words } from '../words/en.js';

const maxLines = 20;
/** How much the lines of the first message may take up. */
const maxUnits = 7000;
/** Slack allows short bursts only: with the message itself these are four calls. */
const maxParts = 3;

/** Many changes that every sink has, in one message. */
export function digest(reports: readonly Report[], context: RenderContext): Message {
  const { words, threads } = context;
  const kept = firstLines(reports, context);
  const more = reports.length - kept.length;
  const times = reports.map(({ event }) => Date.parse(event.timestamp));
  const title = words.digest.title(reports.length);
  const names = reports.slice(0, 3).map(report => clean(nameOf(report, words), 60));
  return {
    text: escape(words.digest.notification(title, names, names.length === reports.length)),
    blocks: [
      header(title),
      richText([...kept, ...moreLine(more, count => words.digest.more(count, threads))]),
      period(Math.min(...times), Math.max(...times), context),
    ],
  };
}

/** The same changes in full, for the thread, if the message itself could not take them all. */
export function digestThread(reports: readonly Report[], context: RenderContext): Message[] {
  const { words, threads } = context;
  if (!threads || firstLines(reports, context).length === reports.length) return [];
  const lines = reports.map(report => [
    ...lineOf(report, context),
    text(` · ${operatorOf(report, words, 60)} · `),
    date(Date.parse(report.event.timestamp), context),
  ]);
  const parts: RichTextElement[][][] = [];
  let rest = lines;
  while (rest.length > 0 && parts.length < maxParts) {
    const part = firstFitting(rest, maxMessageLength);
    parts.push(part);
    rest = rest.slice(part.length);
  }
  parts.at(-1)?.push(...moreLine(rest.length, words.digest.rest));
  return parts.map((part, index) => ({ text: words.digest.part(index + 1, parts.length), blocks: [richText(part)] }));
}

/** What the message itself shows: the first changes, in short. */
function firstLines(reports: readonly Report[], context: RenderContext): RichTextElement[][] {
  const lines = reports.slice(0, maxLines).map(report => lineOf(report, context, 40));
  return firstFitting(lines, maxUnits);
}

export function lineOf(report: ListedChange, { words }: RenderContext, graphemes?: number): RichTextElement[] {
  return [
    text(clean(nameOf(report, words), graphemes), { bold: true }),
    text(' '),
    idOf(report.event.data.channelId, words, graphemes),
    text(' '),
    ...whatChanged(report, words, graphemes),
  ];
}

/** Of an update each field; of anything else what it did. */
export function whatChanged(change: ListedChange, words: Words, graphemes?: number): RichTextElement[] {
  const { changes, revision } = change.event.data;
  if (revision === null || change.event.type !== 'channel.profile.updated') return [text(effectOf(change, words))];
  const fields = changes.map(field => changeLine(field, 'channel.profile.updated', words, graphemes));
  return fields.flatMap((line, index) => (index > 0 ? [text(words.digest.next), ...line] : line));
}
