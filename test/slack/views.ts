import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import type { ChangeDetails, FailedChange, Lookup, SinkOverview } from '../../src/sinks/lookup.js';
import type { Report } from '../../src/sinks/report-sink.js';
import { fakeServer } from '../support/fake-server.ts';
import { noLookup } from '../support/no-actions.ts';
import { resultAt } from '../support/slack-rendering.ts';
import { drawInWords } from './drawn.ts';
import { avatar, load, openSink, pictures, style } from './gallery.ts';
import { LocalSlack, workspace } from './local-slack.ts';
import { type Locale, avatarUrl, cards, locales, now } from './samples.ts';

const port = 4030;
const stored = (...explanation: unknown[]): string => JSON.stringify(explanation);
const reason = stored('answered', 422);

/** A service of which something is to be seen. */
function lookupOf(locale: Locale): Lookup {
  const changes = cards(locale);
  const calm = { state: 'ok' as const, reason: null, advice: null, lagMs: 0, queued: 0, failed: 0 };
  const stopped = { state: 'down' as const, reason: stored('connection_refused'), advice: stored('check_runs') };
  const sinks: SinkOverview[] = [
    { ...calm, sink: 'search', ...stopped, lagMs: 754_000, queued: 1318 },
    { ...calm, sink: 'shop_crm', failed: 2 },
    { ...calm, sink: 'crm' },
    { ...calm, sink: 'team' },
  ];
  const latest = changes.toReversed();
  const failed: FailedChange[] = latest.slice(-2).map(change => ({ ...change, failures: [{ sink: 'shop_crm', reason }] }));
  const [first, renamed, cleared] = changes as [Report, Report, Report];
  const { profile } = cleared.event.data;
  const { name } = profile;
  const found = { sdkAppId: '1400000001', channelId: '@TOA#_tea', name, exists: true, updatedAt: now };
  const attempt = { at: now, durationMs: 35, outcome: 'refused', status: 422, error: reason, response: '{"error":"name is too long"}' };
  const details: ChangeDetails = {
    ...renamed,
    origin: { clientIp: '192.0.2.17', platform: 'RESTAPI', owner: 'leckie' },
    webhook: JSON.stringify(
      { CallbackCommand: 'OfficialAccount.CallbackAfterOfficialAccountInfoChanged', Official_Account: '@TOA#_tea', Name: name },
      null,
      1,
    ),
    deliveries: [
      {
        ...resultAt('crm', 'delivered'),
        attempts: [{ ...attempt, outcome: 'delivered', status: null, error: null, response: null }],
      },
      {
        ...resultAt('shop_crm', 'parked', { reason }),
        attempts: [
          { ...attempt, at: now - 4000, outcome: 'retry', status: 503, error: stored('answered', 503), response: 'upstream timed out' },
          attempt,
        ],
      },
    ],
    before: [first],
    after: [cleared],
  };
  return {
    ...noLookup,
    sinks: async () => sinks,
    latestChanges: async () => latest,
    failedChanges: async () => failed,
    findChannels: async () => ({ channels: [found, { ...found, channelId: '@TOA#_tea_2', exists: false }], more: 3 }),
    channel: async () => [
      {
        ...found,
        revision: 7,
        profile,
        sinks: [
          { sink: 'crm', state: 'in_sync', error: null },
          { sink: 'shop_crm', state: 'parked', error: reason },
        ],
        latest: latest.slice(0, 3),
      },
    ],
    change: async () => details,
    link: async () => 'https://channel-sync.example.com/changes/1',
  };
}

/** Writes pictures of Home, the command, Details and the page in each language: by the built sink, out of samples. */
export async function drawViews(localSlack: string, browser: Browser): Promise<void> {
  for (const locale of locales) {
    const place = mkdtempSync(join(tmpdir(), 'channel-sync-views-'));
    const lookup: Lookup = { ...noLookup };
    const { payloadOf } = (await load('sinks/slack/clicks/payload')) as typeof import('../../src/sinks/slack/clicks/payload.js');
    // Not by the door, whose clock is that of the samples.
    const door = await fakeServer(async ({ body }) => {
      const answer = await sink.interaction?.(payloadOf(body), workspace.signingSecret, Promise.resolve(true));
      return { body: answer ?? '' };
    });
    const slack = new LocalSlack(localSlack, place, port, { mode: 'events', requestUrl: door.url });
    const sink = await openSink(locale, slack.url, lookup);
    const page = await browser.newPage({ viewport: { width: 760, height: 900 }, deviceScaleFactor: 0.76 });
    const take = (what: string) => join(pictures, `${what}-${locale.toLowerCase()}.png`);
    try {
      await slack.ready();
      await sink.report(cards(locale)[0]!, new AbortController().signal);
      await page.route(avatarUrl, route => route.fulfill({ contentType: 'image/svg+xml', body: avatar }));
      await drawInWords(page);
      await page.goto(slack.url);
      await page.locator('html').evaluate((html, language) => html.setAttribute('lang', language), locale);
      const side = (name: string) => page.locator('.sidebar-item', { hasText: name });
      await side('channel-sync').click();
      const refresh = page.getByRole('button', { name: /^(Refresh|刷新)$/ });
      await refresh.waitFor();
      await takeAll(page, take('home-first'));
      Object.assign(lookup, lookupOf(locale));
      await refresh.click();
      await page.getByText('search').first().waitFor();
      await takeAll(page, take('home'));
      await side('official-channels').click();
      for (const [index, typed] of ['status', 'find tea', 'channel @TOA#_tea', 'failed', 'help'].entries()) {
        await page.locator('.composer-input').fill(`/channel-sync ${typed}`);
        await page.locator('.composer-input').press('Enter');
        await page
          .locator('.msg')
          .nth(index + 1)
          .waitFor();
      }
      await takeAll(page, take('command'));
      await page.getByRole('button', { name: /^(Details|详情)$/ }).click();
      await page.locator('.modal').waitFor();
      await page.setViewportSize({ width: 760, height: 1600 });
      await page.locator('.modal').screenshot({ path: take('details'), animations: 'disabled' });
      await drawPage(page, locale, (await lookup.change(''))!, take('page'));
    } finally {
      await page.close();
      await slack.stop();
      await door.close();
      rmSync(place, { recursive: true, force: true });
    }
  }
}

/** The main part whole, without what is around it. */
async function takeAll(page: Page, path: string): Promise<void> {
  const added = await page.addStyleTag({ content: style });
  const height = await page.locator('.main').evaluate(main => Math.max(...[...main.querySelectorAll('*')].map(one => one.scrollHeight)));
  const before = page.viewportSize()!;
  await page.setViewportSize({ width: before.width, height: height + 60 });
  await page.screenshot({ path, animations: 'disabled' });
  await page.setViewportSize(before);
  await added.evaluate(tag => (tag as unknown as { remove(): void }).remove());
}

async function drawPage(page: Page, locale: Locale, details: ChangeDetails, path: string): Promise<void> {
  const { changePage } = (await load('management/page/page')) as typeof import('../../src/management/page/page.js');
  await page.setViewportSize({ width: 1000, height: 900 });
  await page.setContent(changePage(details, locale, now));
  await page.screenshot({ path, fullPage: true, animations: 'disabled' });
}
