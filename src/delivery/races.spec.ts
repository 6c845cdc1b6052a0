import pg from 'pg';
import { v4, v7 as uuid } from 'uuid';
import { eachStore } from '../../test/support/stores.js';
import type { InboundWebhook } from '../channel/inbound-webhook.js';
import { byWebhook, recorderAt } from '../../test/support/engine.js';
import type { Database } from '../database/database.js';
import { Lanes } from './lanes.js';
import { type ConfiguredSink, registerSinks } from '../sinks/registry.js';

const start = Date.UTC(2026, 0, 1);
const day = 86_400_000;
const claim = { attempts: 10, batchSize: 1, bytes: 1e6, leaseMs: 10_000, probeMs: 5000, perSecond: null };

function recorderOf(database: Database) {
  const recorder = recorderAt(database, () => start);
  return (time: number, fields: InboundWebhook['fields']) =>
    recorder.record(
      {
        id: uuid(),
        sdkAppId: '1',
        channelId: 'channel',
        command: 'changed',
        operator: null,
        eventTime: start + time,
        eventTimeEstimated: false,
        ...byWebhook,
        receivedAt: start,
        fields,
        body: Buffer.from('{}'),
      },
      5000,
    );
}

async function sinkOf(database: Database, sink: Partial<ConfiguredSink>) {
  const [registered] = await registerSinks(database, [{ name: 'sink', type: 'scripted', mode: 'log', filters: {}, ...sink }], start);
  return registered!;
}

const query = Reflect.get(pg.Client.prototype, 'query') as (...call: unknown[]) => unknown;
afterEach(() => void Reflect.set(pg.Client.prototype, 'query', query));

/** Runs something just before the next matching PostgreSQL query. */
function before(text: RegExp, work: () => Promise<unknown>): { armed: boolean } {
  const trap = { armed: true };
  Reflect.set(pg.Client.prototype, 'query', function (this: pg.Client, ...call: unknown[]): unknown {
    const go = (): unknown => Reflect.apply(query, this, call);
    if (!trap.armed || !text.test(String((call[0] as { text?: string }).text ?? call[0]))) return go();
    trap.armed = false;
    return work().then(go);
  });
  return trap;
}

eachStore('what happens in between', store => {
  // Regression: a second query missed a revision committed in between, and an older profile went out under the newer version.
  test('a revision that is committed while a state is loaded leaves that state what it was, under its version', async () => {
    const database = await store.open();
    const sink = await sinkOf(database, { mode: 'state', filters: { fields: ['name'] } });
    const record = recorderOf(database);
    await record(1, { name: 'first' });
    await record(2, { introduction: 'second' });
    const { version } = await database.kysely.selectFrom('channel').select('version').executeTakeFirstOrThrow();
    before(/from change\s+where.*"revision"/, () => record(3, { introduction: 'third' }));
    const { claimed } = await new Lanes(database, v4, () => 0.5).turn(sink, [], day, claim, start);
    const [work] = claimed.flat();
    expect(await database.kysely.selectFrom('change').select('id').execute()).toHaveLength(database.embedded ? 2 : 3);
    expect(work!.delivery).toMatchObject({
      version,
      event: { data: { revision: 2, profile: { name: 'first', introduction: 'second' } } },
    });
  });

  // Regression: the turn had committed, but its claims were forgotten, and its settled attempts counted as without a lease.
  test('a turn keeps its result where making the lanes of a recovered sink due fails after it; the next turn does it', async () => {
    const database = await store.open();
    const sink = await sinkOf(database, {});
    await recorderOf(database)(1, { name: 'first' });
    await database.kysely.updateTable('sink').set({ recovered_to: 0 }).execute();
    const lanes = new Lanes(database, v4, () => 0.5);
    const lost = before(/^select "recovered_to" from "sink"/, () => Promise.reject(new Error('connection lost')));
    const { claimed, nextDueAt, failure } = await lanes.turn(sink, [], day, claim, start);
    expect([claimed.length, nextDueAt]).toEqual([1, start]);
    expect(failure?.message ?? null).toBe(database.embedded ? null : 'connection lost');
    const recoveredTo = async () =>
      (await database.kysely.selectFrom('sink').select('recovered_to').executeTakeFirstOrThrow()).recovered_to;
    // Only PostgreSQL's queries can be made to fail here.
    expect([lost.armed, await recoveredTo()]).toEqual(database.embedded ? [true, null] : [false, 0]);
    await lanes.turn(sink, [], day, claim, start);
    expect(await recoveredTo()).toBeNull();
  });

  // Regression: the upsert at its settlement restored the row, without its change.
  test('a card that is deleted while its edit is under way stays deleted', async () => {
    const database = await store.open();
    const sink = await sinkOf(database, { mode: 'report' });
    await recorderOf(database)(1, { name: 'first' });
    const lanes = new Lanes(database, v4, () => 0.5);
    const { claimed } = await lanes.turn(sink, [], day, claim, start);
    for (const table of ['change', 'delivery', 'attempt'] as const) await database.kysely.deleteFrom(table).execute();
    const ended = [{ at: start, durationMs: 1, answers: [{ work: claimed.flat()[0]!, answer: { messageRef: 'card' } }] }];
    await lanes.turn(sink, ended, day, { ...claim, attempts: 0 }, start);
    for (const table of ['delivery', 'attempt'] as const) expect(await database.kysely.selectFrom(table).selectAll().execute()).toEqual([]);
    expect(await database.kysely.selectFrom('lane').select(['lease', 'due_at']).execute()).toEqual([{ lease: null, due_at: null }]);
  });
});
