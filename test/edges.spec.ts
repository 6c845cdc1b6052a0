import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import zlib from 'node:zlib';
import fc from 'fast-check';
import { ServiceProcess } from './support/process.js';
import { send, startTestService } from './support/service.js';
import { until } from './support/until.js';
import { commands as vendorCommands } from './support/vendor.js';

const path = '/webhooks/tencent-chat';
const commands = Object.values(vendorCommands);

/** A sink that wants nothing, so that standard output stays readable. */
const quiet = { SINK_A_TYPE: 'log', SINK_A_CHANNELS: 'nothing' };

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'channel-sync-edges-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('anything at all', () => {
  const word = fc.string({ unit: 'binary', maxLength: 20 });
  const known = fc.constantFrom('SdkAppid', 'CallbackCommand', 'Sign', 'RequestTime', 'sdkappid', '__proto__', 'a[b]', 'a[]', '');
  const value = fc.oneof(word, fc.constantFrom('1400000001', ...commands));
  const query = fc
    .array(fc.tuple(fc.oneof(known, word), value), { maxLength: 8 })
    .map(pairs =>
      pairs.map(([name, told]) => `${encodeURIComponent(name.toWellFormed())}=${encodeURIComponent(told.toWellFormed())}`).join('&'),
    );
  const ours = fc.constantFrom(...commands.map(command => `SdkAppid=1400000001&CallbackCommand=${command}`), 'SdkAppid=1400000001');
  const field = fc.constantFrom(
    'CallbackCommand',
    'Official_Account',
    'Name',
    'FaceUrl',
    'Introduction',
    'Organization',
    'Operator_Account',
    'EventTime',
    '__proto__',
    'constructor',
    'toString',
  );
  const json = fc
    .dictionary(fc.oneof(field, word), fc.oneof(value, fc.jsonValue({ maxDepth: 3 })), { maxKeys: 9 })
    .map(object => Buffer.from(JSON.stringify(object)));
  const shaped = fc
    .record(
      { Official_Account: word, Name: fc.oneof(word, fc.constant(null), fc.jsonValue()), EventTime: fc.jsonValue() },
      { requiredKeys: [] },
    )
    .map(object => Buffer.from(JSON.stringify(object)));
  // Every now and then one that is fine, so that what is kept is looked at, too.
  const fine = fc
    .record({ Official_Account: fc.constantFrom('a', 'b'), Name: word, EventTime: fc.nat() })
    .map(object => Buffer.from(JSON.stringify(object)));
  const bytes = fc.uint8Array({ maxLength: 300 }).map(array => Buffer.from(array));
  const body = fc.oneof({ weight: 3, arbitrary: fine }, json, shaped, bytes);
  const encodings: Record<string, (bytes: Buffer) => Buffer> = {
    gzip: bytes => zlib.gzipSync(bytes),
    deflate: bytes => zlib.deflateSync(bytes),
    br: bytes => zlib.brotliCompressSync(bytes),
    zstd: bytes => zlib.zstdCompressSync(bytes),
    identity: bytes => bytes,
    unknown: bytes => bytes,
  };
  const encoding = fc.tuple(fc.constantFrom(...Object.keys(encodings)), fc.boolean());

  test('is answered with the packet, never with a 5xx, and with 200 only if it was kept or is not ours', async () => {
    const service = await startTestService({
      DATABASE_URL: `sqlite:${join(folder, 'test.db')}`,
      WEBHOOK_BODY_LIMIT: '64kb',
      ...quiet,
    });
    const counted = async (): Promise<Record<string, number>> => {
      const { text } = await send('GET', `${service.managementUrl}/metrics`);
      const lines = [...text.matchAll(/^channel_sync_webhooks_total\{command="[^"]*",result="(\w+)"\} (\d+)$/gm)];
      const sums: Record<string, number> = {};
      for (const [, result, count] of lines) if (count !== '0') sums[result!] = (sums[result!] ?? 0) + Number(count);
      return sums;
    };
    try {
      let ok = 0;
      await fc.assert(
        fc.asyncProperty(fc.oneof(query, ours), body, encoding, async (parameters, told, [name, honest]) => {
          const sent = honest ? encodings[name]!(told) : told;
          const answer = await send('POST', `${service.url}${path}?${parameters}`, sent, {
            ...(name !== 'identity' && { 'content-encoding': name }),
            'content-type': 'anything',
          });
          expect([200, 400, 401, 403, 413]).toContain(answer.status);
          expect(Object.keys(JSON.parse(answer.text) as object)).toEqual(['ActionStatus', 'ErrorCode', 'ErrorInfo']);
          ok += Number(answer.status === 200);
        }),
        { numRuns: 1500 },
      );
      const { recorded = 0, repeat = 0, ignored = 0, ...others } = await counted();
      expect(ok).toBe(recorded + repeat + ignored);
      // About 200 of 1,500 are.
      expect(recorded).toBeGreaterThan(50);
      expect(Object.keys(others).sort()).toEqual(['forbidden', 'invalid']);
      const rows = await service.database.kysely.selectFrom('change').select('id').execute();
      expect(rows).toHaveLength(recorded);
    } finally {
      await service.stop();
    }
  }, 60_000);
});

describe('who does not behave', () => {
  let service: ServiceProcess;
  let url: string;
  const sockets: Socket[] = [];
  beforeEach(async () => {
    service = new ServiceProcess({ DATABASE_URL: `sqlite:${join(folder, 'test.db')}`, WEBHOOK_BODY_LIMIT: '1mb', ...quiet });
    ({ url } = await service.listening());
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await service.kill();
  });

  /** A connection that only says what it is told to. */
  const open = async (says: string): Promise<Socket> => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    sockets.push(socket);
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.on('error', () => undefined).resume();
    if (says !== '') socket.write(says);
    return socket;
  };
  const kept = async (name: string): Promise<number> => {
    const query = `SdkAppid=1400000001&CallbackCommand=${vendorCommands.changed}`;
    return (await send('POST', `${url}${path}?${query}`, JSON.stringify({ Official_Account: 'a', Name: name }))).status;
  };

  test('2,000 idle connections, and as many that never finish, keep nobody else out', async () => {
    for (let count = 0; count < 2000; count += 100) {
      await Promise.all(Array.from({ length: 100 }, () => open('')));
      await Promise.all(
        Array.from({ length: 100 }, (_, index) =>
          open(
            index % 2 === 0
              ? `POST ${path}?SdkAppid=1400000001 HTTP/1.1\r\nHost: a\r\nX-Slow: `
              : `POST ${path}?SdkAppid=1400000001 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{"Off`,
          ),
        ),
      );
    }
    expect(await kept('among them')).toBe(200);
    // Those that have begun a request and do not end it are dropped after 10 s.
    const unfinished = sockets.filter((_, index) => index % 200 >= 100);
    expect(unfinished).toHaveLength(2000);
    await until(() => unfinished.every(socket => socket.closed), 'all of them dropped', 15_000);
    expect(await kept('after them')).toBe(200);
  }, 60_000);

  test('a flood of bodies and of what inflates to gigabytes stays within a bound of memory', async () => {
    const rssMb = (): number => Number(execFileSync('ps', ['-o', 'rss=', '-p', String(service.pid)], { encoding: 'utf8' })) / 1024;
    const bomb = zlib.gzipSync(Buffer.alloc(200 * 1024 * 1024));
    const large = Buffer.alloc(20 * 1024 * 1024, ' ');
    const query = `SdkAppid=1400000001&CallbackCommand=${vendorCommands.changed}`;
    let most = 0;
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, index) =>
          (index % 2 === 0
            ? send('POST', `${url}${path}?${query}`, bomb, { 'content-encoding': 'gzip' })
            : send('POST', `${url}${path}?${query}`, large)
          ).catch(() => null),
        ),
      );
      // The connection may be cut while the rest of a body is still being sent.
      expect(answers.every(answer => answer === null || answer.status === 413)).toBe(true);
      most = Math.max(most, rssMb());
      expect(await kept(`round ${round}`)).toBe(200);
    }
    expect(most).toBeLessThan(400);
  }, 60_000);
});
