import { setTimeout as sleep } from 'node:timers/promises';
import { attempt, exampleDelivery } from '../../../test/sink.contract.ts';
import { crmStage } from '../../../test/support/crm-sink.ts';
import type { FakeServer, Handler } from '../../../test/support/fake-server.ts';
import { ca, client, server } from '../../../test/support/test-certificates.ts';
import { forwardProxy, proxiesOf } from '../../../test/support/proxy.ts';
import { oauthServer } from '../../../test/support/oauth-server.ts';
import { until } from '../../../test/support/until.ts';
import { inEnglish } from '../../explanations/explanation.js';
import type { TryAgain } from '../errors.js';

const { ends, target, sinkAt: open } = crmStage();

const secret = 'planted client/secret+&';

function sinkAt(url: string, tokenUrl: string, texts: Record<string, string> = {}, outside: Parameters<typeof open>[2] = {}) {
  const oauth = { OAUTH_TOKEN_URL: tokenUrl, OAUTH_CLIENT_ID: 'channel sync', OAUTH_CLIENT_SECRET: secret };
  return open(url, { ...oauth, ...texts }, outside);
}

/** A token endpoint that counts its tokens. */
async function endpoint(answer: (form: URLSearchParams, authorization: string | undefined, count: number) => ReturnType<Handler>) {
  let count = 0;
  const forms: URLSearchParams[] = [];
  const server = await target(({ body, headers }) => {
    forms.push(new URLSearchParams(body));
    return answer(forms.at(-1)!, headers.authorization, ++count);
  });
  return { url: `${server.url}/token`, forms };
}

const tokens = (expires_in?: number) =>
  endpoint((_form, _basic, count) => ({ body: { access_token: `token-number-${count}`, token_type: 'Bearer', expires_in } }));
const bearers = (server: FakeServer): unknown[] => server.requests.map(({ headers }) => headers.authorization);

describe('OAuth 2 client credentials', () => {
  it('gets a token from a real server, once for all attempts', async () => {
    const issuer = await oauthServer();
    ends.push(() => issuer.close());
    const { url, forms } = await endpoint(async form => {
      const response = await fetch(issuer.tokenUrl, { method: 'POST', body: form });
      return { status: response.status, body: (await response.json()) as object };
    });
    const crm = await target();
    const sink = await sinkAt(crm.url, url, { OAUTH_SCOPE: 'contacts.write' });
    expect(await Promise.all(Array.from({ length: 8 }, () => attempt(sink, exampleDelivery())))).toEqual(Array(8).fill(null));
    expect(forms.map(form => Object.fromEntries(form))).toEqual([
      { grant_type: 'client_credentials', scope: 'contacts.write', client_id: 'channel sync', client_secret: secret },
    ]);
    expect(new Set(bearers(crm)).size).toBe(1);
    expect(bearers(crm)[0]).toMatch(/^Bearer eyJ/);
  });

  it('takes a lifetime that is no number for none', async () => {
    const { url } = await endpoint(() => ({ body: { access_token: 'token', expires_in: { toString: 1, valueOf: 1 } } }));
    expect(await attempt(await sinkAt((await target()).url, url))).toBeNull();
  });

  it('names the client in the body, and by HTTP Basic where only that is taken, from then on', async () => {
    const basic = `Basic ${Buffer.from('channel+sync:planted+client%2Fsecret%2B%26').toString('base64')}`;
    const { url, forms } = await endpoint((form, authorization, count) =>
      authorization === basic && !form.has('client_secret')
        ? { body: { access_token: `token-${count}`, expires_in: 1 } }
        : { status: 401, body: { error: 'invalid_client' } },
    );
    const crm = await target();
    let time = Date.now();
    const sink = await sinkAt(crm.url, url, { OAUTH_AUDIENCE: 'https://crm.example.com' }, { now: () => time });
    expect(await attempt(sink)).toBeNull();
    time += 1000;
    expect(await attempt(sink)).toBeNull();
    expect(forms.map(form => form.get('client_id'))).toEqual(['channel sync', null, null]);
    expect(forms.every(form => form.get('audience') === 'https://crm.example.com' && !form.has('scope'))).toBe(true);
    expect(bearers(crm)).toEqual(['Bearer token-2', 'Bearer token-3']);
  });

  test.each<[number | undefined, number, number]>([
    [3600, 3_569_000, 3_571_000],
    [60, 29_000, 31_000],
    [10, 4000, 6000],
  ])('a token that lives for %p s is used up to %i ms, and not after %i', async (life, used, renewed) => {
    const { url, forms } = await tokens(life);
    const crm = await target();
    let time = Date.now();
    const [start, sink] = [time, await sinkAt(crm.url, url, {}, { now: () => time })];
    for (time of [start, start + used, start + renewed]) expect(await attempt(sink)).toBeNull();
    expect(bearers(crm)).toEqual([1, 1, 2].map(count => `Bearer token-number-${count}`));
    expect(forms).toHaveLength(2);
  });

  it('a token may come with a byte-order mark', async () => {
    const { url } = await endpoint(() => ({ body: `\ufeff${JSON.stringify({ access_token: 'the-token' })}` }));
    const crm = await target();
    expect(await attempt(await sinkAt(crm.url, url))).toBeNull();
    expect(bearers(crm)).toEqual(['Bearer the-token']);
  });

  it('a token without an end is used until the target refuses it', async () => {
    const { url } = await tokens();
    const crm = await target(({ headers }) => ({
      status: headers.authorization === 'Bearer token-number-1' && crm.requests.length > 2 ? 401 : 204,
    }));
    let time = Date.now();
    const sink = await sinkAt(crm.url, url, {}, { now: () => time });
    for (let tries = 0; tries < 3; tries++, time += 86_400_000) expect(await attempt(sink)).toBeNull();
    expect(bearers(crm)).toEqual([1, 1, 1, 2].map(count => `Bearer token-number-${count}`));
    const [, , third, fourth] = crm.requests;
    expect(fourth!.headers['webhook-id']).toBe(third!.headers['webhook-id']);
  });

  it('a 401 is tried once more with a new token, and no answer that repeats a token tells it', async () => {
    const { url, forms } = await tokens(3600);
    const crm = await target(({ headers }) => ({
      status: 401,
      body: { error: `no ${headers.authorization}`, got: Buffer.from(String(headers.authorization)).toString('base64') },
    }));
    const error = await attempt(await sinkAt(crm.url, url));
    expect(error).toMatchObject({ outcome: 'misconfigured', status: 401, response: '{"error":"no Bearer ***","got":"***"}' });
    expect([crm.requests.length, forms.length]).toEqual([2, 2]);
  });

  const refusals: [string, Awaited<ReturnType<Handler>>, string, RegExp, RegExp][] = [
    [
      'a wrong secret',
      { status: 401, body: { error: 'invalid_client' } },
      'misconfigured',
      /answered 401, invalid_client$/,
      /CLIENT_SECRET/,
    ],
    ['a wrong scope', { status: 400, body: { error: 'invalid_scope' } }, 'misconfigured', /answered 400, invalid_scope$/, /OAUTH_SCOPE/],
    [
      'another refusal',
      { status: 400, body: { error: 'invalid_request' } },
      'misconfigured',
      /answered 400, invalid_request$/,
      /OAUTH_TOKEN_URL/,
    ],
    ['no such page', { status: 404, body: '<h1>nothing</h1>' }, 'misconfigured', /answered 404$/, /OAUTH_TOKEN_URL/],
    ['forbidden', { status: 403 }, 'misconfigured', /answered 403$/, /OAUTH_/],
    ['a redirect', { status: 302, headers: { location: '/elsewhere' } }, 'misconfigured', /answered 302$/, /final address/],
    ['an outage', { status: 503 }, 'retry', /answered 503$/, /authorization server/],
    ['too many requests', { status: 429, headers: { 'retry-after': '7' } }, 'retry', /answered 429$/, /authorization server/],
    ['a time-out', { status: 408 }, 'retry', /answered 408$/, /authorization server/],
    [
      'temporary trouble',
      { status: 400, body: { error: 'temporarily_unavailable' }, headers: { 'retry-after': '7' } },
      'retry',
      /temporarily_unavailable$/,
      /authorization server/,
    ],
    [
      'a 200 that names an error',
      { body: { error: 'unauthorized_client' }, headers: { 'retry-after': '7' } },
      'retry',
      /answered 200, unauthorized_client$/,
      /client_credentials/,
    ],
    ['a page', { body: '<html>log in</html>' }, 'retry', /without a token$/, /authorization server/],
    ['a token by another name', { body: { accessToken: 'planted-other-token' } }, 'retry', /without a token$/, /authorization server/],
    ['a token that no header can carry', { body: { access_token: 'a\r\nb' } }, 'retry', /without a token$/, /authorization server/],
  ];
  test.each(refusals)('%s', async (_, answer, outcome, why, advice) => {
    const { url } = await endpoint(() => answer);
    const crm = await target();
    const error = await attempt(await sinkAt(crm.url, url));
    expect(error).toMatchObject({ outcome, message: expect.stringMatching(why) as string });
    expect(error!.message).toMatch(/^the token endpoint /);
    expect(inEnglish(error!.advice)).toMatch(advice);
    expect(error!.response ?? '').not.toContain('planted');
    expect((error as TryAgain).retryAfterMs ?? 0).toBe(answer?.headers?.['retry-after'] === undefined ? 0 : 7000);
    expect(crm.requests).toEqual([]);
  });

  it('keeps what the endpoint answered, without the secret', async () => {
    const { url } = await endpoint(form => ({ status: 400, body: { error: 'invalid_scope', sent: form.toString() } }));
    const error = await attempt(await sinkAt((await target()).url, url));
    expect(error!.response).toMatch(
      /^\{"error":"invalid_scope","sent":"grant_type=client_credentials&client_id=channel\+sync&client_secret=\*\*\*"\}$/,
    );
  });

  it('does not tell tokens that come with an error', async () => {
    const body = { error: 'server_error', access_token: 'planted-token-1', refresh_token: 'planted-token-2', token_type: 'Bearer' };
    const { url } = await endpoint(() => ({ status: 503, body }));
    const error = await attempt(await sinkAt((await target()).url, url));
    expect(error!.response).toBe('{"error":"server_error","access_token":"***","refresh_token":"***","token_type":"Bearer"}');
  });

  it.each([
    ['deep in JSON', '{"error":"server_error","data":{"accessToken":"planted\\/token-1","tokenType":"Bearer"}}'],
    ['in JSON that ends early', '{"error":"server_error","id_token": "planted/token-1'],
    ['in JSON within JSON', String.raw`{"cause":"{\"access_token\":\"planted/token-1\"}"}`],
    ['in a form', 'error=server_error&access_token=planted/token-1&token_type=Bearer'],
    ['in XML', '<error><token>planted/token-1</token></error>'],
    ['in prose', 'cannot store token: planted/token-1'],
  ])('does not tell a token that comes %s', async (_, body) => {
    const { url } = await endpoint(() => ({ status: 503, headers: { 'content-type': 'text/plain' }, body }));
    const error = await attempt(await sinkAt((await target()).url, url));
    expect(error!.response).toBe(body.replace(/planted\\?\/token-1/, '***'));
  });

  it('tells all of an answer whose tokens are empty or only named', async () => {
    const body = '{"error":"invalid_token","refresh_token":"","error_description":"the access token: expired"}';
    const { url } = await endpoint(() => ({ status: 503, headers: { 'content-type': 'application/json' }, body }));
    const error = await attempt(await sinkAt((await target()).url, url));
    expect(error!.response).toBe(body);
  });

  it('does not tell the credentials of HTTP Basic either', async () => {
    const { url } = await endpoint((_form, authorization = 'none') => ({ status: 401, body: { error: 'invalid_client', authorization } }));
    const error = await attempt(await sinkAt((await target()).url, url, { OAUTH_CLIENT_SECRET: 'planted~client/secret' }));
    expect(error!.response).toMatch(/"authorization":"(none|Basic \*\*\*)"/);
  });

  it('the endpoint is reached with the CA of the sink, and what fails below HTTP is told as its', async () => {
    const secure = await target(() => ({ body: { access_token: 'the-token' } }), { tls: server });
    const crm = await target(undefined, { tls: server });
    expect(await attempt(await sinkAt(crm.url, `${secure.url}/token`, { CA: ca }))).toBeNull();
    const plain = await target();
    expect(await attempt(await sinkAt(plain.url, `${secure.url}/token`))).toMatchObject({
      outcome: 'misconfigured',
      message: expect.stringMatching(/^the token endpoint cannot be reached: TLS failed/) as string,
      advice: ['token_url'],
    });
    const gone = await target();
    await gone.close();
    expect(await attempt(await sinkAt(plain.url, `${gone.url}/token`))).toMatchObject({
      name: 'NotSent',
      message: 'the token endpoint cannot be reached: connection refused',
    });
    expect(plain.requests).toEqual([]);
  });

  it('is checked without a request to the target', async () => {
    const crm = await target();
    const good = await sinkAt(crm.url, (await tokens(3600)).url);
    const bad = await sinkAt(crm.url, (await endpoint(() => ({ status: 401, body: { error: 'invalid_client' } }))).url);
    const signal = new AbortController().signal;
    expect(await good.check(signal)).toMatchObject({ problems: [] });
    expect(await bad.check(signal)).toMatchObject({ problems: [{ outcome: 'misconfigured', advice: ['token_client'] }] });
    expect(crm.requests).toEqual([]);
  });

  it('one that hangs ends in time, has sent nothing, and is asked by one request', async () => {
    const { url, forms } = await endpoint((_form, _basic, count) => (count > 1 ? { body: { access_token: 'the-token' } } : undefined));
    const crm = await target();
    const sink = await sinkAt(crm.url, url, { TIMEOUT_MS: '200' });
    const errors = await Promise.all([1, 2, 3].map(() => attempt(sink, exampleDelivery())));
    for (const error of errors) expect(error).toMatchObject({ name: 'NotSent', message: 'the token endpoint timed out after 200 ms' });
    expect([crm.requests, forms.length]).toEqual([[], 1]);
    // The token request is aborted, too: nothing waits for it any more.
    await until(async () => (await attempt(sink)) === null, 'a token');
    expect(forms).toHaveLength(2);
  });

  it('the time of a fetch is its own, whatever is left of the attempt that began it', async () => {
    const { url, forms } = await endpoint(async () => (await sleep(600), { body: { access_token: 'the-token' } }));
    const crm = await target();
    const sink = await sinkAt(crm.url, url, { TIMEOUT_MS: '1000' });
    const stop = new AbortController();
    const first = sink.check(stop.signal).catch((error: unknown) => error);
    await sleep(100);
    stop.abort(new Error('stopped'));
    expect(await first).toMatchObject({ message: 'stopped' });
    expect(await attempt(sink)).toBeNull();
    expect([forms.length, bearers(crm)]).toEqual([1, ['Bearer the-token']]);
  });

  it('an attempt whose time is up waits for no second token', async () => {
    const { url } = await endpoint((_form, _basic, count) => (count === 1 ? { body: { access_token: 'the-token' } } : undefined));
    // A 401 that does not end before the attempt does.
    const crm = await target((_, response) => void response.writeHead(401).write('no'));
    const sink = await sinkAt(crm.url, url, { TIMEOUT_MS: '800' });
    const startedAt = performance.now();
    expect(await attempt(sink)).toMatchObject({ message: 'timed out after 800 ms' });
    expect(performance.now() - startedAt).toBeLessThan(1300);
  });

  it('the endpoint is reached by way of the proxy, and with our certificate', async () => {
    const mutual = await target(() => ({ body: { access_token: 'the-token' } }), {
      tls: { ...server, ca, requestCert: true, rejectUnauthorized: true },
    });
    const crm = await target();
    const between = await forwardProxy();
    ends.push(() => between.close());
    const outside = { proxies: proxiesOf({ https_proxy: between.url() }) };
    const certificates = { CA: ca, CERT: client.cert, KEY: client.key };
    expect(await attempt(await sinkAt(crm.url, `${mutual.url}/token`, certificates, outside))).toBeNull();
    expect(between.seen).toEqual([`CONNECT 127.0.0.1:${mutual.port}`]);
    expect(await attempt(await sinkAt(crm.url, `${mutual.url}/token`, { CA: ca }))).toMatchObject({
      outcome: 'misconfigured',
      message: expect.stringMatching(/^the token endpoint cannot be reached: TLS failed/) as string,
    });
    between.say(407);
    expect(await attempt(await sinkAt(crm.url, `${mutual.url}/token`, certificates, outside))).toMatchObject({
      outcome: 'misconfigured',
      message: 'the proxy answered 407',
    });
    expect(mutual.requests).toHaveLength(1);
  });

  it('an attempt that is cancelled takes the token from nobody else', async () => {
    let release = (): void => {};
    const held = new Promise<void>(resolve => (release = resolve));
    const { url, forms } = await endpoint(async () => (await held, { body: { access_token: 'the-token' } }));
    const sink = await sinkAt((await target()).url, url);
    const stop = new AbortController();
    const cancelled = attempt(sink, exampleDelivery(), stop.signal).catch((error: unknown) => error);
    const other = attempt(sink, exampleDelivery());
    stop.abort(new Error('stopped'));
    expect(await cancelled).toMatchObject({ message: 'stopped' });
    release();
    expect(await other).toBeNull();
    expect(forms).toHaveLength(1);
  });
});
