import { cleanerOf } from '../clean.ts';
import { noProxies } from '../proxy.ts';
import { elasticsearch, meilisearch, opensearch } from '../../../src/sinks/search/search-types.js';
import type { ClusterSettings } from '../../../src/sinks/search/search.settings.js';
import type { ChangeEvent, ChannelKey, Delivery, SearchSink } from '../../../src/sinks/sink.js';
import { SinkError } from '../../../src/sinks/errors.js';
import { exampleDelivery, exampleEvent } from '../../sink.contract.ts';
import { noActions, noLookup } from '../no-actions.ts';

const types = { opensearch, elasticsearch, meilisearch };

export type SearchType = keyof typeof types;

/** What the sinks of these tests had to warn of. */
const warnings: string[] = [];

/** A sink with the settings that come out of the environment, but for these. */
export async function openSearchSink(
  type: SearchType,
  url: string,
  overrides: Partial<ClusterSettings> = {},
  now: () => number = Date.now,
): Promise<SearchSink> {
  const settings = Object.assign(new types[type].settings(), { URL: url, INDEX: 'official-channels', TIMEOUT_MS: 10_000 });
  Object.assign(settings, type !== 'meilisearch' && { ANALYZER: 'cjk' }, overrides);
  const context = {
    name: 'search',
    now,
    warn: (message: string) => void warnings.push(message),
    proxies: noProxies,
    sdkAppIds: ['1400000001'],
    clean: cleanerOf(settings),
    actions: noActions,
    lookup: noLookup,
    interaction: () => Promise.resolve(''),
  };
  return (await types[type].open(settings, context)) as SearchSink;
}

/** The sink without the rest that it leaves other processes after a swap, where there are none that need it. */
export function unsettled(sink: SearchSink): SearchSink {
  expect(sink.settleMs).toBeGreaterThan(1000);
  return Object.assign(sink, { settleMs: 1 });
}

/** A delivery of a channel at a version. */
export function channelDelivery(channelId: string, version: number, data: Partial<ChangeEvent['data']> = {}): Delivery {
  return exampleDelivery({ version, event: exampleEvent({ channelId, ...data }) });
}

/** One call of the engine, as curl would make it. */
export async function call(
  origin: string,
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const init = body ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {};
  const response = await fetch(origin + path, { method, ...init });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/**
 * What a sink does with a cluster: run against the fake on every `npm test`, and against a real OpenSearch on demand, so that the two stay alike.
 * @param front what the sink is told of the engine, if that is not the engine itself
 */
export function clusterStories(type: 'opensearch' | 'elasticsearch', engine: () => string, front = engine): void {
  const signal = new AbortController().signal;
  const sinks: SearchSink[] = [];
  let number = 0;
  let INDEX = '';

  async function sink(overrides: Partial<ClusterSettings> = {}): Promise<SearchSink> {
    // Its clock stands still, so that it goes on believing what it saw.
    const opened = unsettled(await openSearchSink(type, front(), { INDEX, TIMEOUT_MS: 2000, ...overrides }, () => 0));
    sinks.push(opened);
    return opened;
  }
  async function deliver(to: SearchSink, ...deliveries: Delivery[]): Promise<(string | null)[]> {
    try {
      const results = await to.deliverMany(deliveries, signal);
      return results.map(result => result && `${result.outcome}: ${result.message}`);
    } catch (error) {
      if (error instanceof SinkError) return [`all ${error.outcome}: ${error.message}`];
      throw error;
    }
  }
  async function stored(channelId: string): Promise<Record<string, unknown>> {
    const id = encodeURIComponent(`1400000001:${channelId}`);
    return (await call(engine(), 'GET', `/${INDEX}/_doc/${id}`)).body;
  }

  beforeEach(() => {
    number += 1;
    INDEX = `story-${type}-${number}`;
    warnings.length = 0;
  });
  afterEach(async () => {
    for (const one of sinks.splice(0)) await one.close?.();
  });

  it('makes the index and its alias, and stores whole documents', async () => {
    const delivery = channelDelivery('@TOA#_a', 7, {
      profile: { name: '官方账号', avatarUrl: null, introduction: '', organization: null },
    });
    expect(await deliver(await sink(), delivery)).toEqual([null]);
    expect(await stored('@TOA#_a')).toMatchObject({ _index: `${INDEX}-v1`, _id: '1400000001:@TOA#_a', _version: 7 });
    expect((await stored('@TOA#_a'))['_source']).toEqual({
      sdkAppId: '1400000001',
      channelId: '@TOA#_a',
      name: '官方账号',
      avatarUrl: null,
      introduction: '',
      organization: null,
      revision: 3,
      updatedAt: '2022-12-09T08:26:54.123Z',
      deleted: false,
    });
    expect(warnings).toEqual([]);
  });

  it('takes "already newer" as delivered, and overwrites with what is newer', async () => {
    const to = await sink();
    const profile = { name: 'new', avatarUrl: null, introduction: null, organization: null };
    expect(await deliver(to, channelDelivery('a', 5))).toEqual([null]);
    expect(await deliver(to, channelDelivery('a', 5, { profile }))).toEqual([null]);
    expect(await deliver(to, channelDelivery('a', 4, { profile }))).toEqual([null]);
    expect(await stored('a')).toMatchObject({ _version: 5, _source: { name: 'NewName' } });
    expect(await deliver(to, channelDelivery('a', 6, { profile }))).toEqual([null]);
    expect(await stored('a')).toMatchObject({ _version: 6, _source: { name: 'new' } });
  });

  it('keeps a destroyed channel as deleted, and takes it back when it is made anew', async () => {
    const to = await sink();
    const profile = { name: null, avatarUrl: null, introduction: null, organization: null };
    await deliver(to, channelDelivery('a', 1));
    await deliver(to, channelDelivery('a', 2, { exists: false, profile }));
    expect(await stored('a')).toMatchObject({ _source: { deleted: true, ...profile } });
    await deliver(to, channelDelivery('a', 3));
    expect(await stored('a')).toMatchObject({ _source: { deleted: false, name: 'NewName' } });
  });

  it('takes texts of any length and of any character', async () => {
    const long = '字'.repeat(60_000);
    const profile = {
      name: long,
      avatarUrl: `http://${'u'.repeat(60_000)}`,
      introduction: `${long}\n\u2028"\\`,
      organization: 'x'.repeat(60_000),
    };
    const channelId = `${'界'.repeat(84)}/%#`;
    expect(await deliver(await sink(), channelDelivery(channelId, 1, { profile }))).toEqual([null]);
    expect(await stored(channelId)).toMatchObject({ _source: profile });
  });

  it('answers for each document', async () => {
    const to = await sink();
    await deliver(to, channelDelivery('old', 9));
    const strange = channelDelivery('strange', 1, { revision: 'secret-text' as unknown as number });
    const results = await deliver(to, channelDelivery('old', 8), strange, channelDelivery('new', 1));
    expect(results).toEqual([null, 'refused: mapper_parsing_exception', null]);
    expect(await stored('new')).toMatchObject({ found: true });
    expect(await stored('strange')).toMatchObject({ found: false });
  });

  it('lets two replicas make the index at once', async () => {
    const replicas = await Promise.all([sink(), sink(), sink(), sink()]);
    const results = await Promise.all(replicas.map((replica, index) => deliver(replica, channelDelivery(`channel${index}`, 1))));
    expect(results.flat()).toEqual([null, null, null, null]);
  });

  it('warns of nothing when a delivery and a job look for the first time at once', async () => {
    const to = await sink();
    const [results] = await Promise.all([deliver(to, channelDelivery('a', 1)), to.current(signal)]);
    expect([results, warnings]).toEqual([[null], []]);
  });

  it('takes over an index that it made earlier, whatever its number', async () => {
    await deliver(await sink(), channelDelivery('a', 1));
    await call(engine(), 'PUT', `/${INDEX}-v2`, { mappings: { _meta: { 'channel-sync': { schema: 1 } } } });
    const actions = [{ remove_index: { index: `${INDEX}-v1` } }, { add: { index: `${INDEX}-v2`, alias: INDEX } }];
    expect(await call(engine(), 'POST', '/_aliases', { actions })).toMatchObject({ status: 200 });
    expect(await deliver(await sink(), channelDelivery('a', 2))).toEqual([null]);
    expect(await stored('a')).toMatchObject({ _index: `${INDEX}-v2` });
  });

  it('leaves an index of that name alone', async () => {
    await call(engine(), 'PUT', `/${INDEX}`, {});
    expect(await deliver(await sink(), channelDelivery('a', 1))).toEqual(['all misconfigured: INDEX is an index, not an alias']);
    expect((await call(engine(), 'GET', `/${INDEX}/_count`)).body).toMatchObject({ count: 0 });
    expect((await call(engine(), 'GET', `/${INDEX}-v1/_count`)).status).toBe(404);
  });

  it('leaves an alias of a foreign index alone, and goes on when it is gone', async () => {
    await call(engine(), 'PUT', `/foreign-${INDEX}`, { aliases: { [INDEX]: {} } });
    const to = await sink();
    expect(await deliver(to, channelDelivery('a', 1))).toEqual([
      'all misconfigured: INDEX is an alias of an index that channel-sync did not create',
    ]);
    expect((await call(engine(), 'GET', `/foreign-${INDEX}/_count`)).body).toMatchObject({ count: 0 });
    await call(engine(), 'POST', '/_aliases', { actions: [{ remove: { index: `foreign-${INDEX}`, alias: INDEX } }] });
    expect(await deliver(to, channelDelivery('a', 1))).toEqual([null]);
  });

  it('says so when its index has lost the alias', async () => {
    const to = await sink();
    await deliver(to, channelDelivery('a', 1));
    await call(engine(), 'POST', '/_aliases', { actions: [{ remove: { index: `${INDEX}-v1`, alias: INDEX } }] });
    expect(await deliver(to, channelDelivery('a', 2))).toEqual(['retry: index_not_found_exception']);
    const told = `all misconfigured: the index ${INDEX}-v1 exists, but the alias ${INDEX} does not lead to it`;
    expect(await deliver(to, channelDelivery('a', 2))).toEqual([told]);
  });

  it('makes the index anew when it was deleted, and warns that it is empty', async () => {
    const to = await sink();
    await deliver(to, channelDelivery('a', 1));
    await call(engine(), 'DELETE', `/${INDEX}-v1`);
    expect(await deliver(to, channelDelivery('a', 2), channelDelivery('b', 1))).toEqual([
      'retry: index_not_found_exception',
      'retry: index_not_found_exception',
    ]);
    expect(await deliver(to, channelDelivery('a', 2))).toEqual([null]);
    expect(warnings).toEqual([`sink search: the index was missing; ${INDEX}-v1 was created empty: rebuild it`]);
  });

  it('gives no document up when somebody put another index behind the alias', async () => {
    const to = await sink();
    await deliver(to, channelDelivery('a', 1));
    await call(engine(), 'PUT', `/other-${INDEX}`, { mappings: { dynamic: 'strict' } });
    await call(engine(), 'POST', '/_aliases', { actions: [{ add: { index: `other-${INDEX}`, alias: INDEX } }] });
    expect(await deliver(to, channelDelivery('a', 2))).toEqual(['misconfigured: INDEX is an alias of 2 indices']);
    await call(engine(), 'POST', '/_aliases', { actions: [{ remove: { index: `${INDEX}-v1`, alias: INDEX } }] });
    expect(await deliver(to, channelDelivery('a', 2))).toEqual([
      'all misconfigured: INDEX is an alias of an index that channel-sync did not create',
    ]);
  });

  it('goes on with an index of another mapping or analyzer, and says that it is outdated', async () => {
    const to = await sink();
    expect(await to.current(signal)).toEqual({ index: `${INDEX}-v1`, outdated: false });
    expect(await (await sink({ ANALYZER: 'standard' })).current(signal)).toEqual({ index: `${INDEX}-v1`, outdated: true });
    expect(await deliver(await sink({ ANALYZER: 'standard' }), channelDelivery('a', 1))).toEqual([null]);
    const mappings = { _meta: { 'channel-sync': { schema: 1 } }, properties: { name: { type: 'text' } } };
    await call(engine(), 'PUT', `/${INDEX}-v7`, { mappings });
    const actions = [{ remove_index: { index: `${INDEX}-v1` } }, { add: { index: `${INDEX}-v7`, alias: INDEX } }];
    await call(engine(), 'POST', '/_aliases', { actions });
    expect(await to.current(signal)).toEqual({ index: `${INDEX}-v7`, outdated: true });
    expect(await to.prepare(signal)).toBe(`${INDEX}-v8`);
  });

  it('does not tell as delivered what the next index alone refuses, until that is gone', async () => {
    const to = await sink();
    await to.current(signal);
    const mappings = { dynamic: 'strict', _meta: { 'channel-sync': { schema: 99 } }, properties: { name: { type: 'long' } } };
    await call(engine(), 'PUT', `/${INDEX}-v2`, { aliases: { [`${INDEX}-next`]: {} }, mappings });
    const other = await sink();
    expect(await deliver(other, channelDelivery('a', 1))).toEqual([
      expect.stringMatching(/^retry: .*_exception, in the next index .*-v2$/),
    ]);
    expect(await stored('a')).toMatchObject({ _version: 1 });
    await call(engine(), 'DELETE', `/${INDEX}-v2`);
    expect(await deliver(other, channelDelivery('a', 2))).toEqual([null]);
    expect((await call(engine(), 'GET', `/${INDEX}-next/_count`)).status).toBe(404);
  });

  it('makes a next index anew that another release began', async () => {
    const to = await sink();
    await to.current(signal);
    const mappings = { _meta: { 'channel-sync': { schema: 99 } } };
    await call(engine(), 'PUT', `/${INDEX}-v2`, { aliases: { [`${INDEX}-next`]: {} }, mappings });
    expect(await to.prepare(signal)).toBe(`${INDEX}-v2`);
    expect(await to.fill(`${INDEX}-v2`, [channelDelivery('a', 1)], signal)).toEqual([null]);
  });

  it('says so when the alias was pointed elsewhere during a rebuild, and deletes nothing then', async () => {
    const to = await sink();
    await deliver(to, channelDelivery('a', 1));
    const next = await to.prepare(signal);
    await call(engine(), 'PUT', `/elsewhere-${INDEX}`, {});
    const move = [{ remove: { index: `${INDEX}-v1`, alias: INDEX } }, { add: { index: `elsewhere-${INDEX}`, alias: INDEX } }];
    await call(engine(), 'POST', '/_aliases', { actions: move });
    await expect(to.swap(next, signal)).rejects.toMatchObject({
      outcome: 'misconfigured',
      message: 'INDEX is an alias of an index that channel-sync did not create',
    });
    expect((await call(engine(), 'GET', `/${INDEX}-v1/_count`)).status).toBe(200);
  });

  it('leaves a foreign alias of the name of the next index alone', async () => {
    await call(engine(), 'PUT', `/foreign-${INDEX}`, { aliases: { [`${INDEX}-next`]: {} } });
    expect(await deliver(await sink(), channelDelivery('a', 1))).toEqual([
      `all misconfigured: ${INDEX}-next is an alias of an index that channel-sync did not create`,
    ]);
  });

  it('says so when the cluster has no such analyzer', async () => {
    expect(await deliver(await sink({ ANALYZER: 'no_such' }), channelDelivery('a', 1))).toEqual([
      'all misconfigured: the cluster does not accept our mapping',
    ]);
  });

  lifeStories(
    () => sink(),
    async (index, channelId) => {
      const { body } = await call(engine(), 'GET', `/${index}/_doc/${encodeURIComponent(`1400000001:${channelId}`)}`);
      return body['found'] ? { ...(body['_source'] as Record<string, unknown>), version: body['_version'] } : undefined;
    },
    () => INDEX,
  );
}

/**
 * The life of an index, whatever the engine.
 * @param open makes a sink whose clock stands still, and that rests after no swap
 * @param stored a document out of an index, with its version
 */
export function lifeStories(
  open: () => Promise<SearchSink>,
  stored: (index: string, channelId: string) => Promise<Record<string, unknown> | undefined>,
  alias: () => string,
): void {
  const signal = new AbortController().signal;
  const all = { after: null, until: null };
  const key = (channelId: string): ChannelKey => ({ sdkAppId: '1400000001', channelId });

  it('finds what is missing, older, newer and surplus', async () => {
    const sink = await open();
    const channels = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    const wanted = channels.map(channelId => channelDelivery(channelId, 10, { revision: 3 }));
    const planted = [
      channelDelivery('a', 10, { revision: 3 }),
      channelDelivery('c', 9, { revision: 2 }),
      channelDelivery('d', 12, { revision: 4 }),
      channelDelivery('e', 10, { revision: 3, profile: { name: 'other', avatarUrl: null, introduction: null, organization: null } }),
      channelDelivery('f', 11, { revision: 3 }),
      // Its version was taken for a repair elsewhere: the content is right.
      channelDelivery('g', 9, { revision: 3 }),
      channelDelivery('bb', 5),
    ];
    expect(await sink.deliverMany(planted, signal)).toEqual(planted.map(() => null));
    expect(await sink.compare(wanted, all, signal)).toEqual([
      { ...key('b'), kind: 'missing', version: null },
      { ...key('bb'), kind: 'surplus', version: 5 },
      { ...key('c'), kind: 'older', version: 9 },
      { ...key('d'), kind: 'newer', version: 12 },
      { ...key('e'), kind: 'older', version: 10 },
      { ...key('f'), kind: 'newer', version: 11 },
    ]);
  });

  it('compares a range in the order of code points, apps first', async () => {
    const sink = await open();
    // By UTF-16 the last two would be the other way round; `Z` comes before `a`.
    const names = ['Z', 'a', 'a-', 'a0', 'b', '官', '\uff5e', '\u{1f600}'];
    const keys = [...['14', '140'].flatMap(app => names.map(channelId => [app, channelId] as const)), ['2', 'x'] as const];
    const wanted = keys.map(([sdkAppId, channelId]) => channelDelivery(channelId, 1, { sdkAppId }));
    expect(await sink.deliverMany(wanted, signal)).toEqual(wanted.map(() => null));
    expect(await sink.compare(wanted, all, signal)).toEqual([]);
    // Page by page; a key that is in no range, or in two, would be told as missing or surplus.
    for (let from = -1; from < keys.length; from += 3) {
      const at = (index: number): ChannelKey | null => {
        const found = keys[index];
        return found ? { sdkAppId: found[0], channelId: found[1] } : null;
      };
      const range = { after: at(from), until: at(from + 3) };
      expect(await sink.compare(wanted.slice(from + 1, from + 4), range, signal)).toEqual([]);
    }
    expect(await sink.compare([], { after: { sdkAppId: '140', channelId: '官' }, until: null }, signal)).toEqual([
      { sdkAppId: '140', channelId: '\uff5e', kind: 'surplus', version: 1 },
      { sdkAppId: '140', channelId: '\u{1f600}', kind: 'surplus', version: 1 },
      { sdkAppId: '2', channelId: 'x', kind: 'surplus', version: 1 },
    ]);
  });

  it('goes through more than a page', async () => {
    const sink = await open();
    const wanted = Array.from({ length: 450 }, (_, index) => channelDelivery(`channel${1000 + index}`, 1));
    expect(await sink.deliverMany(wanted, signal)).toEqual(wanted.map(() => null));
    expect(await sink.compare(wanted, all, signal)).toEqual([]);
    expect(await sink.compare(wanted.slice(0, 20), all, signal)).toHaveLength(430);
  });

  it('takes out what is surplus, but not what was written since', async () => {
    const sink = await open();
    await sink.deliverMany([channelDelivery('a', 1), channelDelivery('b', 1), channelDelivery('c', 1)], signal);
    const surplus = await sink.compare([channelDelivery('c', 1)], all, signal);
    expect(surplus.map(({ channelId }) => channelId)).toEqual(['a', 'b']);
    await sink.deliverMany([channelDelivery('b', 2)], signal);
    await sink.remove(surplus, signal);
    await sink.remove(surplus, signal);
    expect(await sink.compare([channelDelivery('b', 2), channelDelivery('c', 1)], all, signal)).toEqual([]);
    await sink.remove([], signal);
  });

  it('builds an index anew beside the one that is used, and swaps', async () => {
    const sink = await open();
    const other = await open();
    await sink.deliverMany([channelDelivery('a', 1), channelDelivery('surplus', 1)], signal);
    const next = await sink.prepare(signal);
    expect(next).toBe(`${alias()}-v2`);
    expect(await other.prepare(signal)).toBe(next);
    expect(await sink.current(signal)).toEqual({ index: `${alias()}-v1`, outdated: false });
    // Both see it now: what they deliver is in both, and what is filled in late is not newer than that.
    expect(await other.deliverMany([channelDelivery('b', 5)], signal)).toEqual([null]);
    expect(await sink.fill(next, [channelDelivery('a', 1), channelDelivery('b', 4, { revision: 1 })], signal)).toEqual([null, null]);
    expect(await stored(alias(), 'b')).toMatchObject({ revision: 3, version: 5 });
    expect(await stored(next, 'b')).toMatchObject({ revision: 3, version: 5 });
    expect(await stored(next, 'surplus')).toBeUndefined();
    await sink.swap(next, signal);
    expect(await sink.current(signal)).toEqual({ index: next, outdated: false });
    expect(await stored(alias(), 'surplus')).toBeUndefined();
    expect(await stored(`${alias()}-v1`, 'a')).toBeUndefined();
    // The other one may still believe in the old one.
    expect(await other.deliverMany([channelDelivery('c', 1)], signal)).toEqual([null]);
    expect(await stored(alias(), 'c')).toMatchObject({ version: 1 });
    await other.swap(next, signal);
    expect(await sink.compare([channelDelivery('a', 1), channelDelivery('b', 5), channelDelivery('c', 1)], all, signal)).toEqual([]);
    expect(await sink.prepare(signal)).toBe(`${alias()}-v3`);
  }, 20_000);

  it('says so when an index that is to be filled or swapped is gone', async () => {
    const sink = await open();
    const gone = { outcome: 'misconfigured', message: `the index ${alias()}-v9 is gone`, advice: ['rebuild_again'] };
    await expect(sink.fill(`${alias()}-v9`, [channelDelivery('a', 1)], signal)).rejects.toMatchObject(gone);
    await expect(sink.swap(`${alias()}-v9`, signal)).rejects.toMatchObject(gone);
  });
}
