import { v7 as uuid } from 'uuid';
import { eachStore } from '../../test/support/stores.js';
import { sql } from 'kysely';
import { Database } from '../database/database.js';
import { registerSinks } from '../sinks/registry.js';
import { type InboundWebhook, fingerprint } from './inbound-webhook.js';
import { Recorder, Unstorable } from './recorder.js';
import { byWebhook, recorderAt, soundEvents } from '../../test/support/engine.js';
import { EngineEvents } from '../process/engine-events.js';

const start = Date.UTC(2026, 0, 1);

function webhook(overrides: Partial<InboundWebhook> = {}): InboundWebhook {
  return {
    id: uuid(),
    sdkAppId: '1400000001',
    channelId: '@TOA#_shop',
    command: 'changed',
    operator: 'leckie',
    eventTime: start,
    eventTimeEstimated: false,
    ...byWebhook,
    receivedAt: start,
    fields: { name: '商店' },
    body: Buffer.from('{"raw":"\u0000 bytes"}'),
    ...overrides,
  };
}

function recorderOf(database: Database, onDue: (sinks: Set<number>) => void = () => undefined): Recorder {
  return recorderAt(
    database,
    () => start,
    soundEvents().on('due', sinks => onDue(new Set(sinks))),
  );
}

eachStore('recorder', store => {
  test('a change is kept with its raw bytes, a repeat is a no-op', async () => {
    const database = await store.open();
    const recorder = recorderOf(database);
    const one = webhook();
    await expect(recorder.record(one, 5000)).resolves.toBe('recorded');
    await expect(recorder.record({ ...one, id: uuid(), body: Buffer.from('{ }') }, 5000)).resolves.toBe('repeat');
    const kept = await database.kysely.selectFrom('change').selectAll().execute();
    expect(kept).toHaveLength(1);
    expect(kept[0]).toMatchObject({
      id: one.id,
      revision: 1,
      position: 1,
      type: 'channel.profile.updated',
      operator: 'leckie',
      received_at: start,
    });
    expect(Buffer.from(kept[0]!.body)).toEqual(one.body);
  });

  test('an arrival that stands in for an EventTime is no later than the database allows, in order, also out of the spool', async () => {
    const database = await store.open();
    const recorder = recorderOf(database);
    const day = 86_400_000;
    await recorder.record(webhook(), 5000);
    const ahead = (years: number) => {
      const at = start + years * 365 * day;
      return webhook({ eventTime: at, eventTimeEstimated: true, receivedAt: at, fields: { name: uuid() } });
    };
    await Promise.all([ahead(10), ahead(10)].map(one => recorder.record(one, 5000)));
    await recorder.recordAll([ahead(1), ahead(10)]);
    const late = webhook({ eventTime: start - day / 2, eventTimeEstimated: true, receivedAt: start - day / 2 });
    await recorder.record(late, 5000);
    const rows = await database.kysely.selectFrom('change').select(['id', 'event_time', 'revision']).orderBy('position').execute();
    const latest = database.embedded ? start + day : start;
    for (const row of rows) expect(row.event_time).toBeLessThanOrEqual(latest);
    expect(rows.at(-1)!).toMatchObject({ id: late.id, event_time: start - day / 2, revision: null });
  });

  test('repeats inside one group count once, and estimated times never', async () => {
    const database = await store.open();
    const recorder = recorderOf(database);
    const one = webhook();
    const group = [one, { ...one, id: uuid() }, webhook({ eventTimeEstimated: true }), webhook({ eventTimeEstimated: true })];
    await expect(Promise.all(group.map(each => recorder.record(each, 5000)))).resolves.toEqual([
      'recorded',
      'repeat',
      'recorded',
      'recorded',
    ]);
  });

  test('one with an estimated time that comes out of the spool though it was recorded counts once', async () => {
    const database = await store.open();
    const recorder = recorderOf(database);
    const one = webhook({ eventTimeEstimated: true });
    await expect(recorder.record(one, 5000)).resolves.toBe('recorded');
    expect(await recorder.recordAll([one, webhook({ fields: { name: 'another' } }), one])).toEqual([]);
    expect(await database.kysely.selectFrom('change').select('id').execute()).toHaveLength(2);
  });

  test('two processes that record at once keep one order, and what both are told once', async () => {
    const url = await store.url();
    const database = await store.open(url);
    // A SQLite file has one process.
    if (database.embedded) return;
    const recorders = [database, await store.open(url)].map(each => recorderOf(each));
    for (let turn = 0; turn < 30; turn++) {
      // Of channels that are known, and of new ones.
      const told = (): InboundWebhook[] =>
        Array.from({ length: 6 }, (_, index) =>
          webhook({ channelId: `channel ${(turn + index) % 20}`, eventTime: start + turn, fields: { name: uuid() } }),
        );
      const same = told();
      for (const own of [() => same.map(one => ({ ...one, id: uuid() })), told]) {
        const results = await Promise.all(recorders.flatMap(recorder => own().map(one => recorder.record(one, 5000))));
        expect(results.filter(result => result === 'recorded')).toHaveLength(own === told ? 12 : 6);
      }
    }
    const { rows } = await sql<{ positions: string; count: number }>`
      select string_agg(position::text, ' ' order by position) as positions, count(*)::int as count from change group by channel`.execute(
      database.kysely,
    );
    expect(rows.reduce((sum, { count }) => sum + count, 0)).toBe(540);
    for (const { positions, count } of rows) expect(positions).toBe(Array.from({ length: count }, (_, index) => index + 1).join(' '));
  });

  test('revisions have no gaps, whatever arrives together', async () => {
    const database = await store.open();
    const recorder = recorderOf(database);
    const channels = ['@TOA#_a', '@TOA#_b', '@TOA#_c'];
    const storm = Array.from({ length: 300 }, (_, index) =>
      webhook({ channelId: channels[index % 3]!, eventTime: start + ((index * 7919) % 300), fields: { name: `name ${index % 5}` } }),
    );
    await Promise.all(storm.map(one => recorder.record(one, 10_000)));
    for (const channelId of channels) {
      const rows = await database.kysely
        .selectFrom('change')
        .innerJoin('channel', 'channel.id', 'change.channel')
        .select(['change.revision', 'change.position'])
        .where('channel_id', '=', channelId)
        .orderBy('change.position')
        .execute();
      expect(rows.map(row => row.position)).toEqual(rows.map((_, index) => index + 1));
      const revisions = rows.flatMap(row => row.revision ?? []);
      expect(revisions).toEqual(revisions.map((_, index) => index + 1));
    }
  });

  test('what is owed is written with the change: filters choose, report sinks get what altered nothing', async () => {
    const database = await store.open();
    const sinks = await registerSinks(
      database,
      [
        { name: 'all', type: 'log', mode: 'log', filters: {} },
        { name: 'avatars', type: 'log', mode: 'log', filters: { fields: ['avatarUrl'] } },
        { name: 'report', type: 'slack', mode: 'report', filters: {} },
      ],
      start,
    );
    const owed: number[][] = [];
    const recorder = recorderOf(database, set => owed.push([...set].sort((one, other) => one - other)));
    await recorder.record(webhook(), 5000);
    await recorder.record(webhook({ eventTime: start + 1, fields: { name: 'New' } }), 5000);
    await recorder.record(webhook({ eventTime: start - 1, fields: { name: 'Old' } }), 5000);
    const [all, avatars, report] = sinks.map(sink => sink.id);
    // The first change makes the channel exist, which matches every filter.
    expect(owed).toEqual([[all, avatars, report], [all, report], [report]]);
    const lanes = await database.kysely.selectFrom('lane').selectAll().execute();
    expect(lanes.map(lane => lane.due_at)).toEqual([start, start]);
    // A report sink creates its lane itself.
    expect((await database.kysely.selectFrom('report_refresh').select('sink').execute()).map(row => row.sink)).toEqual([
      report,
      report,
      report,
    ]);
  });

  test('without a revision the fields that a webhook names are what filters look at', async () => {
    const database = await store.open();
    const reports = (['name', 'avatarUrl'] as const).map(field => ({ name: field, mode: 'report' as const, filters: { fields: [field] } }));
    const sinks = await registerSinks(
      database,
      reports.map(sink => ({ type: 'slack', ...sink })),
      start,
    );
    const recorder = recorderOf(database);
    await recorder.record(webhook(), 5000);
    const stale = webhook({ eventTime: start - 1, fields: { name: 'Old' } });
    const equal = webhook({ eventTime: start + 1, fields: { name: '商店' } });
    // It names none.
    const gone = webhook({ command: 'destroyed', eventTime: start - 1, fields: { name: 'Old', avatarUrl: 'a' } });
    for (const one of [stale, equal, gone]) await recorder.record(one, 5000);
    const later = database.kysely.selectFrom('delivery').select(['change_id', 'sink']).where('position', '>', 1).orderBy('position');
    expect(await later.execute()).toEqual([stale, equal].map(({ id }) => ({ change_id: id, sink: sinks[0]!.id })));
  });

  test('the version of a channel grows with every revision and is no less than its newest EventTime, which only a revision moves', async () => {
    const database = await store.open();
    const recorder = recorderOf(database);
    const channel = async (time: number, fields: InboundWebhook['fields']) => {
      await recorder.record(webhook({ eventTime: start + time, fields }), 5000);
      return database.kysely.selectFrom('channel').select(['version', 'updated_at']).executeTakeFirstOrThrow();
    };
    expect(await channel(5, { name: 'a' })).toEqual({ version: start + 5, updated_at: start + 5 });
    expect(await channel(1, { introduction: 'older, of another field' })).toEqual({ version: start + 6, updated_at: start + 5 });
    expect(await channel(2, { introduction: 'older, too' })).toEqual({ version: start + 7, updated_at: start + 5 });
    expect(await channel(99, { name: 'a' })).toEqual({ version: start + 7, updated_at: start + 5 });
    expect(await channel(100, { name: 'b' })).toEqual({ version: start + 100, updated_at: start + 100 });
  });

  test('one webhook that the database refuses costs no other of its group', async () => {
    const database = await store.open();
    const failures: Error[] = [];
    const recorder = recorderAt(
      database,
      () => start,
      new EngineEvents().on('degraded', (_, error) => failures.push(error)),
    );
    const webhooks = Array.from({ length: 9 }, (_, index) => webhook({ id: uuid(), channelId: `c${index}` }));
    webhooks[4] = { ...webhooks[4]!, body: undefined as unknown as Buffer };
    const results = await Promise.allSettled(webhooks.map(one => recorder.record(one, 5000)));
    expect(results.map(({ status }) => status)).toEqual(webhooks.map((_, index) => (index === 4 ? 'rejected' : 'fulfilled')));
    expect((results[4] as PromiseRejectedResult).reason).toBeInstanceOf(Unstorable);
    expect(failures).toHaveLength(1);
    expect(await recorder.recordAll(webhooks)).toEqual([webhooks[4]]);
    expect(await database.kysely.selectFrom('change').select('id').execute()).toHaveLength(8);
  });

  test('a constraint of the database is such a refusal', async () => {
    const database = await store.open();
    const recorder = recorderAt(
      database,
      () => start,
      new EngineEvents().on('degraded', () => undefined),
    );
    const one = webhook();
    await recorder.record(one, 5000);
    const other = webhook({ id: one.id, fields: { name: 'another' } });
    await expect(recorder.record(other, 5000)).rejects.toThrow(Unstorable);
    expect(await recorder.recordAll([webhook({ channelId: 'b' }), other])).toEqual([other]);
    expect(await database.kysely.selectFrom('change').select('id').execute()).toHaveLength(2);
  });

  test('it says Unavailable in time when the database does not answer', async () => {
    const database = await store.open();
    database.ready = false;
    const failures: string[] = [];
    const recorder = recorderAt(
      database,
      () => start,
      new EngineEvents().on('degraded', (_, error) => failures.push(error.message)),
    );
    await expect(recorder.record(webhook(), 5000)).rejects.toThrow('has not answered');
    expect(failures).toHaveLength(1);
  });
});

test('the embedded store is synced at every commit again after a asyncCommit transaction, also after one that failed', async () => {
  const database = await Database.open('sqlite::memory:', () => undefined);
  const synchronous = async () => (await sql<{ synchronous: number }>`pragma synchronous`.execute(database.kysely)).rows[0]!.synchronous;
  await expect(
    database.asyncCommit(trx => sql<{ synchronous: number }>`pragma synchronous`.execute(trx).then(({ rows }) => rows[0]!.synchronous)),
  ).resolves.toBe(1);
  expect(await synchronous()).toBe(2);
  await expect(database.asyncCommit(() => Promise.reject(new Error('planted')))).rejects.toThrow('planted');
  expect(await synchronous()).toBe(2);
  await database.close();
});

test('the fingerprint looks at what the contract names and at nothing else', () => {
  const one = webhook();
  expect(fingerprint({ ...one, id: uuid(), receivedAt: 5, body: Buffer.from('x') })).toBe(fingerprint(one));
  const others: Partial<InboundWebhook>[] = [
    { sdkAppId: '2' },
    { channelId: 'x' },
    { command: 'created' },
    { operator: null },
    { eventTime: 1 },
    { fields: { name: '' } },
    { fields: {} },
    { fields: { introduction: '商店' } },
  ];
  const prints = [one, ...others.map(other => ({ ...one, ...other }))].map(fingerprint);
  expect(new Set(prints).size).toBe(prints.length);
});
