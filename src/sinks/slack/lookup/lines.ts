import type { RichTextElement } from '@slack/types';
import type { FailedChange, FoundChannel, ListedChange, SinkOverview } from '../../lookup.js';
import { type RenderContext, date, firstFitting, moreLine, maxMessageLength, sinkLine, text } from '../card/blocks.js';
import { clean } from '../card/card-text.js';
import { idOf, operatorOf } from '../card/card.js';
import { lineOf, whatChanged } from '../card/digest.js';

const icons: Record<SinkOverview['state'], string> = {
  misconfigured: 'red_circle',
  down: 'red_circle',
  paused: 'double_vertical_bar',
  retrying: 'warning',
  ok: 'white_check_mark',
};

/** Maximum length of a value in a line. */
const graphemes = 40;

/** Whether someone has to act on this sink. */
export function needsAttention({ state, failed }: SinkOverview): boolean {
  return failed > 0 || (state !== 'ok' && state !== 'retrying');
}

/** A sink's state in one line; if it needs attention, reason and advice in two more. */
export function sinkLines(sink: SinkOverview, { words }: RenderContext): RichTextElement[][] {
  const { state, queued, failed, lagMs, reason, advice } = sink;
  const texts = words.lookup.sinks;
  const phrases = [
    ...(state === 'ok' && failed > 0 && queued === 0 ? [] : [state === 'ok' && queued > 0 ? texts.delivering : texts.state[state]]),
    ...(queued > 0 ? [texts.queued(queued, lagMs)] : []),
    ...(failed > 0 ? [texts.failed(failed)] : []),
  ];
  const line = sinkLine(state === 'ok' && failed > 0 ? 'x' : icons[state], sink.sink, ` ${phrases.join(words.next)}`);
  if (state === 'ok' || state === 'paused' || reason === null) return [line];
  const why = [text(words.wrong, { bold: true }), text(clean(words.explain(reason), 150) || '–')];
  return advice === null ? [line, why] : [line, why, [text(words.todo, { bold: true }), text(clean(words.explain(advice)) || '–')]];
}

/** Many sinks in one line: how many are in each state. */
export function restLine(sinks: readonly SinkOverview[], { words }: RenderContext): RichTextElement[] {
  const { more, state: states } = words.lookup.sinks;
  const counts = Object.entries(Object.groupBy(sinks, ({ state }) => state)) as [SinkOverview['state'], SinkOverview[]][];
  const phrases = counts.map(([state, group]) => `${words.formats.number(group.length)} ${states[state]}`);
  return [text(more(sinks.length, phrases), { italic: true })];
}

/** The state of all sinks in one phrase. */
export function phraseOf(sinks: readonly SinkOverview[], { words }: RenderContext): string {
  const texts = words.lookup.sinks;
  const urgent = sinks.filter(needsAttention).length;
  if (urgent > 0) return `🔴 ${texts.attention(urgent)}`;
  return `✅ ${sinks.every(({ state, queued }) => state === 'ok' && queued === 0) ? texts.well : texts.busy}`;
}

/** A change in one line: channel, changed fields, operator and time. */
export function changeItem(change: ListedChange, context: RenderContext, apps: boolean): RichTextElement[] {
  const { sdkAppId } = change.event.data;
  const facts = [...(apps ? [context.words.card.app(clean(sdkAppId, graphemes))] : []), operatorOf(change, context.words, graphemes)];
  return [
    ...lineOf(change, context, graphemes),
    text(facts.map(fact => ` · ${fact}`).join('') + ' · '),
    date(Date.parse(change.event.timestamp), context),
  ];
}

/** A change in one line of its channel's list. */
export function channelChange(change: ListedChange, context: RenderContext): RichTextElement[] {
  const { words } = context;
  return [
    date(Date.parse(change.event.timestamp), context),
    text(words.next),
    ...whatChanged(change, words, 30),
    text(words.next + operatorOf(change, words, graphemes)),
  ];
}

/** A change as in `changeItem`, and the sinks where it failed. */
export function failedItem(change: FailedChange, context: RenderContext, apps: boolean): RichTextElement[][] {
  const { explain, colon, lookup: texts } = context.words;
  const lines = change.failures.slice(0, 5).map(({ sink, reason }) => sinkLine('x', sink, colon + (clean(explain(reason), 150) || '–')));
  return [changeItem(change, context, apps), ...lines, ...moreLine(change.failures.length - lines.length, texts.more)];
}

/** A channel in one line. */
export function channelItem(channel: FoundChannel, context: RenderContext, apps: boolean): RichTextElement[] {
  const { words } = context;
  const { name, channelId, exists, sdkAppId, updatedAt } = channel;
  const facts = [...(exists ? [] : [words.lookup.destroyed]), ...(apps ? [words.card.app(clean(sdkAppId, graphemes))] : [])];
  return [
    text(name === null ? words.change.nameUnknown : clean(name, graphemes) || words.card.noName, { bold: true }),
    text(' '),
    idOf(channelId, words),
    text(facts.map(fact => ` · ${fact}`).join('')),
    ...(updatedAt === null ? [] : [text(` · ${words.lookup.updated}`), date(updatedAt, context)]),
  ];
}

/** The lines that fit into a message; an ellipsis stands for the rest. */
export function fitting(lines: readonly RichTextElement[][], units = maxMessageLength): RichTextElement[][] {
  const kept = firstFitting(lines, units);
  return kept.length === lines.length ? kept : [...kept, [text('…')]];
}

/** Whether lines should name the app. */
export function severalApps(ids: readonly string[]): boolean {
  return new Set(ids).size > 1;
}

/** Typed text, cleaned and quoted. */
export function quoted(typed: string, { words }: RenderContext): string {
  return words.lookup.quoted(clean(typed, graphemes));
}
