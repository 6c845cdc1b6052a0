import type { OpenSearchSettings } from '../../../src/sinks/search/opensearch.settings.js';
import { opensearch } from '../../../src/sinks/search/opensearch.sink.js';
import { type BulkSink, type ChangeEvent, type Delivery, SinkError, type SinkSettings } from '../../../src/sinks/sink.js';
import { exampleDelivery, exampleEvent } from '../../sink.contract.ts';
import { noActions } from '../no-actions.ts';

/** The settings of an OpenSearch sink, as they come out of the environment. */
export function searchSettings(url: string, overrides: Partial<OpenSearchSettings> = {}): OpenSearchSettings {
  return Object.assign(new opensearch.settings() as OpenSearchSettings, {
    URL: url,
    INDEX: 'official-channels',
    TIMEOUT_MS: 10_000,
    ...overrides,
  });
}

/** What the sinks of these tests had to warn of. */
const warnings: string[] = [];

export async function openSearchSink(settings: SinkSettings): Promise<BulkSink> {
  const context = { name: 'search', now: Date.now, warn: (message: string) => void warnings.push(message), actions: noActions };
  return (await opensearch.open(settings, context)) as BulkSink;
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

/** What the sink does with an engine: run against the fake on every `npm test`, and against a real OpenSearch on demand, so that the two stay alike. */
export function searchStories(engine: () => string): void {
  const signal = new AbortController().signal;
  const sinks: BulkSink[] = [];
  let number = 0;
  let INDEX = '';

  async function sink(): Promise<BulkSink> {
    const opened = await openSearchSink(searchSettings(engine(), { INDEX }));
    sinks.push(opened);
    return opened;
  }
  async function deliver(to: BulkSink, ...deliveries: Delivery[]): Promise<(string | null)[]> {
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
    INDEX = `story-${number}`;
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

  it('takes over an index that it made earlier, whatever its number', async () => {
    await deliver(await sink(), channelDelivery('a', 1));
    const { mappings } = (await call(engine(), 'GET', `/${INDEX}/_mapping`)).body[`${INDEX}-v1`] as { mappings: object };
    await call(engine(), 'PUT', `/${INDEX}-v2`, { mappings });
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
    await call(engine(), 'PUT', `/foreign-${number}`, { aliases: { [INDEX]: {} } });
    const to = await sink();
    expect(await deliver(to, channelDelivery('a', 1))).toEqual([
      'all misconfigured: INDEX is an alias of an index that channel-sync did not make',
    ]);
    expect((await call(engine(), 'GET', `/foreign-${number}/_count`)).body).toMatchObject({ count: 0 });
    await call(engine(), 'POST', '/_aliases', { actions: [{ remove: { index: `foreign-${number}`, alias: INDEX } }] });
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
    expect(warnings).toEqual([`sink search: the index was gone; ${INDEX}-v1 is made anew and empty: rebuild it`]);
  });

  it('gives no document up when somebody put another index behind the alias', async () => {
    const to = await sink();
    await deliver(to, channelDelivery('a', 1));
    await call(engine(), 'PUT', `/other-${number}`, { mappings: { dynamic: 'strict' } });
    await call(engine(), 'POST', '/_aliases', { actions: [{ add: { index: `other-${number}`, alias: INDEX } }] });
    expect(await deliver(to, channelDelivery('a', 2))).toEqual(['misconfigured: INDEX is an alias of 2 indices']);
    await call(engine(), 'POST', '/_aliases', { actions: [{ remove: { index: `${INDEX}-v1`, alias: INDEX } }] });
    expect(await deliver(to, channelDelivery('a', 2))).toEqual([
      'all misconfigured: INDEX is an alias of an index that channel-sync did not make',
    ]);
  });
}
