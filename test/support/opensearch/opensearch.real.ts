// The sink, and the fake that stands in for OpenSearch elsewhere, against a real OpenSearch; the README beside tells how to run it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Delivery, SearchSink } from '../../../src/sinks/sink.js';
import { newIndex } from '../../../src/sinks/search/mapping.js';
import { FakeSearch } from '../fake-search.ts';
import { type FakeServer, fakeServer } from '../fake-server.ts';
import { mark } from '../planted.ts';
import { send, startTestService } from '../service.ts';
import { until } from '../until.ts';
import { commands } from '../vendor.ts';
import { type RunningOpenSearch, startOpenSearch } from './start-opensearch.mjs';
import { call, channelDelivery, clusterStories, openSearchSink } from './stories.ts';

const signal = new AbortController().signal;
let engine: RunningOpenSearch;

beforeAll(async () => void (engine = await startOpenSearch()), 300_000);
afterAll(() => engine.stop());

describe('opensearch sink, on a real OpenSearch', () => {
  clusterStories('opensearch', () => engine.url);

  const open: SearchSink[] = [];
  async function sinkOf(INDEX: string, TIMEOUT_MS = 10_000): Promise<SearchSink> {
    const sink = await openSearchSink('opensearch', engine.url, { INDEX, TIMEOUT_MS });
    open.push(sink);
    return sink;
  }
  afterEach(async () => {
    for (const sink of open.splice(0)) await sink.close?.();
  });

  it.each([
    ['name', '官方账号', ['official']],
    ['name', '账号', ['official']],
    ['name', '官', []],
    ['name.standard', '官', ['official']],
    ['name', 'penguin', ['latin', 'mixed']],
    ['name', 'ＰＥＮＧＵＩＮ', ['latin', 'mixed']],
    ['name', '企鹅 News', ['latin', 'mixed']],
    ['name', '企鹅news', ['latin', 'mixed']],
    ['introduction', '深圳', ['official']],
    ['organization.keyword', '腾讯 科技', ['official']],
    ['organization.keyword', '腾讯', []],
    ['name.prefix', '腾', ['official']],
    ['name.prefix', '腾讯官', ['official']],
    ['name.prefix', '官方', []],
    ['name.prefix', 'peng', ['latin', 'mixed']],
    ['name.prefix', 'ne', ['latin']],
    ['name.prefix', '企鹅 P', ['mixed']],
    ['name.prefix', `${'长'.repeat(20)}的名字`, ['long']],
    ['name', 'coralreef', ['hidden']],
    ['name', 'Coral\u200DReef', ['hidden']],
    ['name', '珊瑚', ['hidden']],
    ['name.standard', '珊', ['hidden']],
    ['name.prefix', 'coralr', ['hidden']],
    ['name.prefix', 'co\u00ADralr', ['hidden']],
  ])('finds by %s %s', async (field, text, found) => {
    const sink = await sinkOf('finding');
    const names = {
      official: '腾讯官方账号',
      latin: 'Penguin News',
      mixed: '企鹅Penguin-新闻',
      long: '长'.repeat(60),
      hidden: 'Co\u00ADral\u200BRe\uFEFFef \u200F珊\u2060瑚\u2069',
    };
    const profile = { avatarUrl: null, introduction: '', organization: null };
    const channels = Object.entries(names).map(([channelId, name]) => channelDelivery(channelId, 1, { profile: { ...profile, name } }));
    const more = { introduction: '在深圳', organization: '腾讯 科技' };
    channels[0]!.event.data.profile = { ...channels[0]!.event.data.profile, ...more };
    expect(await sink.deliverMany(channels, signal)).toEqual(channels.map(() => null));
    await call(engine.url, 'POST', '/finding/_refresh');
    // All of the words, as people expect who type more to find less; the analyzed field finds the best first.
    const query = field.endsWith('keyword')
      ? { term: { [field]: text } }
      : { match: { [field]: { query: text, operator: field.endsWith('prefix') ? 'and' : 'or' } } };
    const { body } = await call(engine.url, 'POST', '/finding/_search', { query });
    const { hits } = body['hits'] as { hits: { _source: { channelId: string } }[] };
    expect(hits.map(hit => hit._source.channelId).sort()).toEqual(found);
  });

  it.each([
    ['官方账号', 'official'],
    ['官', 'official'],
    ['腾讯官', 'official'],
    ['深圳', 'official'],
    ['peng', 'latin'],
    ['Penguin 新闻', 'mixed'],
  ])('finds %s by the query that docs/search.md tells', async (query, first) => {
    const fields = ['name^3', 'name.prefix^2', 'name.standard', 'organization', 'introduction'];
    const told = { bool: { must: { multi_match: { query, type: 'most_fields', fields } }, filter: { term: { deleted: false } } } };
    const { body } = await call(engine.url, 'POST', '/finding/_search', { query: told });
    const { hits } = body['hits'] as { hits: { _source: { channelId: string } }[] };
    expect(hits[0]?._source.channelId).toBe(first);
  });

  it('sorts by the exact text', async () => {
    const { body } = await call(engine.url, 'POST', '/finding/_search', { sort: [{ 'name.keyword': 'asc' }] });
    const { hits } = body['hits'] as { hits: { _source: { channelId: string } }[] };
    expect(hits.map(hit => hit._source.channelId)).toEqual(['hidden', 'latin', 'mixed', 'official', 'long']);
  });

  it('builds an index anew and swaps under load, and nobody ever finds less, or something old', async () => {
    const [writer, builder] = [await sinkOf('loaded', 2000), await sinkOf('loaded', 2000)];
    const channels = Array.from({ length: 20 }, (_, index) => `channel${index}`);
    const newest = new Map<string, Delivery>();
    let version = 0;
    async function deliver(): Promise<void> {
      version += 1;
      let due = channels.map(channelId => channelDelivery(channelId, version, { revision: version }));
      for (const delivery of due) newest.set(delivery.event.data.channelId, delivery);
      // What did not arrive is tried again, as lanes do.
      while (due.length > 0) {
        const results = await writer.deliverMany(due, signal);
        expect(results.filter(result => result && result.outcome !== 'retry')).toEqual([]);
        due = due.filter((_, at) => results[at] !== null);
      }
    }
    await deliver();
    let over = false;
    const load = (async () => {
      while (!over) await deliver();
    })();
    const looks = (async () => {
      let seen = 0;
      for (; !over; seen += 1) {
        const { status, body } = await call(engine.url, 'GET', '/loaded/_doc/1400000001:channel7');
        expect([status, body['found']]).toEqual([200, true]);
      }
      return seen;
    })();
    const next = await builder.prepare(signal);
    await new Promise(resolve => setTimeout(resolve, builder.settleMs));
    const before = [...newest.values()];
    expect(await builder.fill(next, before, signal)).toEqual(before.map(() => null));
    await builder.swap(next, signal);
    const swapped = version;
    await until(() => version > swapped + 5, 'deliveries go on', 20_000);
    over = true;
    await load;
    expect(await looks).toBeGreaterThan(10);
    expect(await builder.current(signal)).toEqual({ index: 'loaded-v2', outdated: false });
    expect(await builder.compare([...newest.values()], { after: null, until: null }, signal)).toEqual([]);
  }, 60_000);

  // Seen failing without the refresh before the swap: searches found nothing for a moment.
  it('is whole for those who search from the moment of the swap on, also where nothing is written meanwhile', async () => {
    const sink = await sinkOf('quiet', 5000);
    const channels = Array.from({ length: 300 }, (_, index) => channelDelivery(`channel${index}`, 1));
    expect(await sink.deliverMany(channels, signal)).toEqual(channels.map(() => null));
    await call(engine.url, 'POST', '/quiet/_refresh');
    const next = await sink.prepare(signal);
    expect(await sink.fill(next, channels, signal)).toEqual(channels.map(() => null));
    const swap = sink.swap(next, signal);
    const counts = new Set<unknown>();
    for (let used = 'quiet-v1'; used === 'quiet-v1'; used = (await sink.current(signal)).index)
      counts.add((await call(engine.url, 'GET', '/quiet/_count')).body['count']);
    for (let looks = 0; looks < 20; looks += 1) counts.add((await call(engine.url, 'GET', '/quiet/_count')).body['count']);
    await swap;
    expect([...counts]).toEqual([300]);
  }, 30_000);

  it('goes on after the engine was killed in the middle of a rebuild', async () => {
    let other = await startOpenSearch({ home: mkdtempSync(join(tmpdir(), 'opensearch-')) });
    try {
      const sink = await openSearchSink('opensearch', other.url, { INDEX: 'killed' });
      open.push(sink);
      expect(await sink.deliverMany([channelDelivery('a', 1)], signal)).toEqual([null]);
      const next = await sink.prepare(signal);
      expect(await sink.deliverMany([channelDelivery('a', 2)], signal)).toEqual([null]);
      process.kill(other.pid, 'SIGKILL');
      await other.exited;
      await expect(sink.current(signal)).rejects.toMatchObject({ outcome: 'retry' });
      other = await startOpenSearch({ home: other.home, port: Number(new URL(other.url).port) });
      expect(await sink.prepare(signal)).toBe(next);
      expect(await sink.deliverMany([channelDelivery('a', 1), channelDelivery('b', 1)], signal)).toEqual([null, null]);
      await sink.swap(next, signal);
      expect((await call(other.url, 'GET', '/killed/_doc/1400000001:a')).body).toMatchObject({ _index: next, _version: 2 });
      expect((await call(other.url, 'GET', '/killed/_doc/1400000001:b')).body).toMatchObject({ _index: next, _version: 1 });
    } finally {
      await other.stop();
      rmSync(other.home, { recursive: true, force: true });
    }
  }, 120_000);

  it('waits for a person while the index is closed or blocked', async () => {
    const sink = await sinkOf('shut');
    const told = async (version: number) =>
      (await sink.deliverMany([channelDelivery('a', version)], signal)).map(error => error && `${error.outcome}: ${error.message}`);
    expect(await told(1)).toEqual([null]);
    await call(engine.url, 'POST', '/shut-v1/_close');
    expect(await told(2)).toEqual(['misconfigured: index_closed_exception']);
    expect(await told(2)).toEqual(['misconfigured: index_closed_exception']);
    await call(engine.url, 'POST', '/shut-v1/_open');
    await call(engine.url, 'PUT', '/shut-v1/_settings', { 'index.blocks.write': true });
    expect(await told(2)).toEqual(['misconfigured: cluster_block_exception']);
    await call(engine.url, 'PUT', '/shut-v1/_settings', { 'index.blocks.write': false });
    // As the engine does by itself when a disk is nearly full; it lifts that by itself, too.
    await call(engine.url, 'PUT', '/shut-v1/_settings', { 'index.blocks.read_only_allow_delete': true });
    expect(await told(2)).toEqual(['retry: cluster_block_exception']);
    await call(engine.url, 'PUT', '/shut-v1/_settings', { 'index.blocks.read_only_allow_delete': null });
    await call(engine.url, 'GET', '/_cluster/health/shut-v1?wait_for_status=yellow');
    expect(await told(2)).toEqual([null]);
  });

  it('takes 500 channels in one attempt', async () => {
    const sink = await sinkOf('many');
    const deliveries = Array.from({ length: 500 }, (_, index) => channelDelivery(`@TOA#_${index}`, 1));
    expect(await sink.deliverMany(deliveries, signal)).toEqual(deliveries.map(() => null));
    await call(engine.url, 'POST', '/many/_refresh');
    expect((await call(engine.url, 'GET', '/many/_count')).body).toMatchObject({ count: 500 });
  });

  it('times out on a frozen engine, whose late write does no harm', async () => {
    const sink = await sinkOf('frozen', 1000);
    expect(await sink.deliverMany([channelDelivery('a', 1)], signal)).toEqual([null]);
    process.kill(engine.pid, 'SIGSTOP');
    const [result] = await sink.deliverMany([channelDelivery('a', 2)], signal).finally(() => process.kill(engine.pid, 'SIGCONT'));
    expect(result).toMatchObject({ outcome: 'retry', message: 'timed out' });
    expect(await sink.deliverMany([channelDelivery('a', 2)], signal)).toEqual([null]);
    expect((await call(engine.url, 'GET', '/frozen/_doc/1400000001:a')).body).toMatchObject({ _version: 2 });
  });
});

// Seen failing with a repair that takes no greater version than that of the index.
test('the service finds and repairs what somebody altered in a real OpenSearch, and builds the index anew under load', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'channel-sync-real-'));
  const service = await startTestService({
    DATABASE_URL: `sqlite:${join(folder, 'test.db')}`,
    MANAGEMENT_TOKEN: mark,
    SINK_SEARCH_TYPE: 'opensearch',
    SINK_SEARCH_URL: engine.url,
    SINK_SEARCH_INDEX: 'served',
    SINK_SEARCH_TIMEOUT_MS: '5000',
  });
  const channels = Array.from({ length: 40 }, (_, index) => `channel${index}`);
  let sent = 0;
  const change = async (channel: string): Promise<void> => {
    const body = { Official_Account: channel, Name: `企鹅 ${(sent += 1)}`, EventTime: Date.now() };
    const url = `${service.url}/webhooks/tencent-chat?SdkAppid=1400000001&CallbackCommand=${commands.changed}`;
    expect((await send('POST', url, JSON.stringify(body))).status).toBe(200);
  };
  const delivered = () =>
    until(
      async () => /^channel_sync_pending\{.*\} 0$/m.test((await send('GET', `${service.managementUrl}/metrics`)).text),
      'all delivered',
    );
  const ask = async (method: string, kind: string, body?: string): Promise<Record<string, unknown>> => {
    const headers = { authorization: `Bearer ${mark}`, 'content-type': 'application/json' };
    return JSON.parse((await send(method, `${service.managementUrl}/api/v1/sinks/search/${kind}`, body, headers)).text) as Record<
      string,
      unknown
    >;
  };
  const verified = async (body?: string): Promise<unknown> => {
    let job = await ask('POST', 'verify', body);
    await until(async () => (job = await ask('GET', 'verify'))['state'] !== 'running', 'the end of the verify', 20_000);
    const { state, compared, missing, older, newer, surplus, repaired } = job;
    return [state, compared, { missing, older, newer, surplus, repaired }];
  };
  const count = async () => (await call(engine.url, 'GET', '/served/_count')).body['count'];
  const at = (channel: string) => `/served-v1/_doc/1400000001:${channel}`;
  const found = async (channel: string) => {
    const { body } = await call(engine.url, 'GET', at(channel));
    return { version: Number(body['_version']), source: body['_source'] as object };
  };
  const fine = ['done', 40, { missing: 0, older: 0, newer: 0, surplus: 0, repaired: 0 }];
  try {
    for (const channel of channels) await change(channel);
    await delivered();
    expect(await verified()).toEqual(fine);

    const [altered, ahead] = [await found('channel2'), await found('channel3')];
    await call(engine.url, 'DELETE', at('channel1'));
    const same = `?version_type=external_gte&version=${altered.version}`;
    await call(engine.url, 'PUT', at('channel2') + same, { ...altered.source, name: 'altered' });
    const newer = `?version_type=external&version=${ahead.version + 1_000_000}`;
    await call(engine.url, 'PUT', at('channel3') + newer, { ...ahead.source, revision: 99 });
    await call(engine.url, 'PUT', at('nobody'), { sdkAppId: '1400000001', channelId: 'nobody' });
    expect(await verified('{"repair":true}')).toEqual(['done', 40, { missing: 1, older: 1, newer: 1, surplus: 1, repaired: 4 }]);
    await delivered();
    expect(await verified()).toEqual(fine);

    const counts = new Set([await count()]);
    let job = await ask('POST', 'rebuild');
    for (; job['state'] === 'running'; job = await ask('GET', 'rebuild')) {
      await change(channels[sent % 20]!);
      counts.add(await count());
    }
    expect(job).toMatchObject({ state: 'done', done: 40, total: 40, index: 'served-v2' });
    expect([...counts]).toEqual([40]);
    await delivered();
    expect(await verified()).toEqual(fine);
  } finally {
    await service.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}, 120_000);

// Elasticsearch itself cannot be had here.
describe('elasticsearch sink, on a real OpenSearch that claims to be Elasticsearch', () => {
  let proxy: FakeServer;
  beforeAll(async () => {
    proxy = await fakeServer(async ({ method, path, headers, body }) => {
      if (path === '/') return { body: { version: { number: '9.1.0' }, tagline: 'You Know, for Search' } };
      const sent = body === '' ? {} : { headers: { 'content-type': headers['content-type'] ?? '' }, body };
      const response = await fetch(engine.url + path, { method, ...sent });
      return { status: response.status, headers: { 'content-type': 'application/json' }, body: await response.text() };
    });
  });
  afterAll(() => proxy.close());

  clusterStories(
    'elasticsearch',
    () => engine.url,
    () => proxy.url,
  );
});

describe('the fake search engine', () => {
  let fake: FakeSearch;
  beforeAll(async () => void (fake = await new FakeSearch().open()));
  afterAll(() => fake.close());

  const text = { type: 'text' };
  const mappings = {
    dynamic: 'strict',
    _meta: { ours: 1 },
    properties: { name: text, id: { type: 'keyword' }, at: { type: 'date' }, n: { type: 'long' }, gone: { type: 'boolean' } },
  };
  const action = (more: object, verb = 'index') => JSON.stringify({ [verb]: { _index: 'alike', version_type: 'external', ...more } });
  const lines = (...all: (string | object)[]) => all.map(line => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join('');

  const sorted = (_id: string) => {
    const [s, c] = _id.split('~');
    return [{ index: { _index: 'sorted', _id, version: 1, version_type: 'external' } }, { s, c }];
  };
  const inOrder = (size: number, search_after?: string[]) => ({
    size,
    version: true,
    track_total_hits: false,
    sort: [{ s: 'asc' }, { c: 'asc' }],
    ...(search_after && { search_after }),
  });
  const swap = (next: string, used: string) => [
    { add: { index: next, alias: 'sorted' } },
    { remove: { index: next, alias: 'sorted-next' } },
    { remove: { index: used, alias: 'sorted' } },
  ];

  // In this order: each builds on those before it.
  const calls: [method: string, path: string, body?: string | object][] = [
    ['GET', '/alike/_mapping'],
    ['GET', '/_alias/alike'],
    ['PUT', '/alike-v1', { aliases: { alike: {} }, mappings }],
    ['PUT', '/alike-v1', {}],
    ['PUT', '/Alike', {}],
    ['PUT', '/plain', {}],
    ['PUT', '/other', { aliases: { plain: {} } }],
    ['PUT', '/unknown', { mappings: { properties: { name: { type: 'text', analyzer: 'no_such' } } } }],
    ['PUT', '/whole-v1', newIndex('whole', 'cjk')],
    ['GET', '/whole/_mapping'],
    ['DELETE', '/whole-v1'],
    ['GET', '/plain/_mapping'],
    ['GET', '/_alias/alike'],
    ['POST', '/_bulk', ''],
    ['POST', '/_bulk', action({ _id: 'a', version: 5 })],
    [
      'POST',
      '/_bulk?require_alias=true',
      lines(action({ _id: 'a', version: 5 }), { name: '官方', id: 'x', at: '2022-12-09T08:26:54.123Z', n: 3, gone: false }),
    ],
    [
      'POST',
      '/_bulk?require_alias=true',
      lines(action({ _id: 'a', version: 5 }), { name: 'b' }, action({ _id: 'a', version: 6 }), {
        name: null,
        n: null,
        gone: null,
        at: null,
      }),
    ],
    ['POST', '/_bulk', lines(action({ _id: 'b', version: 1 }), { bogus: 1 }, action({ _id: 'b', version: 1 }), { name: 'b' })],
    ['POST', '/_bulk', lines(action({ _id: 'c', version: 1 }), { n: 'x' }, action({ _id: 'c', version: 1 }), { at: 'yesterday' })],
    ['POST', '/_bulk', lines(action({ _id: 'c', version: 1 }), { id: {} }, action({ _id: 'c', version: 1 }), '{bad')],
    ['POST', '/_bulk', lines(action({ _id: 'b', version: 1, version_type: 'external_gte' }), { name: 'c' })],
    ['POST', '/_bulk', lines(action({ _id: 'b', version: 0, version_type: 'external_gte' }), { name: 'd' })],
    [
      'POST',
      '/_bulk?require_alias=true',
      lines(action({ _id: 'a', version: 1, _index: 'plain' }), {}, action({ _id: 'a', version: 1, _index: 'none' }), {}),
    ],
    ['POST', '/alike/_refresh'],
    ['GET', '/alike/_count'],
    ['GET', '/alike/_doc/a'],
    ['GET', '/alike/_doc/none'],
    ['POST', '/alike/_search', { query: { match_all: {} }, version: true }],
    ['POST', '/alike/_search', { query: { ids: { values: ['b', 'none'] } } }],
    ['POST', '/none/_search', {}],
    ['POST', '/none/_refresh'],
    ['POST', '/plain/_mget?_source=false', { ids: ['a', 'none'] }],
    ['POST', '/alike/_mget', { ids: ['a', 'b', 'none'] }],
    ['POST', '/alike/_mget?_source=false', { ids: ['a', 'none'] }],
    ['POST', '/none/_mget?_source=false', { ids: ['a'] }],
    ['PUT', '/sorted-v1', { aliases: { sorted: {} }, mappings: { properties: { s: { type: 'keyword' }, c: { type: 'keyword' } } } }],
    ['POST', '/_bulk?require_alias=true', lines(...['1~a', '1~Z', '1~官', '1~\uff5e', '1~\u{1f600}', '10~a'].flatMap(sorted))],
    ['POST', '/sorted/_refresh'],
    ['POST', '/sorted/_search', inOrder(2)],
    ['POST', '/sorted/_search', inOrder(3, ['1', 'Z'])],
    ['POST', '/sorted/_search', inOrder(100, ['1', 'b'])],
    ['POST', '/sorted/_search', inOrder(100, ['2', ''])],
    ['POST', '/_bulk', lines({ delete: { _index: 'sorted-v1', _id: '1~a', if_seq_no: 99, if_primary_term: 1 } })],
    [
      'POST',
      '/_bulk',
      lines(
        { delete: { _index: 'sorted-v1', _id: '1~a', if_seq_no: 0, if_primary_term: 1 } },
        { delete: { _index: 'sorted-v1', _id: '1~a', if_seq_no: 0, if_primary_term: 1 } },
        { delete: { _index: 'none', _id: 'a', if_seq_no: 0, if_primary_term: 1 } },
      ),
    ],
    ['PUT', '/sorted-v2', { aliases: { 'sorted-next': {} } }],
    ['POST', '/_aliases', { actions: swap('sorted-v2', 'sorted-v0') }],
    ['POST', '/_aliases', { actions: [...swap('sorted-v2', 'sorted-v1'), { remove_index: { index: 'sorted-v1' } }] }],
    ['POST', '/_aliases', { actions: swap('sorted-v2', 'sorted-v1') }],
    ['GET', '/sorted'],
    ['GET', '/sorted-next/_mapping'],
    ['POST', '/_aliases', { actions: swap('sorted-v2', 'sorted-v1') }],
    ['DELETE', '/sorted-v1'],
    ['DELETE', '/sorted-v2'],
    ['POST', '/_bulk', lines(action({ _id: 'b', version: 2 }, 'delete'))],
    ['POST', '/_aliases', { actions: [{ add: { index: 'plain', alias: 'alike' } }] }],
    ['POST', '/_bulk?require_alias=true', lines(action({ _id: 'z', version: 1 }), {})],
    ['GET', '/alike/_mapping'],
    ['POST', '/_aliases', { actions: [{ remove: { index: 'plain', alias: 'alike' } }] }],
    ['POST', '/_aliases', { actions: [{ remove: { index: 'plain', alias: 'alike' } }] }],
    ['DELETE', '/alike'],
    ['DELETE', '/alike-v1'],
    ['DELETE', '/alike-v1'],
  ];
  it.each(calls.map(([method, path, body]) => ({ method, path, body })))(
    'answers $method $path as a real one does',
    async ({ method, path, body }) => {
      const [real, faked] = await Promise.all([engine.url, fake.url].map(origin => raw(origin, method, path, body)));
      expect(faked).toEqual(real);
    },
  );
});

/** The status and the body of an answer, without what differs from run to run or explains at length. */
async function raw(origin: string, method: string, path: string, body?: string | object): Promise<unknown> {
  const init =
    body === undefined
      ? {}
      : { headers: { 'content-type': 'application/json' }, body: typeof body === 'string' ? body : JSON.stringify(body) };
  const response = await fetch(origin + path, { method, ...init });
  const without = ['took', 'index_uuid', 'caused_by', '_shards', 'settings'];
  const plain = JSON.parse(await response.text(), (key, value: unknown) => {
    if (without.includes(key)) return undefined;
    if (typeof value !== 'string' || key !== 'reason') return value;
    return value.replace(/\/[\w-]{22}\]/, ']').replace(/Preview of field's value: .*/s, '');
  }) as object;
  return { status: response.status, body: plain };
}
