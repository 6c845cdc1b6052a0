import { type ListedChange, effectOf } from '../../lookup.js';
import type { Report } from '../../report-sink.js';
import type { Line, Message, RenderContext } from './blocks.js';
import { bold, date, firstFitting, header, maxMessageLength, moreLine, period, present, richText } from './blocks.js';
import { changeLine, idOf, nameOf, operatorOf } from './card.js';
import { escape } from './card-text.js';
import type { Words } from '../words/en.js';

const maxLines = 20;
/** Maximum total length of the first message's lines. */
const maxUnits = 7000;
/** Slack allows only short bursts; with the message itself these are four calls. */
const maxParts = 3;

/** One message for many changes that every sink has. */
export function digest(reports: readonly Report[], context: RenderContext): Message {
  const { words, threads } = context;
  const kept = firstLines(reports, context);
  const times = reports.map(({ event }) => Date.parse(event.timestamp));
  const title = words.digest.title(reports.length);
  const names = reports.slice(0, 3).map(report => nameOf(report, words, 60));
  return {
    text: escape(words.digest.notification(title, names, names.length === reports.length)),
    blocks: [
      header(title),
      richText([...kept, moreLine(reports.length - kept.length, count => words.digest.more(count, threads))]),
      period(Math.min(...times), Math.max(...times), context),
    ],
  };
}

/** The full list for the thread, if the message itself does not hold all changes. */
export function digestThread(reports: readonly Report[], context: RenderContext): Message[] {
  const { words, threads } = context;
  if (!threads || firstLines(reports, context).length === reports.length) return [];
  let rest = reports.map((report): Line => {
    const happenedAt = Date.parse(report.event.timestamp);
    return [...lineOf(report, context), ` · ${operatorOf(report, words, 60)} · `, date(happenedAt, context)];
  });
  const parts: Line[][] = [];
  while (rest.length > 0 && parts.length < maxParts) {
    const part = firstFitting(rest, maxMessageLength);
    parts.push(part);
    rest = rest.slice(part.length);
  }
  parts.at(-1)?.push(...present([moreLine(rest.length, words.digest.rest)]));
  return parts.map((part, index) => ({ text: words.digest.part(index + 1, parts.length), blocks: [richText(part)] }));
}

function firstLines(reports: readonly Report[], context: RenderContext): Line[] {
  const lines = reports.slice(0, maxLines).map(report => lineOf(report, context, 40));
  return firstFitting(lines, maxUnits);
}

export function lineOf(report: ListedChange, { words }: RenderContext, graphemes?: number): Line {
  const name = bold(nameOf(report, words, graphemes));
  return [name, ' ', idOf(report.event.data.channelId, words, graphemes), ' ', ...whatChanged(report, words, graphemes)];
}

/** The changed fields of an update; the effect of any other change. */
export function whatChanged(change: ListedChange, words: Words, graphemes?: number): Line {
  const { changes, revision } = change.event.data;
  if (revision === null || change.event.type !== 'channel.profile.updated') return [effectOf(change, words)];
  const fields = changes.map(field => changeLine(field, 'channel.profile.updated', words, graphemes));
  return fields.flatMap((line, index) => (index > 0 ? [words.digest.next, ...line] : line));
}
