import type { Button, KnownBlock, PlainTextElement, RichTextDate, RichTextElement, RichTextSection, RichTextText } from '@slack/types';
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
  sink: string;
  words: Words;
  /** For times that Slack does not convert to the reader's own zone. */
  timeZone: string;
  threads: boolean;
  /** Whether clicks can be received. */
  buttons: boolean;
  /** Whether changes and channels name their app. */
  severalApps: boolean;
  cards: SlackSettings['CARDS'];
  /** Who is mentioned in the first message of an urgent alert, in the format of MENTION. */
  mention: readonly string[];
}

/** Maximum total length of a message's texts: Slack refuses messages from about 11,000 characters on. */
export const maxMessageLength = 9000;

type Nothing = false | null | undefined;

/** Those that are there and not empty: `present([a, isShown && b])`. */
export function present<T>(all: readonly (T | Nothing)[]): T[] {
  return all.filter((one): one is T => Boolean(one));
}

/** These texts in one line, separated by dots; those that are not there are left out. */
export function joined(texts: readonly (string | Nothing)[]): string {
  return present(texts).join(' · ');
}

/** A line of rich text, in which Slack parses no markup. */
export type Line = readonly (RichTextElement | string | Nothing)[];

export function text(content: string, style?: NonNullable<RichTextText['style']>): RichTextText {
  return { type: 'text', text: content, ...(style && { style }) };
}

export const bold = (content: string): RichTextText => text(content, { bold: true });
export const italic = (content: string): RichTextText => text(content, { italic: true });
export const code = (content: string): RichTextText => text(content, { code: true });

export function section(line: Line): RichTextSection {
  return { type: 'rich_text_section', elements: present(line).map(part => (typeof part === 'string' ? text(part) : part)) };
}

/** The texts of a line, without emoji, links and formatting. */
export function unformatted(line: Line): string {
  const texts = section(line).elements.map(part => ('text' in part ? part.text : ''));
  return texts.join('');
}

/** A rich-text block with a section for each line. */
export function richText(lines: readonly (Line | Nothing)[]): KnownBlock {
  return { type: 'rich_text', elements: present(lines).map(section) };
}

export function plain(content: string): PlainTextElement {
  return { type: 'plain_text', text: content, emoji: false };
}

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
  const span = to === null ? context.words.since(start) : start === end ? start : `${start} – ${end}`;
  return { type: 'context', elements: [{ type: 'mrkdwn', text: span }] };
}

export type ButtonName = keyof Words['buttons'];

/** The buttons for a change, a sink or an app; `null` if there are none, or clicks cannot be received. */
export function buttonBlock(actions: readonly (ButtonName | false)[], target: string, context: RenderContext): KnownBlock | null {
  const { sink, words, buttons } = context;
  const elements = present(actions).map(action => button(action, `${sink}:${target}`, words));
  return buttons && elements.length > 0 ? { type: 'actions', elements } : null;
}

/** Actions that cannot be undone or that delay other work ask for confirmation. */
function button(action: ButtonName, value: string, { buttons: labels, confirm: questions, cancel }: Words): Button {
  const label = plain(labels[action]);
  const simple: Button = { type: 'button', action_id: action, text: label, value };
  const asked: Partial<Record<ButtonName, { title: string; text: string }>> = questions;
  const question = asked[action];
  if (!question) return simple;
  const dialog = { title: plain(question.title), text: plain(question.text), confirm: label, deny: plain(cancel) };
  return { ...simple, ...(action === 'discard' && { style: 'danger' }), confirm: { ...dialog, style: 'danger' } };
}

/** How much of a message's length limit a line uses: all values in it that are or may be shown. */
export function lengthOf(line: Line): number {
  return section(line).elements.reduce((sum, element) => sum + Object.values({ ...element, type: '', style: '' }).join('').length, 0);
}

/** The first lines that fit into a length, at most `max`. */
export function firstFitting(lines: readonly Line[], units: number, max = Infinity): Line[] {
  let left = units;
  const firstCut = lines.findIndex((line, index) => index === max || (left -= lengthOf(line)) < 0);
  return lines.slice(0, firstCut < 0 ? undefined : firstCut);
}

export function moreLine(more: number, phrase: (count: number) => string): Line | false {
  return more > 0 && [italic(phrase(more))];
}

export function emoji(name: string): RichTextElement {
  return { type: 'emoji', name };
}

/** An icon, the sink's name in bold, and a text about it. */
export function sinkLine(icon: string, sink: string, rest: string): Line {
  return [emoji(icon), bold(` ${clean(sink, 60)}`), rest];
}

/** A text, such as another sink's error, after a bold label. */
export function labelled(label: string, content: string, graphemes?: number): Line {
  return [bold(label), clean(content, graphemes) || '–'];
}

/** The same message without its image, for when Slack cannot fetch it; `null` if it has none. */
export function withoutImage({ text: notification, blocks }: Message): Message | null {
  const imageless = blocks.map(block =>
    block.type === 'context' ? { ...block, elements: block.elements.filter(({ type }) => type !== 'image') } : block,
  );
  return JSON.stringify(imageless) === JSON.stringify(blocks) ? null : { text: notification, blocks: imageless };
}
