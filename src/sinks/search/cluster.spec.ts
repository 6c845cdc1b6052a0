import { queryObjects, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FakeSearch } from '../../../test/support/fake-search.ts';
import { type Answer, type FakeServer, type ReceivedRequest, fakeServer } from '../../../test/support/fake-server.ts';
import { channelDelivery, clusterStories, openSearchSink, unsettled } from '../../../test/support/opensearch/stories.ts';
import { ca, server as certificate } from '../../../test/support/test-certificates.ts';
import { until } from '../../../test/support/until.ts';
import { attempt, expectNoLeak, sinkContract } from '../../../test/sink.contract.ts';
import { readClass } from '../../settings/setting.js';
import type { BulkSink, SearchSink } from '../sink.js';
import { newIndex } from './mapping.js';
import { ClusterSettings } from './search.settings.js';

const engines = { opensearch: 'OpenSearch', elasticsearch: 'Elasticsearch' } as const;
const types = Object.keys(engines) as (keyof typeof engines)[];

/** The responses to `GET /`. */
const products = {
  opensearch: { version: { distribution: 'opensearch', number: '3.8.0' } },
  elasticsearch: { version: { number: '8.19.2' }, tagline: 'You Know, for Search' },
};

/** A bulk response with the same result for every document. */
function bulkAnswer(request: ReceivedRequest, status: number, error?: object): Answer {
  const actions = request.body.split('\n').filter((line, index) => index % 2 === 0 && line !== '');
  const items = actions.map(line => {
    const { index } = JSON.parse(line) as { index: { _id: string } };
    return { index: { _index: 'official-channels-v1', _id: index._id, status, ...(error && { error }) } };
  });
  return { body: { took: 1, errors: error !== undefined, items } };
}

const made = { 'official-channels-v1': newIndex('official-channels', 'cjk') };

/** Answers calls that create the index like an engine that already has it. */
function setup(type: keyof typeof engines): (request: ReceivedRequest) => Answer | undefined {
  return ({ path }) => {
    if (path === '/') return { body: products[type] };
    if (path === '/official-channels/_mapping') return { body: made };
    return path === '/official-channels-next/_mapping'
      ? { status: 404, body: { error: { type: 'index_not_found_exception' } } }
      : undefined;
  };
}

const password = 'pa:ss-8d2f@/ü';

describe.each(types)('%s', type => {
  sinkContract(type, {
    secrets: ['user-5b1c', password],
    open(origin, overrides) {
      const url = `${origin.replace('//', `//user-5b1c:${encodeURIComponent(password)}@`)}`;
      return openSearchSink(type, url, overrides as Partial<ClusterSettings>);
    },
    setup: setup(type),
    answer: (status, text, request) =>
      status < 300
        ? { ...bulkAnswer(request, 201), status }
        : { status, body: { error: { type: 'some_exception', reason: text }, status } },
    // A response without a body says nothing about the documents.
    classes: status => (status === 204 ? 'retry' : undefined),
  });

  describe(`${type} sink, on the fake`, () => {
    let fake: FakeSearch;
    beforeAll(async () => void (fake = await new FakeSearch(type).open()));
    afterAll(() => fake.close());
    clusterStories(type, () => fake.url);
  });
});

describe.each(types)('%s sink', type => {
  const open: { close?(): Promise<void> }[] = [];
  const signal = new AbortController().signal;

  async function target(bulk: (request: ReceivedRequest) => Answer): Promise<FakeServer> {
    const server = await fakeServer(request => setup(type)(request) ?? bulk(request));
    open.push(server);
    return server;
  }
  async function sinkAt(url: string, overrides: Partial<ClusterSettings> = {}, now?: () => number): Promise<SearchSink> {
    const sink = unsettled(await openSearchSink(type, url, overrides, now));
    open.push(sink);
    return sink;
  }
  async function outcomeOf(sink: BulkSink): Promise<string | null> {
    const error = await attempt(sink);
    if (error) expectNoLeak(error, ['quoted-text']);
    return error && `${error.outcome} ${error.status ?? '-'}: ${error.message}`;
  }
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close?.();
  });

  it.each([
    [429, 'rejected_execution_exception', 'retry 429: rejected_execution_exception'],
    [503, 'unavailable_shards_exception', 'retry 503: unavailable_shards_exception'],
    [500, 'illegal_state_exception', 'retry 500: illegal_state_exception'],
    [400, 'strict_dynamic_mapping_exception', 'refused 400: strict_dynamic_mapping_exception'],
    [400, 'mapper_parsing_exception', 'refused 400: mapper_parsing_exception'],
    [400, 'A reason: quoted-text', 'refused 400: answered 400'],
    [400, 'index_closed_exception', 'misconfigured 400: index_closed_exception'],
    [403, 'cluster_block_exception', 'misconfigured 403: cluster_block_exception'],
    [403, 'security_exception', 'misconfigured 403: security_exception'],
    [403, 'cluster_block_exception', 'misconfigured 403: cluster_block_exception'],
    [429, 'cluster_block_exception', 'retry 429: cluster_block_exception'],
    [404, 'index_not_found_exception', 'retry 404: index_not_found_exception'],
    [409, 'version_conflict_engine_exception', null],
    [409, 'something_else', 'refused 409: something_else'],
  ])('takes an item with %i %s as %s', async (status, type, outcome) => {
    const { url } = await target(request => bulkAnswer(request, status, { type, reason: 'quoted-text' }));
    expect(await outcomeOf(await sinkAt(url))).toBe(outcome);
  });

  if (type === 'opensearch')
    // It takes long, and what runs is the same for both.
    it('leaves nothing behind in memory with an attempt that has ended, long before its time is up', async () => {
      setFlagsFromString('--expose-gc');
      const collectGarbage = runInNewContext('gc') as () => void;
      const fake = new FakeSearch(type);
      const server = await fakeServer(request => fake.answer(request));
      open.push(server);
      const sink = await sinkAt(server.url, { TIMEOUT_MS: 300_000 });
      const signals = async (attempts: number): Promise<number> => {
        for (let version = 1; version <= attempts; version += 1) await attempt(sink, channelDelivery('a', version));
        for (let turn = 0; turn < 3; turn += 1) await new Promise(resolve => setImmediate(() => resolve(collectGarbage())));
        return queryObjects(AbortSignal, { format: 'count' });
      };
      const before = await signals(20);
      expect((await signals(200)) - before).toBeLessThan(20);
    }, 30_000);

  it.each<[string, (request: ReceivedRequest) => Answer]>([
    ['HTML', () => ({ body: '<html>quoted-text</html>' })],
    ['half an answer', () => ({ headers: { 'content-type': 'application/json' }, body: '{"took":1,"items":[{"ind' })],
    ['null', () => ({ body: 'null' })],
    ['no items', () => ({ body: { took: 1, errors: false } })],
    ['too few items', () => ({ body: { took: 1, errors: false, items: [] } })],
    ['too many items', () => ({ body: { items: [{ index: { status: 201 } }, { index: { status: 201 } }] } })],
    ['items of another document', () => ({ body: { items: [{ index: { _id: 'x', status: 201 } }] } })],
    ['items of another action', () => ({ body: { items: [{ delete: { _id: '1400000001:@TOA#_test_OA_for_penn', status: 200 } }] } })],
    ['items without a status', () => ({ body: { items: [{ index: { _id: '1400000001:@TOA#_test_OA_for_penn' } }] } })],
  ])('does not know what was done when told %s', async (_, answer) => {
    const { url } = await target(answer);
    expect(await outcomeOf(await sinkAt(url))).toBe(`retry 200: the answer is not one of ${engines[type]}`);
  });

  it.each<[string, Answer, string]>([
    ['HTML', { body: '<html>quoted-text</html>' }, 'misconfigured -: the answer is not one of ENGINE'],
    ['an empty object', { body: {} }, 'misconfigured -: the answer is not one of ENGINE'],
    ['404 of something else', { status: 404, body: 'quoted-text' }, 'misconfigured 404: answered 404'],
    ['400', { status: 400, body: { error: { type: 'odd_exception', reason: 'quoted-text' } } }, 'misconfigured 400: odd_exception'],
    ['401', { status: 401, body: 'Unauthorized' }, 'misconfigured 401: answered 401'],
    ['503', { status: 503, body: 'quoted-text' }, 'retry 503: answered 503'],
    ['Meilisearch', { body: { status: 'Meilisearch is running' } }, 'misconfigured -: Meilisearch is behind the URL, not ENGINE'],
  ])('sends no document when %s is there', async (_, answer, outcome) => {
    const server = await fakeServer(() => answer);
    open.push(server);
    expect(await outcomeOf(await sinkAt(server.url))).toBe(outcome.replace('ENGINE', engines[type]));
    expect(server.requests.map(({ method }) => method)).toEqual(['GET']);
  });

  it('says so when the other one is there', async () => {
    const [other] = types.filter(one => one !== type);
    const fake = await new FakeSearch(other).open();
    open.push(fake);
    const message = `${engines[other!]} is behind the URL, not ${engines[type]}`;
    expect(await outcomeOf(await sinkAt(fake.url))).toBe(`misconfigured -: ${message}`);
    expect(fake.documents('official-channels').size).toBe(0);
  });

  it('says which version is the oldest that works', async () => {
    const number = type === 'opensearch' ? '0.9.0' : '7.17.29';
    const server = await fakeServer(() => ({ body: { version: { ...products[type].version, number } } }));
    open.push(server);
    const error = await attempt(await sinkAt(server.url));
    expect(error).toMatchObject({ outcome: 'misconfigured', message: `this ${engines[type]} is too old` });
    expect(error?.advice).toEqual(['upgrade_engine', `${engines[type]} ${type === 'opensearch' ? '1.0' : '8.0'}`]);
  });

  it.each<[string, Answer, string | null]>([
    ['HTML', { body: '<html>quoted-text</html>' }, `misconfigured -: the answer is not one of ${engines[type]}`],
    [
      '403',
      { status: 403, body: { error: { type: 'security_exception', reason: 'quoted-text' } } },
      'misconfigured 403: security_exception',
    ],
    ['a block', { status: 403, body: { error: { type: 'cluster_block_exception' } } }, 'misconfigured 403: cluster_block_exception'],
    ['503', { status: 503 }, 'retry 503: answered 503'],
  ])('sends no document when the look-up of the index is answered with %s', async (_, answer, outcome) => {
    const server = await fakeServer(({ path }) => (path === '/' ? { body: products[type] } : answer));
    open.push(server);
    expect(await outcomeOf(await sinkAt(server.url))).toBe(outcome);
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'GET']);
  });

  it('works with credentials that may not ask who is there', async () => {
    const server = await fakeServer(request =>
      request.path === '/'
        ? { status: 403, body: { error: { type: 'security_exception' } } }
        : (setup(type)(request) ?? bulkAnswer(request, 201)),
    );
    open.push(server);
    expect(await outcomeOf(await sinkAt(server.url))).toBeNull();
  });

  it('looks at most every second which indices there are', async () => {
    let now = 5000;
    const server = await target(request => bulkAnswer(request, 201));
    const sink = await sinkAt(server.url, {}, () => now);
    const looks = async (at: number): Promise<number> => {
      now = at;
      server.requests.length = 0;
      expect(await outcomeOf(sink)).toBeNull();
      return server.requests.length - 1;
    };
    // The product is checked only once; a clock set back must not prevent a new look-up of the indices.
    expect(await looks(5000)).toBe(3);
    expect(await looks(5999)).toBe(0);
    expect(await looks(6000)).toBe(2);
    expect(await looks(4000)).toBe(2);
  });

  // Fails if the swap goes unnoticed: the write counts as delivered, but only the retired index has it.
  it('writes again when the indices were swapped between the two writes of a delivery', async () => {
    const fake = new FakeSearch(type);
    let swapping = Promise.resolve();
    const server = await fakeServer(async request => {
      if (request.path.startsWith('/_bulk') && request.body.includes('official-channels-next')) {
        swapping = builder.swap('official-channels-v2', signal);
        await until(() => fake.answer({ method: 'GET', path: '/official-channels-next/_mapping', body: '' }).status === 404, 'the swap');
      }
      return fake.answer(request);
    });
    open.push(server);
    const [builder, writer] = [await sinkAt(server.url), await sinkAt(server.url)];
    expect(await builder.prepare(signal)).toBe('official-channels-v2');
    expect(await writer.deliverMany([channelDelivery('a', 2)], signal)).toEqual([null]);
    expect(fake.documents('official-channels-v2').get('1400000001:a')).toMatchObject({ version: 2 });
    await swapping;
    expect(fake.documents('official-channels-v1').size).toBe(0);
  });

  // Fails without the refresh: on a real engine, searches then find nothing for a moment.
  it('lets all that was filled in be found before it swaps', async () => {
    const fake = new FakeSearch(type);
    const server = await fakeServer(request => fake.answer(request));
    open.push(server);
    const sink = await sinkAt(server.url);
    await sink.fill(await sink.prepare(signal), [channelDelivery('a', 1)], signal);
    await sink.swap('official-channels-v2', signal);
    const writes = server.requests.filter(({ method }) => method === 'POST').map(({ path }) => path);
    expect(writes).toEqual(['/_bulk?require_alias=true', '/official-channels-v2/_refresh', '/_aliases']);
  });

  // Fails if partial responses are allowed: the channels of the failed shard are then reported as missing.
  it('takes no page without what a failed shard has', async () => {
    const error = { type: 'search_phase_execution_exception', reason: 'Partial shards failure' };
    const server = await target(({ path }) => {
      if (path.endsWith('/_refresh')) return { body: {} };
      if (path.includes('allow_partial_search_results=false')) return { status: 503, body: { error, status: 503 } };
      return { body: { _shards: { total: 2, successful: 1, failed: 1 }, hits: { hits: [] } } };
    });
    const comparing = (await sinkAt(server.url)).compare([channelDelivery('a', 1)], { after: null, until: null }, signal);
    await expect(comparing).rejects.toMatchObject({ outcome: 'retry', message: error.type });
  });

  it('asks for smaller pages when an answer is too long', async () => {
    const hit = { _version: 1, _source: {}, sort: ['1400000001', 'a'] };
    const sizes: number[] = [];
    const server = await target(({ path, body }) => {
      if (path.endsWith('/_refresh')) return { body: {} };
      const { size, search_after } = JSON.parse(body) as { size: number; search_after?: string[] };
      sizes.push(size);
      if (size > 10) return { body: 'x'.repeat(17 * 1024 * 1024) };
      return { body: { hits: { hits: search_after ? [] : [hit] } } };
    });
    const sink = await sinkAt(server.url);
    expect(await sink.compare([], { after: null, until: null }, signal)).toHaveLength(1);
    expect(sizes).toEqual([100, 25, 7, 100, 25, 7]);
  });

  // Seen failing: it asked for ever, or ended with a TypeError.
  it('does not go on with pages that do not, and takes what is no document for another', async () => {
    const hit = { _version: 1, sort: ['1400000001', 'a'] };
    const odd = { ...hit, _source: { revision: { toString: 1, valueOf: 1 } }, sort: ['1400000001', 'b'] };
    let repeats = false;
    const server = await target(({ path, body }) => {
      if (path.endsWith('/_refresh')) return { body: {} };
      return { body: { hits: { hits: body.includes('search_after') && !repeats ? [] : [hit, odd] } } };
    });
    const sink = await sinkAt(server.url);
    const compared = () =>
      sink.compare(
        ['a', 'b'].map(id => channelDelivery(id, 1)),
        { after: null, until: null },
        signal,
      );
    expect((await compared()).map(({ kind }) => kind)).toEqual(['older', 'older']);
    repeats = true;
    await expect(compared()).rejects.toMatchObject({ outcome: 'retry' });
  });

  it('looks the index up once, and sends one bulk for many deliveries', async () => {
    const server = await target(request => bulkAnswer(request, 201));
    const sink = await sinkAt(server.url, {}, () => 0);
    const deliveries = Array.from({ length: 500 }, (_, index) => channelDelivery(`channel${index}`, 1));
    expect(await sink.deliverMany(deliveries, signal)).toEqual(deliveries.map(() => null));
    expect(await sink.deliverMany(deliveries.slice(0, 1), signal)).toEqual([null]);
    expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'GET /',
      'GET /official-channels/_mapping',
      'GET /official-channels-next/_mapping',
      'POST /_bulk?require_alias=true',
      'POST /_bulk?require_alias=true',
    ]);
    expect(server.requests[3]?.headers).toMatchObject({ 'content-type': 'application/x-ndjson', accept: 'application/json' });
    expect(JSON.parse(server.requests[3]?.body.split('\n')[0] ?? '')).toEqual({
      index: { _index: 'official-channels', _id: '1400000001:channel0', version: 1, version_type: 'external' },
    });
  });

  const large = { name: null, avatarUrl: null, introduction: '字'.repeat(600_000), organization: null };
  const many = Array.from({ length: 6 }, (_, index) => channelDelivery(`channel${index}`, 1, { profile: large }));

  it('keeps bulks under 5 MB', async () => {
    const server = await target(request => bulkAnswer(request, 201));
    expect(await (await sinkAt(server.url)).deliverMany(many, signal)).toEqual(many.map(() => null));
    const sizes = server.requests.slice(3).map(({ body }) => Buffer.byteLength(body));
    expect(sizes).toHaveLength(3);
    expect(Math.max(...sizes)).toBeLessThan(5_000_000);
  });

  it('halves what a proxy finds too large, down to one document', async () => {
    const server = await target(request => (request.body.length > 700_000 ? { status: 413 } : bulkAnswer(request, 201)));
    expect(await (await sinkAt(server.url)).deliverMany(many, signal)).toEqual(many.map(() => null));
    const narrow = await target(() => ({ status: 413 }));
    const results = await (await sinkAt(narrow.url)).deliverMany(many.slice(0, 2), signal);
    expect(results.map(result => result?.outcome)).toEqual(['refused', 'refused']);
  });

  it('gives up no other document for one that a proxy refuses', async () => {
    const server = await target(request =>
      request.body.includes('channel3"') ? { status: 400, body: 'quoted-text' } : bulkAnswer(request, 201),
    );
    const results = await (
      await sinkAt(server.url)
    ).deliverMany(
      many.map(({ event }) => channelDelivery(event.data.channelId, 1)),
      signal,
    );
    expect(results.map(result => result?.outcome ?? null)).toEqual([null, null, null, 'refused', null, null]);
  });

  it('trusts the CA that it is given, and no other', async () => {
    const server = await fakeServer(request => setup(type)(request) ?? bulkAnswer(request, 201), {
      tls: { cert: certificate.cert, key: certificate.key },
    });
    open.push(server);
    expect(await outcomeOf(await sinkAt(server.url, { CA: ca }))).toBeNull();
    expect(await outcomeOf(await sinkAt(server.url))).toMatch(/^misconfigured -: TLS failed/);
    expect(await outcomeOf(await sinkAt(server.url.replace('127.0.0.1', 'localhost'), { CA: ca }))).toMatch(/^misconfigured -: TLS failed/);
  });

  it('counts what was answered before a bulk failed, and sends nothing behind it', async () => {
    let bulks = 0;
    const server = await target(request =>
      (bulks += 1) === 2 ? { status: 503, headers: { 'retry-after': '9' } } : bulkAnswer(request, 201),
    );
    const results = await (await sinkAt(server.url)).deliverMany(many, signal);
    expect(results.map(result => result?.outcome ?? null)).toEqual([null, null, 'retry', 'retry', 'retry', 'retry']);
    expect(results[5]).toMatchObject({ retryAfterMs: 9000 });
    expect(bulks).toBe(2);
  });

  it('works under a path, and keeps its connection', async () => {
    const server = await fakeServer(request => {
      expect(request.path).toMatch(/^\/search\//);
      return setup(type)({ ...request, path: request.path.slice('/search'.length) }) ?? bulkAnswer(request, 201);
    });
    open.push(server);
    const sink = await sinkAt(`${server.url}/search/`);
    expect(await outcomeOf(sink)).toBeNull();
    expect(server.requests[3]?.path).toBe('/search/_bulk?require_alias=true');
    expect(new Set(server.requests.map(({ remotePort }) => remotePort)).size).toBe(1);
  });

  it('tries again when an answer breaks off', async () => {
    const server = await fakeServer((request, response) => {
      const known = setup(type)(request);
      if (known) return known;
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
      response.write('{"took":', () => response.socket?.resetAndDestroy());
      return undefined;
    });
    open.push(server);
    expect(await outcomeOf(await sinkAt(server.url))).toBe('retry -: connection reset');
  });

  it('connects to nothing before the first delivery', async () => {
    const server = await target(request => bulkAnswer(request, 201));
    await sinkAt(server.url);
    expect(server.requests).toEqual([]);
  });

  it('shows its credentials', async () => {
    const server = await target(request => bulkAnswer(request, 201));
    const shown = async (url: string, overrides: Partial<ClusterSettings>): Promise<unknown> => {
      await attempt(await sinkAt(url, overrides));
      return server.requests.at(-1)?.headers.authorization;
    };
    const basic = `Basic ${Buffer.from('üser:p:w').toString('base64')}`;
    expect(await shown(server.url, {})).toBeUndefined();
    expect(await shown(server.url, { API_KEY: 'key==' })).toBe('ApiKey key==');
    expect(await shown(server.url, { USERNAME: 'üser', PASSWORD: 'p:w' })).toBe(basic);
    expect(await shown(server.url.replace('//', '//%C3%BCser:p%3Aw@'), {})).toBe(basic);
  });
});

describe('settings of a sink of a cluster', () => {
  function read(texts: Record<string, string>): { value: ClusterSettings; mistakes: string[] } {
    return readClass(ClusterSettings, new Map(Object.entries({ URL: 'https://search:9200', ...texts })), 'SINK_S_');
  }

  it('has defaults of its own', () => {
    const { value, mistakes } = read({});
    expect(mistakes).toEqual([]);
    expect(value).toMatchObject({ INDEX: 'official-channels', ANALYZER: 'cjk', CONCURRENCY: 2, TIMEOUT_MS: 10_000 });
    expect(read({ CONCURRENCY: '5' }).value.CONCURRENCY).toBe(5);
  });

  it.each<[Record<string, string>, string]>([
    [{ URL: 'search:9200' }, 'SINK_S_URL must be an http or https URL'],
    [
      { INDEX: 'Channels' },
      'SINK_S_INDEX must be lower case letters, digits, dots, hyphens and underscores, and start with a letter or a digit',
    ],
    [
      { INDEX: '_all' },
      'SINK_S_INDEX must be lower case letters, digits, dots, hyphens and underscores, and start with a letter or a digit',
    ],
    [
      { INDEX: 'a,b' },
      'SINK_S_INDEX must be lower case letters, digits, dots, hyphens and underscores, and start with a letter or a digit',
    ],
    [{ ANALYZER: '{}' }, 'SINK_S_ANALYZER must be the name of an analyzer, such as cjk'],
    [{ CONCURRENCY: 'many' }, 'SINK_S_CONCURRENCY must be a whole number from 1 to 1000'],
    [{ USERNAME: 'u' }, 'SINK_S_PASSWORD is required with USERNAME'],
    [{ PASSWORD: 'p' }, 'SINK_S_USERNAME is required with PASSWORD'],
    [{ USERNAME: 'u', PASSWORD: 'p', API_KEY: 'k' }, 'SINK_S_API_KEY must not be set together with USERNAME and PASSWORD'],
    [{ URL: 'http://u:p@s', API_KEY: 'k' }, 'SINK_S_URL must not hold credentials when they are set apart, too'],
    [{ URL: 'http://u@s' }, 'SINK_S_URL must hold both a user name and a password, percent-encoded, or neither'],
    [{ URL: 'http://s/?pretty' }, 'SINK_S_URL must not have a query or a fragment'],
    [{ CA: 'not a certificate' }, 'SINK_S_CA must be one or more certificates in PEM'],
    [{ CA: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' }, 'SINK_S_CA must be one or more certificates in PEM'],
  ])('finds the mistake in %j', (texts, mistake) => {
    expect(read(texts).mistakes).toContain(mistake);
  });

  it('takes a CA of several certificates', () => {
    expect(read({ CA: `${ca}${certificate.cert}` }).mistakes).toEqual([]);
  });

  it('needs a URL', () => {
    expect(readClass(ClusterSettings, new Map(), 'SINK_S_').mistakes).toEqual(['SINK_S_URL is required']);
  });
});
