import type { Page } from 'playwright-core';

/** As much of our blocks as is to be drawn in other words. */
interface Part {
  type?: string;
  text?: unknown;
  name?: string;
  fallback?: string;
  user_id?: string;
  usergroup_id?: string;
  range?: string;
  url?: string;
  style?: Partial<Record<'bold' | 'italic' | 'strike' | 'code', boolean>>;
  elements?: Part[];
}

/** local-slack wants white space before italics: this kind has no width. */
const marks = [
  ['code', '`', '`'],
  ['strike', '~', '~'],
  ['bold', '*', '*'],
  ['italic', '\uFEFF_', '_'],
] as const;

/** Lets a page of local-slack show all of our messages. To be called before it is opened. */
export async function drawInWords(page: Page): Promise<void> {
  await page.routeWebSocket('**/ui', socket => {
    const server = socket.connectToServer();
    server.onMessage(message => socket.send(drawn(message.toString())));
  });
}

/** The same JSON with what local-slack does not draw in words that it does: rich_text as mrkdwn, dates as their fallback. For the eye alone. */
function drawn(json: string): string {
  return JSON.stringify(JSON.parse(json, (_, value: unknown) => (isRichText(value) ? sectionOf(value) : withoutDates(value))));
}

function isRichText(value: unknown): value is Part {
  return typeof value === 'object' && value !== null && (value as Part).type === 'rich_text';
}

function withoutDates(value: unknown): unknown {
  return typeof value === 'string' ? value.replace(/<!date\^[^|>]*\|([^>]*)>/g, '$1') : value;
}

function sectionOf({ elements = [] }: Part): object {
  const lines = elements.map((line): string => {
    if (line.type === 'rich_text_list')
      return (line.elements ?? []).map(item => `•  ${(item.elements ?? []).map(wordOf).join('')}`).join('\n');
    const words = (line.elements ?? []).map(wordOf).join('');
    if (line.type === 'rich_text_preformatted') return words.replace(/^.+$/gm, '`$&`');
    return line.type === 'rich_text_quote' ? words.replace(/^/gm, '> ') : words;
  });
  return { type: 'section', text: { type: 'mrkdwn', text: lines.join('\n') } };
}

function wordOf({ type, text, name, user_id: user, usergroup_id: group, range, url, fallback, style }: Part): string {
  if (type === 'emoji') return `:${name}:`;
  if (type === 'user') return `<@${user}>`;
  if (type === 'usergroup' || type === 'broadcast') return `@${group ?? range}`;
  if (type === 'link') return `<${url}|${String(text)}>`;
  // Not escaped: local-slack shows entities as they are.
  const words = typeof text === 'string' ? text : (fallback ?? '');
  const [, before = '', core = '', after = ''] = /^(\s*)(.*?)(\s*)$/s.exec(words) ?? [];
  if (core === '') return words;
  return `${before}${marks.reduce((marked, [mark, start, end]) => (style?.[mark] ? start + marked + end : marked), core)}${after}`;
}
