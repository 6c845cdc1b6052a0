import { sql } from 'kysely';
import pg from 'pg';
import { newDatabase } from '../../../test/support/postgres.js';
import { Database } from '../database.js';
import { explain } from './advice.js';

const { jest } = import.meta;
const pid = sql<{ pid: number }>`select pg_backend_pid() as pid`;
const opened: { end(): Promise<void> }[] = [];
afterAll(() => Promise.all(opened.map(one => one.end())));

/** Blocks the event loop, so that what the server sends meanwhile is read only after the next statement is sent. */
const block = (ms: number): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

async function open(): Promise<{ database: Database; admin: pg.Client; lost: Error[] }> {
  const url = await newDatabase(process.env['TEST_POSTGRES_URL']!);
  const lost: Error[] = [];
  const database = await Database.open(url, error => lost.push(error!));
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  opened.push({ end: () => database.close() }, admin);
  return { database, admin, lost };
}

const transaction = (database: Database): Promise<number> =>
  database.kysely.transaction().execute(async trx => (await pid.execute(trx)).rows[0]!.pid);
const statement = async (database: Database): Promise<number> => (await pid.execute(database.kysely)).rows[0]!.pid;
const worker = (database: Database): Promise<number> => database.asyncCommit(async trx => (await pid.execute(trx)).rows[0]!.pid);

// Without the check of idle connections each of these fails, which is logged as a database error with advice about a start.
describe.each([
  ['a transaction', transaction],
  ['a single statement', statement],
  ['a transaction of a worker', worker],
])('a connection that the server closes just as %s begins is replaced', (_, use) => {
  test('after idle_session_timeout: without a word', async () => {
    const { database, lost } = await open();
    await sql`select set_config('idle_session_timeout', '300ms', false)`.execute(database.kysely);
    const before = await statement(database);
    block(600);
    expect(await use(database)).not.toBe(before);
    expect(lost).toEqual([]);
  });

  test('by an administrator: the lost connection is reported', async () => {
    const { database, admin, lost } = await open();
    const before = await statement(database);
    const ended = admin.query('select pg_terminate_backend($1)', [before]);
    block(600);
    expect(await use(database)).not.toBe(before);
    await ended;
    expect(lost.map(error => (error as Error & { code?: string }).code)).toEqual(['57P01']);
  });
});

test('numbers are read whatever the parameters of the URL are', async () => {
  const database = await Database.open(`${await newDatabase(process.env['TEST_POSTGRES_URL']!)}?binary=true`, () => undefined);
  opened.push({ end: () => database.close() });
  const { rows } = await sql<object>`select 1670574414123::bigint as big, 5::int as small where true = ${true}`.execute(database.kysely);
  expect(rows).toEqual([{ big: 1670574414123, small: 5 }]);
});

// On the way from a webhook to the disk each round trip counts.
test('a busy connection is not checked', async () => {
  const { database } = await open();
  const before = await statement(database);
  const query = jest.spyOn(pg.Client.prototype, 'query');
  for (let index = 0; index < 20; index++) expect(await transaction(database)).toBe(before);
  expect(query.mock.calls.filter(([text]) => (text as unknown) === 'select 1')).toEqual([]);
  query.mockRestore();
});

// Their messages end in "timeout", which means the network only where the server did not say it.
test.each([
  ['57P01', 'terminating connection due to administrator command', /administrator/],
  ['42501', 'permission denied for table change', /Grant this user/],
  ['57P03', 'the database system is starting up', /starting/],
  ['57P04', 'terminating connection due to database drop', /Create this database/],
  ['57P05', 'terminating connection due to idle-session timeout', /idle_session_timeout/],
  ['25P03', 'terminating connection due to idle-in-transaction timeout', /suspended/],
  ['25P04', 'terminating connection due to transaction timeout', /transaction_timeout/],
])('%s comes with advice of its own', (code, message, advice) => {
  expect(explain(Object.assign(new Error(message), { code })).advice).toMatch(advice);
});
