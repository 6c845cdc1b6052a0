import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mark } from './support/planted.js';
import { ServiceProcess } from './support/process.js';
import { send } from './support/service.js';
import { until } from './support/until.js';

const changed = 'OfficialAccount.CallbackAfterOfficialAccountInfoChanged';
const folder = mkdtempSync(join(tmpdir(), 'channel-sync-rejections-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const start = async () => {
  const service = new ServiceProcess({
    DATABASE_URL: `sqlite:${join(folder, 'test.db')}`,
    WEBHOOK_TOKENS: mark,
    WEBHOOK_BODY_LIMIT: '1kb',
    SINK_A_TYPE: 'log',
  });
  return { service, ...(await service.listening()) };
};

/** The query of a webhook that is signed so many seconds ahead of now. */
const signed = (secondsAhead = 0, token = mark): string => {
  const time = String(Math.floor(Date.now() / 1000) + secondsAhead);
  const sign = createHash('sha256')
    .update(token + time)
    .digest('hex');
  return `SdkAppid=1400000001&CallbackCommand=${changed}&RequestTime=${time}&Sign=${sign}`;
};

// Once wrong: not a line.
test('every webhook that is lost is told with cause and sender, without its signature or body', async () => {
  const { service, url } = await start();
  const post = async (query: string, body = '{"Official_Account":"a","Name":"the name"}'): Promise<number> =>
    (await send('POST', `${url}/webhooks/tencent-chat?${query}`, body)).status;
  const now = String(Math.floor(Date.now() / 1000));
  const statuses = [
    await post('SdkAppid=1400000002'),
    await post(signed(90)),
    await post(signed(-90)),
    await post(signed(0, 'another token')),
    await post(`SdkAppid=1400000001&RequestTime=${now}`),
    await post('SdkAppid=1400000001'),
    await post(signed(), 'x'.repeat(2000)),
    await post(signed(), 'no JSON'),
    await post(signed()),
    await post(signed().replace(changed, 'Group.Other')),
  ];
  expect(statuses).toEqual([403, 401, 401, 401, 401, 401, 413, 400, 200, 200]);
  const told = (): Record<string, unknown>[] => service.lines.filter(line => String(line['msg']).includes('rejected'));
  expect(told().map(({ level, result, cause, address }) => [level, result, cause, address])).toEqual([
    ['warn', 'forbidden', 'app', '127.0.0.1'],
    ['warn', 'unauthorized', 'clock', '127.0.0.1'],
    ['warn', 'unauthorized', 'signature', '127.0.0.1'],
    ['warn', 'unauthorized', 'unsigned', '127.0.0.1'],
    ['warn', 'too_large', 'too_large', '127.0.0.1'],
    ['warn', 'invalid', 'invalid', '127.0.0.1'],
  ]);
  expect(
    told()
      .map(({ rule }) => rule)
      .filter(Boolean),
  ).toEqual([expect.stringMatching(/^the body is not valid JSON/)]);
  expect(Math.abs((told()[1]!['secondsAhead'] as number) - 90)).toBeLessThanOrEqual(2);
  expect(await service.stop()).toBe(0);
  // The end tells the rest at once.
  expect(told().slice(6)).toEqual([
    expect.objectContaining({ result: 'unauthorized', cause: 'clock', count: 1, address: '127.0.0.1', otherAddresses: 0 }),
    expect.objectContaining({ result: 'unauthorized', cause: 'unsigned', count: 1, secondsAhead: null }),
  ]);
  expect(told()[6]!['secondsAhead']).toBeLessThan(-80);
  const log = JSON.stringify(service.lines.filter(line => line['msg'] !== 'channel change'));
  expect(log).not.toMatch(/[0-9a-f]{64}|the name|no JSON/);
}, 30_000);

// Once not a line: a console with another path, and a sender that goes away, would only show as silence.
test('a webhook to another path, and one that breaks off, are told', async () => {
  const { service, url } = await start();
  const long = 'x'.repeat(500);
  expect((await send('POST', `${url}/webhooks/${mark}/${long}?${signed()}`, '{}')).status).toBe(404);
  expect((await send('POST', `${url}/favicon.ico?SdkAppid=1400000001`, '{}')).status).toBe(404);
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.write(`POST /webhooks/tencent-chat?${signed()} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"Official`, () => socket.end());
  const told = (): unknown[] =>
    service.lines.filter(line => String(line['msg']).includes('rejected')).map(line => [line['result'], line['path']]);
  await until(() => told().length === 2, 'both are told');
  // Neither a token nor more than a glance of it.
  expect(told()).toEqual([
    ['not_found', expect.stringMatching(/^\/webhooks\/\*\*\*\/x{150,190}$/)],
    ['broken_off', undefined],
  ]);
  socket.destroy();
  await service.kill();
}, 30_000);

// Guards against a 0 after each start.
test('when the last webhook came is known from before the start, and never 0', async () => {
  const metric = async (managementUrl: string): Promise<string | undefined> =>
    (await send('GET', `${managementUrl}/metrics`)).text
      .split('\n')
      .find(line => line.startsWith('channel_sync_last_webhook_timestamp_seconds '));
  rmSync(folder, { recursive: true, force: true });
  const first = await start();
  expect(await metric(first.managementUrl)).toBeUndefined();
  await send('POST', `${first.url}/webhooks/tencent-chat?SdkAppid=1`, '{}');
  expect(await metric(first.managementUrl)).toBeUndefined();
  await send('POST', `${first.url}/webhooks/tencent-chat?${signed()}`, '{"Official_Account":"a","Name":"b"}');
  const seen = Number((await metric(first.managementUrl))!.split(' ')[1]);
  expect(Math.abs(seen - Date.now() / 1000)).toBeLessThan(10);
  await first.service.kill();
  const second = await start();
  const known = Number((await metric(second.managementUrl))!.split(' ')[1]);
  expect(Math.abs(known - seen)).toBeLessThan(1);
  await second.service.kill();
}, 30_000);
