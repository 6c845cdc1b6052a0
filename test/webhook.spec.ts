import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import zlib from 'node:zlib';
import { sql } from 'kysely';
import { mark } from './support/planted.js';
import { type HttpAnswer, send, startTestService } from './support/service.js';
import { until } from './support/until.js';

const path = '/webhooks/tencent-chat';
const changed = 'OfficialAccount.CallbackAfterOfficialAccountInfoChanged';
const folder = mkdtempSync(join(tmpdir(), 'channel-sync-webhook-'));
let service: Awaited<ReturnType<typeof startTestService>>;
let time = Date.now();

beforeAll(async () => {
  service = await startTestService({
    WEBHOOK_TOKENS: `${mark},${mark}-older`,
    WEBHOOK_BODY_LIMIT: '64kb',
    DATABASE_URL: `sqlite:${join(folder, 'test.db')}`,
    SINK_A_TYPE: 'log',
    SINK_A_FIELDS: 'organization',
    SINK_A_CHANNELS: 'none',
  });
}, 30_000);
afterAll(async () => {
  await service.stop();
  rmSync(folder, { recursive: true });
});

const compressors: [string, (data: Buffer) => Buffer][] = [
  ['gzip', zlib.gzipSync],
  ['deflate', zlib.deflateSync],
  ['br', zlib.brotliCompressSync],
  ['zstd', zlib.zstdCompressSync],
];

function query(overrides: Record<string, string | string[] | undefined> = {}): string {
  const requestTime = String(Math.floor(Date.now() / 1000));
  const Sign = createHash('sha256')
    .update(mark + requestTime)
    .digest('hex');
  const all = {
    SdkAppid: '1400000001',
    CallbackCommand: changed,
    contenttype: 'json',
    ClientIP: '127.0.0.1',
    OptPlatform: 'RESTAPI',
    Sign,
    RequestTime: requestTime,
    ...overrides,
  };
  const pairs = Object.entries(all).flatMap(([key, value]) => (value === undefined ? [] : [value].flat().map(one => [key, one])));
  return new URLSearchParams(pairs as [string, string][]).toString();
}

function body(overrides: Record<string, unknown> = {}): Record<string, unknown> {
  time += 1;
  return {
    CallbackCommand: changed,
    Official_Account: '@TOA#_shop',
    Operator_Account: 'leckie',
    Name: '只改名字 📣',
    EventTime: time - 100_000,
    ...overrides,
  };
}

const post = (content: unknown, asked = query(), headers: Record<string, string> = {}): Promise<HttpAnswer> =>
  send(
    'POST',
    `${service.url}${path}?${asked}`,
    content instanceof Uint8Array || typeof content === 'string' ? content : JSON.stringify(content),
    headers,
  );
const kept = async (): Promise<number> => (await service.database.kysely.selectFrom('change').select('id').execute()).length;
const newest = () => service.database.kysely.selectFrom('change').selectAll().orderBy('id', 'desc').executeTakeFirstOrThrow();

function expectPacket(answer: HttpAnswer, status: number, code: number): void {
  expect(answer.headers['content-type']).toMatch(/^application\/json/);
  const packet = JSON.parse(answer.text) as Record<string, unknown>;
  expect(Object.keys(packet).sort()).toEqual(['ActionStatus', 'ErrorCode', 'ErrorInfo']);
  expect([answer.status, packet['ErrorCode'], packet['ActionStatus']]).toEqual([status, code, code === 0 ? 'OK' : 'FAIL']);
  expect(typeof packet['ErrorInfo']).toBe('string');
}

/** Sends and expects the packet, and that exactly `more` changes were kept. */
async function expectAnswer(answer: () => Promise<HttpAnswer>, status: number, code: number, more = 0): Promise<void> {
  const before = await kept();
  expectPacket(await answer(), status, code);
  expect((await kept()) - before).toBe(more);
}

describe('row 1: SdkAppid', () => {
  test.each([undefined, '1400000002', '', ['1400000001', '1400000001'], '1400000001 ', '0x537'])('%j is forbidden', SdkAppid =>
    expectAnswer(() => post(body(), query({ SdkAppid })), 403, 120001),
  );
  test('a second one is seen behind however many parameters, and the only one, too', async () => {
    const many = 'x&'.repeat(2000);
    await expectAnswer(() => post(body(), `${query()}&${many}SdkAppid=1400000001`), 403, 120001);
    await expectAnswer(() => post(body(), `${many}${query()}`), 200, 0, 1);
  });
  test('it comes before the signature, and parameter names are case-sensitive', async () => {
    await expectAnswer(() => post(body(), query({ SdkAppid: '2', Sign: 'x' })), 403, 120001);
    await expectAnswer(() => post(body(), query({ SdkAppid: undefined, sdkappid: '1400000001' })), 403, 120001);
  });
});

describe('row 2: signature', () => {
  const signedAt = (seconds: string, by = mark) =>
    query({
      RequestTime: seconds,
      Sign: createHash('sha256')
        .update(by + seconds)
        .digest('hex'),
    });
  const now = (shift: number): string => String(Math.floor(Date.now() / 1000) + shift);
  test.each<Record<string, string | string[] | undefined>>([
    { Sign: undefined },
    { RequestTime: undefined },
    { Sign: 'a'.repeat(64) },
    { Sign: 'short' },
    { RequestTime: '12' },
    { Sign: ['a', 'b'] },
    { RequestTime: ['1', '2'] },
  ])('%j is unauthorized', overrides => expectAnswer(() => post(body(), query(overrides)), 401, 120002));
  test('outside the window', async () => {
    await expectAnswer(() => post(body(), signedAt(now(-63))), 401, 120002);
    await expectAnswer(() => post(body(), signedAt(now(63))), 401, 120002);
    await expectAnswer(() => post(body(), signedAt(now(-58))), 200, 0, 1);
  });
  test('any token matches, upper-case hex too', async () => {
    await expectAnswer(() => post(body(), signedAt(now(0), `${mark}-older`)), 200, 0, 1);
    const asked = new URLSearchParams(query());
    asked.set('Sign', asked.get('Sign')!.toUpperCase());
    await expectAnswer(() => post(body(), asked.toString()), 200, 0, 1);
  });
  test('it comes before the body: nothing of a body is looked at', () =>
    expectAnswer(() => post('x'.repeat(100_000), query({ Sign: 'x' })), 401, 120002));
});

describe('row 3 and 6: not ours', () => {
  test('another command in the query: the body is not looked at', async () => {
    await expectAnswer(() => post('not json', query({ CallbackCommand: 'State.StateChange' })), 200, 0);
    await expectAnswer(() => post('x'.repeat(100_000), query({ CallbackCommand: 'Group.CallbackAfterNewMemberJoin' })), 200, 0);
    await expectAnswer(() => post(body(), query({ CallbackCommand: 'constructor' })), 200, 0);
  });
  test('no command and no body is a probe', async () => {
    await expectAnswer(() => post('', query({ CallbackCommand: undefined })), 200, 0);
    await expectAnswer(() => post('', query({ CallbackCommand: '' })), 200, 0);
    for (const encoding of ['gzip', 'br', 'compress', 'constructor'])
      await expectAnswer(() => post('', query({ CallbackCommand: undefined }), { 'content-encoding': encoding }), 200, 0);
  });
  test('no command in the query: that of the body counts', async () => {
    await expectAnswer(() => post(body(), query({ CallbackCommand: undefined })), 200, 0, 1);
    await expectAnswer(() => post(body({ CallbackCommand: 'Other' }), query({ CallbackCommand: undefined })), 200, 0);
    await expectAnswer(() => post(body({ CallbackCommand: undefined }), query({ CallbackCommand: undefined })), 200, 0);
    await expectAnswer(() => post(body({ CallbackCommand: 7, Official_Account: 7 }), query({ CallbackCommand: undefined })), 200, 0);
  });
  test('and the other way round', () => expectAnswer(() => post(body({ CallbackCommand: undefined })), 200, 0, 1));
});

describe('row 4: too large', () => {
  const large = (size: number): string => {
    const text = JSON.stringify(body({ Introduction: '' }));
    return text.replace('"Introduction":""', `"Introduction":"${'x'.repeat(size - Buffer.byteLength(text))}"`);
  };
  test('the limit is inside, one byte more is not', async () => {
    await expectAnswer(() => post(large(65_536)), 200, 0, 1);
    await expectAnswer(() => post(large(65_537)), 413, 120004);
  });
  test.each(compressors)('counted after decompression: %s', async (encoding, compress) => {
    const packed = (text: string | Buffer) => post(compress(Buffer.from(text)), query(), { 'content-encoding': encoding });
    await expectAnswer(() => packed(large(65_536)), 200, 0, 1);
    await expectAnswer(() => packed(large(65_537)), 413, 120004);
    await expectAnswer(() => packed(Buffer.alloc(10_000_000, 32)), 413, 120004);
  });
  test('it comes before an unknown encoding and a repeated command', async () => {
    await expectAnswer(() => post('x'.repeat(70_000), query(), { 'content-encoding': 'lzma' }), 413, 120004);
    await expectAnswer(() => post('x'.repeat(70_000), query({ CallbackCommand: [changed, changed] })), 413, 120004);
  });
});

describe('row 5: cannot be read', () => {
  test.each<[string, string | Uint8Array, string, Record<string, string>]>([
    ['a repeated command', JSON.stringify({}), query({ CallbackCommand: [changed, changed] }), {}],
    ['an unknown encoding', '{}', query(), { 'content-encoding': 'compress' }],
    ['corrupt gzip', 'not gzip', query(), { 'content-encoding': 'gzip' }],
    [
      'truncated gzip',
      zlib.gzipSync('{"a":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}').subarray(0, 20),
      query(),
      { 'content-encoding': 'gzip' },
    ],
    ['an encoding that an object has by itself', '{}', query(), { 'content-encoding': 'constructor' }],
    ...compressors.map(([encoding, compress]): [string, Buffer, string, Record<string, string>] => [
      `${encoding} with something behind it`,
      Buffer.concat([compress(Buffer.from(JSON.stringify(body()))), Buffer.from('{}')]),
      query(),
      { 'content-encoding': encoding },
    ]),
    ['corrupt zstd', 'not zstd', query(), { 'content-encoding': 'zstd' }],
    ['no JSON', 'nope', query(), {}],
    ['no JSON, and no command in the query', 'nope', query({ CallbackCommand: undefined }), {}],
    ['a repeated command that is not ours', '', query({ CallbackCommand: ['Other', 'Other'] }), {}],
    ['a repeated command that is empty', '', query({ CallbackCommand: ['', ''] }), {}],
    ['a command that is not ours in the body alone', JSON.stringify(body({ CallbackCommand: 'Other' })), query(), {}],
    ['an empty body with a command', '', query(), {}],
    ['an array', '[]', query(), {}],
    ['null', 'null', query(), {}],
    ['a text', '"x"', query(), {}],
    [
      'commands that differ',
      JSON.stringify({ CallbackCommand: 'OfficialAccount.CallbackAfterCreateOfficialAccount', Official_Account: 'a' }),
      query(),
      {},
    ],
    ['the sample of the vendor page', '{"CallbackCommand":"x", // comment\n"FaceUrl":"a"\n"Organization":"b"}', query(), {}],
  ])('%s', (_, content, asked, headers) => {
    // The queries were signed when the table was made.
    const fresh = new URLSearchParams(query());
    const signed = new URLSearchParams(asked);
    for (const key of ['Sign', 'RequestTime']) signed.set(key, fresh.get(key)!);
    return expectAnswer(() => post(content, signed.toString(), headers), 400, 120003);
  });
});

describe('row 7: fields', () => {
  test.each<Record<string, unknown>>([
    { Official_Account: undefined },
    { Official_Account: 7 },
    { Official_Account: null },
    { Official_Account: '   ' },
    { Official_Account: '' },
    { Official_Account: '中'.repeat(86) },
    { Official_Account: ['a'] },
    { Name: 7 },
    { FaceUrl: {} },
    { Introduction: ['x'] },
    { Organization: true },
  ])('%j is invalid', overrides => expectAnswer(() => post(body(overrides)), 400, 120003));
  test('255 bytes are fine', () => expectAnswer(() => post(body({ Official_Account: '中'.repeat(85) })), 200, 0, 1));
  test('the error names the field', async () => expect((await post(body({ Name: 7 }))).text).toContain('Name'));
});

describe('row 9: kept', () => {
  test('an exact repeat is answered alike and not kept again, whatever does not matter', async () => {
    const one = body();
    await expectAnswer(() => post(one), 200, 0, 1);
    const again = Object.fromEntries(Object.entries({ ...one, Unknown: 1, EventTime: String(one['EventTime']) }).toReversed());
    await expectAnswer(() => post(JSON.stringify(again, null, 3), query({ ClientIP: '::1', OptPlatform: 'Web' })), 200, 0);
  });
  test.each(compressors)('%s is inflated', (encoding, compress) =>
    expectAnswer(() => post(compress(Buffer.from(JSON.stringify(body()))), query(), { 'content-encoding': encoding }), 200, 0, 1),
  );
  // Seen failing with zstd, whose decoder ends with its first frame.
  test.each(compressors)('%s in several frames is one body', async (encoding, compress) => {
    const text = JSON.stringify(body());
    const frames = (...texts: string[]): Buffer => Buffer.concat(texts.map(one => compress(Buffer.from(one))));
    const headers = { 'content-encoding': encoding };
    await expectAnswer(() => post(frames(text.slice(0, 9), '', text.slice(9)), query(), headers), 200, 0, 1);
    await expectAnswer(() => post(frames(JSON.stringify(body()), ' '.repeat(40_000), ' '.repeat(40_000)), query(), headers), 413, 120004);
    // Each frame costs a decoder; that of gzip goes on by itself.
    if (encoding === 'zstd') await expectAnswer(() => post(frames(text, ...Array<string>(5000).fill('')), query(), headers), 400, 120003);
  });
  test('any content type, a byte-order mark, invalid UTF-8, NUL and lone surrogates', async () => {
    await expectAnswer(() => post(`\ufeff${JSON.stringify(body())}`, query(), { 'content-type': 'text/plain; charset=gbk' }), 200, 0, 1);
    const broken = Buffer.from(JSON.stringify(body({ Name: '~\0B\ud800C' }))).map(byte => (byte === 0x7e ? 0xff : byte));
    await expectAnswer(() => post(broken), 200, 0, 1);
    expect((JSON.parse((await newest()).profile) as { name: string }).name).toBe('\ufffd\ufffdB\ufffdC');
  });
  test('deep nesting, duplicate keys, __proto__ keys, unknown fields', async () => {
    const text = JSON.stringify(body());
    await expectAnswer(() => post(`${text.slice(0, -1)},"deep":${'['.repeat(20_000)}${']'.repeat(20_000)}}`), 200, 0, 1);
    await expectAnswer(
      () => post(`${JSON.stringify(body()).slice(0, -1)},"Name":{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}}`),
      400,
      120003,
    );
    await expectAnswer(
      () =>
        post(`${JSON.stringify(body({ Name: 'first' })).slice(0, -1)},"Name":"last","__proto__":{"Introduction":7},"constructor":null}`),
      200,
      0,
      1,
    );
    expect((JSON.parse((await newest()).profile) as { name: string }).name).toBe('last');
  });
  test('an operator that is not text counts as absent; EventTime never refuses', async () => {
    await expectAnswer(() => post(body({ Operator_Account: 7, EventTime: 'soon' })), 200, 0, 1);
    expect(await newest()).toMatchObject({ operator: null, estimated: 1 });
  });
  test.each<[string, Record<string, string | string[]>, Record<string, unknown>, object]>([
    ['told', { ClientIP: '::1', OptPlatform: 'Web' }, { Owner_Account: 'u1001' }, { client_ip: '::1', platform: 'Web', owner: 'u1001' }],
    ['empty', { ClientIP: '', OptPlatform: '' }, { Owner_Account: '' }, { client_ip: null, platform: null, owner: null }],
    [
      'too long',
      { ClientIP: 'x'.repeat(256), OptPlatform: '汉'.repeat(86) },
      { Owner_Account: 'x'.repeat(256) },
      { client_ip: null, platform: null, owner: null },
    ],
    [
      'just short enough',
      { OptPlatform: '汉'.repeat(85) },
      { Owner_Account: 'x'.repeat(255) },
      { platform: '汉'.repeat(85), owner: 'x'.repeat(255) },
    ],
    ['no text', { ClientIP: ['1', '2'] }, { Owner_Account: ['u1001'] }, { client_ip: null, owner: null }],
    ['text that no database stores', { OptPlatform: 'a\0b' }, { Owner_Account: 'a\ud800' }, { platform: 'a\ufffdb', owner: 'a\ufffd' }],
  ])('where a change came from is kept, and never refuses it: %s', async (_, told, more, kept) => {
    await expectAnswer(() => post(body(more), query(told)), 200, 0, 1);
    expect(await newest()).toMatchObject({ source: 'webhook', ...kept });
  });
  test('absent or null is unchanged, an empty text is cleared', async () => {
    const channel = '@TOA#_fields';
    await post(body({ Official_Account: channel, Name: 'n', Introduction: 'i', Organization: 'o' }));
    await post(body({ Official_Account: channel, Name: null, Introduction: '' }));
    expect(JSON.parse((await newest()).profile)).toEqual({ name: 'n', avatarUrl: null, introduction: '', organization: 'o' });
  });
  test('a trailing slash is the same path', () =>
    expectAnswer(() => send('POST', `${service.url}${path}/?${query()}`, JSON.stringify(body())), 200, 0, 1));
});

describe('everything else', () => {
  test('GET and HEAD are probes', async () => {
    await expectAnswer(() => send('GET', service.url + path), 200, 0);
    expect((await send('HEAD', service.url + path)).status).toBe(200);
  });
  test.each([
    ['PUT', path],
    ['DELETE', path],
    ['OPTIONS', path],
    ['PATCH', path],
    ['GET', '/'],
    ['POST', '/'],
    ['POST', `${path}x`],
    ['GET', '/Webhooks/tencent-chat'],
    ['POST', path.toUpperCase()],
    ['GET', '/metrics'],
    ['GET', '/livez'],
    ['GET', '/api/v1/sinks'],
    ['POST', '/%E0%A4%A'],
  ])('%s %s is not found', (method, at) => expectAnswer(() => send(method, service.url + at), 404, 120006));
  /** Says this on a connection of its own and gives what is said back until `end` comes. */
  const say = (text: string, end: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      let got = '';
      const socket = connect(Number(new URL(service.url).port), '127.0.0.1', () => void socket.write(text));
      socket
        .on('data', chunk => {
          got += chunk.toString();
          if (!end.test(got)) return;
          socket.destroy();
          resolve(got);
        })
        .on('end', () => reject(new Error(`ended after ${got}`)))
        .on('error', reject);
    });
  test('CONNECT is not found, and an unknown expectation is a request as any other', async () => {
    expect(await say('CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n', /120006/)).toMatch(
      /^HTTP\/1\.1 404 .*"ActionStatus":"FAIL"/s,
    );
    await expectAnswer(() => post(body(), query(), { expect: 'wonders' }), 200, 0, 1);
  });
  test('who waits for 100 Continue is told to go on only if the query lets them in', async () => {
    const text = JSON.stringify(body());
    const head = (asked: string): string =>
      `POST ${path}?${asked} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n`;
    expect(await say(head(query()), /\r\n\r\n/)).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    expect(await say(head(query({ Sign: 'x' })), /120002/)).toMatch(/^HTTP\/1\.1 401 /);
    expect(await say(head(query()) + text, /"OK"/)).toMatch(/^HTTP\/1\.1 100 [^]*HTTP\/1\.1 200 /);
  });
  test('what is refused by its body is counted under the command of the body', async () => {
    const told = body({ CallbackCommand: 'OfficialAccount.CallbackAfterOfficialAccountDestroyed', Name: 7 });
    await expectAnswer(() => post(told, query({ CallbackCommand: undefined })), 400, 120003);
    const { text } = await send('GET', `${service.managementUrl}/metrics`);
    expect(text).toContain(
      `channel_sync_webhooks_total{command="OfficialAccount.CallbackAfterOfficialAccountDestroyed",result="invalid"} 1`,
    );
  });
  test('what is lost counts for the app that it names, but what anybody else sends with 403 counts for none', async () => {
    const counted: [app: string, result: string][] = [];
    const count = (...rejected: [string, string]): void => void counted.push(rejected);
    service.events.on('rejected', count);
    const appId = '1400000001';
    for (const SdkAppid of [undefined, '1400000002', [appId, appId], `${appId} `])
      expectPacket(await post(body(), query({ SdkAppid })), 403, 120001);
    expectPacket(await post(body({ Name: 'kept' })), 200, 0);
    expectPacket(await post('no JSON', query({ CallbackCommand: 'Group.Other' })), 200, 0);
    expect((await send('POST', `${service.url}/elsewhere?${query()}`, '{}')).status).toBe(404);
    expectPacket(await post(body(), query({ Sign: 'x' })), 401, 120002);
    expectPacket(await post('x'.repeat(100_000)), 413, 120004);
    expectPacket(await post('no JSON'), 400, 120003);
    const { kysely } = service.database;
    await sql`alter table change rename to away`.execute(kysely);
    expectPacket(await post(body({ Name: 'lost' })), 503, 120005);
    await sql`alter table away rename to change`.execute(kysely);
    await until(() => counted.length >= 4, 'all are counted');
    service.events.off('rejected', count);
    expect(counted).toEqual(['unauthorized', 'too_large', 'invalid', 'unavailable'].map(result => [appId, result]));
  });

  test('a kept-alive connection stays open for 75 s', async () => {
    const { headers } = await send('GET', service.url + path, undefined, { connection: 'keep-alive' });
    expect(headers['keep-alive']).toBe('timeout=75');
  });
  test('a refused request leaves its connection usable', async () => {
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(service.url).port), '127.0.0.1', () => {
        socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n${'x'.repeat(200_000)}`);
        socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
      });
      let got = '';
      socket
        .on('data', chunk => (got += chunk.toString()))
        .on('end', () => resolve(got))
        .on('error', reject);
    });
    expect(text).toMatch(/^HTTP\/1\.1 403[^]*HTTP\/1\.1 200/);
  });
  test('a request that has not arrived whole after 10 s is dropped without an answer', async () => {
    const startedAt = Date.now();
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(service.url).port), '127.0.0.1', () => {
        socket.write(`POST ${path}?${query()} HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n{"Official_Account"`);
      });
      let got = '';
      socket
        .on('data', chunk => (got += chunk.toString()))
        .on('close', () => resolve(got))
        .on('error', reject);
    });
    expect(text).toBe('');
    expect(Date.now() - startedAt).toBeGreaterThan(9500);
    expect(Date.now() - startedAt).toBeLessThan(12_000);
  }, 20_000);
});
