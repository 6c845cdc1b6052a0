import { FakeSearch } from '../../../test/support/fake-search.ts';
import { type FakeServer, fakeServer } from '../../../test/support/fake-server.ts';
import { noActions } from '../../../test/support/no-actions.ts';
import { mark } from '../../../test/support/planted.ts';
import { noProxies } from '../../../test/support/proxy.ts';
import { exampleDelivery, expectNoLeak } from '../../../test/sink.contract.ts';
import { checkSink } from '../../checks/check-sink.js';
import { readClass } from '../../settings/setting.js';
import type { BulkSink, Checkable } from '../sink.js';
import type { SinkContext } from '../sink-type.js';
import { elasticsearch, opensearch } from './search-types.js';

const signal = new AbortController().signal;
const interaction = () => Promise.resolve('' as const);
const context = {
  name: 'search',
  now: Date.now,
  warn: () => {},
  proxies: noProxies,
  clean: (text: string) => text,
  actions: noActions,
  interaction,
};
/** What is answered instead of what the engine would say, by method and path. */
const says: Record<string, { status?: number; body: object }> = {};
let server: FakeServer;
afterEach(async () => {
  for (const path of Object.keys(says)) delete says[path];
  await server.close();
});

describe.each(['opensearch', 'elasticsearch'] as const)('the check of %s', type => {
  let sink: BulkSink & Checkable;
  beforeEach(async () => {
    const fake = new FakeSearch(type);
    says['POST /_analyze'] = { body: { tokens: [] } };
    server = await fakeServer(request => says[`${request.method} ${request.path}`] ?? fake.answer(request));
    const { value } = readClass(
      (type === 'opensearch' ? opensearch : elasticsearch).settings,
      new Map([
        ['URL', server.url],
        ['API_KEY', mark],
      ]),
    );
    sink = (await (type === 'opensearch' ? opensearch : elasticsearch).open(value, context as unknown as SinkContext)) as never;
  });
  async function told(): Promise<string[]> {
    const { problems, summary } = await checkSink(sink, signal);
    for (const problem of problems) expectNoLeak(problem, [mark]);
    return problems.length === 0 ? [summary] : problems.map(({ outcome, message }) => `${outcome}: ${message}`);
  }
  const no = (status: number, error: string) => ({ status, body: { error: { type: error }, status } });

  test('writes nothing, and makes no index', async () => {
    expect(await told()).toEqual([expect.stringMatching(/answers; no index yet; writing is not tried$/)]);
    await sink.deliverMany([exampleDelivery()], signal);
    server.requests.splice(0);
    expect(await told()).toEqual([expect.stringMatching(/answers; official-channels-v1; writing is not tried$/)]);
    const reads = /^(GET \/|POST \/(official-channels\/_search|_analyze|_security\/user\/_has_privileges)$)/;
    expect(server.requests.map(({ method, path }) => `${method} ${path}`).filter(call => !reads.test(call))).toEqual([]);
  });

  test('wrong credentials, something else behind the URL, a foreign index', async () => {
    says['GET /'] = no(401, 'security_exception');
    expect(await told()).toEqual(['misconfigured: security_exception']);
    says['GET /'] = { body: { status: 'Meilisearch is running' } };
    expect(await told()).toEqual([expect.stringMatching(/^misconfigured: Meilisearch is behind the URL/)]);
    delete says['GET /'];
    says['GET /official-channels/_mapping'] = { body: { 'official-channels': { mappings: {} } } };
    expect(await told()).toEqual(['misconfigured: INDEX is an index, not an alias']);
    says['GET /official-channels/_mapping'] = { body: { elsewhere: { mappings: {} } } };
    expect(await told()).toEqual(['misconfigured: INDEX is an alias of an index that channel-sync did not create']);
  });

  test('an analyzer that the cluster does not have, before there is an index', async () => {
    says['POST /_analyze'] = no(400, 'illegal_argument_exception');
    expect(await told()).toEqual(['misconfigured: the cluster has no analyzer cjk']);
    // Credentials for the index alone may not ask.
    says['POST /_analyze'] = no(403, 'security_exception');
    expect(await told()).toEqual([expect.stringContaining('no index yet')]);
  });

  test('a right to read that is missing', async () => {
    await sink.deliverMany([exampleDelivery()], signal);
    says['POST /official-channels/_search'] = no(403, 'security_exception');
    expect(await told()).toEqual(['misconfigured: security_exception']);
  });

  test('a right to write that is missing, where it can be asked for', async () => {
    const path = 'POST /_security/user/_has_privileges';
    const rights = (alias: boolean, index: boolean) => ({
      body: { index: { 'official-channels': { read: true, write: alias }, 'official-channels-v1': { read: true, write: index } } },
    });
    says[path] = rights(false, false);
    const found = type === 'elasticsearch' ? 'misconfigured: security_exception' : 'OpenSearch answers; no index yet; writing is not tried';
    expect(await told()).toEqual([found]);
    for (const answer of [rights(true, false), rights(false, true), { status: 404, body: {} }]) {
      says[path] = answer;
      expect(await told()).toEqual([expect.stringContaining('no index yet')]);
    }
  });
});
