import { commands } from './support/vendor.ts';
import { type FakeVendor, fakeVendor } from './support/fake-vendor.ts';
import { mark } from './support/planted.js';
import { send, startTestService } from './support/service.js';
import { eachStore } from './support/stores.js';
import { until } from './support/until.js';

/** The tests read whatever the answer should have. */
type Json = any; // oxlint-disable-line typescript/no-explicit-any

const app = '1400000001';
const management = { authorization: `Bearer ${mark}-management`, 'content-type': 'application/json' };

const byId = (one: Json, other: Json): number => (one.channelId < other.channelId ? -1 : 1);

eachStore('comparing with Tencent', store => {
  let vendor: FakeVendor;
  let service: Awaited<ReturnType<typeof startTestService>>;
  const start = async (more: Record<string, string> = {}): Promise<void> => {
    service = await startTestService({
      DATABASE_URL: await store.url(),
      SDK_APP_IDS: `${app},1400000002`,
      SINK_OUT_TYPE: 'log',
      COMPARE_RATE_PER_SECOND: '100',
      ...vendor.environment,
      ...more,
    });
  };
  beforeEach(async () => (vendor = await fakeVendor(app)));
  afterEach(async () => {
    await service.stop();
    await vendor.close();
  });

  async function call(method: string, path: string, body?: object): Promise<{ status: number; body: Json }> {
    const answer = await send(method, `${service.managementUrl}/api/v1/${path}`, body && JSON.stringify(body), management);
    return { status: answer.status, body: JSON.parse(answer.text) };
  }
  const webhook = async (command: keyof typeof commands, channel: string, fields: object): Promise<void> => {
    const body = JSON.stringify({ Official_Account: channel, EventTime: Date.now(), ...fields });
    const url = `${service.url}/webhooks/tencent-chat?SdkAppid=${app}&CallbackCommand=${commands[command]}`;
    expect((await send('POST', url, body)).status).toBe(200);
  };
  const ended = async (id: string): Promise<Json> => {
    await until(async () => (await call('GET', `comparisons/${id}`)).body.finishedAt !== null, `comparison ${id} is over`);
    return (await call('GET', `comparisons/${id}`)).body;
  };
  const channel = async (id: string) => (await call('GET', `channels/${app}/${encodeURIComponent(id)}`)).body;
  const metrics = async (): Promise<string> => (await send('GET', `${service.managementUrl}/metrics`)).text;

  test('a created channel is completed, all channels are compared, and API and metrics tell', async () => {
    await start();
    const id = '@TOA#_a/b %"c"';
    vendor.channels.set(id, { Name: 'A', Introduction: 'hello', Owner_Account: 'owner', Organization: '' });
    await webhook('created', id, { Name: 'A' });
    await until(async () => (await channel(id)).revision === 2, 'it is completed');
    expect(await channel(id)).toMatchObject({ profile: { name: 'A', introduction: 'hello', organization: '', avatarUrl: null } });
    const [completion, created] = (await call('GET', `changes?channelId=${encodeURIComponent(id)}`)).body.items;
    expect(completion).toMatchObject({ source: 'comparison', operator: null, owner: 'owner', clientIp: null, stale: [], revision: 2 });
    expect(created).toMatchObject({ source: 'webhook', type: 'channel.created', revision: 1 });
    expect((await call('GET', `changes/${completion.id}/webhook`)).status).toBe(404);

    // A webhook that never came.
    vendor.channels.set(id, { Name: 'A', Introduction: 'changed meanwhile', Organization: '' });
    await until(
      async () => (await call('GET', 'comparisons')).body.items.some((one: { cause: string }) => one.cause === 'schedule'),
      'the schedule began',
    );
    const begun = await call('POST', 'comparisons', {});
    expect(begun).toMatchObject({ status: 202, body: { cause: 'request', sdkAppId: app, dryRun: false, compared: 0, examples: [] } });
    const done = await ended(begun.body.id);
    expect(done).toMatchObject({ state: 'done', total: 1, compared: 1, failed: 0, reason: null });
    expect((await call('GET', 'audit')).body.items).toMatchObject([
      { action: 'compare', actor: 'api', changeId: null, details: { sdkAppId: app } },
    ]);
    await until(async () => (await channel(id)).profile.introduction === 'changed meanwhile', 'it is corrected');
    const { verifiedAt } = await channel(id);
    expect(Math.abs(Date.now() - Date.parse(verifiedAt) - 10_000)).toBeLessThan(15_000);

    const apps = (await call('GET', 'apps')).body;
    expect(apps).toMatchObject({
      items: [
        { sdkAppId: app, comparisons: 'on', state: 'ok', reason: null, advice: null, channels: 1, lastComparisonAt: expect.any(String) },
        { sdkAppId: '1400000002', comparisons: 'off', state: 'off', channels: 0, lastWebhookAt: null, lastComparisonAt: null },
      ],
      nextCursor: null,
    });
    await until(async () => (await call('GET', 'apps')).body.items[0].lastWebhookAt !== null, 'its last webhook is known');
    const text = await metrics();
    expect(text).toMatch(new RegExp(`channel_sync_compared_total{app="${app}",result="corrected"} [12]`));
    expect(text).toMatch(new RegExp(`channel_sync_vendor_requests_total{app="${app}",code="0"} [2-9]`));
    expect(text).toMatch(new RegExp(`channel_sync_comparison_age_seconds{app="${app}"} \\d`));
  });

  test('ten thousand ids in one import, some of them nonsense', async () => {
    await start({ COMPARE_EVERY: 'off', COMPARE_RATE_PER_SECOND: '200' });
    expect(await metrics()).not.toContain('channel_sync_comparison_age_seconds{');
    const ids: unknown[] = Array.from({ length: 9990 }, (_, index) => `@TOA#_${index} ${'长'.repeat(80)}`);
    for (const id of ids.slice(0, 1000)) vendor.channels.set(String(id), { Name: 'n' });
    ids.push(7, null, '', ' ', 'x'.repeat(256), { a: 1 }, [], true, '\0', '@TOA#_plain');
    expect((await call('POST', 'imports', { sdkAppId: app, channelIds: [...ids, 'one more'] })).status).toBe(400);
    const begun = await call('POST', 'imports', { sdkAppId: app, channelIds: ids });
    expect(begun).toMatchObject({ status: 202, body: { cause: 'import', total: 10_000 } });
    await until(async () => (await call('GET', `comparisons/${begun.body.id}`)).body.finishedAt !== null, 'it is over', 60_000);
    const { state, compared, imported, failed, examples } = (await call('GET', `comparisons/${begun.body.id}`)).body;
    expect([state, compared, imported, failed]).toEqual(['done', 9991, 1000, 9]);
    expect(examples).toHaveLength(9);
    expect(examples[0]).toEqual({
      channelId: '7',
      field: null,
      ours: null,
      theirs: null,
      reason: expect.stringContaining('no channel id'),
    });
    expect((await call('GET', 'apps')).body.items[0]).toMatchObject({ channels: 1000, lastComparisonAt: null });
    const { items } = (await call('GET', 'audit')).body;
    expect(items).toMatchObject([{ action: 'import', actor: 'api', details: { sdkAppId: app, channels: 10_000 } }]);
  }, 90_000);

  test('whatever an id is made of, its channel is imported, shown, found, corrected, and missed when it is gone', async () => {
    await start({ COMPARE_EVERY: 'off', COMPARE_RATE_PER_SECOND: '200' });
    const ids = [
      '@TOA#_a/b',
      '50%',
      '%2F',
      `"double" 'single'`,
      ' white space ',
      '😀 👨‍👩‍👧',
      'a\\b',
      '<b>&amp;',
      '{{ x }}',
      `'); drop table channel; --`,
      'é',
      'e\u0301',
      'a?b=c&d#e',
      '*',
      'x'.repeat(255),
    ];
    for (const id of ids) vendor.channels.set(id, { Name: `name of ${id}` });
    const compare = async (path: string) => ended((await call('POST', path, { sdkAppId: app, channelIds: ids })).body.id);
    expect(await compare('imports')).toMatchObject({ state: 'done', compared: ids.length, imported: ids.length, failed: 0 });
    for (const id of ids) expect(await channel(id)).toMatchObject({ channelId: id, exists: true, profile: { name: `name of ${id}` } });
    for (const id of ids) {
      const { items } = (await call('GET', `channels?query=${encodeURIComponent(id)}`)).body;
      expect(items.map(({ channelId }: Json) => channelId)).toContain(id);
      vendor.channels.set(id, { Name: 'another' });
    }
    const corrected = await compare('comparisons');
    expect(corrected).toMatchObject({ state: 'done', corrected: ids.length, imported: 0, failed: 0 });
    const examples = ids.map(id => ({ channelId: id, field: 'name', ours: `name of ${id}`, theirs: 'another', reason: null }));
    expect(corrected.examples.toSorted(byId)).toEqual(examples.toSorted(byId));
    vendor.channels.clear();
    const { body } = await call('POST', 'comparisons', { sdkAppId: app, channelIds: ids, dryRun: true, destroy: true });
    expect(await ended(body.id)).toMatchObject({ state: 'done', compared: ids.length, destroyed: ids.length, failed: 0 });
  });

  test('twenty examples at most, and an id that was never heard of becomes a channel whoever asked', async () => {
    await start({ COMPARE_EVERY: 'off', COMPARE_RATE_PER_SECOND: '200' });
    const ids = Array.from({ length: 30 }, (_, index) => `c${index}`);
    for (const id of ids) vendor.channels.set(id, { Name: 'n' });
    const compare = async () => ended((await call('POST', 'comparisons', { channelIds: [...ids, 'none'] })).body.id);
    expect(await compare()).toMatchObject({ state: 'done', total: 31, compared: 31, imported: 30, corrected: 0, examples: [] });
    expect((await call('GET', 'changes?source=import')).body.items[0]).toMatchObject({ type: 'channel.created', source: 'import' });
    expect((await call('GET', `channels/${app}/none`)).status).toBe(404);
    for (const id of ids) vendor.channels.set(id, { Name: 'm' });
    const { corrected, examples } = await compare();
    expect([corrected, examples.length]).toEqual([30, 20]);
  });

  test('a key that was mended: what failed goes on at the next start', async () => {
    const DATABASE_URL = await store.url();
    await start({ DATABASE_URL, COMPARE_EVERY: 'off', [`APP_${app}_SECRET_KEY`]: `${mark}-another` });
    vendor.channels.set('a', { Name: 'A' });
    const { id } = (await call('POST', 'imports', { sdkAppId: app, channelIds: ['a'] })).body;
    expect(await ended(id)).toMatchObject({ state: 'failed', reason: expect.stringContaining('70009') });
    await service.stop();
    await start({ DATABASE_URL, COMPARE_EVERY: 'off' });
    await until(async () => (await call('GET', `comparisons/${id}`)).body.state === 'done', 'it goes on');
    expect((await call('GET', 'apps')).body.items[0]).toMatchObject({ state: 'ok', reason: null });
    expect((await channel('a')).profile.name).toBe('A');
  });

  test('what is asked for wrongly is an error that says why', async () => {
    await start({ COMPARE_EVERY: 'off' });
    for (const [path, body, status, detail] of [
      ['comparisons', { sdkAppId: '1400000002' }, 409, /APP_1400000002_SECRET_KEY/],
      ['comparisons', { sdkAppId: '77' }, 409, /SDK_APP_IDS/],
      ['comparisons', { dryrun: true }, 400, /dryrun/],
      ['comparisons', { dryRun: 'yes' }, 400, /dryRun/],
      ['comparisons', { channelIds: [] }, 400, /channelIds/],
      ['comparisons', { channelIds: 'a' }, 400, /channelIds/],
      ['imports', {}, 400, /channelIds/],
      ['imports', { sdkAppId: app, channelIds: [] }, 400, /channelIds/],
    ] as const) {
      const answer = await call('POST', path, body);
      expect([answer.status, answer.body.detail]).toEqual([status, expect.stringMatching(detail)]);
    }
    for (const id of ['nonsense', '01900000-0000-7000-8000-000000000000', '%00'])
      expect((await call('GET', `comparisons/${id}`)).status).toBe(404);
    expect((await call('GET', 'comparisons?cursor=nonsense')).status).toBe(400);
    expect((await call('GET', 'comparisons?limit=0')).status).toBe(400);
    expect((await call('GET', 'apps?cursor=nonsense')).status).toBe(400);
    expect((await call('GET', 'comparisons')).body).toEqual({ items: [], nextCursor: null });
    expect(vendor.calls).toEqual([]);
    // Lists go on where they ended.
    for (let count = 0; count < 3; count += 1) await call('POST', 'comparisons', { channelIds: [`c${count}`] });
    const first = (await call('GET', `comparisons?limit=2&sdkAppId=${app}`)).body;
    const rest = (await call('GET', `comparisons?limit=2&cursor=${first.nextCursor}`)).body;
    expect([first.items.length, rest.items.length, rest.nextCursor]).toEqual([2, 1, null]);
    expect((await call('GET', 'apps?limit=1')).body).toMatchObject({ items: [{ sdkAppId: app }], nextCursor: app });
    expect((await call('GET', `apps?limit=1&cursor=${app}`)).body).toMatchObject({ items: [{ sdkAppId: '1400000002' }], nextCursor: null });
  });

  test('a body counts whatever its Content-Type', async () => {
    await start({ COMPARE_EVERY: 'off' });
    const { authorization } = management;
    for (const type of [null, 'text/plain', 'application/x-www-form-urlencoded', 'nonsense']) {
      const headers = { authorization, ...(type !== null && { 'content-type': type }) };
      const { status, text } = await send('POST', `${service.managementUrl}/api/v1/comparisons`, '{"dryRun":true}', headers);
      expect([type, status, JSON.parse(text)]).toEqual([type, 202, expect.objectContaining({ dryRun: true })]);
      const form = await send('POST', `${service.managementUrl}/api/v1/comparisons`, 'dryRun=true', headers);
      expect([type, form.status]).toEqual([type, 400]);
    }
  });

  test('each app is listed once, page by page, and none after the last', async () => {
    await start({ COMPARE_EVERY: 'off', SDK_APP_IDS: `${app},${app},1400000002,1400000003` });
    const ids = async (query: string): Promise<string[]> =>
      (await call('GET', `apps${query}`)).body.items.map((one: { sdkAppId: string }) => one.sdkAppId);
    expect(await ids('')).toEqual([app, '1400000002', '1400000003']);
    expect(await ids('?limit=1&cursor=1400000002')).toEqual(['1400000003']);
    expect(await call('GET', 'apps?cursor=1400000003')).toEqual({ status: 200, body: { items: [], nextCursor: null } });
  });

  test('which app must be said if several have a key', async () => {
    await start({ COMPARE_EVERY: 'off', APP_1400000002_SECRET_KEY: `${mark}-2`, APP_1400000002_REST_URL: vendor.url });
    expect(await call('POST', 'comparisons', {})).toMatchObject({ status: 400, body: { detail: expect.stringContaining('sdkAppId') } });
    // Another app's address: the vendor does not know it there.
    const begun = await call('POST', 'comparisons', { sdkAppId: '1400000002', channelIds: ['a'] });
    expect(await ended(begun.body.id)).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('60006'),
      advice: expect.stringContaining('APP_1400000002_REST_URL'),
    });
  });

  test('a wrong key touches no webhook, and is told', async () => {
    vendor.key = 'another';
    await start();
    await webhook('created', 'a', { Name: 'A' });
    await until(async () => (await call('GET', 'apps')).body.items[0].state === 'misconfigured', 'it is told');
    expect((await call('GET', 'apps')).body.items[0]).toMatchObject({
      reason: expect.stringContaining('70009'),
      advice: expect.stringContaining(`APP_${app}_SECRET_KEY`),
    });
    await webhook('changed', 'a', { Name: 'B' });
    expect((await channel('a')).profile.name).toBe('B');
    expect(await metrics()).toMatch(new RegExp(`channel_sync_vendor_requests_total{app="${app}",code="70009"} [12]`));
    // A person may try again at once.
    vendor.key = `${mark.replace('-mark', '')}-mark-secret-key`;
    vendor.channels.set('a', { Name: 'B' });
    const begun = await call('POST', 'comparisons', { dryRun: true });
    expect((await ended(begun.body.id)).state).toBe('done');
    expect((await call('GET', 'apps')).body.items[0].state).toBe('ok');
    expect((await call('GET', 'audit')).body.items).toEqual([]);
  });
});
