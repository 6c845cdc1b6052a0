import { createHash } from 'node:crypto';
import { changeTexts } from '../../explanations/changes.js';
import { type ChangeDetails, type ListedChange, effectOf, lastNameOf, notesOf, statusOf } from '../../sinks/lookup.js';
import { toDate } from '../api/values.js';

const en = {
  ...changeTexts.en,
  before: 'Before',
  now: 'Now',
  facts: {
    channel: 'Channel',
    app: 'App',
    change: 'Change',
    revision: 'Revision',
    operator: 'Operator',
    platform: 'Platform',
    clientIp: 'Client IP',
    owner: 'Owner',
    source: 'Source',
    happened: 'Changed at',
    received: 'Received at',
  },
  columns: { at: 'Time', outcome: 'Outcome', duration: 'Duration', status: 'Status', error: 'Error', response: "Target's answer" },
  changeColumns: { at: 'Time', what: 'Change', operator: 'Operator' },
};

const zhCN: typeof en = {
  ...changeTexts['zh-CN'],
  before: '变更前',
  now: '变更后',
  facts: {
    channel: '公众号',
    app: '应用',
    change: '变更',
    revision: '版本',
    operator: '操作者',
    platform: '平台',
    clientIp: '客户端 IP',
    owner: '所有者',
    source: '来源',
    happened: '变更时间',
    received: '接收时间',
  },
  columns: { at: '时间', outcome: '结果', duration: '用时', status: '状态码', error: '错误', response: '目标的应答' },
  changeColumns: { at: '时间', what: '变更', operator: '操作者' },
};

/** The texts of the page by language tag. */
export const pageTexts = { en, 'zh-CN': zhCN };
export type Language = keyof typeof pageTexts;
type PageTexts = typeof en;

const style = `:root { color-scheme: light dark; font: 15px/1.5 system-ui, "Noto Sans", "Noto Sans CJK SC", sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem } h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
h3 { font-size: 1rem; margin: 1rem 0 .25rem } table { border-collapse: collapse; width: 100% } table + table { margin-top: 1.5rem }
th, td { text-align: start; vertical-align: top; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid #8884; overflow-wrap: anywhere }
th, .time { white-space: nowrap } th { font-weight: 600 } td { min-width: 4rem } pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: .75rem; background: #8881; border-radius: 4px }
bdi { white-space: pre-wrap } .quiet { opacity: .65 }`;

/** Allows this inline style and nothing else: no scripts, no resources, no framing. */
export const contentSecurityPolicy = [
  `default-src 'none'`,
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  ...['base-uri', 'form-action', 'frame-ancestors'].map(directive => `${directive} 'none'`),
].join('; ');

/** HTML that is safe to output; created only by `markup`. */
class Markup {
  constructor(readonly text: string) {}
}

type Part = Markup | string | number | readonly Markup[];

/** A template tag for HTML that escapes all interpolated texts. */
function markup(parts: TemplateStringsArray, ...values: readonly Part[]): Markup {
  return new Markup(parts.reduce((all, part, index) => all + markupOf(values[index - 1]!) + part));
}

function markupOf(part: Part): string {
  if (part instanceof Markup) return part.text;
  return typeof part === 'object' ? part.map(({ text }) => text).join('') : escaped(String(part));
}

function escaped(text: string): string {
  // Control characters are invalid in HTML: replace them visibly.
  const shown = text.toWellFormed().replace(/(?![\n\t])\p{Cc}/gu, '\ufffd');
  return shown.replace(/[&<>"']/g, sign => `&#${sign.charCodeAt(0)};`);
}

/** Text from outside, isolated so that its direction does not affect the rest of the page. */
const data = (text: string): Markup => markup`<bdi>${text}</bdi>`;
const quiet = (text: string): Markup => markup`<span class="quiet">${text}</span>`;
const time = (iso: string): Markup => markup`<span class="time">${iso.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC')}</span>`;

const th = (title: string): Markup => markup`<th>${title}</th>`;
const td = (part: Part): Markup => markup`<td>${part}</td>`;
const tr = (...cells: readonly Markup[]): Markup => markup`<tr>${cells}</tr>`;
const table = (titles: Record<string, string>, rows: readonly Markup[]): Markup =>
  markup`<table>${[tr(...Object.values(titles).map(th)), ...rows]}</table>`;

/** The page of a change, with everything that Details in Slack shows, uncut. Times are UTC. */
export function changePage(details: ChangeDetails, language: Language, now: number): string {
  const texts = pageTexts[language];
  const { event, origin, deliveries, webhook } = details;
  const { data: change } = event;
  const name = lastNameOf(details);
  const facts: Record<keyof PageTexts['facts'], string | number | Markup | null> = {
    channel: change.channelId,
    app: change.sdkAppId,
    change: change.changeId,
    revision: change.revision,
    operator: change.operator,
    ...origin,
    source: texts.details.source[change.source],
    happened: time(event.timestamp),
    received: time(toDate(details.receivedAt).toISOString()),
  };
  const factRows = (Object.keys(texts.facts) as (keyof typeof facts)[]).map(fact => {
    const shown = facts[fact] ?? quiet(texts.change.unknown);
    return tr(th(texts.facts[fact]), td(shown instanceof Markup ? shown : data(String(shown))));
  });
  return markup`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>${name ?? texts.change.nameUnknown}</title>
<style>${new Markup(style)}</style>
</head>
<body>
<h1>${name === null ? texts.change.nameUnknown : data(name)}</h1>
<p>${effectOf(details, texts)}</p>
${notesOf(details, texts).map(note => markup`<p>${note}</p>`)}
${change.revision === null ? '' : fields(change.changes, texts)}
<table>${factRows}</table>
<h2>${texts.details.deliveries}</h2>
${deliveries.length === 0 ? quiet(texts.results.none) : deliveries.map(result => delivery(result, texts, now))}
<h2>${texts.details.webhook}</h2>
${webhook === null ? quiet(texts.details.noWebhook) : markup`<pre>${data(webhook)}</pre>`}
<h2>${texts.details.before}</h2>
${neighbours(details.before, texts)}
<h2>${texts.details.after}</h2>
${neighbours(details.after, texts)}
</body>
</html>
`.text;
}

function value(text: string | null, texts: PageTexts): Markup {
  return text === null ? quiet(texts.change.unknown) : text === '' ? quiet(texts.change.empty) : data(text);
}

function fields(changes: ChangeDetails['event']['data']['changes'], texts: PageTexts): Part {
  const rows = changes.map(({ field, from, to }) => tr(th(texts.change.field[field]), td(value(from, texts)), td(value(to, texts))));
  return rows.length === 0 ? '' : table({ field: '', before: texts.before, now: texts.now }, rows);
}

function delivery(result: ChangeDetails['deliveries'][number], texts: PageTexts, now: number): Markup {
  const { status, why, next } = statusOf(result, texts, now);
  const { outcome: outcomes } = texts.details;
  const rows = result.attempts.map(({ at, outcome, durationMs, status, error, response }) =>
    tr(
      td(time(toDate(at).toISOString())),
      td(outcomes[outcome as keyof typeof outcomes] ?? outcome),
      td(`${durationMs} ms`),
      td(status ?? ''),
      td(error === null ? '' : data(texts.explain(error))),
      td(response === null ? '' : data(response)),
    ),
  );
  const reason = why === '' ? '' : markup`${texts.colon}${data(why)}`;
  const then = next === null ? '' : markup`${next.text}${time(toDate(next.at).toISOString())}`;
  return markup`<h3>${result.sink} · ${status}${reason}${then}</h3>${rows.length === 0 ? '' : table(texts.columns, rows)}`;
}

function neighbours(changes: readonly ListedChange[], texts: PageTexts): Markup {
  if (changes.length === 0) return quiet(texts.details.none);
  const rows = changes.map(change => {
    const { revision, changes: all, operator } = change.event.data;
    const what = all.map(
      ({ field, from, to }) => markup`<div>${texts.change.field[field]}${texts.colon}${value(from, texts)} → ${value(to, texts)}</div>`,
    );
    const effect = markup`${effectOf(change, texts)}${revision === null ? '' : what}`;
    return tr(td(time(change.event.timestamp)), td(effect), td(operator === null ? '' : data(operator)));
  });
  return table(texts.changeColumns, rows);
}
