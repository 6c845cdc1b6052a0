import { sql } from 'kysely';
import { Stage, channelId, never } from '../../test/support/management-stage.ts';
import { eachStore } from '../../test/support/stores.ts';

eachStore('replays', store => {
  const open: Stage[] = [];
  const stageOf = async (): Promise<Stage> => {
    const stage = new Stage(await store.open());
    await stage.open();
    open.push(stage);
    return stage;
  };
  afterEach(async () => {
    for (const stage of open.splice(0)) await stage.close();
  });
  const replay = (stage: Stage, body: object) => stage.call('/api/v1/replays', { method: 'POST', body: JSON.stringify(body) });
  const states = async (stage: Stage, sink: string): Promise<string[]> =>
    (await stage.call(`/api/v1/deliveries?sink=${sink}`)).body.items.map(({ state }: { state: string }) => state).reverse();
  const counts = async (stage: Stage, name: string) =>
    (await stage.call('/api/v1/sinks')).body.items.find((sink: { name: string }) => sink.name === name).counts;

  test('what is parked goes out again under its id, in order, as if it had never failed', async () => {
    const stage = await stageOf();
    const [crm] = await stage.register({ name: 'crm' });
    const ids = [await stage.record(), await stage.record()];
    await stage.attempt(crm!, never());
    await stage.attempt(crm!, never());
    expect(await states(stage, 'crm')).toEqual(['parked', 'parked']);
    await stage.record();
    await stage.attempt(crm!);
    const dry = await replay(stage, { sink: 'crm', dryRun: true });
    expect([dry.status, dry.body]).toEqual([202, { matched: 2, replayed: 2, skippedAsStale: 0 }]);
    expect(await states(stage, 'crm')).toEqual(['parked', 'parked', 'delivered']);

    stage.clock.at += 60_000;
    const done = await replay(stage, { sink: 'crm' });
    expect([done.status, done.body]).toEqual([202, { matched: 2, replayed: 2, skippedAsStale: 0 }]);
    expect(stage.woken).toEqual([[crm!.id]]);
    const { body } = await stage.call('/api/v1/deliveries?sink=crm&state=pending');
    expect(body.items).toMatchObject(
      ids.toReversed().map(changeId => ({ changeId, id: `${changeId}_${crm!.id}`, tries: 0, reason: null, advice: null })),
    );
    // Lag counts from when the delivery became pending again.
    expect((await stage.call('/api/v1/sinks')).body.items[0].lagSeconds).toBe(0);
    await stage.attempt(crm!);
    expect(await states(stage, 'crm')).toEqual(['delivered', 'pending', 'delivered']);
    await stage.attempt(crm!);
    expect(await counts(stage, 'crm')).toEqual({ owed: 3, pending: 0, delivered: 3, superseded: 0, parked: 0, discarded: 0 });
  });

  test('every selector narrows it; parked unless another state is asked for', async () => {
    const stage = await stageOf();
    const [crm, log] = await stage.register({ name: 'crm' }, { name: 'log', type: 'log' });
    const one = await stage.record();
    const other = await stage.record({ sdkAppId: '1400000002', channelId: 'other' });
    for (const sink of [crm!, log!]) await stage.attempt(sink, never());
    await stage.record({ channelId: 'third' });
    for (const sink of [crm!, log!]) await stage.attempt(sink);
    const matched = async (body: object): Promise<number> => (await replay(stage, { ...body, dryRun: true })).body.matched;
    expect(await matched({ state: 'parked' })).toBe(4);
    expect(await matched({ sink: 'crm' })).toBe(2);
    expect((await replay(stage, { sink: 'nobody', dryRun: true })).status).toBe(404);
    expect(await matched({ sdkAppId: '1400000002' })).toBe(2);
    expect(await matched({ channelId })).toBe(2);
    expect(await matched({ changeId: one, sink: 'log' })).toBe(1);
    expect(await matched({ changeId: other, channelId })).toBe(0);
    expect(await matched({ since: '2026-01-01T00:00:02Z' })).toBe(2);
    expect(await matched({ until: '2026-01-01T00:00:02Z' })).toBe(2);
    expect(await matched({ state: 'delivered' })).toBe(2);
    expect(await matched({ sink: 'crm', state: null })).toBe(2);
  });

  test.each([
    [{}, 'at least one'],
    [{ dryRun: true }, 'at least one'],
    [{ sink: null }, 'at least one'],
    [{ state: 'pending' }, 'state'],
    [{ sink: 7 }, 'sink'],
    [{ sink: '' }, 'sink'],
    [{ since: 'yesterday' }, 'since'],
    [{ since: 7 }, 'since'],
    [{ sink: 'crm', dryRun: 'yes' }, 'dryRun'],
    [{ sink: 'crm', chanelId: 'misspelled' }, 'chanelId'],
  ])('%j is 400 and replays nothing', async (body, detail) => {
    const stage = await stageOf();
    const [crm] = await stage.register({ name: 'crm' });
    await stage.record();
    await stage.attempt(crm!, never());
    expect(await replay(stage, body)).toMatchObject({ status: 400, body: { detail: expect.stringContaining(detail) as string } });
    expect(await states(stage, 'crm')).toEqual(['parked']);
  });

  test('a state sink is never sent what is older than what it has', async () => {
    const stage = await stageOf();
    const [search] = await stage.register({ name: 'search', type: 'opensearch', mode: 'state' });
    await stage.record();
    await stage.attempt(search!, never());
    await stage.record();
    await stage.record();
    await stage.attempt(search!);
    await stage.record({ channelId: 'other' });
    await stage.attempt(search!, never());
    expect(await states(stage, 'search')).toEqual(['parked', 'superseded', 'delivered', 'parked']);
    expect((await replay(stage, { sink: 'search' })).body).toEqual({ matched: 2, replayed: 1, skippedAsStale: 1 });
    expect((await replay(stage, { sink: 'search', state: 'superseded' })).body).toEqual({ matched: 1, replayed: 0, skippedAsStale: 1 });
    // The latest revision may be sent again, for example after the sink lost data.
    expect((await replay(stage, { sink: 'search', state: 'delivered' })).body).toEqual({ matched: 1, replayed: 1, skippedAsStale: 0 });
    expect(await states(stage, 'search')).toEqual(['parked', 'superseded', 'pending', 'pending']);
  });

  test('cards tell of replays and discards', async () => {
    const stage = await stageOf();
    const [crm, slack] = await stage.register({ name: 'crm' }, { name: 'team', type: 'slack', mode: 'report' });
    const change = await stage.record();
    await stage.attempt(crm!, never());
    await stage.attempt(slack!);
    const refreshes = async (): Promise<string[]> =>
      (await stage.database.kysely.selectFrom('report_refresh').select('change_id').where('sink', '=', slack!.id).execute()).map(
        row => row.change_id,
      );
    expect(await refreshes()).toEqual([]);
    await replay(stage, { sink: 'crm' });
    expect(await refreshes()).toEqual([change]);
    await stage.attempt(slack!);
    await stage.attempt(crm!, never());
    await stage.attempt(slack!);
    const [parked] = (await stage.call('/api/v1/deliveries?state=parked')).body.items;
    await stage.call(`/api/v1/deliveries/${parked.id}/discard`, { method: 'POST' });
    expect(await refreshes()).toEqual([change]);
    expect(stage.woken).toEqual([[crm!.id, slack!.id], [slack!.id]]);
  });

  test('a parked delivery can be given up, and nothing else', async () => {
    const stage = await stageOf();
    const [crm] = await stage.register({ name: 'crm' });
    for (let count = 0; count < 3; count++) await stage.record();
    await stage.attempt(crm!, never());
    await stage.attempt(crm!, never());
    const [pending, second, first] = (await stage.call('/api/v1/deliveries')).body.items;
    const discard = (id: string, body?: object) =>
      stage.call(`/api/v1/deliveries/${id}/discard`, { method: 'POST', ...(body && { body: JSON.stringify(body) }) });
    const { status, body } = await discard(first.id, { reason: ' corrected by hand ' });
    expect([status, body]).toEqual([
      200,
      { ...first, state: 'discarded', reason: 'corrected by hand', advice: null, updatedAt: new Date(stage.clock.at).toISOString() },
    ]);
    expect((await discard(second.id)).body).toMatchObject({ state: 'discarded', reason: 'discarded by a person' });
    expect(await discard(first.id)).toMatchObject({ status: 409, body: { detail: expect.stringContaining('discarded') as string } });
    expect(await discard(pending.id)).toMatchObject({ status: 409, body: { detail: expect.stringContaining('pending') as string } });
    expect((await discard('nonsense')).status).toBe(404);
    expect((await discard(`${first.changeId}_999`)).status).toBe(404);
    expect((await discard(second.id, { reason: 7 })).status).toBe(400);
    expect(await counts(stage, 'crm')).toEqual({ owed: 3, pending: 1, delivered: 0, superseded: 0, parked: 0, discarded: 2 });
    expect((await stage.call('/metrics')).body).toContain('channel_sync_deliveries_total{sink="crm",outcome="discarded"} 2');
    // A discard can be undone by a replay.
    expect((await replay(stage, { state: 'discarded' })).body.replayed).toBe(2);
  });

  test('who did what is on record', async () => {
    const stage = await stageOf();
    const [crm] = await stage.register({ name: 'crm' });
    await stage.record();
    await stage.attempt(crm!, never());
    await replay(stage, { sink: 'crm', dryRun: true });
    // Of concurrent replays only one takes effect and is recorded, and a later one finds nothing.
    for (const { body } of await Promise.all([1, 2, 3].map(() => replay(stage, { sink: 'crm', channelId }))))
      expect(body.replayed).toBeLessThan(2);
    expect((await replay(stage, { sink: 'crm', channelId })).body.matched).toBe(0);
    await stage.attempt(crm!, never());
    const [{ id }] = (await stage.call('/api/v1/deliveries')).body.items;
    await stage.call(`/api/v1/deliveries/${id}/discard`, { method: 'POST' });
    for (const verb of ['pause', 'pause', 'resume']) await stage.call(`/api/v1/sinks/crm/${verb}`, { method: 'POST' });
    const rows = await stage.database.kysely.selectFrom('audit').select(['at', 'actor', 'action', 'details']).orderBy('id').execute();
    expect(rows.map(row => ({ ...row, details: JSON.parse(row.details) as object }))).toEqual([
      { at: stage.clock.at, actor: 'api', action: 'replay', details: { sink: 'crm', channelId } },
      { at: stage.clock.at, actor: 'api', action: 'discard', details: { delivery: id } },
      { at: stage.clock.at, actor: 'api', action: 'pause', details: { sink: 'crm' } },
      { at: stage.clock.at, actor: 'api', action: 'resume', details: { sink: 'crm' } },
    ]);
    expect(stage.logged.filter(({ by }) => by === 'api')).toHaveLength(4);
  });

  // Fails if the audit record is written after the discard, outside its transaction.
  test('what cannot be put on record is not done', async () => {
    const stage = await stageOf();
    const [crm] = await stage.register({ name: 'crm' });
    await stage.record();
    await stage.attempt(crm!, never());
    const [{ id }] = (await stage.call('/api/v1/deliveries')).body.items;
    await sql`alter table audit rename to elsewhere`.execute(stage.database.kysely);
    expect((await stage.call(`/api/v1/deliveries/${id}/discard`, { method: 'POST' })).status).toBe(503);
    expect((await replay(stage, { sink: 'crm' })).status).toBe(503);
    expect((await stage.call('/api/v1/sinks/crm/pause', { method: 'POST' })).status).toBe(503);
    expect(await states(stage, 'crm')).toEqual(['parked']);
    expect((await stage.call('/api/v1/sinks')).body.items).toMatchObject([{ name: 'crm', state: 'ok' }]);
  });

  test('100,000 parked ones are replayed while webhooks are kept', async () => {
    const stage = await stageOf();
    const [crm] = await stage.register({ name: 'crm' });
    const first = await stage.record();
    await stage.attempt(crm!, never());
    const series = (first: number, last: number) =>
      sql`with recursive n(i) as (select ${sql.lit(first)} union all select i + 1 from n where i < ${sql.lit(last)})`;
    const { kysely } = stage.database;
    const { channel } = await kysely.selectFrom('delivery').select('channel').executeTakeFirstOrThrow();
    await kysely.transaction().execute(async trx => {
      await sql`insert into change (id, fingerprint, channel, position, revision, type, operator, event_time, estimated, tie, received_at, exist, changes, profile, stale, body)
        ${series(100_001, 199_999)} select 'x' || i, 'x' || i, channel, i, i, type, operator, event_time, estimated, tie, received_at, exist, changes, profile, stale, body
        from n, change where change.id = ${first}`.execute(trx);
      await sql`insert into delivery (change_id, sink, channel, position, state, open, cause, enqueued_at, updated_at)
        ${series(100_001, 199_999)} select 'x' || i, ${sql.lit(crm!.id)}, ${sql.lit(channel)}, i, 'parked', 0, 'refused', 1, 1 from n`.execute(
        trx,
      );
    });
    let [over, kept] = [false, 0];
    const webhooks = (async () => {
      for (; !over; kept++) await stage.record({ channelId: `live ${kept}` });
    })();
    const { status, body } = await replay(stage, { sink: 'crm' });
    over = true;
    await webhooks;
    expect([status, body]).toEqual([202, { matched: 100_000, replayed: 100_000, skippedAsStale: 0 }]);
    // Webhooks are recorded between the pages.
    expect(kept).toBeGreaterThan(100);
    expect(await counts(stage, 'crm')).toMatchObject({ pending: 100_000 + kept, parked: 0 });
  }, 60_000);
});
