import type { FailedChange, FoundChannel, ListedChange, SinkOverview } from '../../lookup.js';
import type { Line, RenderContext } from '../card/blocks.js';
import { bold, date, firstFitting, joined, labelled, maxMessageLength, moreLine, present, sinkLine } from '../card/blocks.js';
import { clean } from '../card/card-text.js';
import { appOf, changeItem, idOf, operatorOf, shownName, whatChanged } from '../card/change-lines.js';

const icons: Record<SinkOverview['state'], string> = {
  misconfigured: 'red_circle',
  down: 'red_circle',
  paused: 'double_vertical_bar',
  retrying: 'warning',
  ok: 'white_check_mark',
};

/** Maximum length of a value in a line. */
export const maxGraphemes = 40;

/** Whether someone has to act on this sink. */
export function needsAttention({ state, failed }: SinkOverview): boolean {
  return failed > 0 || (state !== 'ok' && state !== 'retrying');
}

/** A sink's state in one line; if it needs attention, reason and advice in two more. */
export function sinkLines(sink: SinkOverview, { words }: RenderContext): Line[] {
  const { state, queued, failed, lagMs, reason, advice } = sink;
  const texts = words.lookup.sinks;
  const isOk = state === 'ok';
  const phrases = joined([
    isOk && queued > 0 ? texts.delivering : (!isOk || failed === 0) && texts.state[state],
    queued > 0 && texts.queued(queued, lagMs),
    failed > 0 && texts.failed(failed),
  ]);
  const line = sinkLine(isOk && failed > 0 ? 'x' : icons[state], sink.sink, ` ${phrases}`);
  if (isOk || state === 'paused' || reason === null) return [line];
  const why = labelled(words.wrong, words.explain(reason), 150);
  return advice === null ? [line, why] : [line, why, labelled(words.todo, words.explain(advice))];
}

/** Many sinks in one line: how many are in each state. */
export function restLine(sinks: readonly SinkOverview[], { words }: RenderContext): Line | false {
  const { state: states } = words.lookup.sinks;
  const counts = Object.entries(Object.groupBy(sinks, ({ state }) => state)) as [SinkOverview['state'], SinkOverview[]][];
  const phrases = counts.map(([state, group]) => `${words.formats.number(group.length)} ${states[state]}`);
  return moreLine(sinks.length, count => words.results.folded(count, phrases));
}

/** The state of all sinks in one phrase. */
export function phraseOf(sinks: readonly SinkOverview[], { words }: RenderContext): string {
  const texts = words.lookup.sinks;
  const urgent = sinks.filter(needsAttention).length;
  if (urgent > 0) return `🔴 ${texts.attention(urgent)}`;
  return `✅ ${sinks.every(({ state, queued }) => state === 'ok' && queued === 0) ? words.results.all : texts.busy}`;
}

/** A change in one line of its channel's list. */
export function channelChange(change: ListedChange, context: RenderContext): Line {
  const { words } = context;
  const happened = date(Date.parse(change.event.timestamp), context);
  return [happened, ' · ', ...whatChanged(change, words, 30), ` · ${operatorOf(change, words, maxGraphemes)}`];
}

/** A change as in `changeItem`, and the sinks where it failed. */
export function failedItem(change: FailedChange, context: RenderContext): (Line | false)[] {
  const { explain, colon, lookup: texts } = context.words;
  const lines = change.failures.slice(0, 5).map(({ sink, reason }) => sinkLine('x', sink, colon + (clean(explain(reason), 150) || '–')));
  return [changeItem(change, context, maxGraphemes), ...lines, moreLine(change.failures.length - lines.length, texts.more)];
}

/** A channel in one line. */
export function channelItem(channel: FoundChannel, context: RenderContext): Line {
  const { words } = context;
  const { sdkAppId, channelId, name, exists, updatedAt } = channel;
  const facts = present([!exists && words.lookup.destroyed, appOf(sdkAppId, context)]).map(fact => ` · ${fact}`);
  const updated = updatedAt === null ? [] : [` · ${words.lookup.updated}`, date(updatedAt, context)];
  return [bold(shownName(name, words, maxGraphemes)), ' ', idOf(channelId, words), facts.join(''), ...updated];
}

/** So that lines name the app if they are about several. */
export function withApps(context: RenderContext, listed: readonly { sdkAppId: string }[]): RenderContext {
  return { ...context, severalApps: new Set(listed.map(({ sdkAppId }) => sdkAppId)).size > 1 };
}

/** The lines that fit into a message; an ellipsis stands for the rest. */
export function fitting(lines: readonly (Line | false)[], units = maxMessageLength): Line[] {
  const all = present(lines);
  const kept = firstFitting(all, units);
  return kept.length === all.length ? kept : [...kept, ['…']];
}

/** Typed text, cleaned and quoted. */
export function quoted(typed: string): string {
  return `“${clean(typed, maxGraphemes)}”`;
}
