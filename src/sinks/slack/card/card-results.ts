import type { KnownBlock, RichTextElement } from '@slack/types';
import { stored } from '../../../explanations/explanation.js';
import type { AuditAction, Report, SinkResult } from '../../report-sink.js';
import { type RenderContext, date, lengthOf, richText, text } from './blocks.js';
import { clean } from './card-text.js';
import type { Words } from '../words/en.js';

type State = SinkResult['state'];

/** An icon for each state. Those that want a person come first: they are the last to be folded. */
export const icons: Record<State, string> = {
  parked: 'x',
  retrying: 'warning',
  discarded: 'wastebasket',
  pending: 'hourglass_flowing_sand',
  superseded: 'fast_forward',
  delivered: 'white_check_mark',
};
const order = Object.keys(icons) as State[];

/** How much all lines together may take up. */
const mostUnits = 2000;
const mostLines = 20;
const mostActions = 5;
/** The reason of a discard for which a person gave none. The line that says who did it says more. */
const noReasonGiven = stored(['discarded']);

/** One line per sink, one for all of them, and what people did. If there are too many, the most harmless ones become one line. */
export function results({ results: all, auditActions }: Report, context: RenderContext, now: number): KnownBlock {
  const { words } = context;
  const kept = new Map<SinkResult, RichTextElement[]>();
  let units = 0;
  for (const result of [...all].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state))) {
    const line = lineOf(result, context, now);
    units += lengthOf(line);
    if (kept.size === mostLines || units > mostUnits) break;
    kept.set(result, line);
  }
  const lines = all.flatMap(result => (kept.has(result) ? [kept.get(result) ?? []] : []));
  const folded = all.filter(result => !kept.has(result));
  if (folded.length > 0) lines.push([text(words.results.folded(folded.length, counts(folded, words)))]);
  lines.push([text(summary(all, words), { bold: true })]);
  const earlier = auditActions.length - mostActions;
  if (earlier > 0) lines.push([text(words.results.actionsBefore(earlier), { italic: true })]);
  lines.push(...auditActions.slice(-mostActions).map(action => auditLine(action, context)));
  return richText(lines);
}

/** All sinks in one phrase; once each has its result it says so. */
export function summary(all: readonly SinkResult[], words: Words): string {
  const texts = words.results;
  if (all.length === 0) return texts.none;
  const open = all.filter(({ state }) => state === 'pending' || state === 'retrying').length;
  if (open > 0) return texts.waiting(open, all.length);
  if (all.every(({ state }) => state === 'delivered')) return texts.all;
  if (all.every(({ state }) => state === 'delivered' || state === 'superseded')) return texts.allOrNewer;
  return texts.done(counts(all, words));
}

/** Our words around who did something. A user of Slack is shown by name; that notifies nobody, since an action only ever comes with an edit. */
export function byActor(phrase: (who: string) => string, actor: string, { api }: Words): RichTextElement[] {
  const user = /^slack:(\w{1,64})$/.exec(actor)?.[1];
  if (user === undefined) return [text(phrase(actor === 'api' ? api : clean(actor, 40)))];
  const [before = '', after = ''] = phrase('\0').split('\0');
  return [...(before ? [text(before)] : []), { type: 'user', user_id: user }, ...(after ? [text(after)] : [])];
}

function counts(all: readonly SinkResult[], { results: { count } }: Words): string[] {
  return order.flatMap(state => {
    const found = all.filter(result => result.state === state).length;
    return found > 0 ? [count(found, state)] : [];
  });
}

function lineOf(
  { sink, state, reason, durationMs, nextAttemptAt, held }: SinkResult,
  context: RenderContext,
  now: number,
): RichTextElement[] {
  const { results: texts, colon } = context.words;
  const open = state === 'pending' || state === 'retrying';
  const outcome = state === 'delivered' && durationMs !== null ? texts.deliveredIn(durationMs) : texts.state[state];
  // What was wrong before something newer arrived there is over.
  const failure =
    state !== 'delivered' && state !== 'superseded' && reason !== null && reason !== noReasonGiven
      ? clean(context.words.explain(reason), 150)
      : '';
  const why = open && held !== null ? texts.held[held] : failure;
  const line = ` ${outcome}${why && colon + why}`;
  return [
    { type: 'emoji', name: icons[state] },
    text(` ${clean(sink, 60)}`, { bold: true }),
    ...(open && nextAttemptAt !== null && nextAttemptAt > now
      ? [text(line + texts.next[state]), date(nextAttemptAt, context)]
      : [text(line + (state === 'retrying' && held === null ? texts.again : ''))]),
  ];
}

function auditLine({ at, action, actor }: AuditAction, context: RenderContext): RichTextElement[] {
  const { words } = context;
  const icon = { type: 'emoji', name: action === 'replay' ? 'repeat' : 'wastebasket' } as const;
  return [icon, text(' '), ...byActor(words.results[action], actor, words), date(at, context)];
}
