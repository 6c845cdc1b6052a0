import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type Socket, connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mark } from './support/planted.js';
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
  const startedAt = Date.now();
  const second = start({ DATABASE_URL });
  expect(await second.exited).toBe(78);
  expect(Date.now() - startedAt).toBeGreaterThan(10_000);
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
  const answer = await send('POST', `${url}/webhooks/tencent-chat?${query}`, body, { connection: 'keep-alive' });
  // The port closes soon: the next webhook must not come on this connection just then.
  expect([answer.status, answer.headers.connection]).toEqual([200, 'close']);
  expect((await send('GET', `${managementUrl}/livez`)).status).toBe(200);
  const startedAt = Date.now();
  expect(await service.kill('SIGTERM')).toBe(0);
  expect(Date.now() - startedAt).toBeLessThan(4000);
}, 30_000);

test('any number of log sinks: nothing is written to standard error', async () => {
  const sinks = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`SINK_L${index}_TYPE`, 'log']));
  const service = start({ DATABASE_URL: `sqlite:${join(folder, 'log.db')}`, ...sinks });
  const { url } = await service.listening();
  expect((await send('POST', `${url}/webhooks/tencent-chat?${query}`, '{"Official_Account":"a","Name":"new"}')).status).toBe(200);
  await until(() => service.lines.filter(({ msg }) => msg === 'channel change').length === 12, 'the changes');
  expect(service.stderr).toBe('');
}, 30_000);

test('SIGHUP, as from a terminal that is closed, is answered like SIGTERM', async () => {
  const service = start({ DATABASE_URL: `sqlite:${join(folder, 'hup.db')}` });
  const { url } = await service.listening();
  void service.kill('SIGHUP');
  await until(() => service.lines.some(({ msg, signal }) => msg === 'stopping' && signal === 'SIGHUP'), 'stopping');
  expect((await send('POST', `${url}/webhooks/tencent-chat?${query}`, '{"Official_Account":"a","Name":"late"}')).status).toBe(200);
  expect(await service.kill('SIGHUP')).toBe(0);
}, 30_000);

// Seen failing with a cut 3 s after the port closed, and with attempts that drained only after that.
test('SIGTERM: attempts that do not end are cut off, and the last line says how many', async () => {
  let reached = false;
  const target = createServer(socket => socket.on('error', () => undefined).once('data', () => (reached = true))).listen(0, '127.0.0.1');
  await once(target, 'listening');
  const service = start({
    DATABASE_URL: `sqlite:${join(folder, 'cut.db')}`,
    SINK_A_TYPE: 'webhook',
    SINK_A_URL: `http://127.0.0.1:${(target.address() as AddressInfo).port}/`,
    SINK_A_TIMEOUT_MS: '60000',
  });
  const { url } = await service.listening();
  await send('POST', `${url}/webhooks/tencent-chat?${query}`, JSON.stringify({ Official_Account: 'a', Name: 'b' }));
  await until(() => reached, 'the attempt');
  expect(await service.stop()).toBe(0);
  expect(service.lines.at(-1)).toMatchObject({ msg: 'stopped', cancelledAttempts: 1 });
  target.close();
}, 30_000);

test('SIGTERM: a webhook that comes slowly is answered while attempts end, and what nobody ends is cut', async () => {
  const service = start({ DATABASE_URL: `sqlite:${join(folder, 'slow.db')}` });
  const { url } = await service.listening();
  const body = JSON.stringify({ Official_Account: 'a', Name: 'slow' });
  const open = async (path: string): Promise<Socket> => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
    await new Promise(resolve => socket.once('connect', resolve));
    socket.write(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body.slice(0, 5)}`);
    return socket;
  };
  const slow = await open(`/webhooks/tencent-chat?${query}`);
  let answer = '';
  slow.on('data', chunk => (answer += chunk.toString()));
  (await open(`/webhooks/tencent-chat?${query}`)).resume();
  // Until both requests have begun for the service, too.
  expect((await send('POST', `${url}/webhooks/tencent-chat?${query}`, JSON.stringify({ Official_Account: 'b' }))).status).toBe(200);
  const ended = service.stop();
  const startedAt = Date.now();
  await until(() => Date.now() - startedAt > 5000, 'five seconds');
  slow.write(body.slice(5));
  await until(() => answer.includes('"OK"'), 'the answer');
  await until(() => slow.closed, 'the end of its connection', 1000);
  expect(await ended).toBe(0);
  expect(Date.now() - startedAt).toBeLessThan(15_000);
}, 40_000);

// Seen failing with SQLite's own wait: it was over after its 10 s, with 78.
test('SIGTERM ends it with 0 also while it waits for the SQLite file, before it listens', async () => {
  const DATABASE_URL = `sqlite:${join(folder, 'held.db')}`;
  await start({ DATABASE_URL }).listening();
  const waiting = start({ DATABASE_URL });
  const startedAt = Date.now();
  await until(() => Date.now() - startedAt > 4000, 'its start');
  expect(await waiting.kill('SIGTERM')).toBe(0);
  expect(Date.now() - startedAt).toBeLessThan(8000);
  expect(waiting.lines.filter(line => line['msg'] === 'listening')).toEqual([]);
}, 30_000);

test.each(['PORT', 'MANAGEMENT_PORT'])(
  'a %s that is taken ends it with 78 and is told by name, and no webhook was taken',
  async variable => {
    const taken = createServer();
    await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    const service = start({ DATABASE_URL: `sqlite:${join(folder, 'taken.db')}`, [variable]: String(port) });
    expect(await service.exited).toBe(78);
    expect(service.stderr).toBe(`${variable}: port ${port} is taken (EADDRINUSE)\n`);
    // Seen failing: Nest logged the error, too.
    expect(service.lines.filter(line => line['msg'] === 'listening' || line['level'] === 'error')).toEqual([]);
    await new Promise(resolve => taken.close(resolve));
  },
  30_000,
);

// Seen failing: the second was told at the next start.
test('both ports taken are told at once', async () => {
  const taken = [createServer(), createServer()];
  for (const server of taken) await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const [one, other] = taken.map(server => (server.address() as AddressInfo).port);
  const service = start({ DATABASE_URL: `sqlite:${join(folder, 'both.db')}`, PORT: String(one), MANAGEMENT_PORT: String(other) });
  expect(await service.exited).toBe(78);
  expect(service.stderr).toBe(`MANAGEMENT_PORT: port ${other} is taken (EADDRINUSE)\nPORT: port ${one} is taken (EADDRINUSE)\n`);
  for (const server of taken) await new Promise(resolve => server.close(resolve));
}, 30_000);

// Once wrong when both ports listened on HOST, and when only some of the system's errors counted as a wrong address.
test.each([
  [{ HOST: '203.0.113.7', MANAGEMENT_HOST: '127.0.0.1' }, 'HOST is no address of this machine (EADDRNOTAVAIL)'],
  [{ MANAGEMENT_HOST: '203.0.113.7' }, 'MANAGEMENT_HOST is no address of this machine (EADDRNOTAVAIL)'],
  [{ MANAGEMENT_HOST: 'fe80::1' }, 'MANAGEMENT_HOST is no address of this machine (EINVAL)'],
])(
  'an address of another machine ends it with 78 under its own name: %j',
  async (environment, told) => {
    const service = start({ DATABASE_URL: `sqlite:${join(folder, 'host.db')}`, ...environment });
    expect(await service.exited).toBe(78);
    expect(service.stderr).toBe(`${told}\n`);
    expect(service.lines.filter(line => line['msg'] === 'listening')).toEqual([]);
  },
  30_000,
);

test('each port listens on its own address', async () => {
  const service = start({ DATABASE_URL: `sqlite:${join(folder, 'hosts.db')}`, HOST: '127.0.0.2', MANAGEMENT_HOST: '127.0.0.3' });
  await service.listening();
  const { port, managementPort } = service.lines.find(line => line['msg'] === 'listening') as Record<string, number>;
  const reached = async (host: string, onPort: number): Promise<boolean> =>
    send('GET', `http://${host}:${onPort}/livez`).then(
      () => true,
      () => false,
    );
  expect(await Promise.all([reached('127.0.0.2', port!), reached('127.0.0.3', managementPort!)])).toEqual([true, true]);
  expect(await Promise.all([reached('127.0.0.1', port!), reached('127.0.0.2', managementPort!)])).toEqual([false, false]);
}, 30_000);

test('the metrics are all there, with those of the release and of the process', async () => {
  const service = start({
    DATABASE_URL: `sqlite:${join(folder, 'metrics.db')}`,
    SINK_A_TYPE: 'webhook',
    SINK_A_URL: 'http://127.0.0.1:1/',
    SINK_B_TYPE: 'log',
  });
  const { url, managementUrl } = await service.listening();
  expect((await send('POST', `${url}/webhooks/tencent-chat?${query}`, JSON.stringify({ Official_Account: 'a', Name: 'b' }))).status).toBe(
    200,
  );
  const attempted = (): number => service.lines.filter(line => line['msg'] === 'delivery attempted').length;
  await until(() => attempted() === 2, 'both attempts');
  const { text } = await send('GET', `${managementUrl}/metrics`);
  for (const line of [
    `channel_sync_webhooks_total{command="${changed}",result="recorded"} 1`,
    'channel_sync_webhook_answer_seconds_bucket{le="1.5"} 1',
    'channel_sync_attempt_seconds_bucket{le="1.5",sink="a",outcome="retry"} 1',
    'channel_sync_delivery_seconds_bucket{le="60",sink="b"} 1',
    'channel_sync_pending{sink="a"} 1',
    'channel_sync_sink_state{sink="a",state="retrying"} 1',
    'channel_sync_spooled 0',
    `channel_sync_build_info{version="${process.env['npm_package_version'] ?? ''}`,
  ])
    expect(text).toContain(line);
  for (const name of ['lag_seconds{sink="a"}', 'last_webhook_timestamp_seconds'])
    expect(text).toMatch(new RegExp(`^channel_sync_${name} \\d`, 'm'));
  for (const name of ['process_resident_memory_bytes', 'process_cpu_seconds_total', 'nodejs_eventloop_lag_p99_seconds'])
    expect(text).toMatch(new RegExp(`^${name} \\d`, 'm'));
}, 30_000);

// Seen failing without a listener of standard output's errors. A log sink would bring one.
test.each(['webhook', 'log'])(
  'whoever reads the output goes away: webhooks are taken all the same (a %s sink)',
  async type => {
    const service = start({
      DATABASE_URL: `sqlite:${join(folder, 'mute.db')}`,
      MANAGEMENT_TOKEN: mark,
      SINK_A_TYPE: type,
      ...(type === 'webhook' && { SINK_A_URL: 'http://127.0.0.1:1/' }),
    });
    const { url, managementUrl } = await service.listening();
    service.closeOutput();
    const body = JSON.stringify({ Official_Account: 'a', Name: 'one' });
    expect((await send('POST', `${url}/webhooks/tencent-chat?${query}`, body)).status).toBe(200);
    const reason = type === 'log' ? 'standard output is closed' : 'refused';
    await until(async () => {
      const { text } = await send('GET', `${managementUrl}/api/v1/deliveries`, undefined, { authorization: `Bearer ${mark}` });
      return text.includes(reason);
    }, 'an attempt, of which the log tells');
    expect((await send('POST', `${url}/webhooks/tencent-chat?${query}`, body)).status).toBe(200);
    void service.kill('SIGTERM');
    await until(async () => (await send('GET', `${managementUrl}/readyz`)).status === 503, 'not ready');
    expect(await service.kill('SIGTERM')).toBe(0);
  },
  30_000,
);
