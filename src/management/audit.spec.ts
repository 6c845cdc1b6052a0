import { Stage, channelId, never, token } from '../../test/support/management-stage.ts';
import { eachStore } from '../../test/support/stores.ts';

eachStore('what came from where, and who did what', store => {
  let stage: Stage;
  beforeEach(async () => {
    stage = new Stage(await store.open());
    await stage.open();
  });
  afterEach(() => stage.close());

  test('changes tell their source and origin, and can be selected by the source', async () => {
    const origin = { clientIp: '203.0.113.7', platform: 'RESTAPI', owner: 'u1001' };
    const first = await stage.record({ origin });
    const read = await stage.record({ source: 'comparison', operator: null, body: Buffer.alloc(0) });
    const second = await stage.record();
    const items = async (query: string) =>
      (await stage.call(`/api/v1/changes?${query}`)).body.items.map(({ id, source }: { id: string; source: string }) => [id, source]);
    expect(await items('')).toEqual([
      [second, 'webhook'],
      [read, 'comparison'],
      [first, 'webhook'],
    ]);
    expect(await items('source=webhook&limit=1')).toEqual([[second, 'webhook']]);
    expect(await items(`source=comparison&channelId=${encodeURIComponent(channelId)}`)).toEqual([[read, 'comparison']]);
    expect(await items('source=import')).toEqual([]);
    expect((await stage.call('/api/v1/changes?source=rumour')).status).toBe(400);
    expect((await stage.call(`/api/v1/changes/${first}`)).body).toMatchObject({ source: 'webhook', ...origin });
  });

  test('the webhook of a change is given byte for byte, as nothing that a browser would show', async () => {
    const body = Buffer.from('{"raw":"<script>", "u": "\u0000 \u{1f4e3}"}\n');
    const id = await stage.record({ body });
    const { status, headers, body: given } = await stage.call(`/api/v1/changes/${id}/webhook`);
    expect([status, given]).toEqual([200, body.toString()]);
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-disposition': 'attachment',
      'content-length': String(body.length),
      'x-content-type-options': 'nosniff',
    });
    const empty = await stage.record({ body: Buffer.alloc(0) });
    expect(await stage.call(`/api/v1/changes/${empty}/webhook`)).toMatchObject({ status: 200, body: '' });
    const read = await stage.record({ source: 'import', body: Buffer.alloc(0) });
    for (const none of [read, '01980000-0000-7000-8000-000000000001', 'x', '%2e%2e'])
      expect((await stage.call(`/api/v1/changes/${none}/webhook`)).status).toBe(404);
    expect((await stage.call(`/api/v1/changes/${id}/webhook`, { authorization: null })).status).toBe(401);
  });

  test('what people did is listed, the latest first, without secrets', async () => {
    const [crm] = await stage.register({ name: 'crm' });
    await stage.record();
    await stage.attempt(crm!, never());
    const act = async (call: string, body?: object) => {
      stage.clock.at += 1000;
      await stage.call(`/api/v1/${call}`, { method: 'POST', ...(body && { body: JSON.stringify(body) }) });
    };
    await act('sinks/crm/pause');
    await act('replays', { sink: 'crm', dryRun: true });
    await act('replays', { channelId });
    await stage.auditActions.resume('crm', 'slack:U0123');
    const { body } = await stage.call('/api/v1/audit');
    expect(body.items).toMatchObject([
      { actor: 'slack:U0123', action: 'resume', changeId: null, details: { sink: 'crm' } },
      { actor: 'api', action: 'replay', changeId: null, details: { channelId } },
      { actor: 'api', action: 'pause', changeId: null, details: { sink: 'crm' } },
    ]);
    expect(JSON.stringify(body)).not.toContain(token);
    const [resumed, replayed, paused] = body.items;
    const ids = async (query: string) => (await stage.call(`/api/v1/audit?${query}`)).body.items.map(({ id }: { id: string }) => id);
    expect(await ids(`since=${replayed.at}`)).toEqual([resumed.id, replayed.id]);
    expect(await ids(`until=${replayed.at}`)).toEqual([paused.id]);
    const { nextCursor } = (await stage.call('/api/v1/audit?limit=2')).body;
    expect(await ids(`limit=2&cursor=${nextCursor}`)).toEqual([paused.id]);
    for (const wrong of ['limit=0', 'cursor=x', 'cursor=-1', 'since=yesterday'])
      expect([wrong, (await stage.call(`/api/v1/audit?${wrong}`)).status]).toEqual([wrong, 400]);
  });

  test('Compare now on an old message of an app whose key was removed begins nothing', async () => {
    const sdkAppId = '1400000001';
    await stage.auditActions.compare({ sdkAppId, cause: 'request' }, 'api');
    expect(await stage.auditActions.compareNow(sdkAppId, 'slack:U0123')).toBe(false);
    expect((await stage.call('/api/v1/comparisons')).body.items).toMatchObject([{ cause: 'request' }]);
    expect((await stage.call('/api/v1/audit')).body.items).toMatchObject([{ actor: 'api' }]);
  });

  test('a damaged row of the audit fails no list', async () => {
    await stage.database.kysely.insertInto('audit').values({ at: 8.64e15, actor: 'api', action: 'pause', details: '{' }).execute();
    expect((await stage.call('/api/v1/audit')).body.items).toMatchObject([{ action: 'pause', details: {} }]);
  });
});
