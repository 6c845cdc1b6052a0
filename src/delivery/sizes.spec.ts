import { v4, v7 as uuid } from 'uuid';
import { sql } from 'kysely';
import { newDatabase } from '../../test/support/postgres.js';
import { eachStore } from '../../test/support/stores.js';
import { until } from '../../test/support/until.js';
import type { InboundWebhook } from '../channel/inbound-webhook.js';
import { byWebhook, host, recorderAt, soundEvents } from '../../test/support/engine.js';
import { Database } from '../database/database.js';
import type { Delivery, Mode } from '../sinks/sink.js';
import type { Sink } from '../sinks/sink-type.js';
import { SinkSettings } from '../sinks/settings.js';
import { TryAgain } from '../sinks/errors.js';
import { Lanes } from './lanes.js';
import type { RegisteredSink } from '../sinks/registry.js';
import { registerSinks } from '../sinks/registry.js';
import type { Answer } from './settlement.js';
import type { LaneWork } from './work.js';
import { Worker } from './worker.js';
import type { Recorder } from '../channel/recorder.js';

const start = Date.UTC(2026, 0, 1);
const day = 86_400_000;
const claim = { attempts: 1000, batchSize: 500, bytes: 4e6, leaseMs: 10_000, probeMs: 5000, perSecond: null };

function webhook(number: number, overrides: Partial<InboundWebhook> = {}): InboundWebhook {
  return {
    id: uuid(),
    sdkAppId: '1',
    channelId: `channel ${number}`,
    command: 'changed',
    operator: null,
    eventTime: start + number,
    eventTimeEstimated: false,
    ...byWebhook,
    receivedAt: start,
    fields: { name: `name ${number}` },
    body: Buffer.from('{}'),
    ...overrides,
  };
}

function recorderOf(database: Database): Recorder {
  return recorderAt(database, () => start);
}

const sinksOf = (count: number, mode: Mode) =>
  Array.from({ length: count }, (_, index) => ({ name: `sink${index}`, type: 'scripted', mode, filters: {} }));

async function countBy(database: Database, sink: number): Promise<Record<string, number>> {
  const { rows } = await sql<{ state: string; count: number }>`
      select state, count(*) as count from delivery where sink = ${sink} group by state`.execute(database.kysely);
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}

/** Inserts pending deliveries with SQL statements; the recorder would take minutes. */
async function owe(database: Database, { id: sink }: RegisteredSink, channels: number, revisions: number): Promise<void> {
  const numbers = (to: number) =>
    sql`(with recursive upTo(n) as (select 1 union all select n + 1 from upTo where n < ${sql.lit(to)}) select n from upTo)`;
  // Twelve digits.
  const key = sql`'00000000-0000-7000-8000-' || substr(cast(1000000000000 + c.n * 1000 + r.n as text), 2)`;
  const profile = `{"name":"n","avatarUrl":null,"introduction":null,"organization":null}`;
  const state = `{"fields":{"name":{"value":"n","at":1}},"aliveAt":1,"destroyedAt":null}`;
  await sql`insert into channel (sdk_app_id, channel_id, state, revision, position, version, updated_at)
      select '1', 'channel ' || c.n, ${state}, ${sql.lit(revisions)}, ${sql.lit(revisions)}, 1, 1 from ${numbers(channels)} c`.execute(
    database.kysely,
  );
  await sql`insert into change (id, fingerprint, channel, position, revision, type, event_time, estimated, tie, received_at, exist, changes, profile, stale, body)
      select ${key}, ${key}, channel.id, r.n, r.n, 'channel.profile.updated', 1, 0, 0, 1, 1, '[]', ${profile}, '[]', ${Buffer.from('{}')}
      from ${numbers(channels)} c cross join ${numbers(revisions)} r join channel on channel.channel_id = 'channel ' || c.n`.execute(
    database.kysely,
  );
  await sql`insert into lane (sink, channel, due_at) select ${sql.lit(sink)}, id, ${sql.lit(start)} from channel`.execute(database.kysely);
  await sql`insert into delivery (change_id, sink, channel, position, enqueued_at, updated_at)
      select id, ${sql.lit(sink)}, channel, position, 1, 1 from change`.execute(database.kysely);
}

const delivered: Answer = { messageRef: null };
const endedWith = (works: readonly LaneWork[], answer: Answer, at = start) => [
  { at, durationMs: 1, answers: works.map(work => ({ work, answer })) },
];

eachStore('sizes', store => {
  // Regression: 24 sinks and a group of 256 webhooks exceeded the parameter limit of SQLite, and 100 sinks that of PostgreSQL.
  test.each([1, 21, 22, 44, 100].flatMap(sinks => [1, 256].map(webhooks => ({ sinks, webhooks }))))(
    '$sinks sinks are owed what a group of $webhooks webhooks brings',
    async ({ sinks, webhooks }) => {
      const database = await store.open();
      await registerSinks(database, sinksOf(sinks, 'log'), start);
      const recorder = recorderOf(database);
      const kept = await Promise.all(Array.from({ length: webhooks }, (_, index) => recorder.record(webhook(index), 60_000)));
      expect(new Set(kept)).toEqual(new Set(['recorded']));
      const { rows } = await sql<{ count: number }>`
          select count(*) as count from delivery join lane on lane.sink = delivery.sink and lane.channel = delivery.channel
          where state = 'pending' and due_at = ${start}`.execute(database.kysely);
      expect(rows[0]!.count).toBe(sinks * webhooks);
      expect(await recorder.recordAll(Array.from({ length: webhooks }, (_, index) => webhook(1000 + index)))).toEqual([]);
    },
  );

  test('what a state sink superseded is marked page by page, and nothing older is ever sent, whoever goes on', async () => {
    const database = await store.open();
    const [sink] = await registerSinks(database, sinksOf(1, 'state'), start);
    await owe(database, sink!, 20, 400);
    const lanes = new Lanes(database, v4, () => 0.5);
    const first = await lanes.turn(sink!, [], day, claim, start);
    const works = first.claimed.flat();
    expect(works.map(work => work.position)).toEqual(Array(20).fill(400));
    let turn = await lanes.turn(sink!, endedWith(works, delivered), day, claim, start);
    let superseded = turn.over.superseded;
    expect(turn.over.delivered).toBe(20);
    for (let turns = 1; turn.nextDueAt !== null && turn.nextDueAt <= start; turns++) {
      expect(turn.over.superseded).toBeLessThanOrEqual(500);
      expect(turns).toBeLessThan(30);
      // As after a kill: a new process knows only the tables, and everything is due.
      await database.kysely.updateTable('lane').set({ due_at: start }).execute();
      turn = await new Lanes(database, v4, () => 0.5).turn(sink!, [], day, claim, start);
      expect(turn.claimed).toEqual([]);
      superseded += turn.over.superseded;
      const counts = await countBy(database, sink!.id);
      expect(counts).toEqual({ delivered: 20, superseded, ...(superseded < 7980 && { pending: 7980 - superseded }) });
    }
    expect(superseded).toBe(7980);
    expect(await database.kysely.selectFrom('lane').select('channel').where('superseded_before', 'is not', null).execute()).toEqual([]);
    expect(await database.kysely.selectFrom('lane').select('channel').where('due_at', 'is not', null).execute()).toEqual([]);
  });

  test('40,000 channels that are due are taken in parts with the largest CONCURRENCY, and each is delivered once', async () => {
    const database = await store.open();
    const [sink] = await registerSinks(database, sinksOf(1, 'state'), start);
    await owe(database, sink!, 40_000, 1);
    const got = new Set<string>();
    let [sends, most] = [0, 0];
    const bulk: Sink = {
      batchSize: 500,
      deliverMany: async (deliveries: readonly Delivery[]) => {
        sends += deliveries.length;
        most = Math.max(most, deliveries.length);
        for (const { id } of deliveries) got.add(id);
        return deliveries.map(() => null);
      },
    };
    const settings = Object.assign(new SinkSettings(), { TIMEOUT_MS: 60_000, CONCURRENCY: 1000, RETRY_MAX_AGE: day });
    const clock = { now: () => start, monotonic: () => performance.now(), wall: () => start };
    const worker = new Worker(sink!, bulk, settings, new Lanes(database, v4, () => 0.5), soundEvents(), clock, host);
    worker.start();
    await until(() => got.size === 40_000, 'every delivery', 60_000);
    await worker.drain(1000);
    expect({ sends, most }).toEqual({ sends: 40_000, most: 500 });
    expect(await countBy(database, sink!.id)).toEqual({ delivered: 40_000 });
  }, 120_000);

  test('every lane of a sink that has recovered is due at once, however many wait, and also after a kill in between', async () => {
    const database = await store.open();
    const [sink] = await registerSinks(database, sinksOf(1, 'log'), start);
    await owe(database, sink!, 5000, 1);
    const lanes = new Lanes(database, v4, () => 0.5);
    const { claimed } = await lanes.turn(sink!, [], day, { ...claim, attempts: 1, batchSize: 10 }, start);
    const failure = { failure: new TryAgain(['answered', 503], ['wait'], 503) };
    const each = claimed.flat();
    const [last, ...others] = each;
    const failed = others.map(work => ({ at: start, durationMs: 1, answers: [{ work, answer: failure }] }));
    expect((await lanes.turn(sink!, failed, day, { ...claim, attempts: 0 }, start)).health.state).toBe('down');
    await database.kysely
      .updateTable('lane')
      .set({ due_at: start + 900_000, tries: 3 })
      .where('lease', 'is', null)
      .execute();
    let turn = await lanes.turn(sink!, endedWith([last!], delivered), day, { ...claim, attempts: 0 }, start);
    expect(turn.health.state).toBe('ok');
    for (let turns = 0; turn.nextDueAt !== null && turn.nextDueAt <= start && turns < 5; turns++)
      turn = await new Lanes(database, v4, () => 0.5).turn(sink!, [], day, { ...claim, attempts: 0 }, start);
    const { rows } = await sql<{ count: number }>`select count(*) as count from lane where due_at <= ${start}`.execute(database.kysely);
    expect(rows[0]!.count).toBe(4999);
  });

  test('one claim takes no more texts than it may, but always a delivery', async () => {
    const database = await store.open();
    const [sink] = await registerSinks(database, sinksOf(1, 'log'), start);
    const recorder = recorderOf(database);
    const introduction = 'x'.repeat(300_000);
    await Promise.all(Array.from({ length: 20 }, (_, index) => recorder.record(webhook(index, { fields: { introduction } }), 60_000)));
    const lanes = new Lanes(database, v4, () => 0.5);
    const sizes: number[] = [];
    for (let turn = await lanes.turn(sink!, [], day, claim, start); turn.claimed.length > 0;) {
      sizes.push(turn.claimed.flat().length);
      turn = await lanes.turn(sink!, endedWith(turn.claimed.flat(), delivered), day, claim, start);
    }
    expect(sizes).toEqual([13, 7]);
    await recorder.record(webhook(1, { eventTime: start + 50, fields: { introduction: `${introduction}y` } }), 60_000);
    expect((await lanes.turn(sink!, [], day, { ...claim, bytes: 1 }, start)).claimed.flat()).toHaveLength(1);
  });
});

// Seen failing with `exists`, which read all that was open, of all channels, until PostgreSQL had looked at the table anew; a state sink's turn 200,000 rows.
test.each([
  ['log', 3000],
  // The page that is marked as superseded may be looked for in all that is open.
  ['state', 30_000],
] as const)(
  'what turns of a %s sink read of PostgreSQL does not grow with the channels that wait, also where its statistics are older',
  async (mode, most) => {
    const database = await Database.open(await newDatabase(process.env['TEST_POSTGRES_URL']!), error => {
      throw error;
    });
    await database.migrate();
    const [sink] = await registerSinks(database, sinksOf(1, mode), start);
    for (const table of ['lane', 'delivery', 'change', 'channel'])
      await sql`alter table ${sql.table(table)} set (autovacuum_enabled = off)`.execute(database.kysely);
    await owe(database, sink!, 40, 250);
    let read = 0;
    const asyncCommit = database.asyncCommit.bind(database);
    database.asyncCommit = work =>
      asyncCommit(async trx => {
        const soFar = async (): Promise<number> => {
          const { rows } = await sql<{ read: number }>`
              select seq_tup_read + idx_tup_fetch as read from pg_stat_xact_user_tables where relname = 'delivery'`.execute(trx);
          return rows[0]!.read;
        };
        const before = await soFar();
        const result = await work(trx);
        read += (await soFar()) - before;
        return result;
      });
    const lanes = new Lanes(database, v4, () => 0.5);
    const { claimed } = await lanes.turn(sink!, [], day, claim, start);
    const turn = await lanes.turn(sink!, endedWith(claimed.flat(), delivered), day, { ...claim, attempts: 0 }, start);
    expect(turn.over.delivered).toBe(40);
    expect(read).toBeGreaterThan(40);
    expect(read).toBeLessThan(most);
    await database.close();
  },
);
