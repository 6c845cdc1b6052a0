import { cleanLines } from './card-text.js';
import type { Words } from '../words/en.js';

interface Style {
  bold?: boolean;
  italic?: boolean;
  strike?: boolean;
  code?: boolean;
}

export interface PlainText {
  type: 'plain_text';
  text: string;
  emoji: false;
}

/** What our rich text is made of: only messages of our own are linked to, and only who did something is a user. */
export type RichElement =
  | { type: 'text'; text: string; style?: Style }
  | { type: 'emoji'; name: string }
  | { type: 'user'; user_id: string }
  | { type: 'link'; url: string; text: string }
  | { type: 'date'; timestamp: number; format: string; fallback: string };

/** A block whose texts are data to Slack. */
export interface RichText {
  type: 'rich_text';
  elements: { type: 'rich_text_section' | 'rich_text_quote'; elements: RichElement[] }[];
}

interface Section {
  type: 'section';
  text: PlainText;
  accessory?: { type: 'image'; image_url: string; alt_text: string };
}

/** The one place for mrkdwn, and that holds our own words and numbers alone. */
interface Context {
  type: 'context';
  elements: (PlainText | { type: 'mrkdwn'; text: string })[];
}

export interface Button {
  type: 'button';
  action_id: 'retry' | 'discard' | 'pause' | 'resume' | 'repair';
  text: PlainText;
  value: string;
  style?: 'danger';
  confirm?: { title: PlainText; text: PlainText; confirm: PlainText; deny: PlainText; style: 'danger' };
}

/** One message: its blocks, and the text for notifications and screen readers. */
export interface Message {
  text: string;
  blocks: ({ type: 'header'; text: PlainText } | Section | RichText | Context | { type: 'actions'; elements: Button[] })[];
}

/** Sent with every message: nothing in its text becomes a mention or a link. */
export const plainly = { parse: 'none', link_names: false } as const;
/** And with every new one: its text is no mrkdwn, which no edit can say. */
export const quietly = { mrkdwn: false, unfurl_links: false, unfurl_media: false } as const;

/** How one sink speaks, by its settings. */
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
}

/** The most that the texts of one message may add up to: Slack refuses messages from about 11,000 characters on. */
export const mostInAll = 9000;

export function plain(text: string): PlainText {
  return { type: 'plain_text', text, emoji: false };
}

/** A title, cut to what Slack takes. */
export function header(text: string): Message['blocks'][number] {
  return { type: 'header', text: plain(cleanLines(text, 150)) };
}

/** A button of ours. What cannot be taken back, or holds up others, asks first and says what it does. */
export function button(action: Button['action_id'], value: string, { buttons, confirm: asks }: Words): Button {
  const plainButton: Button = { type: 'button', action_id: action, text: plain(buttons[action]), value };
  if (action === 'retry' || action === 'resume') return plainButton;
  const { title, text } = asks[action];
  const confirm = {
    title: plain(title),
    text: plain(text),
    confirm: plain(buttons[action]),
    deny: plain(asks.no),
    style: 'danger',
  } as const;
  return { ...plainButton, ...(action === 'discard' && { style: 'danger' }), confirm };
}

/** Text as data. */
export function words(text: string, style?: Style): RichElement[] {
  return [{ type: 'text', text, ...(style && { style }) }];
}

/** Lines of text as data. */
export function richText(lines: readonly RichElement[][]): RichText {
  return { type: 'rich_text', elements: lines.map(elements => ({ type: 'rich_text_section', elements })) };
}

/** A time, which Slack shows in the reader's own zone. */
export function date(ms: number, context: RenderContext): RichElement {
  return {
    type: 'date',
    timestamp: Math.floor(ms / 1000),
    format: '{date_short_pretty} {time_secs}',
    fallback: context.words.formats.time(ms, context.timeZone),
  };
}

/** The same in mrkdwn. */
export function dateMarkup(ms: number, context: RenderContext): string {
  return `<!date^${Math.floor(ms / 1000)}^{date_short_pretty} {time_secs}|${context.words.formats.time(ms, context.timeZone)}>`;
}

/** How much of a message's length a line takes up. */
export function lengthOf(line: readonly RichElement[]): number {
  return line.reduce((sum, one) => sum + textOf(one).length, 0);
}

/** The same message without its image, for when Slack cannot fetch that; `null` if it has none. */
export function withoutImage({ text, blocks }: Message): Message | null {
  let found = false;
  const rest = blocks.map(block => {
    if (block.type !== 'section' || !block.accessory) return block;
    found = true;
    return { type: block.type, text: block.text };
  });
  return found ? { text, blocks: rest } : null;
}

function textOf(one: RichElement): string {
  switch (one.type) {
    case 'text':
      return one.text;
    case 'emoji':
      return one.name;
    case 'user':
      return one.user_id;
    case 'link':
      return one.url + one.text;
    case 'date':
      return one.format + one.fallback;
  }
}
