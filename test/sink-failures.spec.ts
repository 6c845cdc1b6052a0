import { mkdtempSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeSearch } from './support/fake-search.js';
import { type Answer, type FakeServer, type ReceivedRequest, fakeServer } from './support/fake-server.js';
import { mark } from './support/planted.js';
import { forwardProxy } from './support/proxy.js';
import { freePort } from './support/postgres.js';
import { send, startTestService } from './support/service.js';
import { server } from './support/test-certificates.js';
import { until } from './support/until.js';

const changed = 'OfficialAccount.CallbackAfterOfficialAccountInfoChanged';
const query = `SdkAppid=1400000001&CallbackCommand=${changed}`;
const webhooks = 8;

interface SinkItem {
  name: string;
  state: string;
  reason: string | null;
  advice: string | null;
  counts: { pending: number; delivered: number; parked: number };
}

/** What a target does instead of taking a delivery, and what an operator then reads. */
interface Misbehaviour {
  does: (request: ReceivedRequest, response: ServerResponse) => Answer | undefined | void;
  state: 'down' | 'misconfigured';
  reason: RegExp;
  advice: RegExp;
}

/** The head of an answer, a byte at a time. */
function drip(response: ServerResponse): void {
  const socket = response.socket!;
  socket.write('HTTP/1.1 200 OK\r\nx-drip: ');
  const timer = setInterval(() => socket.write('a'), 50);
  socket.once('close', () => clearInterval(timer));
}

/** A gigabyte, as long as somebody reads it. */
function flood(response: ServerResponse): void {
  response.writeHead(200, { 'content-length': String(2 ** 30) });
  const chunk = Buffer.alloc(65_536);
  const more = (): void => void (!response.destroyed && response.write(chunk, () => setImmediate(more)));
  more();
}

const misbehaviours: Record<string, Misbehaviour> = {
  storm: { does: () => ({ status: 503 }), state: 'down', reason: /^answered 503$/, advice: /If it lasts/ },
  reset: { does: (_, response) => void response.destroy(), state: 'down', reason: /^connection reset$/, advice: /runs and can be reached/ },
  drip: { does: (_, response) => drip(response), state: 'down', reason: /^timed out/, advice: /answers in time/ },
  hang: { does: () => undefined, state: 'down', reason: /^timed out/, advice: /answers in time/ },
  broken: {
    does: (_, response) => void response.socket!.end('not HTTP at all\r\n\r\n'),
    state: 'down',
    reason: /^network error$/,
    advice: /runs and can be reached/,
  },
  redirect: {
    does: () => ({ status: 302, headers: { location: 'http://127.0.0.1:1/' } }),
    state: 'misconfigured',
    reason: /^answered 302, a redirect$/,
    advice: /final address/,
  },
  locked: { does: () => ({ status: 401 }), state: 'misconfigured', reason: /^answered 401$/, advice: /credentials/ },
  moved: { does: () => ({ status: 404 }), state: 'misconfigured', reason: /^answered 404$/, advice: /URL/ },
};

let folder: string;
const servers: FakeServer[] = [];
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'channel-sync-sinks-'))));
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const serve = async (...told: Parameters<typeof fakeServer>): Promise<FakeServer> => {
  servers.push(await fakeServer(...told));
  return servers.at(-1)!;
};

const crm = (name: string, url: string, more: Record<string, string> = {}): Record<string, string> =>
  Object.fromEntries(
    Object.entries({ TYPE: 'webhook', URL: url, TIMEOUT_MS: '400', ...more }).map(([key, value]) => [
      `SINK_${name.toUpperCase()}_${key}`,
      value,
    ]),
  );

test('every way in which sinks fail: what the operator reads, nothing parked, no other sink waits, and all of it heals by itself', async () => {
  let healthy = false;
  const targets = new Map<string, FakeServer>();
  for (const [name, { does }] of Object.entries(misbehaviours))
    targets.set(name, await serve((request, response) => (healthy ? { status: 204 } : does(request, response))));
  const well = await serve(() => ({ status: 204 }));
  const tls = await serve(() => ({ status: 204 }), { tls: server });
  const huge = await serve((_, response) => flood(response));
  const times: Record<string, number[]> = { seconds: [], date: [] };
  const throttled = (name: string, header: () => string): Promise<FakeServer> =>
    serve(() => (times[name]!.push(Date.now()) === 1 ? { status: 429, headers: { 'retry-after': header() } } : { status: 204 }));
  const seconds = await throttled('seconds', () => '2');
  // A date has whole seconds.
  const date = await throttled('date', () => new Date(Date.now() + 3000).toUTCString());
  const garbled = new FakeSearch();
  const garbling = await serve(request => (!healthy && request.path.includes('_bulk') ? { body: '{"items":[' } : garbled.answer(request)));
  const mixed = new FakeSearch();
  mixed.rejectNext(3);
  const mixing = await serve(request => mixed.answer(request));
  const closedPort = await freePort();
  const proxy = await forwardProxy({ authorization: 'Basic of-another-user' });
  const service = await startTestService({
    DATABASE_URL: `sqlite:${join(folder, 'test.db')}`,
    MANAGEMENT_TOKEN: mark,
    HTTPS_PROXY: proxy.url(),
    NO_PROXY: '127.0.0.1',
    ...crm('proxied', 'https://crm.example.com/hook'),
    ...crm('well', well.url),
    ...crm('tls', tls.url),
    ...crm('nobody', `http://127.0.0.1:${closedPort}`),
    ...crm('huge', huge.url),
    ...Object.fromEntries([...targets].flatMap(([name, { url }]) => Object.entries(crm(name, url)))),
    ...crm('seconds', seconds.url, { CONCURRENCY: '1' }),
    ...crm('date', date.url, { CONCURRENCY: '1' }),
    ...crm('garbled', garbling.url, { TYPE: 'opensearch' }),
    ...crm('mixed', mixing.url, { TYPE: 'opensearch' }),
  });
  try {
    const items = async (): Promise<Map<string, SinkItem>> => {
      const { text } = await send('GET', `${service.managementUrl}/api/v1/sinks?limit=500`, undefined, {
        authorization: `Bearer ${mark}`,
      });
      return new Map((JSON.parse(text) as { items: SinkItem[] }).items.map(item => [item.name, item]));
    };
    for (let count = 0; count < webhooks; count++) {
      const body = JSON.stringify({ Official_Account: `channel ${count}`, Name: 'x', EventTime: Date.now() });
      expect((await send('POST', `${service.url}/webhooks/tencent-chat?${query}`, body)).status).toBe(200);
    }
    // Whatever the others do: these are through before any of those has healed.
    await until(async () => {
      const now = await items();
      return ['well', 'huge'].every(name => now.get(name)!.counts.delivered === webhooks);
    }, 'the healthy ones');
    const expected: [string, Pick<Misbehaviour, 'state' | 'reason' | 'advice'>][] = [
      ...Object.entries(misbehaviours),
      ['nobody', { state: 'down', reason: /^connection refused$/, advice: /runs and can be reached/ }],
      ['tls', { state: 'misconfigured', reason: /^TLS failed/, advice: /CA/ }],
      ['proxied', { state: 'misconfigured', reason: /^the proxy answered 407$/, advice: /password in HTTPS_PROXY/ }],
      ['garbled', { state: 'down', reason: /./, advice: /./ }],
    ];
    await until(async () => {
      const now = await items();
      return expected.every(([name, { state }]) => now.get(name)!.state === state);
    }, 'the states of the others');
    const stopped = await items();
    for (const [name, { state, reason, advice }] of expected) {
      expect([name, stopped.get(name)]).toEqual([
        name,
        expect.objectContaining({
          state,
          reason: expect.stringMatching(reason) as string,
          advice: expect.stringMatching(advice) as string,
          counts: expect.objectContaining({ pending: webhooks, delivered: 0, parked: 0 }) as object,
        }),
      ]);
    }
    healthy = true;
    const heals = [...Object.keys(misbehaviours), 'seconds', 'date', 'garbled', 'mixed'];
    await until(
      async () => {
        const now = await items();
        return heals.every(name => now.get(name)!.counts.delivered === webhooks);
      },
      'all that can heal',
      40_000,
    );
    const after = await items();
    for (const name of heals) expect([name, after.get(name)!.state]).toEqual([name, 'ok']);
    for (const name of ['tls', 'nobody']) expect(after.get(name)!.counts).toMatchObject({ pending: webhooks, parked: 0 });
    // The whole sink was left alone for as long as it had asked.
    expect(times['seconds']![1]! - times['seconds']![0]!).toBeGreaterThanOrEqual(2000);
    expect(times['date']![1]! - times['date']![0]!).toBeGreaterThanOrEqual(2000);
    expect([well.requests.length, mixed.documents('official-channels').size]).toEqual([webhooks, webhooks]);
  } finally {
    await service.stop();
    await proxy.close();
  }
}, 90_000);
