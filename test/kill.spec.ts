import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Database } from '../src/database/database.js';
import { newDatabase } from './support/postgres.js';
import { ServiceProcess } from './support/process.js';
import { send } from './support/service.js';
import { until } from './support/until.js';

const changed = 'OfficialAccount.CallbackAfterOfficialAccountInfoChanged';
const query = `SdkAppid=1400000001&CallbackCommand=${changed}`;
const running: ServiceProcess[] = [];
const start = (environment: Record<string, string>): ServiceProcess => {
  running.push(new ServiceProcess(environment));
  return running.at(-1)!;
};
let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'channel-sync-kill-'))));
afterEach(async () => {
  await Promise.all(running.splice(0).map(one => one.kill()));
  rmSync(folder, { recursive: true });
});

/** Sends from several connections at once until told to stop; tells what was answered 200. */
function storm(url: string, salt: number, acked: string[]): { stop: () => Promise<unknown> } {
  let going = true;
  const sender = async (lane: number): Promise<void> => {
    for (let count = 0; going; count++) {
      const name = `${salt}-${lane}-${count}`;
      const body = JSON.stringify({ CallbackCommand: changed, Official_Account: `@TOA#_${lane % 4}`, Name: name, EventTime: Date.now() });
      const answer = await send('POST', `${url}/webhooks/tencent-chat?${query}`, body).catch(() => null);
      if (!answer) return;
      if (answer.status === 200) acked.push(name);
    }
  };
  const senders = Array.from({ length: 16 }, (_, lane) => sender(lane));
  return { stop: () => ((going = false), Promise.all(senders)) };
}

describe.each(['sqlite', 'postgres'])('kill -9 (%s)', store => {
  test('every webhook that was answered 200 is there after the restart, and reaches a log sink in order', async () => {
    const url = store === 'sqlite' ? `sqlite:${join(folder, 'kill.db')}` : await newDatabase(process.env['TEST_POSTGRES_URL']!);
    const acked: string[] = [];
    const told: Record<string, unknown>[] = [];
    for (let kill = 0; kill < 3; kill++) {
      const service = start({ DATABASE_URL: url, ...info });
      const { url: at } = await service.listening();
      await service.delivering();
      const before = acked.length;
      const { stop } = storm(at, kill, acked);
      await until(() => acked.length > before + 100, 'answers');
      await service.kill();
      await stop();
      told.push(...service.lines.filter(line => line['msg'] === 'channel change'));
    }
    const database = await Database.open(url, () => undefined);
    const rows = await database.kysely
      .selectFrom('change')
      .select(['body', 'channel', 'revision', 'position'])
      .orderBy('channel')
      .orderBy('position')
      .execute();
    await database.close();
    const names = new Set(rows.map(row => (JSON.parse(Buffer.from(row.body).toString()) as { Name: string }).Name));
    expect(acked.filter(name => !names.has(name))).toEqual([]);
    expect(acked.length).toBeGreaterThan(300);
    for (const channel of new Set(rows.map(row => row.channel))) {
      const revisions = rows.filter(row => row.channel === channel).flatMap(row => row.revision ?? []);
      expect(revisions).toEqual(revisions.map((_, index) => index + 1));
    }

    // A last life, in which everything that is still owed goes out.
    const service = start({ DATABASE_URL: url, ...info });
    const { managementUrl } = await service.listening();
    await service.delivering();
    await until(
      async () => /^channel_sync_pending\{sink="log"\} 0$/m.test((await send('GET', `${managementUrl}/metrics`)).text),
      'nothing pending',
      60_000,
    );
    told.push(...service.lines.filter(line => line['msg'] === 'channel change'));
    const revisions = new Map<string, number[]>();
    for (const { event } of told as unknown as { event: { data: { channelId: string; revision: number } } }[]) {
      revisions.set(event.data.channelId, [...(revisions.get(event.data.channelId) ?? []), event.data.revision]);
    }
    for (const [channel, got] of revisions) {
      // A kill may cost a repeat of the last one, never a gap and never a step back further than that.
      expect([...new Set(got)]).toEqual(Array.from({ length: Math.max(...got) }, (_, index) => index + 1));
      expect(channel).toMatch(/^@TOA#_\d$/);
    }
    expect(await service.kill('SIGTERM')).toBe(0);
  }, 120_000);
});

const info = { LOG_LEVEL: 'info' };

test('a second process on one SQLite file is refused and told which file', async () => {
  const DATABASE_URL = `sqlite:${join(folder, 'one.db')}`;
  await start({ DATABASE_URL }).listening();
  const second = start({ DATABASE_URL });
  expect(await second.exited).toBe(78);
  expect(second.stderr).toContain(join(folder, 'one.db'));
}, 30_000);

test('mistakes in the settings end it with 78, all at once, before it listens', async () => {
  const service = start({ PORT: 'x', LOG_LEVEL: 'y', SINK_CRM_TYPE: 'webhook' });
  expect(await service.exited).toBe(78);
  expect(
    service.stderr
      .trim()
      .split('\n')
      .map(line => line.split(' ')[0]!)
      .sort(),
  ).toEqual(['LOG_LEVEL', 'PORT', 'SINK_CRM_URL']);
  expect(service.lines).toEqual([]);
}, 30_000);

test('SIGTERM: not ready at once, webhooks are still taken, a second one skips the wait, exit 0', async () => {
  const service = start({ DATABASE_URL: `sqlite:${join(folder, 'term.db')}` });
  const { url, managementUrl } = await service.listening();
  expect((await send('GET', `${managementUrl}/readyz`)).status).toBe(200);
  void service.kill('SIGTERM');
  await until(async () => (await send('GET', `${managementUrl}/readyz`)).status === 503, 'not ready');
  const body = JSON.stringify({ Official_Account: 'a', Name: 'late' });
  expect((await send('POST', `${url}/webhooks/tencent-chat?${query}`, body)).status).toBe(200);
  expect((await send('GET', `${managementUrl}/livez`)).status).toBe(200);
  const startedAt = Date.now();
  expect(await service.kill('SIGTERM')).toBe(0);
  expect(Date.now() - startedAt).toBeLessThan(4000);
}, 30_000);
