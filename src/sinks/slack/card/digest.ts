import type { Report } from '../../report-sink.js';
import { type Line, type Message, type RenderContext, firstFitting, header, maxMessageLength } from './blocks.js';
import { moreLine, period, present, richText } from './blocks.js';
import { escape } from './card-text.js';
import { changeItem, lineOf, nameOf } from './change-lines.js';

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
  let rest = reports.map(report => changeItem(report, context));
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
