import { type FakeServerOptions, type Handler, fakeServer } from '../../test/support/fake-server.ts';
import { mark } from '../../test/support/planted.ts';
import { forwardProxy, noProxies, proxiesOf } from '../../test/support/proxy.ts';
import { ca, client, server as certificate } from '../../test/support/test-certificates.ts';
import { expectNoLeak } from '../../test/sink.contract.ts';
import { SinkError } from '../sinks/errors.js';
import type { Proxies } from './proxies.js';
import { reach } from './reach.js';

const tls = { cert: certificate.cert, key: certificate.key };
const ends: (() => Promise<unknown> | undefined)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function target(options: FakeServerOptions = {}, handler: Handler = () => ({})) {
  const server = await fakeServer(handler, options);
  ends.push(() => server.close());
  return server;
}

/** The result of `reach`, or the outcome and message of its error. */
async function outcomeOf(url: string, certificates: Parameters<typeof reach>[2] = {}, proxies: Proxies = noProxies): Promise<string> {
  try {
    return await reach(url, proxies, certificates, new AbortController().signal);
  } catch (error) {
    expectNoLeak(error, [mark]);
    return error instanceof SinkError ? `${error.outcome}: ${error.message}` : String(error);
  }
}

test('connects, and sends no request', async () => {
  const server = await target();
  expect(await outcomeOf(`${server.url}/${mark}?key=${mark}`)).toBe('target');
  expect(await outcomeOf(server.url.replace('http://', `http://user:${mark}@`))).toBe('target');
  expect(server.requests).toEqual([]);
});

test('a port that nothing listens on, an unknown host', async () => {
  const server = await target();
  await server.close();
  expect(await outcomeOf(server.url)).toBe('retry: connection refused');
  expect(await outcomeOf(`http://${mark}.invalid/`)).toMatch(
    /^(misconfigured: unknown host|retry: the host name cannot be looked up at the moment)$/,
  );
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)('certificates of both sides, with %s', async maxVersion => {
  const plain = await target({ tls: { ...tls, maxVersion } });
  expect(await outcomeOf(plain.url)).toMatch(/^misconfigured: TLS failed \(UNABLE_TO_VERIFY_LEAF_SIGNATURE\)$/);
  expect(await outcomeOf(plain.url, { ca })).toBe('target');
  expect(await outcomeOf(plain.url.replace('127.0.0.1', 'localhost'), { ca })).toBe(
    'misconfigured: TLS failed (ERR_TLS_CERT_ALTNAME_INVALID)',
  );
  const mutual = await target({ tls: { ...tls, ca, requestCert: true, rejectUnauthorized: true, maxVersion } });
  // A Node server completes the handshake and then disconnects, with any TLS version; only the first request would notice.
  expect(await outcomeOf(mutual.url, { ca, ...client })).toBe('target');
  expect(plain.requests.concat(mutual.requests)).toEqual([]);
});

test('what speaks no TLS', async () => {
  const server = await target();
  expect(await outcomeOf(server.url.replace('http:', 'https:'))).toMatch(/^misconfigured: TLS failed/);
});

test.each(['http', 'https'])('of a proxy only that is reached: nothing is asked for (%s)', async scheme => {
  const proxy = await forwardProxy();
  ends.push(() => proxy.close());
  const proxies = proxiesOf({ [`${scheme}_proxy`]: proxy.url(`user:${mark}@`) });
  expect(await outcomeOf(`${scheme}://nowhere.invalid/`, {}, proxies)).toBe('proxy');
  expect(proxy.seen).toEqual([]);
  await proxy.close();
  expect(await outcomeOf(`${scheme}://nowhere.invalid/`, {}, proxies)).toBe('retry: the proxy cannot be reached: connection refused');
});

test('it ends with its signal', async () => {
  const stop = new AbortController();
  const reached = reach('http://10.255.255.1/', noProxies, {}, stop.signal);
  stop.abort(new Error('over'));
  await expect(reached).rejects.toThrow('over');
  await expect(reach('http://127.0.0.1/', noProxies, {}, stop.signal)).rejects.toThrow('over');
});
