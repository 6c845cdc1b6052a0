import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { inEnglish } from '../explanations/explanation.js';
import { fakeSocketMode } from '../../test/support/fake-socket-mode.ts';
import { FakeSearch } from '../../test/support/fake-search.ts';
import { type Handler, fakeServer } from '../../test/support/fake-server.ts';
import { noActions, noLookup } from '../../test/support/no-actions.ts';
import { mark } from '../../test/support/planted.ts';
import { forwardProxy, proxiesOf } from '../../test/support/proxy.ts';
import { ca, client, server as certificate } from '../../test/support/test-certificates.ts';
import { until } from '../../test/support/until.ts';
import { attempt, exampleDelivery, expectNoLeak } from '../../test/sink.contract.ts';
import { readClass } from '../settings/setting.js';
import type { Sink } from '../sinks/sink-type.js';
import { Socket } from '../sinks/slack/clicks/socket.js';
import { sinkTypes } from '../sinks/sinks.js';

/** The settings of each client and the answer of its target. */
interface Client {
  type: string;
  texts: (url: string) => Record<string, string>;
  answer: () => Handler;
}

const search = (type: 'opensearch' | 'elasticsearch'): Client => ({
  type,
  texts: url => ({ URL: url, CA: ca }),
  answer: () => {
    const fake = new FakeSearch(type);
    return request => fake.answer(request);
  },
});

const clients: Record<string, Client> = {
  CRM: { type: 'webhook', texts: url => ({ URL: `${url}/hook`, CA: ca }), answer: () => () => ({ status: 204 }) },
  'Slack Web API': {
    type: 'slack',
    texts: url => ({ BOT_TOKEN: 'xoxb-1', CHANNEL: 'C1', API_URL: `${url}/api/` }),
    answer: () => () => ({ body: { ok: true, channel: 'C1', ts: '1.1' } }),
  },
  'Slack incoming webhook': { type: 'slack', texts: url => ({ WEBHOOK_URL: `${url}/hook` }), answer: () => () => ({ body: 'ok' }) },
  OpenSearch: search('opensearch'),
  Elasticsearch: search('elasticsearch'),
  Meilisearch: {
    type: 'meilisearch',
    texts: url => ({ URL: url, API_KEY: 'key', CA: ca }),
    answer: () => {
      let written: object[] = [];
      return ({ method, path, body }) => {
        if (path === '/version') return { body: { pkgVersion: '1.24.0' } };
        if (path.endsWith('next/settings/filterable-attributes') || path.includes('-v2/'))
          return { status: 404, body: { code: 'index_not_found', type: 'invalid_request' } };
        if (path.endsWith('/filterable-attributes')) return { body: ['channel-sync-schema-1-v1'] };
        if (path === '/tasks/7') return { body: { status: 'succeeded' } };
        if (path.endsWith('/documents/fetch')) return { body: { results: written } };
        if (method === 'POST') written = JSON.parse(body) as object[];
        return { body: { taskUid: 7 } };
      };
    },
  },
};

const names = Object.keys(clients);

type Said = [scheme: string, says: number | 'reset', outcome: string, message: string, advice: string];

/** Each client reports connection errors in its own way, but a proxy's failures must surface as one kind of error. */
const statuses: Said[] = [
  ['https', 403, 'misconfigured', 'the proxy answered 403', 'NO_PROXY'],
  ['https', 400, 'misconfigured', 'the proxy answered 400', 'HTTPS_PROXY'],
  ['https', 405, 'misconfigured', 'the proxy answered 405', 'HTTPS_PROXY'],
  ['https', 429, 'retry', 'the proxy answered 429', 'HTTPS_PROXY'],
  ['https', 502, 'retry', 'the proxy answered 502', 'HTTPS_PROXY'],
  ['https', 504, 'retry', 'the proxy answered 504', 'HTTPS_PROXY'],
];
const tls = { key: certificate.key, cert: certificate.cert };
const credentials = `user:${mark}%40@`;
const authorization = `Basic ${Buffer.from(`user:${mark}@`).toString('base64')}`;

const ends: (() => Promise<void> | undefined)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

// Neither Slack nor a proxy has a setting for a private CA.
const trusted = getCACertificates('default');
beforeAll(() => setDefaultCACertificates([...trusted, ca]));
afterAll(() => setDefaultCACertificates(trusted));

async function proxy(options: Parameters<typeof forwardProxy>[0] = { authorization }) {
  const opened = await forwardProxy(options);
  ends.push(() => opened.close());
  return opened;
}

async function target(name: string, secure: boolean) {
  const opened = await fakeServer(clients[name]!.answer(), secure ? { tls } : {});
  ends.push(() => opened.close());
  return opened;
}

async function open(name: string, url: string, environment: Record<string, string>, texts: Record<string, string> = {}): Promise<Sink> {
  const type = sinkTypes.find(candidate => candidate.type === clients[name]!.type)!;
  const { value, mistakes } = readClass(
    type.settings,
    new Map(Object.entries({ ...clients[name]!.texts(url), TIMEOUT_MS: '3000', ...texts })),
  );
  expect(mistakes).toEqual([]);
  const context = {
    name: 'sink',
    now: Date.now,
    warn: () => {},
    proxies: proxiesOf(environment),
    sdkAppIds: [],
    clean: (text: string) => text,
    actions: noActions,
    lookup: noLookup,
    interaction: () => Promise.resolve(''),
  };
  const sink = await type.open(value, context);
  ends.push(() => sink.close?.());
  return sink;
}

const through = (url: string) => ({ HTTP_PROXY: url, HTTPS_PROXY: url });

describe.each(names)('%s', name => {
  it('goes through a tunnel to an https target', async () => {
    const [there, between] = [await target(name, true), await proxy()];
    expect(await attempt(await open(name, there.url, through(between.url(credentials))))).toBeNull();
    expect(new Set(between.seen)).toEqual(new Set([`CONNECT 127.0.0.1:${there.port}`]));
    expect(there.requests.length).toBeGreaterThan(0);
    for (const { headers } of there.requests) expect(Object.keys(headers).filter(header => header.startsWith('proxy'))).toEqual([]);
  });

  it('is forwarded to an http target', async () => {
    const [there, between] = [await target(name, false), await proxy()];
    expect(await attempt(await open(name, there.url, through(between.url(credentials))))).toBeNull();
    expect(between.seen).toHaveLength(there.requests.length);
    for (const line of between.seen) expect(line).toMatch(new RegExp(`^(GET|POST|PUT) http://127.0.0.1:${there.port}/`));
  });

  it.each([true, false])('does not go through it with NO_PROXY (https: %s)', async secure => {
    const [there, between] = [await target(name, secure), await proxy()];
    expect(
      await attempt(await open(name, there.url, { ...through(between.url()), NO_PROXY: `localhost,127.0.0.1:${there.port}` })),
    ).toBeNull();
    expect(between.seen).toEqual([]);
  });

  it.each<Said>([
    ['https', 407, 'misconfigured', 'the proxy answered 407', 'password in HTTPS_PROXY'],
    ['http', 407, 'misconfigured', 'the proxy answered 407', 'password in HTTP_PROXY'],
    ...(name === 'CRM' ? statuses : []),
    ['https', 'reset', 'retry', 'the proxy cannot be reached: connection reset', 'HTTPS_PROXY'],
    ['http', 'reset', 'retry', 'connection reset', ''],
  ])('tells what the proxy says: %s %s', async (scheme, says, outcome, message, advice) => {
    const [there, between] = [await target(name, scheme === 'https'), await proxy({})];
    between.say(says);
    const sink = await open(name, there.url, through(between.url(credentials)));
    const error = await attempt(sink);
    expect(error).toMatchObject({ outcome, message });
    expect(inEnglish(error!.advice)).toContain(advice);
    expectNoLeak(error!, [mark, 'planted-words']);
    expect(there.requests).toEqual([]);
    await sink.close?.();
    await until(() => between.sockets.size === 0, 'the end of all connections to the proxy');
  });

  it.each(['https', 'http'])('tells that the proxy is wrong about a password, is down, or is unknown: %s', async scheme => {
    const [there, between] = [await target(name, scheme === 'https'), await proxy()];
    const variable = `${scheme.toUpperCase()}_PROXY`;
    const outcomeOf = async (url: string) => {
      const error = await attempt(await open(name, there.url, through(url)));
      expectNoLeak(error!, [mark]);
      return error;
    };
    expect(await outcomeOf(between.url(`user:${mark}-wrong@`))).toMatchObject({
      outcome: 'misconfigured',
      message: 'the proxy answered 407',
    });
    expect(await outcomeOf(`http://user:${mark}@unknown.invalid:3128`)).toMatchObject({
      outcome: 'misconfigured',
      message: 'the proxy cannot be reached: unknown host',
      advice: expect.arrayContaining([variable]),
    });
    await between.close();
    expect(await outcomeOf(between.url(credentials))).toMatchObject({
      outcome: 'retry',
      message: 'the proxy cannot be reached: connection refused',
      advice: expect.arrayContaining([variable]),
    });
    expect(there.requests).toEqual([]);
  });
});

describe('a tunnel', () => {
  it('carries mutual TLS, is used again, and shows the target our certificate alone', async () => {
    const there = await fakeServer(() => ({ status: 204 }), { tls: { ...tls, ca, requestCert: true, rejectUnauthorized: true } });
    ends.push(() => there.close());
    const between = await proxy();
    const sink = await open('CRM', there.url, through(between.url(credentials)), { CERT: client.cert, KEY: client.key });
    for (let index = 0; index < 5; index += 1) expect(await attempt(sink)).toBeNull();
    expect(between.seen).toHaveLength(1);
    expect(await attempt(await open('CRM', there.url, through(between.url(credentials))))).toMatchObject({ outcome: 'misconfigured' });
  });

  it('does not make up for a certificate that is wrong', async () => {
    const [there, between] = [await target('CRM', true), await proxy({})];
    const sink = await open('CRM', there.url.replace('127.0.0.1', 'crm.example.com'), through(between.url()));
    expect(await attempt(sink)).toMatchObject({ outcome: 'misconfigured', message: 'TLS failed (ERR_TLS_CERT_ALTNAME_INVALID)' });
    expect(between.seen).toEqual([`CONNECT crm.example.com:${there.port}`]);
  });

  it('is as any connection when it breaks', async () => {
    const between = await proxy({});
    const there = await fakeServer(() => between.cut(), { tls });
    ends.push(() => there.close());
    expect(await attempt(await open('CRM', there.url, through(between.url())))).toMatchObject({
      outcome: 'retry',
      message: 'connection reset',
    });
  });

  // Fails if a silent proxy is waited for without limit, which hangs the Elasticsearch attempt and all later connections to the proxy.
  it.each(names)('does not outlive the attempt that it was for (%s)', async name => {
    const [there, between] = [await target(name, true), await proxy({})];
    between.say('hang');
    const sink = await open(name, there.url, through(between.url()), { TIMEOUT_MS: '150' });
    const start = performance.now();
    expect(await attempt(sink)).toMatchObject({ outcome: 'retry', message: expect.stringMatching(/^timed out/) });
    expect(performance.now() - start).toBeLessThan(1500);
    await until(() => between.sockets.size === 0, 'the end of the connection to the proxy');
    // A cancelled attempt ends at once, too.
    const patient = await open(name, there.url, through(between.url()), { TIMEOUT_MS: '20000' });
    const cancelling = new AbortController();
    const cancelled = attempt(patient, exampleDelivery(), cancelling.signal).catch(() => 'cancelled');
    await until(() => between.sockets.size > 0, 'a connection to the proxy');
    cancelling.abort();
    expect(await cancelled).toBe('cancelled');
    await patient.close?.();
    await until(() => between.sockets.size === 0, 'the end of the connection to the proxy');
  });

  it('goes through a proxy that speaks TLS itself', async () => {
    for (const secure of [true, false]) {
      const [there, between] = [await target('CRM', secure), await proxy({ authorization, tls })];
      expect(await attempt(await open('CRM', there.url, through(between.url(credentials))))).toBeNull();
      expect(between.seen).toHaveLength(1);
      const untrusted = between.url().replace('127.0.0.1', 'localhost');
      expect(await attempt(await open('CRM', there.url, through(untrusted)))).toMatchObject({
        outcome: 'misconfigured',
        message: 'the proxy cannot be reached: TLS failed (ERR_TLS_CERT_ALTNAME_INVALID)',
      });
    }
  });
});

it.each([true, false])('Socket Mode goes through a tunnel (TLS: %s)', async secure => {
  const slack = await fakeSocketMode('xapp-1', secure ? tls : undefined);
  ends.push(() => slack.close());
  const between = await proxy();
  const warnings: string[] = [];
  const listen = (url: string): Socket => {
    const warn = (text: string): void => void warnings.push(text);
    const context = {
      interaction: () => Promise.resolve(''),
      now: Date.now,
      proxies: proxiesOf(through(url)),
      clean: (text: string) => text,
      warn,
    };
    const socket = new Socket('xapp-1', { API_URL: slack.apiUrl, TIMEOUT_MS: 3000 }, context, 10);
    socket.listen();
    return socket;
  };
  const socket = listen(between.url(credentials));
  await until(() => slack.connections.length === 1, 'a connection');
  const { host } = new URL(slack.apiUrl);
  expect(between.seen).toEqual([secure ? `CONNECT ${host}` : `POST ${slack.apiUrl}apps.connections.open`, `CONNECT ${host}`]);
  expect(warnings).toEqual([]);
  socket.close();
  const isOver = (): boolean => slack.connections.length === 0 && between.sockets.size === 0;
  await until(isOver, 'its end');
  // Also of those that are closed just before they are open.
  for (let turn = 1; turn <= 20; turn++) {
    const leaving = listen(between.url(credentials));
    while (slack.opened() === turn) await new Promise(setImmediate);
    leaving.close();
    await until(isOver, 'the end of one that is about to open');
  }
  const refused = listen(between.url(`user:${mark}@`));
  await until(() => warnings.length > 0, 'a warning');
  refused.close();
  expect(warnings).toEqual([expect.stringContaining('(the proxy answered 407)')]);
  expect(warnings.join()).not.toContain(mark);
});

it('takes a 407 of a target for what it is when there is no proxy', async () => {
  const there = await fakeServer(() => ({ status: 407 }));
  ends.push(() => there.close());
  expect(await attempt(await open('CRM', there.url, {}), exampleDelivery())).toMatchObject({ outcome: 'refused', message: 'answered 407' });
});
