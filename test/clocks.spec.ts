import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Database } from '../src/database/database.js';
import type { CrmBody } from './support/crm-catcher.js';
import { mark } from './support/planted.js';
import { newDatabase } from './support/postgres.js';
import { ServiceProcess } from './support/process.js';
import { send } from './support/service.js';
import { until } from './support/until.js';

const changed = 'OfficialAccount.CallbackAfterOfficialAccountInfoChanged';
const hour = 3_600_000;
const year = 365 * 24 * hour;

let folder: string;
let crm: Awaited<ReturnType<typeof openCrm>>;
const running: ServiceProcess[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'channel-sync-clocks-'));
  crm = await openCrm();
});
afterEach(async () => {
  await Promise.all(running.splice(0).map(one => one.kill()));
  await crm.close();
  rmSync(folder, { recursive: true });
});

/** A CRM that looks at no timestamp, takes its time, and knows what it is at. */
async function openCrm() {
  const state = { takesMs: 0, fails: false, answered: 0 };
  const [ids, busy]: [string[], string[]] = [[], []];
  const overlaps: string[] = [];
  const server = createServer((request, response) => {
    void take(request).then(status => response.writeHead(status).end());
  });
  const take = async (request: IncomingMessage): Promise<number> => {
    const { channelId } = ((await json(request)) as CrmBody).data;
    ids.push(String(request.headers['webhook-id']));
    if (busy.includes(channelId)) overlaps.push(channelId);
    busy.push(channelId);
    await sleep(state.takesMs);
    busy.splice(busy.indexOf(channelId), 1);
    state.answered += 1;
    return state.fails ? 503 : 204;
  };
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  };
  return Object.assign(state, { ids, overlaps, close, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

/** A process whose wall clock is off by so much, and can be set. */
async function start(shiftMs: number, environment: Record<string, string>) {
  const file = join(folder, `clock ${running.length}`);
  writeFileSync(file, String(shiftMs));
  const service = new ServiceProcess({
    NODE_OPTIONS: `--import=${join(import.meta.dirname, 'support/shifted-clock.mjs')}`,
    CLOCK_FILE: file,
    SINK_CRM_TYPE: 'webhook',
    SINK_CRM_URL: crm.url,
    ...environment,
  });
  running.push(service);
  const { url, managementUrl } = await service.listening();
  await service.delivering();
  const change = async (channel: string, eventTime?: number): Promise<void> => {
    const body = JSON.stringify({ Official_Account: channel, Name: `name ${Math.random()}`, EventTime: eventTime });
    const answer = await send('POST', `${url}/webhooks/tencent-chat?SdkAppid=1400000001&CallbackCommand=${changed}`, body);
    expect(answer.status).toBe(200);
  };
  const setClock = (ms: number): void => {
    writeFileSync(file, String(ms));
    process.kill(service.pid, 'SIGUSR2');
  };
  const jumps = (): unknown[] => service.lines.filter(line => String(line['msg']).startsWith('the clock of')).map(line => line['byMs']);
  return { service, managementUrl, change, setClock, jumps };
}

// Seen failing with leases by the clock of each process: whoever is ahead takes them for over.
test('replicas whose clocks are 11 s and an hour ahead send nothing twice, and nothing of a channel at once', async () => {
  const environment = { DATABASE_URL: await newDatabase(process.env['TEST_POSTGRES_URL']!) };
  crm.takesMs = 3000;
  const replicas = await Promise.all([0, 11_000, hour].map(shift => start(shift, environment)));
  for (let count = 0; count < 30; count++) await replicas[count % 3]!.change(`channel ${count % 15}`, Date.now());
  await until(() => crm.answered >= 30, 'all deliveries', 40_000);
  expect([crm.ids.length, new Set(crm.ids).size, crm.overlaps]).toEqual([30, 30, []]);
  expect(replicas.flatMap(one => one.jumps())).toEqual([]);
}, 90_000);

// Seen failing with a pace and a back-off by the wall clock: nothing is sent for an hour.
test('a clock that was an hour ahead and is put right while it runs, or before the next start, holds nothing back', async () => {
  const environment = { DATABASE_URL: `sqlite:${join(folder, 'test.db')}`, SINK_CRM_RATE_PER_SECOND: '5' };
  crm.fails = true;
  const first = await start(hour, environment);
  await first.change('a');
  await until(() => crm.answered === 2, 'two tries', 20_000);
  crm.fails = false;
  first.setClock(0);
  await until(() => crm.answered === 3, 'a third', 20_000);
  expect(first.jumps().map(by => Math.round(Number(by) / 1000))).toEqual([-3600]);

  first.setClock(8 * hour);
  await until(() => first.jumps().length === 2, 'the jump');
  crm.fails = true;
  await first.change('b');
  await until(() => crm.answered === 5, 'two tries', 20_000);
  await first.service.kill();
  crm.fails = false;
  const second = await start(0, environment);
  await until(() => crm.answered === 6, 'a third', 20_000);
  expect(new Set(crm.ids).size).toBe(2);
  // The answer is settled a moment after the target has given it.
  const metrics = async () => (await send('GET', `${second.managementUrl}/metrics`)).text;
  await until(async () => (await metrics()).includes('channel_sync_lag_seconds{sink="crm"} 0\n'), 'nothing to wait');
}, 90_000);

test('a webhook without an EventTime that comes while the clock is ten years ahead is a day ahead at most, and nothing is deleted', async () => {
  const environment = { DATABASE_URL: `sqlite:${join(folder, 'test.db')}` };
  const { change, setClock, jumps, service } = await start(0, environment);
  const before = Date.now();
  for (const eventTime of [before - 1000, before - 500, before]) await change('a', eventTime);
  await until(() => crm.answered === 3, 'deliveries');
  setClock(10 * year);
  await until(() => jumps().length === 1, 'the jump');
  await change('a');
  await service.kill();
  // Retention is the first that a process does.
  const { managementUrl, change: again } = await start(10 * year, environment);
  await again('a', before + 1);
  await again('a');
  const { text } = await send('GET', `${managementUrl}/api/v1/changes?limit=10`, undefined, {
    authorization: `Bearer ${mark}-management`,
  });
  const { items } = JSON.parse(text) as { items: { eventTime: string; eventTimeEstimated: boolean }[] };
  expect(items).toHaveLength(6);
  const estimated = items.filter(one => one.eventTimeEstimated).map(one => Date.parse(one.eventTime));
  expect(estimated).toHaveLength(2);
  for (const time of estimated) expect(time).toBeLessThanOrEqual(before + 24 * hour);
}, 90_000);

// Seen failing: ids stayed ten years ahead until a restart, the metric too until the next webhook, and what came with a clock behind was deleted as too old.
test('what comes while the clock is wrong has no part in what is told once it is right, and stays', async () => {
  const environment = { DATABASE_URL: `sqlite:${join(folder, 'test.db')}` };
  const { change, setClock, jumps, service, managementUrl } = await start(0, environment);
  const lastWebhook = async (url: string): Promise<number> => {
    const { text } = await send('GET', `${url}/metrics`);
    return 1000 * Number(/^channel_sync_last_webhook_timestamp_seconds (.*)$/m.exec(text)![1]);
  };
  const before = Date.now();
  const isNow = (ms: number): boolean => ms >= before - 10_000 && ms <= Date.now() + 10_000;
  await change('a', before);
  setClock(10 * year);
  await until(() => jumps().length === 1, 'the jump');
  await change('a');
  setClock(0);
  await until(async () => isNow(await lastWebhook(managementUrl)), 'the metric to go by the new time');
  await change('a', before + 1);
  await service.kill();

  const behind = await start(-10 * year, environment);
  for (let count = 0; count < 3; count++) await behind.change('a', Date.now());
  await behind.service.kill();
  const right = await start(0, environment);
  expect(isNow(await lastWebhook(right.managementUrl))).toBe(true);
  // Retention is the first that a process does.
  await right.change('b');
  await until(() => crm.answered > 1, 'a delivery');
  const { text } = await send('GET', `${right.managementUrl}/api/v1/changes?limit=10`, undefined, {
    authorization: `Bearer ${mark}-management`,
  });
  const { items } = JSON.parse(text) as { items: { id: string; eventTime: string; receivedAt: string }[] };
  expect(items).toHaveLength(7);
  for (const { id, eventTime, receivedAt } of items) {
    expect(parseInt(id.replace('-', '').slice(0, 12), 16)).toBe(Date.parse(receivedAt));
    expect(Math.abs(Date.parse(eventTime) - before)).toBeLessThanOrEqual(24 * hour);
  }
}, 90_000);

// Seen failing without the wait: the heartbeat of the new replica hid a jump of PostgreSQL's clock from the one that ran.
test('a start on PostgreSQL that finds no recent heartbeat takes webhooks at once, and delivers them after 3 s', async () => {
  const environment = {
    DATABASE_URL: await newDatabase(process.env['TEST_POSTGRES_URL']!),
    SINK_CRM_TYPE: 'webhook',
    SINK_CRM_URL: crm.url,
  };
  const first = await start(0, environment);
  await first.service.kill();
  const database = await Database.open(environment.DATABASE_URL, () => undefined);
  await database.kysely
    .updateTable('heartbeat')
    .set(({ eb }) => ({ at: eb('at', '-', 60_000) }))
    .execute();
  await database.close();
  const service = new ServiceProcess(environment);
  running.push(service);
  const { url } = await service.listening();
  const body = JSON.stringify({ Official_Account: 'a', Name: 'new' });
  const answer = await send('POST', `${url}/webhooks/tencent-chat?SdkAppid=1400000001&CallbackCommand=${changed}`, body);
  expect([answer.status, crm.ids]).toEqual([200, []]);
  await until(() => crm.answered === 1, 'the delivery', 20_000);
  const timeOf = (msg: string): number => Date.parse(String(service.lines.find(line => line.msg === msg)!['time']));
  expect(timeOf('delivering') - timeOf('listening')).toBeGreaterThan(2000);
}, 60_000);
