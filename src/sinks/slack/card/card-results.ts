import type { KnownBlock } from '@slack/types';
import { statusOf } from '../../lookup.js';
import type { Report, SinkResult } from '../../report-sink.js';
import { type Line, type RenderContext, bold, date, emoji, firstFitting, joined, moreLine, richText, sinkLine } from './blocks.js';
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

/**
 * One line if all sinks have the change; otherwise a summary, a line for each that has not, the least important ones folded into one if
 * there are too many, and one line for the rest. Then the actions of users.
 */
export function results({ results: all, auditActions }: Report, context: RenderContext, now: number, isNew: boolean): KnownBlock {
  const { words } = context;
  const bad = all.filter(result => !isWell(result)).sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
  const badLines = bad.map(result => resultLine(result, context, now));
  const shown = firstFitting(badLines, maxUnits, maxLines);
  const folded = bad.slice(shown.length);
  const wellLine = joined(wellTexts(all.filter(isWell), words));
  return richText([
    headOf(all, wellLine, context),
    ...shown,
    moreLine(folded.length, count => words.results.folded(count, counts(folded, words))),
    bad.length > 0 && wellLine !== '' && [emoji('white_check_mark'), ` ${wellLine}`],
    moreLine(auditActions.length - maxActions, words.results.actionsBefore),
    ...auditActions.slice(-maxActions).map(({ at, action, actor }) => {
      const icon = emoji(action === 'replay' ? 'repeat' : 'wastebasket');
      return [icon, ' ', ...byActor(words.results[action], actor, words, isNew), date(at, context)];
    }),
  ]);
}

/** The results of all sinks in one phrase. */
export function summary(all: readonly SinkResult[], words: Words): string {
  const texts = words.results;
  const open = all.filter(({ state }) => state === 'pending' || state === 'retrying').length;
  if (all.some(({ state }) => state === 'parked')) return texts.attention(counts(all, words));
  if (open > 0) return texts.waiting(open, all.length);
  if (all.length === 0) return texts.none;
  return all.every(isWell) ? texts.all : texts.finished(counts(all, words));
}

/** The summary in bold; if all sinks are fine, also each sink's result. A card shown only because of a failure says when it was fixed. */
function headOf(all: readonly SinkResult[], wellLine: string, context: RenderContext): Line {
  const { words, cards } = context;
  const isDone = all.length > 0 && all.every(isWell);
  const worst = order.find(state => all.some(result => result.state === state)) ?? 'delivered';
  const fixedAt = Math.max(0, ...all.map(({ endedAt }) => endedAt ?? 0));
  return [
    emoji(isDone ? 'white_check_mark' : worst === 'retrying' ? icons.pending : icons[worst]),
    ' ',
    ...(isDone && cards === 'problems' ? [bold(words.results.fixed), date(fixedAt, context), ' · '] : []),
    bold(summary(all, words)),
    isDone && ` · ${wellLine}`,
  ];
}

function wellTexts(well: readonly SinkResult[], words: Words): string[] {
  const { results: texts, formats } = words;
  const all = well.map(({ sink, state, skipped, durationMs }) => {
    const took = durationMs === null ? texts.state.delivered : formats.duration(durationMs);
    const how = skipped ? texts.skipped : state === 'superseded' ? texts.state.superseded : took;
    return `${clean(sink, 60)} ${how}`;
  });
  const lines = all.map(one => [one]);
  const shown = firstFitting(lines, maxUnits / 2, maxLines).length;
  const more = well.slice(shown);
  return more.length === 0 ? all : [...all.slice(0, shown), texts.folded(more.length, counts(more, words))];
}

function isWell({ state }: SinkResult): boolean {
  return state === 'delivered' || state === 'superseded';
}

/**
 * A phrase around the user who acted. Slack users are mentioned only where that does not notify them, as in an edit.
 * @param notifies whether a mention would notify
 */
export function byActor(phrase: (who: string) => string, actor: string, { api, someone }: Words, notifies: boolean): Line {
  const user = /^slack:(\w{1,64})$/.exec(actor)?.[1];
  if (user === undefined) return [phrase(actor === 'api' ? api : clean(actor, 40))];
  // Chinese is written without spaces between words.
  if (notifies) return [phrase(someone).replace(/(?<=\p{Script=Han}) (?=\p{Script=Han})/gu, '')];
  const [before, after] = phrase('\0').split('\0');
  return [before, { type: 'user', user_id: user }, after];
}

function counts(all: readonly SinkResult[], { results: { count } }: Words): string[] {
  return order.flatMap(state => {
    const found = all.filter(result => result.state === state).length;
    return found > 0 ? [count(found, state)] : [];
  });
}

/** A sink's result for a change: its state, why it failed, and when the next attempt is due. */
export function resultLine(result: SinkResult, context: RenderContext, now: number): Line {
  const { words } = context;
  const { status, why, next } = statusOf(result, words, now);
  const reason = clean(why, 200);
  const line = sinkLine(icons[result.state], result.sink, ` ${status}${reason && words.colon + reason}`);
  return next === null ? line : [...line, next.text, date(next.at, context)];
}
