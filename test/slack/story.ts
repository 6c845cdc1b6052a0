import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type Page, chromium } from 'playwright-core';
import { fakeServer } from '../support/fake-server.ts';
import { type FakeVendor, fakeVendor } from '../support/fake-vendor.ts';
import { ServiceProcess } from '../support/process.ts';
import { until } from '../support/until.ts';
import { commands, sendWebhook } from '../support/vendor.ts';
import { drawInWords } from './drawn.ts';
import { drawGallery } from './gallery.ts';
import { drawViews } from './views.ts';
import { LocalSlack, type Mode, workspace } from './local-slack.ts';

/** Any will do: nobody else is here. */
const ports = { service: 3000, management: 3001, slack: 4010 };
const managementToken = 'management-token';
const modes: Mode[] = [{ mode: 'events', requestUrl: `http://127.0.0.1:${ports.service}/slack/interactions` }, { mode: 'socket' }];

/** @returns in how many ways clicks did not do what they should */
export async function playStory(localSlack: string, browserPath: string): Promise<number> {
  const args = [
    '--no-sandbox',
    '--disable-gpu',
    // Without coloured edges around letters the pictures are smaller.
    '--disable-lcd-text',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ];
  const browser = await chromium.launch({ executablePath: browserPath, args });
  let failures = 0;
  for (const mode of modes) {
    const way = mode.mode === 'events' ? 'HTTP' : 'Socket Mode';
    try {
      await playOnce(localSlack, browser, mode);
      console.log(`passed: clicks over ${way}`);
    } catch (error) {
      failures += 1;
      console.error(`FAILED: clicks over ${way}`, error);
    }
  }
  await drawGallery(localSlack, browser);
  await drawViews(localSlack, browser);
  await browser.close();
  return failures;
}

async function playOnce(localSlack: string, browser: Browser, mode: Mode): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'channel-sync-slack-'));
  const crm = { takes: false };
  const server = await fakeServer(() => (crm.takes ? { status: 204 } : { status: 400 }));
  const vendor = await fakeVendor(target.appId);
  const slack = new LocalSlack(localSlack, folder, ports.slack, mode);
  const service = new ServiceProcess({
    DATABASE_URL: `sqlite:${join(folder, 'channel-sync.db')}`,
    WEBHOOK_TOKENS: 'token',
    PORT: String(ports.service),
    MANAGEMENT_PORT: String(ports.management),
    MANAGEMENT_TOKEN: managementToken,
    PUBLIC_URL: `http://127.0.0.1:${ports.management}`,
    ...vendor.environment,
    COMPARE_EVERY: 'off',
    SINK_CRM_TYPE: 'webhook',
    SINK_CRM_URL: server.url,
    SINK_TEAM_TYPE: 'slack',
    SINK_TEAM_BOT_TOKEN: workspace.botToken,
    SINK_TEAM_CHANNEL: workspace.channel,
    SINK_TEAM_API_URL: `${slack.url}/api/`,
    SINK_TEAM_ALLOWED_USERS: workspace.alice,
    ...(mode.mode === 'events' ? { SINK_TEAM_SIGNING_SECRET: workspace.signingSecret } : { SINK_TEAM_APP_TOKEN: workspace.appToken }),
  });
  const page = await browser.newPage({ viewport: { width: 1000, height: 640 }, locale: 'en-GB', timezoneId: 'UTC' });
  try {
    await slack.ready();
    await service.listening();
    await drawInWords(page);
    await page.goto(slack.url);
    await clickThrough(page, slack, crm);
    await lookThrough(page);
    crm.takes = true;
    await compareAgain(page, vendor);
  } catch (error) {
    await page.screenshot({ path: join(tmpdir(), `channel-sync-slack-${mode.mode}-failed.png`) });
    throw new Error(`the page is in ${tmpdir()}, the service said: ${service.lines.map(line => JSON.stringify(line)).join('\n')}`, {
      cause: error,
    });
  } finally {
    await page.close();
    await service.stop();
    await slack.stop();
    await server.close();
    await vendor.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Created → refused → others may not → retried → delivered; changed → refused → discarded. */
async function clickThrough(page: Page, slack: LocalSlack, crm: { takes: boolean }): Promise<void> {
  const button = (name: string) => page.getByRole('button', { name, exact: true });
  const actAs = (name: string) => page.locator('select').first().selectOption({ label: name });

  await webhook(commands.created, { Name: 'Tea <!channel> House', Introduction: 'Green tea' });
  await button('Retry').waitFor();

  await actAs('Bob');
  await button('Retry').click();
  await page.getByText("You don't have permission").waitFor();
  await expectState('parked');

  await actAs('Alice');
  crm.takes = true;
  await button('Retry').click();
  await expectState('delivered');
  // The card is edited: there is nothing left to click.
  await button('Retry').waitFor({ state: 'detached' });
  await expectRecords(slack, 1);

  crm.takes = false;
  await webhook(commands.changed, { Name: 'Tea Palace' });
  await button('Discard').click();
  await expectState('discarded');
  await button('Discard').waitFor({ state: 'detached' });
  await expectRecords(slack, 2);
}

/** Home with its buttons, the command, Details, and the page. */
async function lookThrough(page: Page): Promise<void> {
  const app = page.locator('.sidebar-item', { hasText: 'channel-sync' });
  const channel = page.locator('.sidebar-item', { hasText: 'official-channels' });
  await app.click();
  await page.getByText('All sinks up to date').first().waitFor();
  await page.getByText('No failed changes').waitFor();
  // local-slack does not say that a click was in Home, so that this does not draw it anew.
  await page.getByRole('button', { name: 'Pause', exact: true }).first().click();
  await until(async () => (await get('sinks')).some(({ name, state }) => name === 'crm' && state === 'paused'), 'crm is paused');
  await channel.click();
  await app.click();
  await page.getByText('1 sink needs attention').waitFor();
  await page.getByRole('button', { name: 'Resume', exact: true }).click();
  await until(async () => (await get('sinks')).some(({ name, state }) => name === 'crm' && state === 'ok'), 'crm goes on');

  await channel.click();
  await page.locator('.composer-input').fill('/channel-sync find PALACE');
  await page.locator('.composer-input').press('Enter');
  await page.getByText('Channels that match').waitFor();

  await page.getByRole('button', { name: 'Details', exact: true }).last().click();
  await page.getByText('Raw webhook').waitFor();
  await page.getByText('Open as a page').waitFor();
  await page.getByRole('button', { name: 'Close', exact: true }).click();
  await until(
    async () => (await get('audit')).some(({ action, actor }) => action === 'link' && actor === `slack:${workspace.alice}`),
    'the record of a link',
  );
}

/** A comparison finds what no webhook told of, and *Compare now* on its message finds what is different since. */
async function compareAgain(page: Page, vendor: FakeVendor): Promise<void> {
  const sayThere = (Organization: string) => vendor.channels.set(channelId, { Organization });
  sayThere('Tea Limited');
  await call('POST', 'comparisons');
  await page.getByText('1 of 1 channel differed').first().waitFor();
  await page.getByText('Tea Limited').first().waitFor();
  sayThere('Tea Worldwide');
  await page.getByRole('button', { name: 'Compare now', exact: true }).last().click();
  await page.getByText('Tea Worldwide').first().waitFor();
  await until(async () => (await page.getByRole('button', { name: 'Compare now', exact: true }).count()) === 2, 'its own message');
  const [latest] = await get('comparisons');
  const [deed] = await get('audit');
  const seen = JSON.stringify([latest!.cause, latest!.state, deed!.action, deed!.actor]);
  if (seen !== JSON.stringify(['slack', 'done', 'compare', `slack:${workspace.alice}`])) throw new Error(`it is told as ${seen}`);
}

const channelId = '@TOA#_tea';
const target = { url: `http://127.0.0.1:${ports.service}/webhooks/tencent-chat`, appId: '1400000001', token: 'token' };

async function webhook(command: string, fields: Record<string, string>): Promise<void> {
  const body = { CallbackCommand: command, Official_Account: channelId, Operator_Account: 'leckie', EventTime: Date.now(), ...fields };
  const { status } = await sendWebhook(target, body);
  if (status !== 200) throw new Error(`the webhook was answered ${status}`);
}

/** Waits until the newest change is in this state at the CRM. */
async function expectState(state: string): Promise<void> {
  await until(async () => (await deliveries()).at(0)?.state === state, `the CRM's delivery is ${state}`);
}

async function deliveries(): Promise<{ state: string }[]> {
  return get('deliveries?sink=crm');
}

/** What the API lists. */
async function get(what: string): Promise<Record<'name' | 'state' | 'action' | 'actor' | 'cause', string>[]> {
  return (await call('GET', what)).items;
}

async function call(method: 'GET' | 'POST', what: string): Promise<{ items: Awaited<ReturnType<typeof get>> }> {
  const headers = { authorization: `Bearer ${managementToken}` };
  const response = await fetch(`http://127.0.0.1:${ports.management}/api/v1/${what}`, { method, headers });
  return (await response.json()) as { items: Awaited<ReturnType<typeof get>> };
}

/** Waits until that many cards tell that Alice clicked. */
async function expectRecords(slack: LocalSlack, count: number): Promise<void> {
  const tells = (message: string) => !message.includes('"ephemeral"') && message.includes(workspace.alice);
  await until(async () => (await slack.messages()).filter(tells).length === count, `${count} cards tell that Alice clicked`);
}
