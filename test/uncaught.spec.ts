import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fakeServer } from './support/fake-server.js';
import { mark } from './support/planted.js';
import { ServiceProcess } from './support/process.js';
import { send } from './support/service.js';
import { until } from './support/until.js';
import { sendWebhook } from './support/vendor.js';

const folder = mkdtempSync(join(tmpdir(), 'channel-sync-uncaught-'));
afterAll(() => rmSync(folder, { recursive: true }));
let databases = 0;
/** Whatever it says is searched for the token, which every error here holds. */
const start = (environment: Record<string, string>): ServiceProcess =>
  new ServiceProcess({
    DATABASE_URL: `sqlite:${join(folder, `${databases++}.db`)}`,
    WEBHOOK_TOKENS: mark,
    NODE_OPTIONS: `--import=${join(import.meta.dirname, 'support/throw-on-purpose.mjs')}`,
    ...environment,
  });
const linesOf = (service: ServiceProcess) => service.lines.filter(({ level }) => level === 'error');

describe('what nobody caught', () => {
  test.concurrent.each(['exception', 'rejection'])(
    '%s: one line with the stack, not ready, drained, exit 1; another one meanwhile changes nothing',
    async kind => {
      const service = start({ THROW: kind });
      const { url, managementUrl } = await service.listening();
      const webhook = (name: string) =>
        sendWebhook(
          { url: `${url}/webhooks/tencent-chat`, appId: '1400000001', token: mark },
          { CallbackCommand: 'OfficialAccount.CallbackAfterOfficialAccountInfoChanged', Official_Account: name, EventTime: Date.now() },
        );
      expect((await send('GET', `${managementUrl}/readyz`)).status).toBe(200);
      const exited = service.kill('SIGUSR2');
      await until(() => linesOf(service).length > 0, 'the line');
      expect(linesOf(service)).toHaveLength(1);
      expect(linesOf(service)[0]).toMatchObject({
        msg: 'uncaught error: stopping',
        error: expect.stringMatching(/^Error: thrown on purpose, with \*\*\*\n +at .*throw-on-purpose\.mjs/),
      });
      expect(await send('GET', `${managementUrl}/readyz`)).toMatchObject({ status: 503, text: expect.stringContaining('draining') });
      expect((await webhook('meanwhile')).status).toBe(200);
      void service.kill('SIGUSR2');
      await until(() => linesOf(service).length > 1, 'the second line');
      expect((await webhook('after another')).status).toBe(200);
      void service.kill('SIGTERM');
      expect(await exited).toBe(1);
      expect(service.lines.at(-1)).toMatchObject({ msg: 'stopped' });
      expect(service.stderr).toBe('');
    },
    30_000,
  );

  test.concurrent.each([
    ['failure', 'stopping failed'],
    ['hang', 'stopping took too long: attempts in progress are abandoned'],
  ])(
    'a drain that ends in a %s ends with 1, too',
    async (spoiled, msg) => {
      const service = start({ THROW: 'nothing', SPOIL_END: spoiled });
      await service.listening();
      const exited = service.kill('SIGUSR2');
      await until(() => linesOf(service).length > 0, 'the line');
      void service.kill('SIGTERM');
      expect(await exited).toBe(1);
      expect(linesOf(service)).toMatchObject([{ error: 'undefined' }, { msg }]);
    },
    30_000,
  );

  test.concurrent(
    'SIGTERM ends it with 0 also where something hangs',
    async () => {
      const service = start({ SPOIL_END: 'hang' });
      await service.listening();
      expect(await service.stop()).toBe(0);
      expect(linesOf(service)).toHaveLength(1);
    },
    30_000,
  );

  test.concurrent(
    'SIGTERM alone: webhooks are taken for 5 s, attempts under way have 10 s more to end and are then given back, exit 0',
    async () => {
      let release = (): void => undefined;
      const released = new Promise<void>(resolve => (release = resolve));
      const target = await fakeServer(async ({ path }) => (path === '/slow' ? (await released, { status: 204 }) : undefined));
      const sinks = { SINK_SLOW_URL: `${target.url}/slow`, SINK_HANG_URL: `${target.url}/hang`, SINK_HANG_TIMEOUT_MS: '60000' };
      const service = start({ SINK_SLOW_TYPE: 'webhook', SINK_HANG_TYPE: 'webhook', SINK_SLOW_TIMEOUT_MS: '60000', ...sinks });
      const { url } = await service.listening();
      const post = (name: string) =>
        sendWebhook(
          { url: `${url}/webhooks/tencent-chat`, appId: '1400000001', token: mark },
          { CallbackCommand: 'OfficialAccount.CallbackAfterOfficialAccountInfoChanged', Official_Account: name, EventTime: Date.now() },
        );
      expect((await post('before')).status).toBe(200);
      await until(() => target.requests.length === 2, 'both attempts');
      const exited = service.kill('SIGTERM');
      await until(() => service.lines.some(({ msg }) => msg === 'stopping'), 'stopping');
      const from = Date.now();
      await sleep(4000);
      expect((await post('late')).status).toBe(200);
      await until(async () => (await post('too late').catch(() => null)) === null, 'the end of the port', 5000);
      expect(Date.now() - from).toBeGreaterThan(4800);
      await sleep(from + 12_000 - Date.now());
      release();
      expect(await exited).toBe(0);
      expect(Date.now() - from).toBeGreaterThan(14_500);
      expect(Date.now() - from).toBeLessThan(25_000);
      const ended = service.lines.filter(({ msg }) => msg === 'delivery attempted').map(({ sink, outcome }) => [sink, outcome]);
      expect(new Set(ended.map(String))).toEqual(new Set(['slow,delivered', 'hang,cancelled']));
      await target.close();
    },
    40_000,
  );

  test.concurrent.each(['exception', 'rejection'])(
    '%s before the service has started: told on standard error, exit 1',
    async kind => {
      const service = start({ THROW: kind, THROW_AT: 'start' });
      expect(await service.exited).toBe(1);
      expect(service.stderr).toMatch(/^could not start: Error: thrown on purpose, with \*\*\*\n +at /);
      expect(service.lines.filter(({ msg }) => msg === 'listening')).toEqual([]);
    },
    30_000,
  );
});

test.each(['main.js', 'cli.js --help'])('%s says so in a folder that has been deleted', command => {
  const inDeleted = `mkdir gone && cd gone && rmdir ../gone && exec "${process.execPath}" ${join(import.meta.dirname, '../dist', command)}`;
  const { status, stdout, stderr } = spawnSync('sh', ['-c', inDeleted], { cwd: folder, encoding: 'utf8' });
  expect([status, stdout]).toEqual([78, '']);
  expect(stderr).toBe('channel-sync was started in a folder that has been deleted: change to one that exists\n');
});
