import { FakeMeilisearch } from '../../../test/support/fake-meilisearch.ts';
import { FakeSearch } from '../../../test/support/fake-search.ts';
import { type FakeServer, fakeServer } from '../../../test/support/fake-server.ts';
import { type SearchType, openSearchSink } from '../../../test/support/opensearch/stories.ts';
import { mark } from '../../../test/support/planted.ts';
import { exampleDelivery, expectNoLeak } from '../../../test/sink.contract.ts';
import { checkSink } from '../../checks/check-sink.js';
import type { Checkable, SearchSink } from '../sink.js';

const signal = new AbortController().signal;
/** Responses that override the engine's, by method and path. */
const says: Record<string, { status?: number; body: object }> = {};
let server: FakeServer;
let sink: SearchSink & Checkable;
afterEach(async () => {
  for (const path of Object.keys(says)) delete says[path];
  await sink.close?.();
  await server.close();
});

async function open(type: SearchType): Promise<void> {
  sink = (await openSearchSink(type, server.url, { API_KEY: mark })) as SearchSink & Checkable;
}

/** The result of a check: its problems, or its summary. */
async function found(): Promise<string[]> {
  const { problems, summary } = await checkSink(sink, signal);
  for (const problem of problems) expectNoLeak(problem, [mark]);
  return problems.length === 0 ? [summary] : problems.map(({ outcome, message }) => `${outcome}: ${message}`);
}

describe.each(['opensearch', 'elasticsearch'] as const)('the check of %s', type => {
  beforeEach(async () => {
    const fake = new FakeSearch(type);
    says['POST /_analyze'] = { body: { tokens: [] } };
    server = await fakeServer(request => says[`${request.method} ${request.path}`] ?? fake.answer(request));
    await open(type);
  });
  const no = (status: number, error: string) => ({ status, body: { error: { type: error }, status } });

  test('writes nothing, and makes no index', async () => {
    expect(await found()).toEqual([expect.stringMatching(/answers; no index yet; writing is not tried$/)]);
    await sink.deliverMany([exampleDelivery()], signal);
    server.requests.splice(0);
    expect(await found()).toEqual([expect.stringMatching(/answers; official-channels-v1; writing is not tried$/)]);
    const reads = /^(GET \/|POST \/(official-channels\/_search|_analyze|_security\/user\/_has_privileges)$)/;
    expect(server.requests.map(({ method, path }) => `${method} ${path}`).filter(call => !reads.test(call))).toEqual([]);
  });

  test('wrong credentials, something else behind the URL, a foreign index', async () => {
    says['GET /'] = no(401, 'security_exception');
    expect(await found()).toEqual(['misconfigured: security_exception']);
    says['GET /'] = { body: { status: 'Meilisearch is running' } };
    expect(await found()).toEqual([expect.stringMatching(/^misconfigured: Meilisearch is behind the URL/)]);
    delete says['GET /'];
    says['GET /official-channels/_mapping'] = { body: { 'official-channels': { mappings: {} } } };
    expect(await found()).toEqual(['misconfigured: INDEX is an index, not an alias']);
    says['GET /official-channels/_mapping'] = { body: { elsewhere: { mappings: {} } } };
    expect(await found()).toEqual(['misconfigured: INDEX is an alias of an index that channel-sync did not create']);
  });

  test('an analyzer that the cluster does not have, before there is an index', async () => {
    says['POST /_analyze'] = no(400, 'illegal_argument_exception');
    expect(await found()).toEqual(['misconfigured: the cluster has no analyzer cjk']);
    // Credentials restricted to the index may not call this.
    says['POST /_analyze'] = no(403, 'security_exception');
    expect(await found()).toEqual([expect.stringContaining('no index yet')]);
  });

  test('a right to read that is missing', async () => {
    await sink.deliverMany([exampleDelivery()], signal);
    says['POST /official-channels/_search'] = no(403, 'security_exception');
    expect(await found()).toEqual(['misconfigured: security_exception']);
  });

  test('a right to write that is missing, where it can be asked for', async () => {
    const path = 'POST /_security/user/_has_privileges';
    const rights = (alias: boolean, index: boolean) => ({
      body: { index: { 'official-channels': { read: true, write: alias }, 'official-channels-v1': { read: true, write: index } } },
    });
    says[path] = rights(false, false);
    const said = type === 'elasticsearch' ? 'misconfigured: security_exception' : 'OpenSearch answers; no index yet; writing is not tried';
    expect(await found()).toEqual([said]);
    for (const answer of [rights(true, false), rights(false, true), { status: 404, body: {} }]) {
      says[path] = answer;
      expect(await found()).toEqual([expect.stringContaining('no index yet')]);
    }
  });
});

describe('the check of meilisearch', () => {
  let fake: FakeMeilisearch;
  beforeEach(async () => {
    fake = await new FakeMeilisearch().open();
    server = await fakeServer(async ({ method, path, body }) => {
      const answer = says[`${method} ${path.split('?', 1)[0]}`];
      if (answer) return answer;
      const response = await fetch(fake.url + path, { method, ...(body !== '' && { body }) });
      return { status: response.status, body: (await response.json()) as object };
    });
    await open('meilisearch');
  });
  afterEach(() => fake.close());
  const no = (status: number, code: string, type: string) => ({ status, body: { message: 'no', code, type, link: '' } });
  const noKey = no(403, 'invalid_api_key', 'auth');

  test('writes nothing, and makes no index', async () => {
    expect(await found()).toEqual(['Meilisearch answers; no index yet; writing is not tried']);
    expect(fake.uids).toEqual([]);
    await sink.deliverMany([exampleDelivery()], signal);
    server.requests.splice(0);
    expect(await found()).toEqual(['Meilisearch answers; official-channels-v1; writing is not tried']);
    const reads = /^(GET \/|POST \/indexes\/official-channels\/documents\/fetch$)/;
    expect(server.requests.map(({ method, path }) => `${method} ${path}`).filter(call => !reads.test(call))).toEqual([]);
  });

  test('something else behind the URL, a version that is too old, a foreign index', async () => {
    says['GET /version'] = { status: 400, body: { error: { type: 'invalid_index_name_exception' }, status: 400 } };
    expect(await found()).toEqual(['misconfigured: OpenSearch or Elasticsearch is behind the URL, not Meilisearch']);
    says['GET /version'] = { body: { anything: 'else' } };
    expect(await found()).toEqual(['misconfigured: the answer is not one of Meilisearch']);
    says['GET /version'] = { body: { pkgVersion: '1.15.2' } };
    expect(await found()).toEqual(['misconfigured: this Meilisearch is too old']);
    delete says['GET /version'];
    fake.make('official-channels');
    expect(await found()).toEqual(['misconfigured: INDEX is an index that channel-sync did not create']);
  });

  test('a wrong key, and one that lacks a right', async () => {
    const settings = 'GET /indexes/official-channels/settings/filterable-attributes';
    for (const path of ['GET /version', settings, 'GET /tasks']) says[path] = noKey;
    expect(await found()).toEqual(['misconfigured: invalid_api_key']);
    // A key restricted to the index may not read the version.
    delete says[settings];
    delete says['GET /tasks'];
    expect(await found()).toEqual([expect.stringContaining('no index yet')]);
    says['GET /tasks'] = noKey;
    expect(await found()).toEqual(['misconfigured: invalid_api_key']);
    delete says['GET /tasks'];
    await sink.deliverMany([exampleDelivery()], signal);
    says['POST /indexes/official-channels/documents/fetch'] = noKey;
    expect(await found()).toEqual(['misconfigured: invalid_api_key']);
  });
});
