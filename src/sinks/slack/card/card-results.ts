import type { KnownBlock, RichTextElement } from '@slack/types';
import { statusOf } from '../../lookup.js';
import type { AuditAction, Report, SinkResult } from '../../report-sink.js';
import { type RenderContext, date, emoji, firstFitting, moreLine, richText, sinkLine, text } from './blocks.js';
import { clean } from './card-text.js';
import type { Words } from '../words/en.js';

type State = SinkResult['state'];

/** An icon for each state. States that need attention come first and are folded last. */
export const icons: Record<State, string> = {
  parked: 'x',
  retrying: 'warning',
  discarded: 'wastebasket',
  pending: 'hourglass_flowing_sand',
  superseded: 'fast_forward',
  delivered: 'white_check_mark',
};
const order = Object.keys(icons) as State[];

/** Maximum total length of all lines. */
const maxUnits = 1400;
const maxLines = 20;
const maxActions = 5;

/** One line if all sinks have the change; otherwise a summary, a line for each that has not, one for the rest. Then the actions of users. */
export function results({ results: all, auditActions }: Report, context: RenderContext, now: number, isNew: boolean): KnownBlock {
  const { words } = context;
  const well = all.filter(isWell);
  const bad = all.filter(result => !isWell(result)).sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
  const wellLine = wellTexts(well, words).join(words.next);
  const earlier = auditActions.length - maxActions;
  return richText([
    headOf(all, wellLine, context),
    ...badLines(bad, context, now),
    ...(bad.length > 0 && wellLine !== '' ? [[emoji('white_check_mark'), text(` ${wellLine}`)]] : []),
    ...moreLine(earlier, words.results.actionsBefore),
    ...auditActions.slice(-maxActions).map(action => auditLine(action, context, isNew)),
  ]);
}

/** The results of all sinks in one phrase. */
export function summary(all: readonly SinkResult[], words: Words): string {
  const texts = words.results;
  const open = all.filter(isOpen).length;
  if (all.some(({ state }) => state === 'parked')) return texts.attention(counts(all, words));
  if (open > 0) return texts.waiting(open, all.length);
  if (all.length === 0) return texts.none;
  return all.every(isWell) ? texts.all : texts.finished(counts(all, words));
}

/** The summary in bold; if all sinks are fine, also each sink's result. A card shown only because of a failure says when it was fixed. */
function headOf(all: readonly SinkResult[], wellLine: string, context: RenderContext): RichTextElement[] {
  const { words, cards } = context;
  const isDone = all.length > 0 && all.every(isWell);
  const worst = order.find(state => all.some(result => result.state === state)) ?? 'delivered';
  const fixedAt = Math.max(0, ...all.map(({ endedAt }) => endedAt ?? 0));
  return [
    emoji(isDone ? 'white_check_mark' : worst === 'retrying' ? icons.pending : icons[worst]),
    text(' '),
    ...(isDone && cards === 'problems' ? [text(words.results.fixed, { bold: true }), date(fixedAt, context), text(words.next)] : []),
    text(summary(all, words), { bold: true }),
    ...(isDone ? [text(words.next + wellLine)] : []),
  ];
}

/** If there are too many, the least important ones are folded into one line. */
function badLines(bad: readonly SinkResult[], context: RenderContext, now: number): RichTextElement[][] {
  const { words } = context;
  const all = bad.map(result => resultLine(result, context, now));
  const lines = firstFitting(all, maxUnits, maxLines);
  const folded = bad.slice(lines.length);
  return [...lines, ...moreLine(folded.length, count => words.results.folded(count, counts(folded, words)))];
}

/** Each sink that has the change, and how long that took. */
function wellTexts(well: readonly SinkResult[], words: Words): string[] {
  const { results: texts, formats } = words;
  const all = well.map(({ sink, state, skipped, durationMs }) => {
    const took = durationMs === null ? texts.state.delivered : formats.duration(durationMs);
    const how = skipped ? texts.skipped : state === 'superseded' ? texts.state.superseded : took;
    return `${clean(sink, 60)} ${how}`;
  });
  const shown = all.slice(0, maxLines).filter((_, index) => all.slice(0, index + 1).join('').length < maxUnits / 2);
  const more = well.slice(shown.length);
  return more.length === 0 ? shown : [...shown, texts.folded(more.length, counts(more, words))];
}

function isWell({ state }: SinkResult): boolean {
  return state === 'delivered' || state === 'superseded';
}

function isOpen({ state }: SinkResult): boolean {
  return state === 'pending' || state === 'retrying';
}

/**
 * A phrase around the user who acted. Slack users are mentioned only where that does not notify them, as in an edit.
 * @param notifies whether a mention would notify
 */
export function byActor(phrase: (who: string) => string, actor: string, { api, someone }: Words, notifies: boolean): RichTextElement[] {
  const user = /^slack:(\w{1,64})$/.exec(actor)?.[1];
  if (user === undefined) return [text(phrase(actor === 'api' ? api : clean(actor, 40)))];
  // Chinese is written without spaces between words.
  if (notifies) return [text(phrase(someone).replace(/(?<=\p{Script=Han}) (?=\p{Script=Han})/gu, ''))];
  const [before = '', after = ''] = phrase('\0').split('\0');
  return [...(before ? [text(before)] : []), { type: 'user', user_id: user }, ...(after ? [text(after)] : [])];
}

function counts(all: readonly SinkResult[], { results: { count } }: Words): string[] {
  return order.flatMap(state => {
    const found = all.filter(result => result.state === state).length;
    return found > 0 ? [count(found, state)] : [];
  });
}

/** A sink's result for a change: its state, why it failed, and when the next attempt is due. */
export function resultLine(result: SinkResult, context: RenderContext, now: number): RichTextElement[] {
  const { words } = context;
  const { status, why, next } = statusOf(result, words, now);
  const reason = clean(why, 200);
  const line = sinkLine(icons[result.state], result.sink, ` ${status}${reason && words.colon + reason}`);
  return next === null ? line : [...line, text(next.text), date(next.at, context)];
}

function auditLine({ at, action, actor }: AuditAction, context: RenderContext, isNew: boolean): RichTextElement[] {
  const { words } = context;
  return [
    emoji(action === 'replay' ? 'repeat' : 'wastebasket'),
    text(' '),
    ...byActor(words.results[action], actor, words, isNew),
    date(at, context),
  ];
}
