import { type CompiledQuery, sql } from 'kysely';
import { Database } from './database.js';
import { UnusableDatabase } from './errors.js';

// Guards against a regression: with 300 sinks, requests were not even read for seconds.
test('however many workers wait for the embedded store, a webhook waits for one of them, and the event loop goes on', async () => {
  const database = await Database.open('sqlite::memory:', () => undefined);
  let [workers, before, loops] = [0, 0, 0];
  const all = Array.from({ length: 100 }, () =>
    database.asyncCommit(async trx => void (workers += (await sql`select 1`.execute(trx)).rows.length)),
  );
  const webhook = database.kysely.transaction().execute(async () => Promise.resolve((before = workers)));
  const loop = (): void => void (workers < all.length && (loops++, setImmediate(loop)));
  loop();
  await Promise.all([webhook, ...all]);
  expect([workers, before <= 1, loops >= all.length]).toEqual([100, true, true]);
  await database.close();
});

test('a worker whose transaction fails holds up no other', async () => {
  const database = await Database.open('sqlite::memory:', () => undefined);
  const failed = database.asyncCommit(() => Promise.reject(new Error('lost')));
  const next = database.asyncCommit(() => Promise.resolve('served'));
  expect([await failed.catch((error: Error) => error.message), await next]).toEqual(['lost', 'served']);
  await database.close();
});

// Guards against a hang: /proc allows no new entries and reports that as ENOENT.
test('a file in a folder that cannot be made is told', async () => {
  const error = await Database.open('sqlite:/proc/channel-sync/data.db', () => undefined).catch((thrown: Error) => thrown);
  expect(error).toBeInstanceOf(UnusableDatabase);
  expect((error as Error).message).toMatch(/^\/proc\/channel-sync\/data\.db: (Error: )?ENOENT: /);
});

// Guards against a stack trace and exit code 1, and on PostgreSQL against spooling webhooks for ever.
test.each([
  'table channel (id int)',
  'table migration (id int)',
  'view change as select 1 as id',
  'table x (a int); create index sink on x (a)',
])('a database in which another program has a name of ours cannot be used: %s', async foreign => {
  const database = await Database.open('sqlite::memory:', () => undefined);
  for (const statement of `create ${foreign}`.split('; ')) await sql.raw(statement).execute(database.kysely);
  const error = await database.migrate().catch((thrown: Error) => thrown);
  expect(error).toBeInstanceOf(UnusableDatabase);
  expect((error as Error).message).toMatch(
    /^another program has tables here by our names \(.+\): give us a schema or a database of our own$/,
  );
  await database.close();
});

// Guards against 100 MB of prepared statements, one for each number of rows.
test('rows of any number are inserted, each once and in order, by few statements', async () => {
  const database = await Database.open('sqlite::memory:', () => undefined);
  await database.migrate();
  const texts = new Set<string>();
  await database.kysely.transaction().execute(async trx => {
    const execute = trx.executeQuery.bind(trx);
    trx.executeQuery = query => (texts.add((query as CompiledQuery).sql), execute(query));
    for (let count = 0; count <= 200; count++) {
      const keys = Array.from({ length: count }, (_, index) => `${count} ${index}`);
      const inserted = await database.insert<'seen', { key: string }>(
        trx,
        'seen',
        keys.map(key => ({ key, at: 0 })),
        'returning key',
      );
      expect((await inserted()).map(({ key }) => key)).toEqual(keys);
    }
  });
  expect(texts.size).toBeLessThanOrEqual(16);
  await database.close();
});
