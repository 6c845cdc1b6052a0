import { newDatabase } from '../../../test/support/postgres.js';
import { until } from '../../../test/support/until.js';
import { Database } from '../database.js';

const databases: Database[] = [];
const stop = new AbortController();
afterAll(async () => {
  stop.abort();
  for (const database of databases) await database.close();
});

// Guards against processes that react to their own notifications, which wakes each of their workers for nothing.
test('processes hear each other, and not themselves', async () => {
  const url = await newDatabase(process.env['TEST_POSTGRES_URL']!);
  const heard: number[][][] = [[], []];
  const [one, other] = await Promise.all([0, 1].map(() => Database.open(url, () => undefined)));
  databases.push(one!, other!);
  for (const [index, database] of databases.entries()) void database.listen(sinks => heard[index]!.push(sinks), stop.signal);
  const tell = (database: Database, sinks: number[]): Promise<void> =>
    database.kysely.transaction().execute(trx => database.notify(trx, sinks));
  const bothListen = async (): Promise<boolean> => {
    await Promise.all([tell(one!, [1]), tell(other!, [2])]);
    return heard.every(list => list.length > 0);
  };
  await until(bothListen, 'both are connected');
  await tell(one!, [7, 8]);
  await until(() => heard[1]!.some(([sink]) => sink === 7), 'the other one heard it');
  await tell(other!, [9]);
  await until(() => heard[0]!.some(([sink]) => sink === 9), 'the first one heard the other');
  const distinct = heard.map(list => [...new Set(list.map(String))]);
  expect(distinct).toEqual([
    ['2', '9'],
    ['1', '7,8'],
  ]);
});
