import { drawAvatar, escape } from './blocks.ts';
import type { Step } from './teller.ts';

const style = `
:root { color-scheme: light; } * { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1d1c1d; background: #f6f6f4; margin: 0; padding: 1.2rem; }
main { max-width: 78rem; margin: 0 auto; }
h1 { font-size: 1.3rem; margin: 0; } h2 { font-size: 1rem; margin: 0 0 .3rem; } a { color: #1264a3; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .3rem 0 1rem; color: #616061; }
.columns { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 6fr); gap: 1.2rem; align-items: start; }
@media (max-width: 60rem) { .columns { grid-template-columns: minmax(0, 1fr); } }
section.box { background: #fff; border: 1px solid #e2e2df; border-radius: 8px; padding: .9rem 1.1rem; margin-bottom: 1.2rem; overflow-wrap: anywhere; }
ol { padding-left: 1.4rem; margin: 0; } ol > li { margin: .6rem 0; } ol > li::marker { font-weight: bold; }
.why, time, header small, .hint { color: #616061; font-weight: normal; font-size: .85rem; }
ul.claims { list-style: none; padding: 0; margin: .2rem 0; font-size: .85rem; }
ul.claims b { display: inline-block; width: 4.2rem; font-weight: 600; } .passed::before { content: '✔ '; color: #2f7d5b; } .failed { color: #c01c28; } .failed::before { content: '✘ '; } .said::before { content: '→ '; color: #1264a3; }
article { border-top: 1px solid #e8e8e8; padding: .7rem 0; white-space: pre-wrap; } article > div { margin: .15rem 0; } article:first-of-type { border: 0; }
article header small { background: #eee; border-radius: 3px; padding: 0 .25rem; font-size: .65rem; } article h2 { font-size: 1.05rem; margin: .2rem 0; }
hr { border: 0; border-top: 1px solid #e8e8e8; } article ul, dialog ul { margin: 0; padding-left: 1.3rem; } figure { margin: 0; } figcaption { font-size: .75rem; color: #616061; }
.section { display: flex; justify-content: space-between; gap: 1rem; } img { width: 56px; height: 56px; border-radius: 8px; flex: none; } td img { width: 32px; height: 32px; }
.context { color: #616061; font-size: .85rem; display: flex; flex-wrap: wrap; gap: .2rem .8rem; align-items: center; }
button { font: inherit; font-size: .85rem; font-weight: 600; color: #1d1c1d; background: #fff; border: 1px solid #bbb; border-radius: 5px; padding: .15rem .7rem; cursor: pointer; } button:hover { background: #f3f3f3; }
button.primary { color: #fff; background: #2f7d5b; border-color: #2f7d5b; } button.danger { color: #c01c28; border-color: #c01c28; } button:disabled { opacity: .5; }
input, select { font: inherit; padding: .15rem .4rem; border: 1px solid #bbb; border-radius: 5px; } input { width: 11rem; } form { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
code, pre { background: #f4f4f4; border-radius: 3px; padding: 0 .2rem; font-size: .85em; } pre { white-space: pre-wrap; padding: .4rem .6rem; }
dialog { border: 1px solid #ccc; border-radius: 8px; max-width: 44rem; width: 90%; white-space: pre-wrap; overflow-wrap: anywhere; } dialog::backdrop { background: #0006; } dialog > div { margin: .4rem 0; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #e8e8e8; vertical-align: top; } .empty { color: #999; }
`;

/** A whole page. */
export function page(nonce: string, title: string, body: string, script = ''): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(title)}</title><link rel="icon" href="/avatars/teapot.svg"><style nonce="${nonce}">${style}</style>
<main>${body}</main>${script && `<script nonce="${nonce}">${script}</script>`}</html>`;
}

export interface Link {
  name: string;
  url: string;
  /** What one needs to know of it. */
  hint?: string;
}

const script = `
const find = selector => document.querySelector(selector);
const post = (path, body) => fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  .then(answer => answer.json(), () => ({ html: 'The demo has ended.' }));
const shown = {};
async function look() {
  const live = await fetch('/live').then(answer => answer.json(), () => undefined);
  if (!live) find('#state').textContent = 'The demo has ended.';
  for (const [name, html] of Object.entries(live ?? {})) if (shown[name] !== html) find('#' + name).innerHTML = shown[name] = html;
  setTimeout(look, 700);
}
look();
function show({ html }) { if (html) { find('dialog div').innerHTML = html; find('dialog').showModal(); } }
document.addEventListener('click', async ({ target }) => {
  const button = target.closest('button[data-action]');
  if (!button || (button.dataset.confirm && !confirm(button.dataset.confirm))) return;
  button.disabled = true;
  show(await post('/click', { ts: button.closest('article')?.dataset.ts ?? '', action: button.dataset.action, value: button.dataset.value }));
  button.disabled = false;
});
find('#send').addEventListener('submit', async event => {
  event.preventDefault();
  show(await post('/send', Object.fromEntries(new FormData(event.target))));
});
find('#crm').addEventListener('change', ({ target }) => post('/crm', { answers: target.value }));
`;

/** The first page: the story on the left, the cards on the right. Both are filled in, and kept so, by `/live`. */
export function landingPage(nonce: string, links: readonly Link[], curl: string): string {
  const nav = links
    .map(
      ({ name, url, hint }) =>
        `<span><a href="${escape(url)}" target="_blank">${escape(name)}</a>${hint ? ` (${escape(hint)})` : ''}</span>`,
    )
    .join('');
  return page(
    nonce,
    'channel-sync: demo',
    `<h1>channel-sync <span class="hint" id="state"></span></h1><nav>${nav}</nav>
<div class="columns"><div>
<section class="box"><h2>Try it yourself</h2><p class="hint">Send a webhook as Tencent Chat would. The card comes within a second or two.</p>
<form id="send"><input name="channel" value="@TOA#_my_channel" aria-label="channel" required><input name="name" value="我的频道" aria-label="name" required><button class="primary">Send</button></form>
<p class="hint"><label>The CRM <select id="crm"><option value="204">takes everything</option><option value="503">is down (503)</option><option value="422">refuses everything (422)</option></select></label></p>
<details><summary class="hint">With curl, signed</summary><pre>${escape(curl)}</pre></details></section>
<section class="box"><h2>The story</h2><ol id="story"></ol></section></div>
<section class="box"><h2># official-channels <span class="hint">in Slack, latest first; the buttons work</span></h2><div id="cards"></div></section></div>
<dialog><div></div><form method="dialog"><button>Close</button></form></dialog>`,
    script,
  );
}

/** The steps so far; what was found in those that are over is folded. */
export function drawStory(steps: readonly Step[]): string {
  return steps
    .map(({ title, why, claims }, index) => {
      const lines = claims.map(({ kind, who, what }) => `<li class="${kind}"><b>${escape(who)}</b> ${escape(what)}</li>`).join('');
      const [passed, failed] = (['passed', 'failed'] as const).map(kind => claims.filter(claim => claim.kind === kind).length);
      const score = `${passed} checked${failed ? `, ${failed} FAILED` : ''}`;
      const open = index === steps.length - 1 || failed ? ' open' : '';
      return `<li><b>${escape(title)}</b><div class="why">${escape(why)}</div><details${open}><summary class="hint">${score}</summary><ul class="claims">${lines}</ul></details></li>`;
    })
    .join('');
}

function cell(value: unknown): string {
  const empty = value === null || value === undefined ? 'unknown' : value === '' ? 'cleared' : null;
  return empty ? `<span class="empty">${empty}</span>` : escape(typeof value === 'string' ? value : JSON.stringify(value));
}

/** What the search index holds, a channel in each row. */
export function searchPage(nonce: string, documents: readonly Record<string, unknown>[], rawUrl: string): string {
  const fields = ['channelId', 'name', 'introduction', 'organization', 'revision', 'updatedAt', 'deleted'];
  const rows = documents.map(
    source =>
      `<tr><td>${drawAvatar(source['avatarUrl'] as string | null)}</td>${fields.map(field => `<td>${cell(source[field])}</td>`).join('')}</tr>`,
  );
  return page(
    nonce,
    'The search index',
    `<h1>The search index</h1><p class="hint">One document for each channel, always whole. A destroyed channel stays, with deleted: true. <a href="${escape(rawUrl)}">As JSON</a></p>
<section class="box"><table><tr><th></th>${fields.map(field => `<th>${field}</th>`).join('')}</tr>${rows.join('')}</table></section>`,
  );
}

/** What the CRM received, the latest first. */
export function crmPage(nonce: string, events: readonly { id: string; tries: number; body: object }[]): string {
  const drawn = events
    .toReversed()
    .map(
      ({ id, tries, body }) =>
        `<section class="box"><b>webhook-id</b> ${escape(id)} <span class="hint">${tries === 1 ? '1 try' : `${tries} tries`}, signature valid</span><pre>${escape(JSON.stringify(body, null, 1))}</pre></section>`,
    );
  return page(nonce, 'The CRM', `<h1>What the CRM received</h1><p class="hint">Latest first.</p>${drawn.join('')}`);
}
