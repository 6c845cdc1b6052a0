import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import pg from 'pg';
import { Database } from '../src/database/database.js';
import { fill, smallDisk, testWithDisks } from './support/disks.js';
import { FaultyProxy } from './support/faulty-proxy.js';
import { mark } from './support/planted.js';
import { newDatabase, startPostgres } from './support/postgres.js';
import { ServiceProcess } from './support/process.js';
import { send } from './support/service.js';
import { silence } from './support/silence.js';
import { until } from './support/until.js';

const changed = 'OfficialAccount.CallbackAfterOfficialAccountInfoChanged';
const query = `SdkAppid=1400000001&CallbackCommand=${changed}`;

const running: ServiceProcess[] = [];
let folder: string;
let database: string;
let proxy: FaultyProxy;
let viaProxy: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'channel-sync-store-'));
  database = await newDatabase(process.env['TEST_POSTGRES_URL']!);
  const url = new URL(database);
  proxy = new FaultyProxy(Number(url.port));
  url.port = String(await proxy.open());
  viaProxy = url.href;
});
afterEach(async () => {
  await Promise.all(running.splice(0).map(one => one.kill()));
  await proxy.cut();
  rmSync(folder, { recursive: true, force: true });
});

async function start(more: Record<string, string> = {}) {
  const service = new ServiceProcess({ DATABASE_URL: viaProxy, SPOOL_DIR: join(folder, 'spool'), ...more });
  running.push(service);
  return { service, ...(await service.listening()) };
}

/** Webhooks from several connections, and how each was answered. @param restMs of each connection after an answer */
function load(url: string, restMs = 20) {
  const answers: { name: string; status: number; ms: number; text: string }[] = [];
  let going = true;
  const sender = async (lane: number): Promise<void> => {
    for (let count = 0; going; count++) {
      const name = `${lane}-${count}`;
      const body = JSON.stringify({ Official_Account: `channel ${lane}`, Name: name, EventTime: Date.now() });
      const at = performance.now();
      const { status, text } = await send('POST', `${url}/webhooks/tencent-chat?${query}`, body).catch((error: Error) => ({
        status: 0,
        text: error.message,
      }));
      // It was killed at the end of a test that failed.
      if (status === 0 && text !== '') going = false;
      answers.push({ name, status, ms: performance.now() - at, text });
      if (restMs > 0) await sleep(restMs);
    }
  };
  const senders = Array.from({ length: 8 }, (_, lane) => sender(lane));
  return { answers, stop: () => ((going = false), Promise.all(senders)) };
}

async function ask<Row extends object>(text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: database });
  await client.connect();
  const { rows } = await client.query<Row>(text);
  await client.end();
  return rows;
}

async function countInDatabase(): Promise<number> {
  return Number((await ask<{ count: string }>('select count(*) from change'))[0]!.count);
}

async function metric(managementUrl: string, name: string): Promise<number> {
  const { text } = await send('GET', `${managementUrl}/metrics`);
  const line = text.split('\n').find(one => one.startsWith(`channel_sync_${name} `));
  return Number(line?.split(' ').at(-1));
}

/** Every answer was 200 within 1.5 s, and every webhook is in the database once. */
async function expectKept(answers: ReturnType<typeof load>['answers']): Promise<void> {
  expect(answers.filter(({ status, ms }) => status !== 200 || ms >= 1500)).toEqual([]);
  const names = answers.map(({ name }) => name).sort();
  await until(async () => (await countInDatabase()) >= names.length, 'everything in the database');
  const rows = await ask<{ body: Buffer }>('select body from change');
  expect(rows.map(row => (JSON.parse(row.body.toString()) as { Name: string }).Name).sort()).toEqual(names);
}

const messages = ({ lines }: ServiceProcess): unknown[] => lines.map(line => line['msg']);
const isBack = 'the database is available again, and all spooled webhooks are recorded';

test('PostgreSQL refuses every connection: webhooks go to the spool, the service stays ready, and all is taken in within 5 s', async () => {
  const { service, url, managementUrl } = await start({ SINK_A_TYPE: 'log', SINK_B_TYPE: 'log', SINK_C_TYPE: 'log' });
  await service.delivering();
  const { answers, stop } = load(url);
  await until(() => answers.length > 100, 'answers');
  await proxy.cut();
  const cutAt = Date.now();
  const before = answers.length;
  await until(() => answers.length > before + 300, 'answers without the database');
  expect((await send('GET', `${managementUrl}/readyz`)).status).toBe(200);
  expect(await metric(managementUrl, 'spooled')).toBeGreaterThan(100);
  await until(() => Date.now() - cutAt > 3000, 'several tries of every worker');
  await proxy.open();
  const openedAt = Date.now();
  await until(() => messages(service).includes(isBack), 'all that was spooled', 5000);
  expect(Date.now() - openedAt).toBeLessThan(5000);
  await stop();
  await expectKept(answers);
  expect(await metric(managementUrl, 'spooled')).toBe(0);
  expect((await send('GET', `${managementUrl}/metrics`)).text).toMatch(/webhooks_total\{command="[^"]+",result="spooled"\} [1-9]/);
  // However many workers there are and however often they try.
  const ofWorkers = (): unknown[] => messages(service).filter(message => String(message).startsWith('delivery:'));
  await until(() => ofWorkers().length === 2, 'a word about the end');
  expect(ofWorkers()).toEqual(['delivery: database error; retrying', 'delivery: the database works again']);
}, 60_000);

test('a firewall forgets the connections without a word: no answer is late, and new connections are made', async () => {
  const { service, url } = await start();
  await service.delivering();
  const { answers, stop } = load(url);
  await until(() => answers.length > 100, 'answers');
  proxy.freeze(false);
  await until(() => messages(service).includes(isBack), 'the database again', 15_000);
  await stop();
  await expectKept(answers);
}, 60_000);

test('a real PostgreSQL is frozen for 5 s, then restarted', async () => {
  const server = await startPostgres();
  try {
    database = await newDatabase(server.url);
    const { service, url } = await start({ DATABASE_URL: database });
    await service.delivering();
    const { answers, stop } = load(url);
    await until(() => answers.length > 100, 'answers');
    server.signal('SIGSTOP');
    const frozenAt = Date.now();
    await until(() => Date.now() - frozenAt > 5000, 'five seconds');
    server.signal('SIGCONT');
    await until(() => messages(service).includes(isBack), 'the thawed database', 5000);
    const told = service.lines.length;
    await server.shutDown();
    await until(() => service.lines.slice(told).some(line => String(line['msg']).includes('kept in SPOOL_DIR')), 'the spool again');
    await server.start();
    await until(() => service.lines.slice(told).some(line => line['msg'] === isBack), 'the restarted database', 5000);
    await stop();
    await expectKept(answers);
  } finally {
    await server.stop();
  }
}, 90_000);

// Seen failing with a full disk that counts as the webhook's own fault: nobody was told.
/* oxlint-disable jest/no-standalone-expect -- it is a test where disks can be made */
testWithDisks(
  'the disk of PostgreSQL is full: webhooks go to the spool, the log says why, and all is taken in within 5 s of there being room',
  async () => {
    const disk = smallDisk(200);
    const server = await startPostgres({ disk: disk.path });
    try {
      database = await newDatabase(server.url);
      const { service, url, managementUrl } = await start({ DATABASE_URL: database });
      await service.delivering();
      const { answers, stop } = load(url, 0);
      await until(() => answers.length > 100, 'answers');
      const ballast = join(disk.path, 'ballast');
      fill(ballast);
      await until(() => messages(service).includes('the database is unavailable: webhooks are kept in SPOOL_DIR'), 'the spool', 30_000);
      const before = answers.length;
      await until(() => answers.length > before + 1000, 'answers while it is full');
      expect(service.lines.some(line => String(line['error']).includes('No space left on device'))).toBe(true);
      expect((await send('GET', `${managementUrl}/readyz`)).status).toBe(200);
      expect(await metric(managementUrl, 'spooled')).toBeGreaterThan(100);
      rmSync(ballast);
      await until(() => messages(service).includes(isBack), 'all that was spooled', 5000);
      await stop();
      await expectKept(answers);
    } finally {
      await server.stop();
      disk.remove();
    }
  },
  120_000,
);
/* oxlint-enable jest/no-standalone-expect */

test('a database that has become read-only takes nothing: the spool does, until it can be written again', async () => {
  const { service, url, managementUrl } = await start();
  await service.delivering();
  const client = new pg.Client({ connectionString: database.replace(/[^/]+$/, 'postgres') });
  await client.connect();
  const name = new URL(database).pathname.slice(1);
  const readOnly = async (on: boolean): Promise<void> => {
    await client.query(`alter database ${name} set default_transaction_read_only = ${on ? 'on' : 'off'}`);
    await client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name]);
  };
  const { answers, stop } = load(url);
  await until(() => answers.length > 50, 'answers');
  await readOnly(true);
  const before = answers.length;
  await until(() => answers.length > before + 200, 'answers while it is read-only');
  expect((await send('GET', `${managementUrl}/readyz`)).status).toBe(200);
  expect(await metric(managementUrl, 'spooled')).toBeGreaterThan(50);
  await readOnly(false);
  await until(() => messages(service).includes(isBack), 'all that was spooled', 5000);
  await stop();
  await client.end();
  await expectKept(answers);
}, 60_000);

test('what killed processes had spooled is taken in by another, also after kills in the middle of taking it in', async () => {
  await proxy.cut();
  const { service: first, url } = await start();
  const { answers, stop } = load(url, 0);
  // As fast as the disk is: every group is synced.
  await until(() => answers.length > 3000, 'answers without the database', 40_000);
  await stop();
  await first.kill();
  await proxy.open();
  for (let kill = 0; kill < 2; kill++) {
    silence(join(folder, 'spool'));
    const { service } = await start();
    await service.delivering();
    const before = await countInDatabase();
    // One transaction at least, and of many.
    await until(async () => (await countInDatabase()) > before, 'a part of it');
    await service.kill();
  }
  const cut = await countInDatabase();
  expect(cut).toBeLessThan(answers.length);
  silence(join(folder, 'spool'));
  const { service: last, managementUrl } = await start();
  await expectKept(answers);
  await until(async () => (await metric(managementUrl, 'spooled')) === 0, 'an empty spool');
  expect(await last.stop()).toBe(0);
  expect(readdirSync(join(folder, 'spool'))).toEqual([]);
}, 120_000);

test('PostgreSQL is away from the start on: the service starts, says so, keeps webhooks, and ends with 0', async () => {
  const { service, url, managementUrl } = await start({ DATABASE_URL: `postgres://nobody:${mark}@127.0.0.1:1/none` });
  const answer = await send('POST', `${url}/webhooks/tencent-chat?${query}`, JSON.stringify({ Official_Account: 'a', Name: 'x' }));
  expect(answer.status).toBe(200);
  expect((await send('GET', `${managementUrl}/readyz`)).status).toBe(200);
  await until(() => messages(service).includes('cannot connect to PostgreSQL; retrying'), 'a word about it');
  expect(await service.stop()).toBe(0);
}, 30_000);

// Seen failing with a pool that was renewed, and so ended a second time, after its end.
test('a connection that falls silent while the database is being closed is told to its user alone', async () => {
  const store = await Database.open(viaProxy, () => undefined);
  const slow = sql`select pg_sleep(60)`.execute(store.kysely);
  const failed = slow.catch((error: Error) => error.message);
  await until(async () => (await ask("select 1 from pg_stat_activity where query like '%pg_sleep(60)'")).length > 0, 'the query');
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  proxy.freeze(true);
  await store.close();
  expect(await failed).toBe('Query read timeout');
  await new Promise(resolve => setImmediate(resolve));
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
}, 30_000);

test('neither database nor spool: 503 in time, not ready, and the log names SPOOL_DIR', async () => {
  writeFileSync(join(folder, 'file'), '');
  const { service, url, managementUrl } = await start({
    DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none',
    SPOOL_DIR: join(folder, 'file'),
  });
  const startedAt = Date.now();
  const answer = await send('POST', `${url}/webhooks/tencent-chat?${query}`, JSON.stringify({ Official_Account: 'a', Name: 'x' }));
  expect([answer.status, JSON.parse(answer.text)]).toEqual([503, expect.objectContaining({ ErrorCode: 120005 })]);
  expect(Date.now() - startedAt).toBeLessThan(1500);
  expect((await send('GET', `${managementUrl}/readyz`)).status).toBe(503);
  expect(service.lines.some(line => line['level'] === 'error' && String(line['msg']).includes('SPOOL_DIR'))).toBe(true);
  expect(service.lines).toContainEqual(
    expect.objectContaining({ level: 'warn', result: 'unavailable', cause: 'unavailable', address: '127.0.0.1' }),
  );
}, 30_000);

/* oxlint-disable jest/no-standalone-expect -- it is a test where disks can be made */
// Guards against a spool that could not be emptied and counted as a database that is away: 503 for every webhook, and ready all the while.
testWithDisks(
  'the spool is read-only while it holds webhooks: the database takes all, old and new; without it none, and the service is not ready',
  async () => {
    const disk = smallDisk(10);
    try {
      const { service, url, managementUrl } = await start({ SPOOL_DIR: join(disk.path, 'spool') });
      await service.delivering();
      await proxy.cut();
      const post = (name: string) =>
        send('POST', `${url}/webhooks/tencent-chat?${query}`, JSON.stringify({ Official_Account: 'a', Name: name, EventTime: Date.now() }));
      const ready = async (): Promise<number> => (await send('GET', `${managementUrl}/readyz`)).status;
      expect([(await post('spooled')).status, await ready()]).toEqual([200, 200]);
      // Lazily, since a file is open; nothing can be written from then on.
      const remount = (mode: string): unknown => execFileSync('mount', ['-o', `remount,${mode}`, disk.path], { stdio: 'pipe' });
      await until(() => {
        try {
          remount('ro');
          return true;
        } catch {
          return false;
        }
      }, 'a read-only disk');
      await until(async () => (await ready()) === 503, 'word of the disk', 10_000);
      expect((await post('refused')).status).toBe(503);
      await proxy.open();
      await until(async () => (await ready()) === 200, 'word of the database', 10_000);
      for (let count = 0; count < 3; count++) expect((await post(`kept ${count}`)).status).toBe(200);
      await until(async () => (await countInDatabase()) === 4, 'what was spooled', 5000);
      expect(await metric(managementUrl, 'spooled')).toBe(0);
      expect(messages(service).filter(message => String(message).includes('SPOOL_DIR is not writable'))).toHaveLength(1);
      remount('rw');
      await until(() => messages(service).includes('SPOOL_DIR is writable again'), 'the disk again', 10_000);
    } finally {
      await Promise.all(running.splice(0).map(one => one.kill()));
      disk.remove();
    }
  },
  60_000,
);
/* oxlint-enable jest/no-standalone-expect */
