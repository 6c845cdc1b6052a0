import type { Button, KnownBlock, PlainTextElement, RichTextDate, RichTextElement, RichTextText } from '@slack/types';
import type { Actions } from '../../sink.js';
import { clean, cleanLines } from './card-text.js';
import type { SlackSettings } from '../slack.settings.js';
import type { Words } from '../words/en.js';

/** One message: its blocks, and the text for notifications and screen readers. */
export interface Message {
  text: string;
  blocks: KnownBlock[];
}

/** Options of every chat.update: names and URLs in the text do not become mentions or links. */
export const editOptions = { parse: 'none', link_names: false } as const;
/** Options of every chat.postMessage: also no mrkdwn and no previews, for which chat.update has no options. */
export const postOptions = { ...editOptions, mrkdwn: false, unfurl_links: false, unfurl_media: false } as const;

/** How a sink renders its messages, from its settings. */
export interface RenderContext {
  /** The sink's name. */
  sink: string;
  words: Words;
  /** For times that Slack does not convert to the reader's own zone. */
  timeZone: string;
  /** Whether its messages can have threads. */
  threads: boolean;
  /** Whether clicks can be received. */
  buttons: boolean;
  /** Whether there is more than one app. */
  severalApps: boolean;
  /** Which changes get a card. */
  cards: SlackSettings['CARDS'];
  /** Who is mentioned in the first message of an urgent alert, in the format of MENTION. */
  mention: readonly string[];
}

/** Maximum total length of a message's texts: Slack refuses messages from about 11,000 characters on. */
export const maxMessageLength = 9000;

/** Text that Slack does not parse as markup. */
export function text(content: string, style?: NonNullable<RichTextText['style']>): RichTextText {
  return { type: 'text', text: content, ...(style && { style }) };
}

/** A rich-text block with a section for each line. */
export function richText(lines: readonly RichTextElement[][]): KnownBlock {
  return { type: 'rich_text', elements: lines.map(elements => ({ type: 'rich_text_section', elements })) };
}

export function plain(content: string): PlainTextElement {
  return { type: 'plain_text', text: content, emoji: false };
}

/** A title, truncated to Slack's limit. */
export function header(title: string): KnownBlock {
  return { type: 'header', text: plain(cleanLines(title, 150)) };
}

/** A time that Slack shows in the reader's own zone. */
export function date(ms: number, { words, timeZone }: RenderContext): RichTextDate & { fallback: string } {
  const format = '{date_short_pretty} {time_secs}';
  return { type: 'date', timestamp: Math.floor(ms / 1000), format, fallback: words.formats.time(ms, timeZone) };
}

/** The same as mrkdwn. */
export function dateMarkup(ms: number, context: RenderContext): string {
  const { timestamp, format, fallback } = date(ms, context);
  return `<!date^${timestamp}^${format}|${fallback}>`;
}

/** A time range. It and `dateMarkup` are the only mrkdwn that we send, and contain only our own words and numbers. */
export function period(from: number, to: number | null, context: RenderContext): KnownBlock {
  const [start, end] = [from, to ?? from].map(ms => dateMarkup(ms, context)) as [string, string];
  const span = to === null ? context.words.since(start) : start === end ? start : context.words.period(start, end);
  return { type: 'context', elements: [{ type: 'mrkdwn', text: span }] };
}

/** The buttons for a change or a sink; none if there are no actions or clicks cannot be received. */
export function buttonBlock(
  actions: readonly (keyof Actions | 'details')[],
  target: string,
  { sink, words, buttons: shown }: RenderContext,
): KnownBlock[] {
  return shown && actions.length > 0
    ? [{ type: 'actions', elements: actions.map(action => button(action, `${sink}:${target}`, words)) }]
    : [];
}

/** Actions that cannot be undone or that delay other work ask for confirmation. */
function button(action: keyof Actions | 'details', value: string, { buttons: labels, confirm: asks, lookup }: Words): Button {
  if (action === 'details') return { type: 'button', action_id: action, text: plain(lookup.details.title), value };
  const label = plain(labels[action]);
  const simple: Button = { type: 'button', action_id: action, text: label, value };
  if (action === 'retry' || action === 'probe' || action === 'resume') return simple;
  const { title, text: question } = asks[action];
  const confirm = { title: plain(title), text: plain(question), confirm: label, deny: plain(asks.no), style: 'danger' } as const;
  return { ...simple, ...(action === 'discard' && { style: 'danger' }), confirm };
}

/** How much of a message's length limit a line uses: all values in it that are or may be shown. */
export function lengthOf(line: readonly RichTextElement[]): number {
  return line.reduce((sum, element) => sum + Object.values({ ...element, type: '', style: '' }).join('').length, 0);
}

/** The first lines that fit into a length, at most `max`. */
export function firstFitting(lines: readonly RichTextElement[][], units: number, max = Infinity): RichTextElement[][] {
  let left = units;
  const firstCut = lines.findIndex((line, index) => index === max || (left -= lengthOf(line)) < 0);
  return lines.slice(0, firstCut < 0 ? undefined : firstCut);
}

/** A line with the number of omitted items; none if there are none. */
export function moreLine(more: number, phrase: (count: number) => string): RichTextElement[][] {
  return more > 0 ? [[text(phrase(more), { italic: true })]] : [];
}

export function emoji(name: string): RichTextElement {
  return { type: 'emoji', name };
}

/** An icon, the sink's name in bold, and a text about it. */
export function sinkLine(icon: string, sink: string, rest: string): RichTextElement[] {
  return [emoji(icon), text(` ${clean(sink, 60)}`, { bold: true }), text(rest)];
}

/** The same message without its image, for when Slack cannot fetch it; `null` if it has none. */
export function withoutImage({ text: notification, blocks }: Message): Message | null {
  const imageless = blocks.map(block =>
    block.type === 'context' ? { ...block, elements: block.elements.filter(({ type }) => type !== 'image') } : block,
  );
  return JSON.stringify(imageless) === JSON.stringify(blocks) ? null : { text: notification, blocks: imageless };
}
