import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type SlackMessage, datesShown, signOf, timeShown } from './slack.ts';

/** Where pictures of avatars are, by the name of the file at the end of an avatar's URL: no page here loads anything from elsewhere. */
export const avatarFolder = join(import.meta.dirname, 'avatars');

/** Text from outside, for a page. */
export const escape = (text: unknown) =>
  (typeof text === 'string' ? text : '').replace(
    /[&<>"']/g,
    sign => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' })[sign]!,
  );

/** Slack's mrkdwn has three entities of its own; bold, italics and the like are shown as they are written. */
const mrkdwn = (text: string) => escape(datesShown(text).replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'));

interface Part {
  type: string;
  text?: string | Part;
  elements?: Part[];
  fields?: Part[];
  accessory?: Part;
  style?: Record<string, boolean> | string;
  name?: string;
  timestamp?: number;
  url?: string;
  image_url?: string;
  alt_text?: string;
  title?: Part;
  action_id?: string;
  value?: string;
  confirm?: { title: Part; text: Part };
}

const drawEach = (parts: Part[] | undefined, tag = '') =>
  (parts ?? []).map(part => (tag ? `<${tag}>${draw(part)}</${tag}>` : draw(part))).join('');

function draw(part: Part | undefined): string {
  if (!part) return '';
  switch (part.type) {
    case 'plain_text':
      return escape(part.text);
    case 'mrkdwn':
      return mrkdwn(part.text as string);
    case 'header':
      return `<h2>${draw(part.text as Part)}</h2>`;
    case 'section':
      return `<div class="section"><div>${draw(part.text as Part)}${drawEach(part.fields, 'div')}</div>${draw(part.accessory)}</div>`;
    case 'context':
      return `<div class="context">${drawEach(part.elements, 'span')}</div>`;
    case 'actions':
      return `<div class="context">${drawEach(part.elements)}</div>`;
    case 'button':
      return drawButton(part);
    case 'divider':
      return '<hr>';
    case 'image':
      return (
        drawAvatar(part.image_url) || `<figure>🖼<figcaption>${escape(part.alt_text)}<br>${escape(part.image_url)}</figcaption></figure>`
      );
    case 'rich_text':
    case 'rich_text_section':
      return `<div>${drawEach(part.elements)}</div>`;
    case 'rich_text_list':
      return `<ul>${drawEach(part.elements, 'li')}</ul>`;
    case 'rich_text_quote':
      return `<blockquote>${drawEach(part.elements)}</blockquote>`;
    case 'rich_text_preformatted':
      return `<pre>${drawEach(part.elements)}</pre>`;
    case 'emoji':
      return escape(signOf(part.name ?? ''));
    case 'date':
      return escape(timeShown(part.timestamp ?? 0));
    case 'user':
      return '<b>you</b>';
    case 'link':
      // Only to the service itself: any other address came with a webhook.
      return part.url?.startsWith('http://127.0.0.1:')
        ? `<a href="${escape(part.url)}" target="_blank">${escape(part.text)}</a>`
        : escape(part.url);
    case 'text':
      return styled(escape(part.text), part.style);
    default:
      return `<i>${escape(`[${part.type}]`)}</i>`;
  }
}

function styled(html: string, style: Part['style']): string {
  const tags = { bold: 'b', italic: 'i', strike: 's', code: 'code' };
  return Object.entries(tags).reduce(
    (inner, [name, tag]) => (typeof style === 'object' && style[name] ? `<${tag}>${inner}</${tag}>` : inner),
    html,
  );
}

/** A picture of our own for this avatar; nothing if there is none. */
export function drawAvatar(url: string | null | undefined): string {
  const name = /\/(\w+)\.png$/.exec(url ?? '')?.[1];
  return name !== undefined && existsSync(join(avatarFolder, `${name}.svg`))
    ? `<img src="/avatars/${name}.svg" alt="" title="${escape(url)}">`
    : '';
}

/** A button that says what it is; the page reports a click on it. */
function drawButton({ text, action_id: action, value, confirm, style }: Part): string {
  const asks = confirm ? ` data-confirm="${draw(confirm.title)}\n\n${draw(confirm.text)}"` : '';
  const kind = typeof style === 'string' ? ` class="${escape(style)}"` : '';
  return `<button${kind} data-action="${escape(action)}" data-value="${escape(value)}"${asks}>${draw(text as Part)}</button>`;
}

/** Blocks as HTML, about as Slack draws them. Whatever comes from a message is text: it is escaped, links nowhere and loads nothing. */
export const drawBlocks = (blocks: readonly object[]): string => drawEach(blocks as Part[]);

/** The messages of a channel, the newest first. */
export function drawMessages(messages: SlackMessage[]): string {
  const cards = messages.map(({ ts, text, blocks, edited }) => {
    const body = blocks?.length ? drawBlocks(blocks) : `<div>${mrkdwn(text)}</div>`;
    const time = `<time>${timeShown(Number(ts)).slice(-8)}${edited ? ' (edited)' : ''}</time>`;
    return `<article data-ts="${escape(ts)}"><header><b>channel-sync</b> <small>APP</small> ${time}</header>${body}</article>`;
  });
  return cards.join('') || '<p>No cards yet.</p>';
}
