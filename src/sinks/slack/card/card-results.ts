import type { AuditAction, Report, SinkResult } from '../../report-sink.js';
import { type RenderContext, type RichElement, type RichText, date, lengthOf, richText, words } from './blocks.js';
import { clean } from './card-text.js';
import type { Words } from '../words/en.js';

type State = SinkResult['state'];

/** An icon for each state. Those that want a person come first: they are the last to be folded. */
const icons: Record<State, string> = {
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
const mostDeeds = 5;
/** The reason of a discard for which a person gave none. The line that tells who did it says more. */
const givenUp = 'discarded by a person';

/** One line per sink, one for all of them, and what people did. If there are too many, the most harmless ones become one line. */
export function results({ results: all, auditActions }: Report, context: RenderContext, now: number): RichText {
  const texts = context.words.results;
  const kept = new Map<SinkResult, RichElement[]>();
  let units = 0;
  for (const result of [...all].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state))) {
    const line = lineOf(result, context, now);
    units += lengthOf(line);
    if (kept.size === mostLines || units > mostUnits) break;
    kept.set(result, line);
  }
  const lines = all.flatMap(result => (kept.has(result) ? [kept.get(result) ?? []] : []));
  const folded = all.filter(result => !kept.has(result));
  if (folded.length > 0) lines.push(words(texts.folded(folded.length, counts(folded, context.words))));
  lines.push(words(summary(all, context.words), { bold: true }));
  if (auditActions.length > mostDeeds) lines.push(words(texts.deedsBefore(auditActions.length - mostDeeds), { italic: true }));
  lines.push(...auditActions.slice(-mostDeeds).map(auditAction => auditLine(auditAction, context)));
  return richText(lines);
}

/** All sinks in one phrase; once each has its result it says so. */
export function summary(all: readonly SinkResult[], messages: Words): string {
  const texts = messages.results;
  if (all.length === 0) return texts.none;
  const open = all.filter(({ state }) => state === 'pending' || state === 'retrying').length;
  if (open > 0) return texts.waiting(open, all.length);
  if (all.every(({ state }) => state === 'delivered')) return texts.all;
  if (all.every(({ state }) => state === 'delivered' || state === 'superseded')) return texts.allOrNewer;
  return texts.done(counts(all, messages));
}

/** Our words around who did something. A user of Slack is shown by name: nobody is called by it, since a auditAction only ever comes with an edit. */
export function byActor(text: (who: string) => string, actor: string, { api }: Words): RichElement[] {
  const user = /^slack:(\w{1,64})$/.exec(actor)?.[1];
  if (user === undefined) return words(text(actor === 'api' ? api : clean(actor, 40)));
  const [before = '', after = ''] = text('\0').split('\0');
  return [before, null, after].flatMap((one): RichElement[] =>
    one === null ? [{ type: 'user', user_id: user }] : one === '' ? [] : words(one),
  );
}

function counts(all: readonly SinkResult[], { results: { count } }: Words): string[] {
  return order.flatMap(state => {
    const found = all.filter(result => result.state === state).length;
    return found > 0 ? [count[state](found)] : [];
  });
}

function lineOf({ sink, state, reason, durationMs, nextAttemptAt, held }: SinkResult, context: RenderContext, now: number): RichElement[] {
  const texts = context.words.results;
  const said = ` ${state === 'delivered' && durationMs !== null ? texts.deliveredIn(durationMs) : texts[state]}`;
  const isOpen = state === 'pending' || state === 'retrying';
  // What was wrong before something newer arrived there is over.
  const failed = state !== 'delivered' && state !== 'superseded' && reason !== null && reason !== givenUp ? clean(reason, 150) : '';
  const told = isOpen && held !== null ? texts.held[held] : failed;
  const why = told === '' ? '' : texts.because(told);
  return [
    { type: 'emoji', name: icons[state] },
    ...words(` ${clean(sink, 60)}`, { bold: true }),
    ...(isOpen && nextAttemptAt !== null && nextAttemptAt > now
      ? [...words(said + why + texts[`${state}Next`]), date(nextAttemptAt, context)]
      : words(said + why + (state === 'retrying' && held === null ? texts.again : ''))),
  ];
}

function auditLine({ at, action, actor }: AuditAction, context: RenderContext): RichElement[] {
  const texts = context.words.results;
  return [
    { type: 'emoji', name: action === 'replay' ? 'repeat' : 'wastebasket' },
    ...words(' '),
    ...byActor(action === 'replay' ? texts.replay : texts.discard, actor, context.words),
    date(at, context),
  ];
}
