import { createHash } from 'node:crypto';
import { type ChangeDetails, type ListedChange, effectOf, lastNameOf, notesOf, standingOf } from '../../sinks/lookup.js';
import { toIso } from '../api/times.js';
import { type Language, type PageTexts, pageTexts } from './texts.js';

const style = `:root { color-scheme: light dark; font: 15px/1.5 system-ui, "Noto Sans", "Noto Sans CJK SC", sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem } h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
h3 { font-size: 1rem; margin: 1rem 0 .25rem } table { border-collapse: collapse; width: 100% } table + table { margin-top: 1.5rem }
th, td { text-align: start; vertical-align: top; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid #8884; overflow-wrap: anywhere }
th, .time { white-space: nowrap } th { font-weight: 600 } td { min-width: 4rem } pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: .75rem; background: #8881; border-radius: 4px }
bdi { white-space: pre-wrap } .quiet { opacity: .65 }`;

/** Nothing but this style may be loaded or done, and no other page may hold this one. */
export const contentSecurityPolicy = [
  `default-src 'none'`,
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  ...['base-uri', 'form-action', 'frame-ancestors'].map(one => `${one} 'none'`),
].join('; ');

/** Mark-up that is ready to stand in a page: only `html` makes it. */
class Html {
  constructor(readonly markup: string) {}
}

type Part = Html | string | number | readonly Html[];

/** Mark-up with texts in it, which are only ever shown: escaped, and each a direction of its own. */
function html(parts: TemplateStringsArray, ...values: readonly Part[]): Html {
  return new Html(parts.reduce((all, part, index) => all + markupOf(values[index - 1]!) + part));
}

function markupOf(part: Part): string {
  if (part instanceof Html) return part.markup;
  if (typeof part === 'object') return part.map(one => one.markup).join('');
  return escaped(String(part));
}

function escaped(text: string): string {
  // A control character would be a fault in a page; this shows that there is one.
  const shown = text.toWellFormed().replace(/(?![\n\t])\p{Cc}/gu, '\ufffd');
  return shown.replace(/[&<>"']/g, sign => `&#${sign.charCodeAt(0)};`);
}

/** Text that came from outside. */
const data = (text: string): Html => html`<bdi>${text}</bdi>`;

/** The page of a change: what Details shows, whole. Times are UTC. */
export function changePage(details: ChangeDetails, language: Language): string {
  const texts = pageTexts[language];
  const { event, origin } = details;
  const { data: change } = event;
  const name = lastNameOf(details);
  const facts: [keyof PageTexts['facts'], string | number | null][] = [
    ['channel', change.channelId],
    ['app', change.sdkAppId],
    ['change', change.changeId],
    ['revision', change.revision],
    ['operator', change.operator],
    ['platform', origin.platform],
    ['clientIp', origin.clientIp],
    ['owner', origin.owner],
    ['source', texts.details.source[change.source]],
    ['happened', timeOf(event.timestamp)],
    ['received', timeOf(toIso(details.receivedAt))],
  ];
  const shown = html`<!doctype html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <meta name="robots" content="noindex" />
        <title>${name ?? texts.change.nameUnknown}</title>
        <style>
          ${new Html(style)}
        </style>
      </head>
      <body>
        <h1>${name === null ? texts.change.nameUnknown : data(name)}</h1>
        <p>${effectOf(details, texts)}</p>
        ${notesOf(details, texts).map(note => html`<p>${note}</p>`)} ${fields(change.revision === null ? [] : change.changes, texts)}
        <table>
          ${facts.map(
            ([fact, value]) =>
              html`<tr>
                <th>${texts.facts[fact]}</th>
                <td>${value === null ? quiet(texts.change.unknown) : data(String(value))}</td>
              </tr>`,
          )}
        </table>
        <h2>${texts.details.deliveries}</h2>
        ${details.deliveries.length === 0 ? quiet(texts.results.none) : details.deliveries.map(one => delivery(one, texts))}
        <h2>${texts.details.webhook}</h2>
        ${details.webhook === null ? quiet(texts.details.noWebhook) : html`<pre>${data(details.webhook)}</pre>`}
        <h2>${texts.details.before}</h2>
        ${neighbours(details.before, texts)}
        <h2>${texts.details.after}</h2>
        ${neighbours(details.after, texts)}
      </body>
    </html>`;
  return shown.markup;
}

/** As people read it, in UTC. */
function timeOf(iso: string): string {
  return iso.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC');
}

function quiet(text: string): Html {
  return html`<span class="quiet">${text}</span>`;
}

function value(text: string | null, texts: PageTexts): Html {
  return text === null ? quiet(texts.change.unknown) : text === '' ? quiet(texts.change.empty) : data(text);
}

function fields(changes: ChangeDetails['event']['data']['changes'], texts: PageTexts): Html | string {
  if (changes.length === 0) return '';
  const rows = changes.map(
    ({ field, from, to }) =>
      html`<tr>
        <th>${texts.change.field[field]}</th>
        <td>${value(from, texts)}</td>
        <td>${value(to, texts)}</td>
      </tr>`,
  );
  return html`<table>
    <tr>
      <th></th>
      <th>${texts.before}</th>
      <th>${texts.now}</th>
    </tr>
    ${rows}
  </table>`;
}

function delivery(result: ChangeDetails['deliveries'][number], texts: PageTexts): Html {
  const { standing, why } = standingOf(result, texts);
  const { outcome: outcomes } = texts.details;
  const rows = result.attempts.map(({ at, outcome, durationMs, status, error, response }) => {
    const reason = error === null ? '' : data(texts.explain(error));
    const ended = outcomes[outcome as keyof typeof outcomes] ?? outcome;
    return html`<tr>
      <td class="time">${timeOf(toIso(at))}</td>
      <td>${ended}</td>
      <td>${durationMs} ms</td>
      <td>${status ?? ''}</td>
      <td>${reason}</td>
      <td>${response === null ? '' : data(response)}</td>
    </tr>`;
  });
  return html`<h3>${result.sink} · ${standing}${why === '' ? '' : html`${texts.colon}${data(why)}`}</h3>
    ${
      rows.length === 0
        ? ''
        : html`<table>
            ${headings(texts.columns)} ${rows}
          </table>`
    }`;
}

function neighbours(changes: readonly ListedChange[], texts: PageTexts): Html {
  if (changes.length === 0) return quiet(texts.details.none);
  const rows = changes.map(change => {
    const { revision, changes: all, operator } = change.event.data;
    const what = all.map(
      ({ field, from, to }) => html`<div>${texts.change.field[field]}${texts.colon}${value(from, texts)} → ${value(to, texts)}</div>`,
    );
    return html`<tr>
      <td class="time">${timeOf(change.event.timestamp)}</td>
      <td>${effectOf(change, texts)}${revision === null ? [] : what}</td>
      <td>${operator === null ? '' : data(operator)}</td>
    </tr>`;
  });
  return html`<table>
    ${headings(texts.changeColumns)} ${rows}
  </table>`;
}

function headings(titles: Record<string, string>): Html {
  return html`<tr>
    ${Object.values(titles).map(title => html`<th>${title}</th>`)}
  </tr>`;
}
