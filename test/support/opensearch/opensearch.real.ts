// The sink, and the fake that stands in for OpenSearch elsewhere, against a real OpenSearch; the README beside tells how to run it.
import type { BulkSink } from '../../../src/sinks/sink.js';
import { FakeSearch } from '../fake-search.ts';
import { type RunningOpenSearch, startOpenSearch } from './start-opensearch.mjs';
import { call, channelDelivery, openSearchSink, searchSettings, searchStories } from './stories.ts';

const signal = new AbortController().signal;
let engine: RunningOpenSearch;

beforeAll(async () => void (engine = await startOpenSearch()), 300_000);
afterAll(() => engine.stop());

describe('opensearch sink, on a real OpenSearch', () => {
  searchStories(() => engine.url);

  const open: BulkSink[] = [];
  async function sinkOf(INDEX: string, TIMEOUT_MS = 10_000): Promise<BulkSink> {
    const sink = await openSearchSink(searchSettings(engine.url, { INDEX, TIMEOUT_MS }));
    open.push(sink);
    return sink;
  }
  afterEach(async () => {
    for (const sink of open.splice(0)) await sink.close?.();
  });

  it.each([
    ['name', '官方账号', ['official']],
    ['name', '账号', ['official']],
    ['name.standard', '官', ['official']],
    ['name', 'penguin', ['latin']],
    ['introduction', '深圳', ['official']],
    ['organization.keyword', '腾讯 科技', ['official']],
    ['organization.keyword', '腾讯', []],
  ])('finds by %s %s', async (field, text, found) => {
    const sink = await sinkOf('finding');
    await sink.deliverMany(
      [
        channelDelivery('official', 1, {
          profile: { name: '腾讯官方账号', avatarUrl: null, introduction: '在深圳', organization: '腾讯 科技' },
        }),
        channelDelivery('latin', 1, { profile: { name: 'Penguin News', avatarUrl: null, introduction: '', organization: null } }),
      ],
      signal,
    );
    await call(engine.url, 'POST', '/finding/_refresh');
    const query = field.endsWith('keyword') ? { term: { [field]: text } } : { match: { [field]: text } };
    const { body } = await call(engine.url, 'POST', '/finding/_search', { query });
    const { hits } = body['hits'] as { hits: { _source: { channelId: string } }[] };
    expect(hits.map(hit => hit._source.channelId)).toEqual(found);
  });

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

  // In this order: each builds on those before it.
  const calls: [method: string, path: string, body?: string | object][] = [
    ['GET', '/alike/_mapping'],
    ['GET', '/_alias/alike'],
    ['PUT', '/alike-v1', { aliases: { alike: {} }, mappings }],
    ['PUT', '/alike-v1', {}],
    ['PUT', '/Alike', {}],
    ['PUT', '/plain', {}],
    ['PUT', '/other', { aliases: { plain: {} } }],
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
  const without = ['took', 'index_uuid', 'caused_by', '_shards'];
  const plain = JSON.parse(await response.text(), (key, value: unknown) => {
    if (without.includes(key)) return undefined;
    if (typeof value !== 'string' || key !== 'reason') return value;
    return value.replace(/\/[\w-]{22}\]/, ']').replace(/Preview of field's value: .*/s, '');
  }) as object;
  return { status: response.status, body: plain };
}
