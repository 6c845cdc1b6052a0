import type { Alert } from '../../alert.js';
import { rejectionCauses } from '../../sink.js';
import { type Button, type RenderContext, type Message, type RichElement, button, date, header, richText, words } from '../card/blocks.js';
import { byActor } from '../card/card-results.js';
import { clean, escape } from '../card/card-text.js';
import { buttonValue } from '../clicks/clicks.js';
import { periodOf } from '../card/digest.js';
import type { Words } from '../words/en.js';
import { summaryLines, summaryPhrase } from './summary.js';

/** What a notice says: an icon and a title, then lines, of which the first says most. */
interface Said {
  icon: string;
  title: string;
  lines: RichElement[][];
}

/**
 * The message of a notice. Its kinds of blocks stay the same when it is over, but for its buttons.
 * @param links where other notices stand, by their messageRefs
 */
export function notice(told: Alert, context: RenderContext, links: ReadonlyMap<string, string> = new Map()): Message {
  const { icon, title, lines } = saidOf(told, context, links);
  const buttons = context.buttons ? buttonsOf(told, context) : [];
  const first = lines[0]?.map(one => (one.type === 'text' ? one.text : '')).join('') ?? '';
  return {
    text: escape(context.words.notification(`${icon} ${title}`, first)),
    blocks: [
      header(`${icon} ${title}`),
      richText(lines),
      { type: 'context', elements: [{ type: 'mrkdwn', text: periodOf(told.since, told.until, context) }] },
      ...(buttons.length > 0 ? [{ type: 'actions' as const, elements: buttons }] : []),
    ],
  };
}

/** The newest failures of a sink, for the thread of its incident. */
export function failures(told: Alert, context: RenderContext): Message | null {
  if (told.kind !== 'incident' || told.until !== null || told.failures.length === 0) return null;
  const { failures: title, failed } = context.words.incident;
  const lines = told.failures.slice(0, 10).map(({ at, error }) => [date(at, context), ...words(failed(clean(error)))]);
  return { text: title, blocks: [richText([words(title, { bold: true }), ...lines])] };
}

/** What tells a notice from all others. */
export function keyOf(told: Alert): string {
  return [told.kind, ...('sink' in told ? [told.sink] : []), told.since].join(':');
}

function saidOf(told: Alert, context: RenderContext, links: ReadonlyMap<string, string>): Said {
  switch (told.kind) {
    case 'incident':
      return told.until === null ? incident(told, context.words) : incidentOver(told, told.until, context.words);
    case 'silence': {
      const { title, calm, rejected, over, took } = context.words.silence;
      if (told.until !== null) return isOver(over, took(told.until - told.since));
      return { icon: '🔇', title: title(told.afterMs), lines: [words(told.rejected ? rejected : calm)] };
    }
    case 'rejected':
      return rejectedOf(told, context.words);
    case 'parked': {
      const { title, newest, decide, decideByApi, over, took } = context.words.parked;
      const sink = clean(told.sink, 60);
      if (told.removed) return removed(sink, told.reason, context.words.removed.parked(told.count), context.words);
      if (told.until !== null) return isOver(over(sink), took(told.until - told.since));
      const todo = labelled(context.words.todo, context.words.advice(told.advice));
      const lines = [labelled(newest, told.reason), todo, words(context.buttons ? decide : decideByApi)];
      return { icon: '❌', title: title(told.count, sink), lines };
    }
    case 'differences':
      return differences(told, context);
    case 'summary':
      return {
        icon: '📋',
        title: context.words.summary.title,
        lines: [words(summaryPhrase(told, context.words)), ...summaryLines(told, context.words, links)],
      };
  }
}

function rejectedOf({ counts, since, until }: Extract<Alert, { kind: 'rejected' }>, { rejected: texts }: Words): Said {
  const causes = rejectionCauses.flatMap(cause => (counts[cause] ? [{ cause, count: counts[cause] }] : []));
  const count = causes.reduce((sum, one) => sum + one.count, 0);
  if (until !== null) return isOver(texts.over, texts.took(count, until - since));
  const lines = causes.map(one => labelled(texts.cause[one.cause](one.count), texts.todo[one.cause]));
  return { icon: '🔑', title: texts.title(count), lines: [words(texts.lost), ...lines] };
}

type Incident = Extract<Alert, { kind: 'incident' }>;

function incident({ sink, state, reason, advice, waiting, paused, by }: Incident, messages: Words): Said {
  const texts = messages.incident;
  const lines = state === 'paused' ? [] : [labelled(messages.wrong, reason), labelled(messages.todo, messages.advice(advice))];
  lines.push(words(paused ? texts.waitingPaused(waiting) : texts.waiting(waiting)));
  if (by !== null) lines.push(byActor(paused ? texts.pausedBy : texts.resumedBy, by, messages));
  const name = clean(sink, 60);
  return paused ? { icon: '⏸️', title: texts.paused(name), lines } : { icon: '🔴', title: texts[state](name), lines };
}

function incidentOver(told: Incident, until: number, messages: Words): Said {
  const { since, reason, waiting } = told;
  const sink = clean(told.sink, 60);
  const texts = messages.incident;
  const onlyPaused = told.state === 'paused';
  if (told.removed) return removed(sink, onlyPaused ? texts.paused(sink) : reason, messages.removed.waiting(waiting), messages);
  const lines = [words(texts.took(until - since)), ...(waiting > 0 ? [words(texts.left(waiting))] : [])];
  return onlyPaused
    ? { icon: '▶️', title: texts.goesOn(sink), lines }
    : { icon: '✅', title: texts.over(sink), lines: [...lines, labelled(messages.wasWrong, reason)] };
}

function isOver(title: string, took: string): Said {
  return { icon: '✅', title, lines: [words(took)] };
}

/** It ended without being well again. */
function removed(sink: string, wasWrong: string, left: string, messages: Words): Said {
  return { icon: '⏹️', title: messages.removed.title(sink), lines: [words(left), labelled(messages.wasWrong, wasWrong)] };
}

type Differences = Extract<Alert, { kind: 'differences' }>;

function differences(told: Differences, { words: messages, buttons }: RenderContext): Said {
  const texts = messages.differences;
  const sink = clean(told.sink, 60);
  const kinds = (['missing', 'older', 'newer', 'surplus'] as const).filter(kind => told[kind] > 0);
  const found = texts.found(kinds.map(kind => texts.count[kind](told[kind])));
  if (told.removed) return removed(sink, found, messages.removed.index, messages);
  if (told.until !== null) return isOver(texts.over(sink), texts.took(told.until - told.since));
  const todo = buttons ? texts.todo : texts.todoByApi(sink);
  return {
    icon: '🧩',
    title: texts.title(sink),
    lines: [labelled(messages.wrong, found), labelled(messages.todo, todo), words(texts.again)],
  };
}

/** A text, or what another sink says as it says it, after a word in bold. */
function labelled(label: string, text: string): RichElement[] {
  return [...words(label, { bold: true }), ...words(clean(text) || '–')];
}

function buttonsOf(told: Alert, { sink, words: messages }: RenderContext): Button[] {
  if ((told.kind !== 'incident' && told.kind !== 'differences') || told.until !== null) return [];
  const action = told.kind === 'differences' ? 'repair' : told.paused ? 'resume' : 'pause';
  return [button(action, buttonValue(sink, told.sink), messages)];
}
