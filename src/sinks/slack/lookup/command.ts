import type { KnownBlock } from '@slack/types';
import type { ChannelOverview, FailedChange, Lookup } from '../../lookup.js';
import { fieldNames } from '../../sink.js';
import type { Line, Message, RenderContext } from '../card/blocks.js';
import { bold, buttonBlock, code, italic, maxMessageLength, moreLine, present, richText, sinkLine } from '../card/blocks.js';
import { valueOf } from '../card/change-lines.js';
import { icons } from '../card/card-results.js';
import { clean, escape } from '../card/card-text.js';
import { channelChange, channelItem, failedItem, fitting, phraseOf, quoted, restLine, sinkLines, withApps } from './lines.js';

/** How many sinks, and how many changes or channels, the command and Home show. */
export const maxSinks = 20;
export const maxItems = 10;

/** The answer to a slash command. @param name the command as named in the manifest @param typed everything after it */
export async function answerTo(name: string, typed: string, lookup: Lookup, context: RenderContext): Promise<Message> {
  const [, verb = '', rest = ''] = /^\s*(\S*)\s?(.*)$/s.exec(typed) ?? [];
  const about = rest.trim();
  const asked = verb.toLowerCase();
  const texts = context.words.lookup;
  switch (asked) {
    case '':
    case 'status': {
      const sinks = await lookup.sinks();
      const lines = sinks.slice(0, maxSinks).flatMap(sink => sinkLines(sink, context));
      return say(phraseOf(sinks, context), [...lines, restLine(sinks.slice(maxSinks), context)]);
    }
    case 'find':
    case 'channel': {
      if (about === '') return say(texts.giveText(`${clean(`${name} ${asked}`, 60)} …`));
      if (asked === 'channel') return channelCommand(rest, lookup, context);
      const { title, lines } = await findChannels(about, lookup, context);
      return say(title, lines);
    }
    case 'failed': {
      const changes = await lookup.failedChanges(maxItems + 1);
      const lines = [changes.length > maxItems && [italic(texts.moreFailed)]];
      return say(changes.length > 0 ? texts.failed : texts.noneFailed, lines, failedBlocks(changes, context));
    }
    default: {
      const { title, usage } = texts.help;
      const lines = usage.map(([how, what]) => [code(`${clean(name, 40)} ${how}`), ` ${what}`]);
      return say(title, lines);
    }
  }
}

function say(title: string, lines: readonly (Line | false)[] = [], rest: KnownBlock[] = []): Message {
  return { text: escape(title), blocks: [richText([[bold(title)], ...fitting(lines)]), ...rest] };
}

/** The channels that match, one line each. */
export async function findChannels(typed: string, lookup: Lookup, context: RenderContext): Promise<{ title: string; lines: Line[] }> {
  const { channels, more } = await lookup.findChannels(typed, maxItems);
  const texts = context.words.lookup;
  const inApps = withApps(context, channels);
  const lines = present([...channels.map(channel => channelItem(channel, inApps)), moreLine(more, texts.more)]);
  return { title: (lines.length > 0 ? texts.found : texts.noneFound)(quoted(typed)), lines };
}

async function channelCommand(channelId: string, lookup: Lookup, context: RenderContext): Promise<Message> {
  // Ids may start or end with spaces, and so may typed text.
  const exact = await lookup.channel(channelId);
  const channels = exact.length > 0 ? exact : await lookup.channel(channelId.trim());
  const title = quoted(channelId);
  if (channels.length === 0) return say(context.words.lookup.noChannel(title));
  const inApps = withApps(context, channels);
  const blocks = channels.map(channel => richText(fitting(channelLines(channel, inApps), maxMessageLength / channels.length)));
  return { text: escape(title), blocks };
}

function channelLines(channel: ChannelOverview, context: RenderContext): (Line | false)[] {
  const { lookup: texts, card, change, results, colon, explain } = context.words;
  const profile = fieldNames.map(field => [change.field[field] + colon, valueOf(channel.profile[field], context.words)]);
  const sinks = channel.sinks.slice(0, maxSinks).map(({ sink, state, error }) => {
    if (state === 'in_sync') return sinkLine(icons.delivered, sink, ` ${texts.sinks.state.ok}`);
    const why = error === null ? '' : colon + clean(explain(error), 150);
    return sinkLine(icons[state], sink, ` ${results.state[state]}${why}`);
  });
  return [
    [...channelItem(channel, context), ` · ${card.revision(channel.revision)}`],
    ...profile,
    ...sinks,
    moreLine(channel.sinks.length - sinks.length, texts.more),
    channel.latest.length > 0 && [bold(texts.latest)],
    ...channel.latest.map(change => channelChange(change, context)),
  ];
}

/** Failed changes, each with its buttons. */
export function failedBlocks(changes: readonly FailedChange[], context: RenderContext): KnownBlock[] {
  const listed = changes.map(({ event }) => event.data);
  const inApps = withApps(context, listed);
  const shown = changes.slice(0, maxItems);
  return shown.flatMap(change => [
    richText(fitting(failedItem(change, inApps), maxMessageLength / shown.length)),
    ...present([buttonBlock(['retry', 'discard'], change.event.data.changeId, context)]),
  ]);
}
