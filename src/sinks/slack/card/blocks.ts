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

/** Sent with every edit: nothing in the text becomes a mention or a link. */
export const editOptions = { parse: 'none', link_names: false } as const;
/** Sent with every new message: its text is no mrkdwn either, which no edit can say. */
export const postOptions = { ...editOptions, mrkdwn: false, unfurl_links: false, unfurl_media: false } as const;

/** How one sink renders its messages, by its settings. */
export interface RenderContext {
  /** The sink's name. */
  sink: string;
  words: Words;
  /** For times that Slack does not show in the reader's own zone. */
  timeZone: string;
  /** Whether its messages can have threads. */
  threads: boolean;
  /** Whether clicks can reach us. */
  buttons: boolean;
  /** Whether there is more than one app. */
  severalApps: boolean;
  /** Which changes have a card. */
  cards: SlackSettings['CARDS'];
  /** Whom the first message of an urgent alert mentions, as MENTION names them. */
  mention: readonly string[];
}

/** The most that the texts of one message may add up to: Slack refuses messages from about 11,000 characters on. */
export const maxMessageLength = 9000;

/** Text as data. */
export function text(content: string, style?: NonNullable<RichTextText['style']>): RichTextText {
  return { type: 'text', text: content, ...(style && { style }) };
}

/** Lines of text as data. */
export function richText(lines: readonly RichTextElement[][]): KnownBlock {
  return { type: 'rich_text', elements: lines.map(elements => ({ type: 'rich_text_section', elements })) };
}

export function plain(content: string): PlainTextElement {
  return { type: 'plain_text', text: content, emoji: false };
}

/** A title, cut to what Slack takes. */
export function header(title: string): KnownBlock {
  return { type: 'header', text: plain(cleanLines(title, 150)) };
}

/** A time, which Slack shows in the reader's own zone. */
export function date(ms: number, { words, timeZone }: RenderContext): RichTextDate & { fallback: string } {
  const format = '{date_short_pretty} {time_secs}';
  return { type: 'date', timestamp: Math.floor(ms / 1000), format, fallback: words.formats.time(ms, timeZone) };
}

/** The same in mrkdwn. */
export function dateMarkup(ms: number, context: RenderContext): string {
  const { timestamp, format, fallback } = date(ms, context);
  return `<!date^${timestamp}^${format}|${fallback}>`;
}

/** A span of time. It and `dateMarkup` are the only mrkdwn that we send, and hold nothing but our own words and numbers. */
export function period(from: number, to: number | null, context: RenderContext): KnownBlock {
  const [start, end] = [from, to ?? from].map(ms => dateMarkup(ms, context)) as [string, string];
  const span = to === null ? context.words.since(start) : start === end ? start : context.words.period(start, end);
  return { type: 'context', elements: [{ type: 'mrkdwn', text: span }] };
}

/** The block of buttons about a change or a sink; none if there are no buttons, or clicks on them could not reach us. */
export function buttonBlock(
  actions: readonly (keyof Actions | 'details')[],
  what: string,
  { sink, words, buttons: shown }: RenderContext,
): KnownBlock[] {
  return shown && actions.length > 0 ? [{ type: 'actions', elements: actions.map(one => button(one, `${sink}:${what}`, words)) }] : [];
}

/** What cannot be taken back, or holds up others, asks first and says what it does. */
function button(action: keyof Actions | 'details', value: string, { buttons: labels, confirm: asks, lookup }: Words): Button {
  if (action === 'details') return { type: 'button', action_id: action, text: plain(lookup.details.title), value };
  const label = plain(labels[action]);
  const simple: Button = { type: 'button', action_id: action, text: label, value };
  if (action === 'retry' || action === 'probe' || action === 'resume') return simple;
  const { title, text: question } = asks[action];
  const confirm = { title: plain(title), text: plain(question), confirm: label, deny: plain(asks.no), style: 'danger' } as const;
  return { ...simple, ...(action === 'discard' && { style: 'danger' }), confirm };
}

/** How much of a message's length a line takes up: everything in it that is shown, or may be. */
export function lengthOf(line: readonly RichTextElement[]): number {
  return line.reduce((sum, one) => sum + Object.values({ ...one, type: '', style: '' }).join('').length, 0);
}

/** The first lines, as many as there is room for. */
export function firstFitting(lines: readonly RichTextElement[][], units: number, most = Infinity): RichTextElement[][] {
  let left = units;
  const beyond = lines.findIndex((line, index) => index === most || (left -= lengthOf(line)) < 0);
  return lines.slice(0, beyond < 0 ? undefined : beyond);
}

/** What says how many more there are; none if there are none. */
export function moreLine(more: number, phrase: (count: number) => string): RichTextElement[][] {
  return more > 0 ? [[text(phrase(more), { italic: true })]] : [];
}

export function emoji(name: string): RichTextElement {
  return { type: 'emoji', name };
}

/** A sink in bold after an icon, and what there is to say of it. */
export function sinkLine(icon: string, sink: string, rest: string): RichTextElement[] {
  return [emoji(icon), text(` ${clean(sink, 60)}`, { bold: true }), text(rest)];
}

/** The same message without its image, for when Slack cannot fetch that; `null` if it has none. */
export function withoutImage({ text: notification, blocks }: Message): Message | null {
  const imageless = blocks.map(block =>
    block.type === 'context' ? { ...block, elements: block.elements.filter(({ type }) => type !== 'image') } : block,
  );
  return JSON.stringify(imageless) === JSON.stringify(blocks) ? null : { text: notification, blocks: imageless };
}
