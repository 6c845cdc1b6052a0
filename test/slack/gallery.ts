import { noActions, noLookup } from '../support/no-actions.ts';
import { noProxies } from '../support/proxy.ts';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import type { Report, ReportSink } from '../../src/sinks/report-sink.js';
import { drawInWords } from './drawn.ts';
import { LocalSlack, workspace } from './local-slack.ts';
import { type Locale, avatarUrl, burst, cards, locales, notices, now, results } from './samples.ts';

const port = 4020;
export const pictures = join(import.meta.dirname, '../../docs/slack');
/** Nothing but messages, and none of the times at which they were posted here. A context's parts flow and an avatar stands to the right, as in Slack. */
export const style = `.topbar, .sidebar, .composer, .msg-hover-actions, .thread-body > .msg:first-child { display: none !important }
  .msg-time, .thread-summary-time { visibility: hidden }
  .bk-context { display: block !important } .bk-context > * { display: inline; margin-right: 1em }
  :has(> .bk-text + *) { display: flex; justify-content: space-between; max-width: 600px }
  .msg { overflow-wrap: anywhere }`;
export const avatar = `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" viewBox="0 0 88 88"><rect width="88" height="88" fill="#2f7d5b"/>
  <path d="M22 36h36v14a18 18 0 0 1-36 0zM58 40h4a8 8 0 0 1 0 16h-6" fill="#fff" stroke="#2f7d5b" stroke-width="3"/></svg>`;

/** What each picture shows: some messages, as a sink posts them. */
const shown: Record<string, (sink: ReportSink, locale: Locale) => Promise<void>> = {
  cards: (sink, locale) => report(sink, cards(locale)),
  results: (sink, locale) => report(sink, results(locale)),
  digest: async (sink, locale) => void (await sink.digest(burst(locale), calm)),
  notices: async sink => {
    for (const notice of notices) await sink.alert(notice, null, calm);
  },
};

const calm = new AbortController().signal;

async function report(sink: ReportSink, reports: readonly Report[]): Promise<void> {
  for (const one of reports) await sink.report(one, calm);
}

/** Writes a picture of each kind of message in each language: posted by the built sink, at a time of our own. */
export async function drawGallery(localSlack: string, browser: Browser): Promise<void> {
  mkdirSync(pictures, { recursive: true });
  for (const locale of locales) {
    for (const [name, post] of Object.entries(shown)) {
      const place = mkdtempSync(join(tmpdir(), 'channel-sync-gallery-'));
      const slack = new LocalSlack(localSlack, place, port, { mode: 'events', requestUrl: 'http://127.0.0.1:9/' });
      const page = await browser.newPage({ viewport: { width: 1000, height: 400 }, deviceScaleFactor: 0.76 });
      try {
        await slack.ready();
        await post(await openSink(locale, slack.url), locale);
        await page.route(avatarUrl, route => route.fulfill({ contentType: 'image/svg+xml', body: avatar }));
        await drawInWords(page);
        await page.goto(slack.url);
        // Han characters look different in Japanese.
        await page.locator('html').evaluate((html, language) => html.setAttribute('lang', language), locale);
        await take(page, join(pictures, `${name}-${locale.toLowerCase()}.png`));
      } finally {
        await page.close();
        await slack.stop();
        rmSync(place, { recursive: true, force: true });
      }
    }
  }
}

/** A module as it was built. */
export const load = async (name: string): Promise<unknown> => import(new URL(`../../dist/${name}.js`, import.meta.url).href);

/** The sink as the service opens it, but for its clock. */
export async function openSink(locale: Locale, url: string, lookup = noLookup): Promise<ReportSink> {
  const { slack } = (await load('sinks/slack/slack.sink')) as typeof import('../../src/sinks/slack/slack.sink.js');
  const { readClass } = (await load('settings/setting')) as typeof import('../../src/settings/setting.js');
  const { botToken: BOT_TOKEN, channel: CHANNEL } = workspace;
  const TIMEZONE = locale === 'en' ? 'UTC' : 'Asia/Shanghai';
  const texts = { BOT_TOKEN, CHANNEL, API_URL: `${url}/api/`, SIGNING_SECRET: workspace.signingSecret, LOCALE: locale, TIMEZONE };
  const { value } = readClass(slack.settings, new Map(Object.entries(texts)));
  const warn = (message: string): never => {
    throw new Error(message);
  };
  const context = {
    name: 'team',
    now: () => now,
    warn,
    proxies: noProxies,
    sdkAppIds: ['1400000001'],
    clean: (text: string) => text,
    actions: noActions,
    lookup,
    interaction: () => Promise.resolve(''),
  };
  return (await slack.open(value, context)) as ReportSink;
}

/** All messages, and beside them the first thread that there is. */
async function take(page: Page, path: string): Promise<void> {
  await page.addStyleTag({ content: style });
  await page.locator('.msg').last().waitFor();
  const threads = await page.locator('.thread-summary').all();
  await threads[0]?.click();
  const lists = ['.messages', ...(threads.length > 0 ? ['.thread-body'] : [])];
  const heights = await Promise.all(lists.map(list => page.locator(list).evaluate(one => one.scrollHeight)));
  await page.setViewportSize({ width: threads.length > 0 ? 1000 : 700, height: Math.max(...heights) + 60 });
  await page.mouse.move(0, 0);
  await page.screenshot({ path, animations: 'disabled' });
}
