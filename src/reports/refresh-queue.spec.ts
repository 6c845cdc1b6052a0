import type { CompiledQuery } from 'kysely';
import { Database } from '../database/database.js';
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
