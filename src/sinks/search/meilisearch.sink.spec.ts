import { FakeMeilisearch } from '../../../test/support/fake-meilisearch.ts';
import { FakeSearch } from '../../../test/support/fake-search.ts';
import { type Answer, type ReceivedRequest, fakeServer } from '../../../test/support/fake-server.ts';
import { channelDelivery, lifeStories, openSearchSink, unsettled } from '../../../test/support/opensearch/stories.ts';
import { ca, server as certificate } from '../../../test/support/test-certificates.ts';
import { until } from '../../../test/support/until.ts';
import { attempt, expectNoLeak, sinkContract } from '../../../test/sink.contract.ts';
import { readClass } from '../../settings/setting.js';
import type { Delivery, SearchSink } from '../sink.js';
import { MeilisearchSettings } from './search.settings.js';

const mark = 'channel-sync-schema-1-v1';
const signal = new AbortController().signal;

/** Documents written and not yet read back. */
let written: object[] = [];

/** Answers everything but the write itself like a Meilisearch that already has the index. */
function setup({ method, path }: ReceivedRequest): Answer | undefined {
  if (path === '/version') return { body: { pkgVersion: '1.24.0' } };
  if (path === '/indexes/official-channels/settings/filterable-attributes') return { body: ['id', mark] };
  if (path.endsWith('/settings/filterable-attributes')) {
    return { status: 404, body: { message: 'none', code: 'index_not_found', type: 'invalid_request', link: '' } };
  }
  if (path === '/tasks/7') return { body: { uid: 7, status: 'succeeded', error: null } };
  if (path.startsWith('/tasks?')) return { body: { results: [] } };
  if (method === 'POST' && path.endsWith('/documents/fetch')) return { body: { results: written.splice(0) } };
  return undefined;
}

const key = 'key-8d2f-of-meili';

sinkContract('meilisearch', {
  secrets: [key],
  open: (origin, overrides) => openSearchSink('meilisearch', origin, { ...overrides, API_KEY: key } as object),
  setup,
  answer(status, text, request) {
    if (status >= 300) return { status, body: { message: text, code: 'some_code', type: 'invalid_request', link: text } };
    written = JSON.parse(request.body) as object[];
    return { status, body: { taskUid: 7 } };
  },
  // A response without a body says nothing about the task.
  classes: status => (status === 204 ? 'retry' : undefined),
});

describe('meilisearch sink', () => {
  let fake: FakeMeilisearch;
  const open: { close?(): Promise<void> }[] = [];

  async function sinkAt(url = fake.url, overrides: object = {}, now?: () => number): Promise<SearchSink> {
    const sink = await openSearchSink('meilisearch', url, { TIMEOUT_MS: 2000, ...overrides }, now);
    open.push(sink);
    return sink;
  }
  async function deliver(sink: SearchSink, ...deliveries: Delivery[]): Promise<(string | null)[]> {
    const results = await sink.deliverMany(deliveries, signal);
    for (const result of results) if (result) expectNoLeak(result, ['quoted-text']);
    return results.map(result => result && `${result.outcome}: ${result.message}`);
  }
  async function outcomeOf(sink: SearchSink): Promise<string | null> {
    const error = await attempt(sink);
    if (error) expectNoLeak(error, ['quoted-text']);
    return error && `${error.outcome} ${error.status ?? '-'}: ${error.message}`;
  }
  function stored(channelId: string, uid = 'official-channels'): Record<string, unknown> | undefined {
    return fake.documents(uid).find(one => one['channelId'] === channelId);
  }
  const writes = () => fake.requests.filter(({ method, path }) => method === 'POST' && /\/documents(\?|$)/.test(path));

  beforeEach(async () => {
    fake = await new FakeMeilisearch().open();
    open.push(fake);
  });
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close?.();
  });

  describe('on the fake', () => {
    lifeStories(
      async () => unsettled(await sinkAt(fake.url, { TIMEOUT_MS: 1000 }, () => 0)),
      async (index, channelId) => stored(channelId, index),
      () => 'official-channels',
    );
  });

  it('makes the index, and stores whole documents', async () => {
    const profile = { name: '官方账号', avatarUrl: null, introduction: '', organization: null };
    expect(await deliver(await sinkAt(), channelDelivery('@TOA#_a', 7, { profile }))).toEqual([null]);
    expect(fake.documents('official-channels')).toEqual([
      {
        id: '1400000001-81a4ug93btgg',
        sdkAppId: '1400000001',
        channelId: '@TOA#_a',
        ...profile,
        revision: 3,
        updatedAt: '2022-12-09T08:26:54.123Z',
        deleted: false,
        version: 7,
      },
    ]);
    expect(fake.uids).toEqual(['official-channels']);
    expect(writes()[0]?.headers.authorization).toBeUndefined();
  });

  it('writes 500 channels in one request, and what it has already not again', async () => {
    const sink = await sinkAt();
    const deliveries = Array.from({ length: 500 }, (_, index) => channelDelivery(`channel${index}`, 5));
    expect(await deliver(sink, ...deliveries)).toEqual(deliveries.map(() => null));
    expect(writes()).toHaveLength(1);
    const profile = { name: 'other', avatarUrl: null, introduction: null, organization: null };
    expect(await deliver(sink, channelDelivery('channel1', 4, { profile }), channelDelivery('channel2', 5, { profile }))).toEqual([
      null,
      null,
    ]);
    expect(writes()).toHaveLength(1);
    expect(await deliver(sink, channelDelivery('channel1', 6, { profile }))).toEqual([null]);
    expect(stored('channel1')).toMatchObject({ name: 'other', version: 6 });
  });

  it('takes ids of any length and of any character', async () => {
    const channelId = `${'界'.repeat(84)}/%#`;
    expect(await deliver(await sinkAt(), channelDelivery(channelId, 1, { sdkAppId: '9'.repeat(20) }))).toEqual([null]);
    expect(stored(channelId)).toMatchObject({ version: 1 });
  });

  it('does not take a task that waits for done, and finds out later that it was', async () => {
    const sink = await sinkAt(fake.url, { TIMEOUT_MS: 300 });
    expect(await deliver(sink, channelDelivery('a', 1))).toEqual([null]);
    fake.pauseTasks();
    expect(await deliver(sink, channelDelivery('a', 2))).toEqual(['retry: timed out']);
    fake.resumeTasks();
    expect(await deliver(sink, channelDelivery('a', 2))).toEqual([null]);
    expect(stored('a')).toMatchObject({ version: 2 });
    // It existed already.
    expect(writes()).toHaveLength(2);
  });

  it('writes again what a late write of its own undid', async () => {
    const sink = await sinkAt(fake.url, { TIMEOUT_MS: 500 });
    expect(await deliver(sink, channelDelivery('a', 1))).toEqual([null]);
    fake.holdWrites();
    expect(await deliver(sink, channelDelivery('a', 2))).toEqual(['retry: timed out']);
    expect(fake.heldWrites).toBe(1);
    const late = fake.letThrough();
    fake.pauseTasks();
    const newer = deliver(sink, channelDelivery('a', 3));
    // Queued behind the newer one, before that has finished.
    await until(() => writes().length === 3, 'the newer write');
    late();
    fake.resumeTasks();
    expect(await newer).toEqual([null]);
    expect(stored('a')).toMatchObject({ version: 3 });
    // 1, 2 (late), 3, and 3 again.
    expect(writes()).toHaveLength(4);
  });

  it('waits, after a write that got lost, for what has arrived, and looks again', async () => {
    const sink = await sinkAt(fake.url, { TIMEOUT_MS: 500 });
    expect(await deliver(sink, channelDelivery('a', 1))).toEqual([null]);
    fake.holdWrites();
    expect(await deliver(sink, channelDelivery('a', 2))).toEqual(['retry: timed out']);
    fake.letThrough();
    const old = { ...stored('a'), version: 2, name: 'old' };
    fake.requests.length = 0;
    // It arrives after the newer one was read back, at the check for pending tasks.
    const { push } = fake.requests;
    fake.requests.push = function (...all) {
      if (all[0]?.path.startsWith('/tasks?') && all[0].path.includes('indexUids')) {
        fake.requests.push = push;
        fake.pauseTasks();
        fake.overwrite('official-channels', old);
        setImmediate(() => fake.resumeTasks());
      }
      return Reflect.apply(push, this, all) as number;
    };
    expect(await deliver(sink, channelDelivery('a', 3))).toEqual([null]);
    expect(stored('a')).toMatchObject({ version: 3, name: 'NewName' });
    expect(writes()).toHaveLength(2);
    // Nothing is uncertain any more, so nothing is waited for.
    fake.requests.length = 0;
    expect(await deliver(sink, channelDelivery('a', 4))).toEqual([null]);
    expect(fake.requests.filter(({ path }) => path.includes('indexUids'))).toEqual([]);
  });

  it('leaves nothing old in the next index when who fills it is overtaken by a delivery', async () => {
    const [builder, writer] = [await sinkAt(), await sinkAt()];
    await deliver(writer, channelDelivery('a', 1));
    const next = await builder.prepare(signal);
    await writer.current(signal);
    fake.holdWrites();
    const filling = builder.fill(next, [channelDelivery('a', 1)], signal);
    await until(() => fake.heldWrites === 1, 'the write of who fills');
    const late = fake.letThrough();
    expect(await deliver(writer, channelDelivery('a', 2, { revision: 4 }))).toEqual([null]);
    expect(stored('a', next)).toMatchObject({ version: 2 });
    late();
    expect(await filling).toEqual([null]);
    expect(stored('a', next)).toMatchObject({ version: 2, revision: 4 });
  });

  // Fails if the swap goes unnoticed: the write counts as delivered, but only the retired index has it.
  it('writes again when the indices were swapped between the two writes of a delivery', async () => {
    const [builder, writer] = [await sinkAt(fake.url, { TIMEOUT_MS: 1000 }), await sinkAt()];
    const next = await builder.prepare(signal);
    fake.holdWrites();
    const delivery = deliver(writer, channelDelivery('a', 2));
    await until(() => fake.heldWrites === 1, 'the write into the used index');
    const first = fake.letThrough();
    fake.holdWrites();
    first();
    await until(() => fake.heldWrites === 1, 'the write into the next index');
    const swapping = builder.swap(next, signal);
    await until(async () => (await writer.current(signal)).index === next, 'the swap');
    fake.letThrough()();
    expect(await delivery).toEqual([null]);
    expect(stored('a')).toMatchObject({ version: 2 });
    await swapping;
    expect(fake.uids).toEqual(['official-channels']);
  });

  it('gives up no other document for one that a task refuses', async () => {
    const sink = await sinkAt();
    await deliver(sink, channelDelivery('a', 1));
    fake.refuse(({ channelId }) => channelId === 'channel3', 'invalid_document_geo_field');
    const results = await deliver(sink, ...Array.from({ length: 6 }, (_, index) => channelDelivery(`channel${index}`, 1)));
    expect(results).toEqual([null, null, null, 'refused: invalid_document_geo_field', null, null]);
  });

  it.each([
    ['system', 'no_space_left_on_device', 'retry: no_space_left_on_device'],
    ['internal', 'internal', 'retry: internal'],
    ['auth', 'invalid_api_key', 'misconfigured: invalid_api_key'],
    ['invalid_request', 'index_not_found', 'retry: index_not_found'],
  ])('takes a task that failed for a reason of type %s as it is', async (type, code, outcome) => {
    const sink = await sinkAt();
    await deliver(sink, channelDelivery('a', 1));
    fake.refuse(() => true, code, type);
    expect(await deliver(sink, channelDelivery('a', 2))).toEqual([outcome]);
  });

  it('leaves an index of that name alone, and goes on when it is gone', async () => {
    fake.make('official-channels', [{ id: 'theirs' }]);
    const sink = await sinkAt();
    expect(await outcomeOf(sink)).toBe('misconfigured -: INDEX is an index that channel-sync did not create');
    expect(fake.documents('official-channels')).toEqual([{ id: 'theirs' }]);
    fake.delete('official-channels');
    expect(await outcomeOf(sink)).toBeNull();
  });

  it('leaves an index of the name of the next one alone', async () => {
    const sink = await sinkAt();
    fake.make('official-channels-v2', [{ id: 'theirs' }]);
    expect(await deliver(sink, channelDelivery('a', 1))).toEqual([null]);
    await expect(sink.prepare(signal)).rejects.toMatchObject({ message: 'the index official-channels-v2 was not created by channel-sync' });
    expect(fake.documents('official-channels-v2')).toEqual([{ id: 'theirs' }]);
  });

  it('makes a next index anew that another release began', async () => {
    const sink = await sinkAt();
    await deliver(sink, channelDelivery('a', 1));
    fake.make('official-channels-v2', [{ id: '1400000001-b', version: 9 }], ['id', 'channel-sync-schema-99-v2']);
    expect(await sink.prepare(signal)).toBe('official-channels-v2');
    expect(fake.documents('official-channels-v2')).toEqual([]);
    fake.requests.length = 0;
    expect(await sink.prepare(signal)).toBe('official-channels-v2');
    expect(fake.requests.filter(({ method }) => method !== 'GET')).toEqual([]);
  });

  it('goes on with an index of another schema, and says that it is outdated', async () => {
    fake.make('official-channels', [], ['id', 'channel-sync-schema-99-v6']);
    const sink = await sinkAt();
    expect(await sink.current(signal)).toEqual({ index: 'official-channels-v6', outdated: true });
    expect(await deliver(sink, channelDelivery('a', 1))).toEqual([null]);
  });

  it('makes the index anew when it was deleted', async () => {
    const sink = await sinkAt();
    await deliver(sink, channelDelivery('a', 1));
    fake.delete('official-channels');
    expect(await deliver(sink, channelDelivery('a', 2))).toEqual(['retry: index_not_found']);
    expect(await deliver(sink, channelDelivery('a', 2))).toEqual([null]);
  });

  it('waits for a swap that is under way instead of undoing it, and clears up after one that was interrupted', async () => {
    const sink = await sinkAt(fake.url, { TIMEOUT_MS: 300 });
    await deliver(sink, channelDelivery('a', 1));
    const next = await sink.prepare(signal);
    await sink.fill(next, [channelDelivery('a', 1)], signal);
    fake.pauseTasks();
    const interrupted = new AbortController();
    const first = sink.swap(next, interrupted.signal);
    await until(() => fake.requests.some(({ path }) => path === '/swap-indexes'), 'the first swap');
    interrupted.abort(new Error('the lease is lost'));
    await expect(first).rejects.toThrow('the lease is lost');
    const second = sink.swap(next, signal);
    await until(() => fake.requests.filter(({ path }) => path.startsWith('/tasks?')).length === 2, 'the second swap');
    fake.resumeTasks();
    await second;
    expect(fake.requests.filter(({ path }) => path === '/swap-indexes')).toHaveLength(1);
    expect(await sink.current(signal)).toEqual({ index: next, outdated: false });
    expect(fake.uids).toEqual(['official-channels']);
  }, 15_000);

  it.each<[string, (request: ReceivedRequest) => Answer, string]>([
    ['a web page', () => ({ body: '<html>quoted-text</html>' }), 'misconfigured -: the answer is not one of Meilisearch'],
    ['an empty object', () => ({ body: {} }), 'misconfigured -: the answer is not one of Meilisearch'],
    ['a version that is too old', () => ({ body: { pkgVersion: '1.15.2' } }), 'misconfigured -: this Meilisearch is too old'],
    ['404', () => ({ status: 404, body: 'quoted-text' }), 'misconfigured 404: answered 404'],
    ['503', () => ({ status: 503, body: 'quoted-text' }), 'retry 503: answered 503'],
    [
      'a missing key',
      () => ({ status: 401, body: { message: 'quoted-text', code: 'missing_authorization_header', type: 'auth' } }),
      'misconfigured 401: missing_authorization_header',
    ],
  ])('sends no document when %s is there', async (_, answer, outcome) => {
    const server = await fakeServer(answer);
    open.push(server);
    expect(await outcomeOf(await sinkAt(server.url))).toBe(outcome);
    expect(server.requests.map(({ method }) => method)).toEqual(['GET']);
  });

  it.each(['/settings/filterable-attributes', '/documents/fetch'])('parks nothing when %s is refused', async end => {
    const refusal = { status: 400, body: { message: 'quoted-text', code: 'bad_request', type: 'invalid_request' } };
    const server = await fakeServer(request => (request.path.endsWith(`/official-channels${end}`) ? refusal : setup(request)));
    open.push(server);
    expect(await outcomeOf(await sinkAt(server.url))).toBe('misconfigured 400: bad_request');
  });

  it.each<[string, unknown]>([
    ['/documents/fetch', { results: [null] }],
    ['/settings/filterable-attributes', [{ toString: 1, valueOf: 1 }]],
    ['/version', { pkgVersion: { toString: 1, valueOf: 1 } }],
  ])('names an answer to %s that is none', async (end, body) => {
    const server = await fakeServer(request => (request.path.endsWith(end) ? { body: body as object } : setup(request)));
    open.push(server);
    expect(await outcomeOf(await sinkAt(server.url))).not.toMatch(/TypeError|network/);
  });

  it('says so when OpenSearch or Elasticsearch is there', async () => {
    const search = await new FakeSearch().open();
    open.push(search);
    expect(await outcomeOf(await sinkAt(search.url))).toBe(
      'misconfigured -: OpenSearch or Elasticsearch is behind the URL, not Meilisearch',
    );
  });

  it('works with a key that may not ask for the version', async () => {
    const server = await fakeServer(request => {
      if (request.path === '/version') return { status: 403, body: { message: 'quoted-text', code: 'invalid_api_key', type: 'auth' } };
      const known = setup(request);
      if (known) return known;
      written = JSON.parse(request.body) as object[];
      return { status: 202, body: { taskUid: 7 } };
    });
    open.push(server);
    expect(await outcomeOf(await sinkAt(server.url, { API_KEY: 'key' }))).toBeNull();
    expect(new Set(server.requests.map(({ headers }) => headers.authorization))).toEqual(new Set(['Bearer key']));
  });

  it('trusts the CA that it is given, and no other', async () => {
    const server = await fakeServer(
      request => {
        const known = setup(request);
        if (known) return known;
        written = JSON.parse(request.body) as object[];
        return { status: 202, body: { taskUid: 7 } };
      },
      { tls: { cert: certificate.cert, key: certificate.key } },
    );
    open.push(server);
    expect(await outcomeOf(await sinkAt(server.url, { CA: ca }))).toBeNull();
    expect(await outcomeOf(await sinkAt(server.url))).toMatch(/^misconfigured -: TLS failed/);
  });
});

describe('settings of a meilisearch sink', () => {
  it.each<[Record<string, string>, string[]]>([
    [{}, []],
    [{ API_KEY: 'k' }, []],
    [{ URL: 'http://u:p@search:7700' }, ['SINK_S_URL must not hold credentials: Meilisearch has no users, set API_KEY']],
  ])('finds the mistakes in %j', (texts, mistakes) => {
    const all = new Map(Object.entries({ URL: 'http://search:7700', ...texts }));
    expect(readClass(MeilisearchSettings, all, 'SINK_S_').mistakes).toEqual(mistakes);
  });
});
