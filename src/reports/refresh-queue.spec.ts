import type { CompiledQuery } from 'kysely';
import { v4 } from 'uuid';
import { changedAt, recorderAt } from '../../test/support/engine.js';
import { eachStore } from '../../test/support/stores.js';
import { Database } from '../database/database.js';
import { Lanes } from '../delivery/lanes.js';
import type { LaneWork } from '../delivery/work.js';
import { registerSinks } from '../sinks/registry.js';
import { enqueueRefreshes } from './refresh-queue.js';

// Guards against 100 MB of prepared statements, one for each number of changes.
test('any number of changes is put into the queue of each report sink by few statements', async () => {
  const database = await Database.open('sqlite::memory:', () => undefined);
  await database.migrate();
  const sinks = (['report', 'report', 'log'] as const).map((mode, index) => ({ name: `sink${index}`, type: 'any', mode, filters: {} }));
  const [one, other] = await registerSinks(database, sinks as never, 0);
  const texts = new Set<string>();
  let count = 0;
  await database.kysely.transaction().execute(async trx => {
    const execute = trx.executeQuery.bind(trx);
    trx.executeQuery = query => (texts.add((query as CompiledQuery).sql), execute(query));
    expect(await enqueueRefreshes(database, trx, [])).toEqual([]);
    for (let moved = 1; moved <= 200; moved++) {
      const changes = Array.from({ length: moved }, (_, index) => ({ changeId: `${moved} ${index}`, channel: index }));
      expect(await enqueueRefreshes(database, trx, changes)).toEqual([one!.id, other!.id]);
      count += moved;
    }
  });
  const queued = await database.kysely.selectFrom('report_refresh').select(['sink', 'change_id']).execute();
  expect(queued.filter(({ sink }) => sink === one!.id).length).toBe(count);
  expect(new Set(queued.map(({ sink, change_id }) => `${sink} ${change_id}`)).size).toBe(2 * count);
  expect(texts.size).toBeLessThanOrEqual(16);
  await database.close();
});

eachStore('many updates', store => {
  test('come after a new report', async () => {
    const database = await store.open();
    let now = Date.UTC(2026, 0, 1);
    const [sink] = await registerSinks(database, [{ name: 'cards', type: 'any', mode: 'report', filters: {} }], now);
    const recorder = recorderAt(database, () => now);
    const lanes = new Lanes(database, v4, () => 0.5);
    const record = (channelId: string) => recorder.record(changedAt(now, channelId, { name: 'a' }), 5000);
    const turn = async (done: readonly LaneWork[], attempts: number): Promise<LaneWork[]> => {
      now += 1000;
      const ended = done.map(work => ({ at: now, durationMs: 1, answers: [{ work, answer: { messageRef: 'card' } }] }));
      const limits = { attempts, batchSize: 1, bytes: 1e6, leaseMs: 10_000, probeMs: 5000, perSecond: null };
      return (await lanes.turn(sink!, ended, 86_400_000, limits, now)).claimed.flat();
    };
    for (const channel of ['a', 'b', 'c']) await record(channel);
    const posts = await turn([], 3);
    await turn(posts, 0);
    const moved = posts.map(({ change_id: changeId, channel }) => ({ changeId, channel }));
    await database.kysely.transaction().execute(trx => enqueueRefreshes(database, trx, moved));
    await turn([], 0);
    now += 60_000;
    await record('new');
    const [first] = await turn([], 1);
    expect([first!.state, first!.delivery.event.data.channelId]).toEqual(['pending', 'new']);
    expect((await turn([first!], 10)).map(({ state }) => state)).toEqual(['delivered', 'delivered', 'delivered']);
  });
});
