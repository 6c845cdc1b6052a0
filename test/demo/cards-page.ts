import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type SlackMessage, datesShown, signOf, timeShown } from './slack.ts';

/**
 * A page on loopback that draws the channel's cards about as Slack does. Whatever comes from a message is text: it is escaped, links
 * nowhere and loads nothing.
 */
export async function openCardsPage(messages: () => Promise<SlackMessage[]>): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const nonce = randomBytes(12).toString('base64');
    const draw = request.url === '/cards' ? messages().then(drawAll) : Promise.resolve(page(nonce));
    draw.then(
      html =>
        response
          .writeHead(200, {
            'content-type': 'text/html; charset=utf-8',
            'cache-control': 'no-store',
            'content-security-policy': `default-src 'none'; connect-src 'self'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'`,
          })
          .end(html),
      () => response.writeHead(502).end(),
    );
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  };
}

const escape = (text: unknown) =>
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
      return `<button disabled>${draw(part.text as Part)}</button>`;
    case 'divider':
      return '<hr>';
    case 'image':
      return `<figure title="${escape(part.image_url)}">🖼<figcaption>${escape(part.alt_text)}<br>${escape(part.image_url)}</figcaption></figure>`;
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
    case 'text':
    case 'link':
      return styled(escape(part.text ?? part.url), part.style);
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

function drawAll(messages: SlackMessage[]): string {
  const cards = messages.map(({ ts, text, blocks, edited }) => {
    const time = new Date(Number(ts) * 1000).toLocaleTimeString('en-GB');
    const body = blocks?.length ? drawEach(blocks as Part[]) : `<div>${mrkdwn(text)}</div>`;
    return `<article><header><b>channel-sync</b> <small>APP</small> <time>${time}${edited ? ' (edited)' : ''}</time></header>${body}</article>`;
  });
  return cards.join('') || '<p>No cards yet.</p>';
}

function page(nonce: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title># official-channels</title>
<style nonce="${nonce}">
body { font: 15px/1.5 system-ui, sans-serif; color: #1d1c1d; max-width: 46rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.1rem; } h1 small, time { font-weight: normal; color: #616061; font-size: .8rem; }
article { border-top: 1px solid #e8e8e8; padding: .7rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
article header small { background: #eee; color: #616061; border-radius: 3px; padding: 0 .25rem; font-size: .65rem; }
article > div { margin: .15rem 0; }
h2 { font-size: 1.05rem; margin: .2rem 0; } hr { border: 0; border-top: 1px solid #e8e8e8; } ul { margin: 0; padding-left: 1.3rem; }
.section { display: flex; justify-content: space-between; gap: 1rem; }
.context { color: #616061; font-size: .85rem; display: flex; flex-wrap: wrap; gap: .2rem .8rem; align-items: center; }
figure { margin: 0; font-size: 1.4rem; line-height: 1.2; display: flex; gap: .6rem; align-items: center; } figcaption { font-size: .75rem; line-height: 1.3; color: #616061; }
code, pre { background: #f4f4f4; border-radius: 3px; padding: 0 .2rem; }
</style>
<h1># official-channels <small>newest first</small></h1><main></main>
<script nonce="${nonce}">
const main = document.querySelector('main');
let shown;
async function look() {
  const html = await fetch('/cards').then(answer => answer.ok ? answer.text() : undefined, () => undefined);
  if (html === undefined) document.title = 'ended'; else if (html !== shown) main.innerHTML = shown = html;
  setTimeout(look, 1000);
}
look();
</script></html>`;
}
