import type { Notice } from '../../alert.js';
import { rejectionCauses } from '../../sink.js';
import { type Button, type Manner, type Message, type RichElement, button, date, header, richText, words } from '../card/blocks.js';
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
 * @param links where other notices stand, by their receipts
 */
export function notice(told: Notice, manner: Manner, links: ReadonlyMap<string, string> = new Map()): Message {
  const { icon, title, lines } = saidOf(told, manner, links);
  const buttons = manner.buttons ? buttonsOf(told, manner) : [];
  const first = lines[0]?.map(one => (one.type === 'text' ? one.text : '')).join('') ?? '';
  return {
    text: escape(manner.words.notification(`${icon} ${title}`, first)),
    blocks: [
      header(`${icon} ${title}`),
      richText(lines),
      { type: 'context', elements: [{ type: 'mrkdwn', text: periodOf(told.since, told.until, manner) }] },
      ...(buttons.length > 0 ? [{ type: 'actions' as const, elements: buttons }] : []),
    ],
  };
}

/** The newest failures of a sink, for the thread of its incident. */
export function failures(told: Notice, manner: Manner): Message | null {
  if (told.kind !== 'incident' || told.until !== null || told.failures.length === 0) return null;
  const { failures: title, failed } = manner.words.incident;
  const lines = told.failures.slice(0, 10).map(({ at, error }) => [date(at, manner), ...words(failed(clean(error)))]);
  return { text: title, blocks: [richText([words(title, { bold: true }), ...lines])] };
}

/** What tells a notice from all others. */
export function keyOf(told: Notice): string {
  return [told.kind, ...('sink' in told ? [told.sink] : []), told.since].join(':');
}

function saidOf(told: Notice, manner: Manner, links: ReadonlyMap<string, string>): Said {
  switch (told.kind) {
    case 'incident':
      return told.until === null ? incident(told, manner.words) : incidentOver(told, told.until, manner.words);
    case 'silence': {
      const { title, calm, rejected, over, took } = manner.words.silence;
      if (told.until !== null) return isOver(over, took(told.until - told.since));
      return { icon: '🔇', title: title(told.afterMs), lines: [words(told.rejected ? rejected : calm)] };
    }
    case 'rejected':
      return rejectedOf(told, manner.words);
    case 'parked': {
      const { title, newest, decide, decideByApi, over, took } = manner.words.parked;
      const sink = clean(told.sink, 60);
      if (told.removed) return removed(sink, told.reason, manner.words.removed.parked(told.count), manner.words);
      if (told.until !== null) return isOver(over(sink), took(told.until - told.since));
      const todo = labelled(manner.words.todo, manner.words.advice(told.advice));
      const lines = [labelled(newest, told.reason), todo, words(manner.buttons ? decide : decideByApi)];
      return { icon: '❌', title: title(told.count, sink), lines };
    }
    case 'differences':
      return differences(told, manner);
    case 'summary':
      return {
        icon: '📋',
        title: manner.words.summary.title,
        lines: [words(summaryPhrase(told, manner.words)), ...summaryLines(told, manner.words, links)],
      };
  }
}

function rejectedOf({ counts, since, until }: Extract<Notice, { kind: 'rejected' }>, { rejected: texts }: Words): Said {
  const causes = rejectionCauses.flatMap(cause => (counts[cause] ? [{ cause, count: counts[cause] }] : []));
  const count = causes.reduce((sum, one) => sum + one.count, 0);
  if (until !== null) return isOver(texts.over, texts.took(count, until - since));
  const lines = causes.map(one => labelled(texts.cause[one.cause](one.count), texts.todo[one.cause]));
  return { icon: '🔑', title: texts.title(count), lines: [words(texts.lost), ...lines] };
}

type Incident = Extract<Notice, { kind: 'incident' }>;

function incident({ sink, state, reason, advice, waiting, paused, by }: Incident, spoken: Words): Said {
  const texts = spoken.incident;
  const lines = state === 'paused' ? [] : [labelled(spoken.wrong, reason), labelled(spoken.todo, spoken.advice(advice))];
  lines.push(words(paused ? texts.waitingPaused(waiting) : texts.waiting(waiting)));
  if (by !== null) lines.push(byActor(paused ? texts.pausedBy : texts.resumedBy, by, spoken));
  const name = clean(sink, 60);
  return paused ? { icon: '⏸️', title: texts.paused(name), lines } : { icon: '🔴', title: texts[state](name), lines };
}

function incidentOver(told: Incident, until: number, spoken: Words): Said {
  const { since, reason, waiting } = told;
  const sink = clean(told.sink, 60);
  const texts = spoken.incident;
  const onlyPaused = told.state === 'paused';
  if (told.removed) return removed(sink, onlyPaused ? texts.paused(sink) : reason, spoken.removed.waiting(waiting), spoken);
  const lines = [words(texts.took(until - since)), ...(waiting > 0 ? [words(texts.left(waiting))] : [])];
  return onlyPaused
    ? { icon: '▶️', title: texts.goesOn(sink), lines }
    : { icon: '✅', title: texts.over(sink), lines: [...lines, labelled(spoken.wasWrong, reason)] };
}

function isOver(title: string, took: string): Said {
  return { icon: '✅', title, lines: [words(took)] };
}

/** It ended without being well again. */
function removed(sink: string, wasWrong: string, left: string, spoken: Words): Said {
  return { icon: '⏹️', title: spoken.removed.title(sink), lines: [words(left), labelled(spoken.wasWrong, wasWrong)] };
}

type Differences = Extract<Notice, { kind: 'differences' }>;

function differences(told: Differences, { words: spoken, buttons }: Manner): Said {
  const texts = spoken.differences;
  const sink = clean(told.sink, 60);
  const kinds = (['missing', 'older', 'newer', 'surplus'] as const).filter(kind => told[kind] > 0);
  const found = texts.found(kinds.map(kind => texts.count[kind](told[kind])));
  if (told.removed) return removed(sink, found, spoken.removed.index, spoken);
  if (told.until !== null) return isOver(texts.over(sink), texts.took(told.until - told.since));
  const todo = buttons ? texts.todo : texts.todoByApi(sink);
  return { icon: '🧩', title: texts.title(sink), lines: [labelled(spoken.wrong, found), labelled(spoken.todo, todo), words(texts.again)] };
}

/** A text, or what another sink says as it says it, after a word in bold. */
function labelled(label: string, text: string): RichElement[] {
  return [...words(label, { bold: true }), ...words(clean(text) || '–')];
}

function buttonsOf(told: Notice, { sink, words: spoken }: Manner): Button[] {
  if ((told.kind !== 'incident' && told.kind !== 'differences') || told.until !== null) return [];
  const action = told.kind === 'differences' ? 'repair' : told.paused ? 'resume' : 'pause';
  return [button(action, buttonValue(sink, told.sink), spoken)];
}
