import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeSearch } from './support/fake-search.ts';
import { type FakeServer, fakeServer } from './support/fake-server.ts';
import { mark } from './support/planted.ts';
import { ServiceProcess } from './support/process.ts';
import { server as certificate } from './support/test-certificates.ts';
import { until } from './support/until.ts';

const goodToken = `xoxb-${mark}-good`;
const managementToken = `${mark}-for-management`;
/** Settings that only a try can tell to be wrong, and what is said of each. */
const wrong = {
  token: ['Slack answered invalid_auth', 'BOT_TOKEN is not accepted'],
  channel: ['Slack answered channel_not_found', 'Check CHANNEL'],
  host: ['connection refused', 'Check that the target runs'],
  tls: ['TLS failed', 'a private CA goes into the CA setting'],
  secret: ['invalid_client', 'OAUTH_CLIENT_ID'],
  index: ['INDEX is an index, not an alias', 'Set INDEX to another name'],
} as const;

describe('wrong settings, before the first webhook', () => {
  const folder = mkdtempSync(join(tmpdir(), 'channel-sync-'));
  const servers: FakeServer[] = [];
  const posted: string[] = [];
  let service: ServiceProcess;
  let management: string;
  let crm: FakeServer;
  let startedAt: number;

  const serve = async (...given: Parameters<typeof fakeServer>): Promise<FakeServer> => {
    servers.push(await fakeServer(...given));
    return servers.at(-1)!;
  };
  const call = async (path: string, method = 'GET') => {
    const response = await fetch(`${management}/api/v1/sinks${path}`, { method, headers: { authorization: `Bearer ${managementToken}` } });
    return (await response.json()) as Record<string, never> & { items: { name: string; state: string; reason: string; advice: string }[] };
  };

  beforeAll(async () => {
    const slack = await serve(({ path, headers, body }) => {
      const form = new URLSearchParams(body);
      const no = (error: string) => ({ body: { ok: false, error } });
      if (headers.authorization !== `Bearer ${goodToken}`) return no('invalid_auth');
      if (path === '/api/auth.test') return { body: { ok: true }, headers: { 'x-oauth-scopes': 'chat:write' } };
      if (form.get('channel') !== 'C000000GOOD') return no('channel_not_found');
      if (path === '/api/chat.getPermalink') return no('message_not_found');
      if (path !== '/api/chat.postMessage') return no('missing_scope');
      posted.push(form.get('blocks')!);
      return { body: { ok: true, channel: 'C000000GOOD', ts: `${posted.length}.1` } };
    });
    crm = await serve(({ path, headers }) => {
      if (path !== '/hook') return { status: 404 };
      return headers['x-api-key'] === `${mark}-right` ? { status: 204 } : { status: 401, body: 'no such token' };
    });
    const secure = await serve(() => ({ status: 204 }), { tls: { cert: certificate.cert, key: certificate.key } });
    const tokens = await serve(() => ({ status: 401, body: { error: 'invalid_client' } }));
    const closed = await serve(() => {});
    await closed.close();
    const fake = new FakeSearch('opensearch');
    const search = await serve(request =>
      request.path.startsWith('/plain/_mapping') ? { body: { plain: { mappings: {} } } } : fake.answer(request),
    );
    const bot = (name: string, token: string, channel: string) => ({
      [`SINK_${name}_TYPE`]: 'slack',
      [`SINK_${name}_BOT_TOKEN`]: token,
      [`SINK_${name}_CHANNEL`]: channel,
      [`SINK_${name}_API_URL`]: `${slack.url}/api/`,
    });
    const webhook = (name: string, url: string, more: Record<string, string> = {}) => ({
      [`SINK_${name}_TYPE`]: 'webhook',
      [`SINK_${name}_URL`]: url,
      ...Object.fromEntries(Object.entries(more).map(([setting, value]) => [`SINK_${name}_${setting}`, value])),
    });
    startedAt = Date.now();
    service = new ServiceProcess({
      DATABASE_URL: `sqlite:${join(folder, 'test.db')}`,
      MANAGEMENT_TOKEN: managementToken,
      ...bot('TEAM', goodToken, 'C000000GOOD'),
      SINK_TEAM_RATE_PER_SECOND: '50',
      ...bot('TOKEN', `xoxb-${mark}-wrong`, 'C000000GOOD'),
      ...bot('CHANNEL', goodToken, 'C00000WRONG'),
      ...webhook('HOST', `${closed.url}/hook`),
      ...webhook('TLS', `${secure.url}/hook`),
      ...webhook('SECRET', `${crm.url}/hook`, {
        OAUTH_TOKEN_URL: tokens.url,
        OAUTH_CLIENT_ID: 'us',
        OAUTH_CLIENT_SECRET: `${mark}-of-the-client`,
      }),
      ...webhook('CRM', `${crm.url}/hook`, { HEADERS: JSON.stringify({ 'X-Api-Key': `${mark}-right` }) }),
      ...webhook('PATH', `${crm.url}/hok`),
      ...webhook('CREDENTIALS', `${crm.url}/hook`, { HEADERS: JSON.stringify({ 'X-Api-Key': `${mark}-wrong` }) }),
      SINK_INDEX_TYPE: 'opensearch',
      SINK_INDEX_URL: search.url,
      SINK_INDEX_INDEX: 'plain',
    });
    management = (await service.listening()).managementUrl;
  }, 30_000);
  afterAll(async () => {
    await service.stop();
    for (const server of servers) await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('are told within 15 s: in the log, through the API, and in a Slack that works', async () => {
    const about = (name: string) =>
      posted.filter(blocks => blocks.includes(`"${name} `) || blocks.includes(` ${name} `) || blocks.includes(`\`${name}\``));
    const isTold = (name: string) => service.lines.some(line => line['sink'] === name && line['level'] === 'warn' && 'advice' in line);
    const names = Object.keys(wrong);
    await until(() => names.every(isTold) && names.every(name => about(name).length > 0), 'all of them', 15_000);
    expect(Date.now() - startedAt).toBeLessThan(15_000);
    const { items } = await call('');
    for (const [name, [reason, advice]] of Object.entries(wrong)) {
      const sink = items.find(one => one.name === name)!;
      expect([name, sink.reason, sink.advice]).toEqual([name, expect.stringContaining(reason), expect.stringContaining(advice)]);
      expect(service.lines).toContainEqual(expect.objectContaining({ level: 'warn', sink: name, advice: expect.stringContaining(advice) }));
    }
    expect(Object.fromEntries(items.map(({ name, state }) => [name, state]))).toEqual({
      token: 'misconfigured',
      channel: 'misconfigured',
      tls: 'misconfigured',
      secret: 'misconfigured',
      index: 'misconfigured',
      host: 'retrying',
      team: 'ok',
      crm: 'ok',
      path: 'ok',
      credentials: 'ok',
    });
    // What cannot be asked is said, and nothing was asked of it.
    const untried = { sink: 'path', found: expect.stringContaining('not tried until the first delivery or `test`') };
    expect(service.lines).toContainEqual(expect.objectContaining(untried));
    expect(crm.requests).toEqual([]);
    expect(posted).toHaveLength(names.length);
    expect((await fetch(`${management}/readyz`)).status).toBe(200);
  }, 30_000);

  test('the path and the credentials of a CRM are found out by a test', async () => {
    expect(await call('/path/test', 'POST')).toMatchObject({
      outcome: 'misconfigured',
      status: 404,
      advice: expect.stringContaining('Check the URL'),
    });
    expect(await call('/credentials/test', 'POST')).toMatchObject({ outcome: 'misconfigured', status: 401, response: 'no such token' });
    expect(await call('/crm/test', 'POST')).toMatchObject({ outcome: 'delivered', reason: null });
    const { data } = JSON.parse(crm.requests.at(-1)!.body) as { data: object };
    expect(data).toMatchObject({ channelId: '@TOA#_channel-sync-test', test: true });
    expect(await call('/team/test', 'POST')).toMatchObject({ outcome: 'delivered' });
    expect(posted.at(-1)).toContain('This is a test: nothing has changed.');
    expect(posted.at(-1)).not.toContain('"actions"');
  });
});
