import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
