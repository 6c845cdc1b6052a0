import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ServiceProcess } from './support/process.js';
import { send } from './support/service.js';
import { until } from './support/until.js';
import { commands } from './support/vendor.js';

const path = '/webhooks/tencent-chat';
const query = `SdkAppid=1400000001&CallbackCommand=${commands.changed}`;
const get = `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const connectRequest = 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n';
const webhook = (name: string, line = `POST ${path}?${query} HTTP/1.1`): string => {
  const body = JSON.stringify({ Official_Account: 'a', Name: name });
  return `${line}\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
};

const folder = mkdtempSync(join(tmpdir(), 'channel-sync-sockets-'));
let service: ServiceProcess;
let ports: { public: number; management: number };
beforeAll(async () => {
  service = new ServiceProcess({ DATABASE_URL: `sqlite:${join(folder, 'test.db')}`, SINK_A_TYPE: 'log', SINK_A_CHANNELS: 'nothing' });
  const { url, managementUrl } = await service.listening();
  ports = { public: Number(new URL(url).port), management: Number(new URL(managementUrl).port) };
}, 30_000);
afterAll(async () => {
  await service.kill();
  rmSync(folder, { recursive: true });
});

interface Said {
  text: string;
  /** Whether the service ended the connection. */
  ended: boolean;
}

/** Says this on a connection of its own, resets it as soon as the answer looks like `resetAt`, and gives what is said back until it ends. */
function say(text: string, to: { port?: keyof typeof ports; resetAt?: RegExp } = {}): Promise<Said> {
  return new Promise((resolve, reject) => {
    const said: Said = { text: '', ended: false };
    const socket = connect(ports[to.port ?? 'public'], '127.0.0.1', () => void socket.write(text));
    socket
      .on('data', chunk => {
        said.text += chunk.toString();
        if (to.resetAt?.test(said.text)) socket.resetAndDestroy();
      })
      .on('end', () => (said.ended = true))
      .on('error', reject)
      .on('close', () => resolve(said));
  });
}
const statuses = ({ text }: Said): string[] => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status!);

describe('what Node hands over as a bare socket', () => {
  test.each(['public', 'management'] as const)('CONNECT on the %s port is not found, and its reset ends nothing', async port => {
    const { text, ended } = await say(connectRequest, { port });
    const [head, body] = text.split('\r\n\r\n');
    const type = port === 'public' ? 'application/json' : 'application/problem+json';
    expect(head!.split('\r\n')).toEqual([
      'HTTP/1.1 404 Not Found',
      `Content-Type: ${type}; charset=utf-8`,
      `Content-Length: ${body!.length}`,
      'Connection: close',
    ]);
    expect(JSON.parse(body!)).toMatchObject(port === 'public' ? { ActionStatus: 'FAIL', ErrorCode: 120006 } : { status: 404 });
    expect(ended).toBe(true);
    for (let count = 0; count < 20; count++) await say(connectRequest, { port, resetAt: /404/ });
    expect((await send('GET', `http://127.0.0.1:${ports.public}${path}`)).status).toBe(200);
  });

  test('the answers that are due before it come first, and what follows it is thrown away', async () => {
    expect(statuses(await say(get + connectRequest))).toEqual(['200', '404']);
    expect(statuses(await say(webhook('first') + get + connectRequest + webhook('behind')))).toEqual(['200', '200', '404']);
    expect(statuses(await say(connectRequest + connectRequest + get))).toEqual(['404']);
    expect(statuses(await say(webhook('second') + 'nonsense\r\n\r\n'))).toEqual(['200', '400']);
  });

  test('what cannot be parsed within a request does not wait for the rest of it', async () => {
    const head = `POST ${path}?${query} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const startedAt = Date.now();
    expect(statuses(await say(`${webhook('third')}${head}nonsense\r\n`))).toEqual(['200', '400']);
    expect(Date.now() - startedAt).toBeLessThan(2500);
  });

  // A reset for unread input discards what the client has not read yet.
  test.each([
    ['an accepted webhook', webhook('closing').replace('\r\n', '\r\nConnection: close\r\n'), '200'],
    ['an announced body', webhook('expected').replace('\r\n', '\r\nExpect: 100-continue\r\n'), '200'],
    ['a webhook of another app', webhook('foreign').replace('1400000001', '2').replace('\r\n', '\r\nConnection: close\r\n'), '403'],
  ])('a client that writes on behind %s and reads late still gets its answer', async (_, request, status) => {
    const socket = connect(ports.public, '127.0.0.1')
      .pause()
      .on('error', () => undefined);
    socket.write(request);
    for (let count = 0; count < 40; count++) {
      socket.write('POST ');
      await sleep(1);
    }
    let text = '';
    for await (const chunk of socket.setTimeout(1000, () => socket.destroySoon())) {
      text += chunk;
      if (statuses({ text, ended: false }).includes(status)) break;
    }
    expect(statuses({ text, ended: false })).toContain(status);
  });
});

// libuv closes such connections itself: once there was not a line.
test('without free file descriptors the log says so once, and when there are some again', async () => {
  const limit = (descriptors: number): unknown => execFileSync('prlimit', ['--pid', String(service.pid), `--nofile=${descriptors}:`]);
  const told = (): unknown[] => service.lines.filter(line => String(line['msg']).startsWith('connections can'));
  limit(readdirSync(`/proc/${service.pid}/fd`).length + 5);
  const sockets = Array.from({ length: 20 }, () => connect(ports.public, '127.0.0.1').on('error', () => undefined));
  try {
    await until(() => told().length > 0, 'word of it');
    await sleep(2000);
    expect(told()).toEqual([
      expect.objectContaining({
        level: 'error',
        msg: 'connections cannot be accepted',
        error: expect.stringMatching(/^EMFILE/) as unknown,
        advice: expect.stringContaining('ulimit -n') as unknown,
      }),
    ]);
  } finally {
    for (const socket of sockets) socket.destroy();
    limit(1024);
  }
  await until(() => told().length === 2, 'the end is told');
  expect(told()[1]).toMatchObject({ level: 'info', msg: 'connections can be accepted again' });
}, 30_000);
