import { getEventListeners, once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { Webhook } from 'standardwebhooks';
import { attempt, exampleDelivery, exampleEvent, sinkContract } from '../../../test/sink.contract.ts';
import { crmSink, crmStage } from '../../../test/support/crm-sink.ts';
import { forwardProxy, proxiesOf } from '../../../test/support/proxy.ts';
import { ca, client, server } from '../../../test/support/test-certificates.ts';
import { readClass } from '../../settings/setting.js';
import { TryAgain } from '../errors.js';
import { crmWebhook } from './crm-webhook.sink.js';
import { CrmWebhookSettings } from './crm-webhook.settings.js';

const secrets = [1, 2].map(byte => `whsec_${Buffer.alloc(32, byte).toString('base64')}`);

function read(texts: Record<string, string>): { value: CrmWebhookSettings; mistakes: string[] } {
  return readClass(CrmWebhookSettings, new Map(Object.entries(texts)), 'SINK_CRM_');
}

const { ends, target, sinkAt } = crmStage();

sinkContract('webhook', {
  open(origin, overrides) {
    const URL = `${origin.replace('//', '//planted-user:planted%2Fpassword@')}/hooks/planted-path-token?key=planted-query-token`;
    return crmSink({ URL, SECRETS: secrets.join(), HEADERS: '{"X-Api-Key":"planted-header-token"}' }, {}, overrides);
  },
  secrets: [
    'planted-user',
    'planted/password',
    'planted-user:planted/password',
    'planted-path-token',
    'planted-query-token',
    'planted-header-token',
    ...secrets,
    ...secrets.map(secret => secret.slice('whsec_'.length)),
  ],
});

describe('what a CRM gets', () => {
  const now = Date.parse('2026-11-23T12:00:00.900Z');

  it('is the event as JSON, signed with every secret, under the id of the delivery', async () => {
    const { url, requests } = await target();
    const sink = await sinkAt(`${url}/hook?a=b`, { SECRETS: ` ${secrets.join(' , ')}` }, { now: () => now });
    const delivery = exampleDelivery({ event: exampleEvent({ operator: '频道 & <Pénn> \u2028"' }) });
    expect(await attempt(sink, delivery)).toBeNull();

    const [request] = requests;
    expect(request).toMatchObject({ method: 'POST', path: '/hook?a=b' });
    expect(JSON.parse(request?.body ?? '')).toEqual(delivery.event);
    const { headers = {} } = request ?? {};
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(request?.body ?? '')),
      'webhook-id': delivery.id,
      'idempotency-key': delivery.id,
      'webhook-timestamp': '1795435200',
    });
    expect(headers['user-agent']).toMatch(/^channel-sync\/\d+\.\d+\.\d+/);
    const signatures = String(headers['webhook-signature']).split(' ');
    expect(signatures).toEqual(secrets.map(secret => new Webhook(secret).sign(delivery.id, new Date(now), request?.body ?? '')));
  });

  it('can be verified with either secret, and with no other', async () => {
    const { url, requests } = await target();
    await attempt(await sinkAt(url, { SECRETS: secrets.join() }), exampleDelivery());
    const { body = '', headers = {} } = requests[0] ?? {};
    for (const secret of secrets) expect(new Webhook(secret).verify(body, headers as Record<string, string>)).toEqual(exampleEvent());
    const other = new Webhook(`whsec_${Buffer.alloc(32, 3).toString('base64')}`);
    expect(() => other.verify(body, headers as Record<string, string>)).toThrow('No matching signature');
  });

  it('has the same id and body on every try, and the time of the try', async () => {
    const { url, requests } = await target();
    let time = now;
    const sink = await sinkAt(url, { SECRETS: secrets.join() }, { now: () => time });
    const delivery = exampleDelivery();
    await attempt(sink, delivery);
    time += 60_000;
    await attempt(sink, delivery);
    const [first, second] = requests;
    expect(second?.body).toBe(first?.body);
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    expect(second?.headers['webhook-timestamp']).toBe('1795435260');
    expect(second?.headers['webhook-signature']).not.toBe(first?.headers['webhook-signature']);
  });

  it('carries no signature without secrets, which is warned of once, at the start', async () => {
    const { url, requests } = await target();
    const warnings: string[] = [];
    const warn = (message: string): void => void warnings.push(message);
    const sink = await sinkAt(url, {}, { warn });
    await attempt(sink);
    await attempt(sink);
    expect(requests[0]?.headers).not.toHaveProperty('webhook-signature');
    expect(requests[0]?.headers).toHaveProperty('webhook-timestamp');
    expect(warnings).toEqual([expect.stringContaining('SINK_CRM_SECRETS')]);
    await sinkAt(url, { SECRETS: secrets.join() }, { warn });
    expect(warnings).toHaveLength(1);
  });

  it('carries the extra headers and the credentials of the URL', async () => {
    const { url, requests } = await target();
    const sink = await sinkAt(url.replace('//', '//user:p%40ss%3A@'), { HEADERS: '{"X-Tenant":"42","Accept":"text/plain"}' });
    await attempt(sink);
    const authorization = `Basic ${Buffer.from('user:p@ss:').toString('base64')}`;
    expect(requests[0]?.headers).toMatchObject({ 'x-tenant': '42', accept: 'text/plain', authorization });
  });
});

describe('connections', () => {
  it('are used again', async () => {
    const { url, requests } = await target();
    const sink = await sinkAt(url);
    for (let index = 0; index < 10; index += 1) await attempt(sink);
    expect(new Set(requests.map(({ remotePort }) => remotePort)).size).toBe(1);
  });

  it('are used again after answers that are no success', async () => {
    const { url, requests } = await target(() => ({ status: 500, body: 'x'.repeat(50_000) }));
    const sink = await sinkAt(url);
    for (let index = 0; index < 5; index += 1) await attempt(sink);
    expect(new Set(requests.map(({ remotePort }) => remotePort)).size).toBe(1);
  });

  it('are never more than attempts at once', async () => {
    const { url, requests } = await target();
    const sink = await sinkAt(url, { CONCURRENCY: '3' });
    await Promise.all(Array.from({ length: 30 }, () => attempt(sink)));
    expect(requests).toHaveLength(30);
    expect(new Set(requests.map(({ remotePort }) => remotePort)).size).toBeLessThanOrEqual(3);
  });

  it('are free again after answers that came before the request was read', async () => {
    let answered = 0;
    const server = createServer(socket =>
      socket.once('data', () => {
        answered += 1;
        socket.pause().write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      }),
    );
    await once(server.listen(0, '127.0.0.1'), 'listening');
    ends.push(async () => server.close());
    const sink = await sinkAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, { CONCURRENCY: '1', TIMEOUT_MS: '5000' });
    const event = exampleEvent();
    // Far more than the buffers of both ends hold.
    Object.assign(event.data.profile, { introduction: 'x'.repeat(30_000_000) });
    for (let index = 0; index < 3; index += 1) expect(await attempt(sink, exampleDelivery({ event }))).toBeNull();
    expect(answered).toBe(3);
  });

  it('leave no listeners on the signal they were given', async () => {
    const { url } = await target();
    const sink = await sinkAt(url);
    const { signal } = new AbortController();
    await attempt(sink, exampleDelivery(), signal);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

it.each([
  [200, null],
  [422, 'answered 422'],
])('an answer of %i with long headers is one', async (status, message) => {
  const { url } = await target(() => ({ status, headers: { 'set-cookie': 'x'.repeat(200_000) } }));
  expect((await attempt(await sinkAt(url)))?.message ?? null).toBe(message);
});

describe('the rest of an answer', () => {
  it.each([
    [204, null],
    [200, null],
    [400, 'refused'],
    [503, 'retry'],
  ])('does not matter when it never ends: %i decides within a second', async (status, outcome) => {
    const { url } = await target((_, response) => response.writeHead(status, { 'content-length': '10' }).flushHeaders());
    const start = performance.now();
    const error = await attempt(await sinkAt(url));
    expect(error?.outcome ?? null).toBe(outcome);
    expect(performance.now() - start).toBeLessThan(2500);
  });

  it('is dropped after 64 kB', async () => {
    let sent = 0;
    const { url } = await target((_, response) => {
      const chunk = Buffer.alloc(16_384, 'x');
      const pump = (): void => {
        if (response.destroyed) return;
        sent += chunk.length;
        if (response.write(chunk)) setImmediate(pump);
        else response.once('drain', pump);
      };
      pump();
    });
    const start = performance.now();
    expect(await attempt(await sinkAt(url))).toBeNull();
    expect(performance.now() - start).toBeLessThan(900);
    // Socket buffers on both ends hold a few megabytes unread.
    expect(sent).toBeLessThan(30_000_000);
  });

  it('does not matter when it breaks off', async () => {
    const { url } = await target((_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{');
      setTimeout(() => response.socket?.resetAndDestroy(), 20);
    });
    expect(await attempt(await sinkAt(url))).toBeNull();
  });

  it.each(['gzip', 'deflate', 'br', 'zstd'] as const)('is inflated, although we ask for none: %s', async encoding => {
    const compress = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync }[encoding];
    const { url, requests } = await target((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': encoding }).end(compress('{"code":7}'));
    });
    const sink = await sinkAt(url, { SUCCESS: 'answer.code == 0' });
    for (let index = 0; index < 2; index += 1) expect((await attempt(sink))?.response).toBe('{"code":7}');
    expect(requests[0]!.headers['accept-encoding']).toBe('identity');
    expect(new Set(requests.map(({ remotePort }) => remotePort)).size).toBe(1);
  });

  it.each(['gzip', 'br', 'nonsense'])('does not matter when it cannot be inflated: %s', async encoding => {
    const { url } = await target(() => ({ headers: { 'content-encoding': encoding }, body: 'not compressed' }));
    expect(await attempt(await sinkAt(url))).toBeNull();
  });

  it('is dropped after 64 kB, whatever its size was before it was inflated', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000, 'x'));
    const { url } = await target((_, response) => {
      response.writeHead(422, { 'content-type': 'text/plain', 'content-encoding': 'gzip' }).end(bomb);
    });
    const before = process.memoryUsage().rss;
    expect((await attempt(await sinkAt(url)))?.response).toBe('x'.repeat(500));
    expect(process.memoryUsage().rss - before).toBeLessThan(40_000_000);
  });

  it('does not undo a delivery when we shut down meanwhile', async () => {
    const { url } = await target((_, response) => response.writeHead(200, { 'content-length': '10' }).flushHeaders());
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 200);
    expect(await attempt(await sinkAt(url), exampleDelivery(), controller.signal)).toBeNull();
  });
});

describe('TLS', () => {
  const tls = { key: server.key, cert: server.cert };

  it('works with a private CA, and is misconfigured without it', async () => {
    const { url } = await target(undefined, { tls });
    expect(await attempt(await sinkAt(url, { CA: ca }))).toBeNull();
    expect(await attempt(await sinkAt(url))).toMatchObject({ outcome: 'misconfigured', message: expect.stringMatching(/^TLS failed/) });
  });

  it('is misconfigured when the certificate is of another host', async () => {
    const { url } = await target(undefined, { tls });
    const sink = await sinkAt(url.replace('127.0.0.1', 'localhost'), { CA: ca });
    expect(await attempt(sink)).toMatchObject({ outcome: 'misconfigured' });
  });

  it('is misconfigured when the target does not speak it', async () => {
    const { url } = await target();
    expect(await attempt(await sinkAt(url.replace('http:', 'https:')))).toMatchObject({ outcome: 'misconfigured' });
  });

  it('shows our certificate where one is asked for', async () => {
    const { url } = await target(undefined, { tls: { ...tls, ca, requestCert: true, rejectUnauthorized: true } });
    expect(await attempt(await sinkAt(url, { CA: ca, CERT: client.cert, KEY: client.key }))).toBeNull();
    expect(await attempt(await sinkAt(url, { CA: ca }))).toMatchObject({ outcome: 'misconfigured' });
  });

  it('uses its connections again', async () => {
    const { url, requests } = await target(undefined, { tls });
    const sink = await sinkAt(url, { CA: ca });
    for (let index = 0; index < 3; index += 1) await attempt(sink);
    expect(new Set(requests.map(({ remotePort }) => remotePort)).size).toBe(1);
  });

  it('wants key and certificate together, and of one kind', () => {
    const URL = 'https://crm.example.com';
    const { cert: CERT, key: KEY } = client;
    expect(read({ URL, CERT }).mistakes).toEqual(['SINK_CRM_KEY is required with CERT']);
    expect(read({ URL, KEY }).mistakes).toEqual(['SINK_CRM_CERT is required with KEY']);
    expect(read({ URL, CERT, KEY: server.key }).mistakes).toEqual([expect.stringMatching(/^SINK_CRM_KEY must be the private key of CERT/)]);
    expect(read({ URL, CERT, KEY }).mistakes).toEqual([]);
    expect(read({ URL, CA: `${CERT}\n${ca}` }).mistakes).toEqual([]);
  });
});

describe('settings', () => {
  const URL = 'https://crm.example.com/hook';

  it('need a URL alone', () => {
    const { value, mistakes } = read({ URL });
    expect(mistakes).toEqual([]);
    expect(value).toMatchObject({ MODE: 'log', TIMEOUT_MS: 10_000, CONCURRENCY: 16 });
    expect(crmWebhook.mode(value)).toBe('log');
    expect(crmWebhook.mode(read({ URL, MODE: 'state' }).value)).toBe('state');
    expect(read({}).mistakes).toEqual(['SINK_CRM_URL is required']);
  });

  it.each(['http://crm', 'http://crm.default.svc.cluster.local:8080/a?b=c', 'https://user:secret@10.0.0.1', 'http://[::1]:3000/'])(
    'take %s',
    url => {
      expect(read({ URL: url }).mistakes).toEqual([]);
    },
  );

  it.each([
    ['URL', 'ftp://planted', 'an http or https URL'],
    ['URL', 'crm.planted', 'an http or https URL'],
    ['URL', 'http://planted host/', 'an http or https URL'],
    ['SECRETS', ',', ''],
    ['SECRETS', 'planted', '`whsec_`'],
    ['SECRETS', `${secrets[0]},whsec_planted`, '`whsec_`'],
    ['SECRETS', `whsec_${Buffer.alloc(23).toString('base64')}`, '24 to 64 bytes'],
    ['HEADERS', 'planted', 'a JSON object'],
    ['HEADERS', '["planted"]', 'a JSON object'],
    ['HEADERS', 'null', 'a JSON object'],
    ['HEADERS', '{"X-Planted":1}', 'a JSON object'],
    ['HEADERS', '{"X Planted":"1"}', 'a JSON object'],
    ['HEADERS', '{"X-Planted":"a\\nb"}', 'a JSON object'],
    ['HEADERS', '{"Content-Type":"planted"}', 'without the headers'],
    ['HEADERS', '{"WEBHOOK-ID":"planted"}', 'without the headers'],
    ['HEADERS', '{"idempotency-key":"planted"}', 'without the headers'],
    ['HEADERS', '{"Traceparent":"planted"}', 'without the headers'],
    ['MODE', 'report', ''],
    ['CA', 'planted', 'in PEM'],
    ['CA', '-----BEGIN CERTIFICATE-----\nplanted\n-----END CERTIFICATE-----', 'in PEM'],
    ['CERT', 'planted', 'in PEM'],
    ['KEY', 'planted', 'a private key in PEM'],
  ])('refuse %s=%s in one line that does not repeat it', (property, text, message) => {
    // CERT or KEY alone also reports the other one as missing.
    const mistakes = read({ URL, [property]: text }).mistakes.filter(line => !/ is required with /.test(line));
    expect(mistakes).toEqual([expect.stringMatching(new RegExp(`^SINK_CRM_${property} `))]);
    expect(mistakes[0]).toContain(message);
    expect(mistakes[0]).not.toMatch(/planted/i);
  });

  it('refuse two ways to authorize at once', () => {
    const { mistakes } = read({ URL: 'https://user:secret@crm.example.com', HEADERS: '{"Authorization":"Bearer planted"}' });
    expect(mistakes).toEqual([expect.stringMatching(/^SINK_CRM_HEADERS must be without authorization/)]);
  });
});

it('is checked without a request, and says what was not tried: through a proxy the target, too', async () => {
  const { url, requests } = await target();
  const between = await forwardProxy();
  ends.push(() => between.close());
  const check = async (outside: Parameters<typeof sinkAt>[2]) => (await sinkAt(url, {}, outside)).check(new AbortController().signal);
  const untried = 'and credentials are not tried until the first delivery or `test`';
  expect(await check({})).toEqual({ problems: [], summary: `reachable; its path ${untried}` });
  const proxies = proxiesOf({ http_proxy: between.url() });
  const said = `its proxy is reachable; the target behind it, its path ${untried}`;
  expect(await check({ proxies })).toEqual({ problems: [], summary: said });
  expect([requests, between.seen]).toEqual([[], []]);
});

it('tells of a time-out in words that help', async () => {
  const { url } = await target(() => {});
  const error = await attempt(await sinkAt(url, { TIMEOUT_MS: '100' }));
  expect(error).toBeInstanceOf(TryAgain);
  expect(error).toMatchObject({ message: 'timed out after 100 ms', advice: ['check_answers_in_time'] });
});
