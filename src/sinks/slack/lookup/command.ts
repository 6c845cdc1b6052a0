import type { KnownBlock, RichTextElement } from '@slack/types';
import type { ChannelOverview, FailedChange, Lookup } from '../../lookup.js';
import { fieldNames } from '../../sink.js';
import { type RenderContext, buttonBlock, moreLine, maxMessageLength, richText, sinkLine, text } from '../card/blocks.js';
import { icons } from '../card/card-results.js';
import { clean, escape } from '../card/card-text.js';
import type { EphemeralMessage } from '../clicks/ephemeral.js';
import { channelChange, channelItem, failedItem, fitting, phraseOf, quoted, restLine, severalApps, sinkLines } from './lines.js';

/** How many sinks, and how many changes or channels, the command and Home show. */
export const maxSinks = 20;
export const maxItems = 10;

/** The answer to a slash command. @param name the command as named in the manifest @param typed everything after it */
export async function answerTo(name: string, typed: string, lookup: Lookup, context: RenderContext): Promise<EphemeralMessage> {
  const [, verb = '', rest = ''] = /^\s*(\S*)\s?(.*)$/s.exec(typed) ?? [];
  const about = rest.trim();
  switch (verb.toLowerCase()) {
    case '':
    case 'status':
      return status(lookup, context);
    case 'find':
      return about === '' ? missing(`${name} find`, context) : findCommand(about, lookup, context);
    case 'channel':
      return about === '' ? missing(`${name} channel`, context) : channelCommand(rest, lookup, context);
    case 'failed':
      return failedCommand(lookup, context);
    default:
      return help(name, context);
  }
}

function say(title: string, lines: readonly RichTextElement[][], rest: KnownBlock[] = []): EphemeralMessage {
  return { text: escape(title), blocks: [richText([[text(title, { bold: true })], ...fitting(lines)]), ...rest] };
}

function help(name: string, { words }: RenderContext): EphemeralMessage {
  const { title, usage } = words.lookup.help;
  return say(
    title,
    usage.map(([how, what]) => [text(`${clean(name, 40)} ${how}`, { code: true }), text(` ${what}`)]),
  );
}

function missing(usage: string, { words }: RenderContext): EphemeralMessage {
  return say(words.lookup.giveText(`${clean(usage, 60)} …`), []);
}

async function status(lookup: Lookup, context: RenderContext): Promise<EphemeralMessage> {
  const sinks = await lookup.sinks();
  const rest = sinks.slice(maxSinks);
  const lines = sinks.slice(0, maxSinks).flatMap(sink => sinkLines(sink, context));
  return say(phraseOf(sinks, context), rest.length > 0 ? [...lines, restLine(rest, context)] : lines);
}

/** The channels that match, one line each. */
export async function findChannels(
  typed: string,
  lookup: Lookup,
  context: RenderContext,
): Promise<{ title: string; lines: RichTextElement[][] }> {
  const { channels, more } = await lookup.findChannels(typed, maxItems);
  const texts = context.words.lookup;
  const apps = severalApps(channels.map(({ sdkAppId }) => sdkAppId));
  const lines = [...channels.map(channel => channelItem(channel, context, apps)), ...moreLine(more, texts.more)];
  return { title: (lines.length > 0 ? texts.found : texts.noneFound)(quoted(typed, context)), lines };
}

async function findCommand(typed: string, lookup: Lookup, context: RenderContext): Promise<EphemeralMessage> {
  const { title, lines } = await findChannels(typed, lookup, context);
  return say(title, lines);
}

async function channelCommand(channelId: string, lookup: Lookup, context: RenderContext): Promise<EphemeralMessage> {
  // Ids may start or end with spaces, and so may typed text.
  const exact = await lookup.channel(channelId);
  const channels = exact.length > 0 ? exact : await lookup.channel(channelId.trim());
  const apps = severalApps(channels.map(({ sdkAppId }) => sdkAppId));
  const [first, ...others] = channels.map(channel =>
    richText(fitting(channelLines(channel, context, apps), maxMessageLength / channels.length)),
  );
  if (!first) return say(context.words.lookup.noChannel(quoted(channelId, context)), []);
  return { text: escape(quoted(channelId, context)), blocks: [first, ...others] };
}

function channelLines(channel: ChannelOverview, context: RenderContext, apps: boolean): RichTextElement[][] {
  const { words } = context;
  const { lookup: texts, card, change, results, colon, explain } = words;
  const profile = fieldNames.map(field => {
    const value = channel.profile[field];
    const shown = value === null ? change.unknown : value === '' ? change.empty : clean(value) || card.blank;
    return [text(change.field[field] + colon), text(shown, { italic: shown !== clean(value ?? '') })];
  });
  const sinks = channel.sinks.slice(0, maxSinks).map(({ sink, state, error }) => {
    if (state === 'in_sync') return sinkLine(icons.delivered, sink, ` ${texts.sinks.state.ok}`);
    const why = error === null ? '' : colon + clean(explain(error), 150);
    return sinkLine(icons[state], sink, ` ${results.state[state]}${why}`);
  });
  return [
    [...channelItem(channel, context, apps), text(` · ${card.revision(channel.revision)}`)],
    ...profile,
    ...sinks,
    ...moreLine(channel.sinks.length - sinks.length, texts.more),
    ...(channel.latest.length > 0 ? [[text(texts.latest, { bold: true })]] : []),
    ...channel.latest.map(change => channelChange(change, context)),
  ];
}

async function failedCommand(lookup: Lookup, context: RenderContext): Promise<EphemeralMessage> {
  const changes = await lookup.failedChanges(maxItems + 1);
  const texts = context.words.lookup;
  if (changes.length === 0) return say(texts.noneFailed, []);
  return say(texts.failed, changes.length > maxItems ? [[text(texts.moreFailed, { italic: true })]] : [], failedBlocks(changes, context));
}

/** Failed changes, each with its buttons. */
export function failedBlocks(changes: readonly FailedChange[], context: RenderContext): KnownBlock[] {
  const apps = severalApps(changes.map(({ event }) => event.data.sdkAppId));
  const shown = changes.slice(0, maxItems);
  return shown.flatMap(change => [
    richText(fitting(failedItem(change, context, apps), maxMessageLength / shown.length)),
    ...buttonBlock(['retry', 'discard'], change.event.data.changeId, context),
  ]);
}
