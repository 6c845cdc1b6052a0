import { closeSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { ServiceProcess } from './support/process.js';
import { send, startTestService } from './support/service.js';

const query = 'SdkAppid=1400000001&CallbackCommand=OfficialAccount.CallbackAfterOfficialAccountInfoChanged';
let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'channel-sync-sqlite-'));
  file = join(folder, 'test.db');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const webhook = (url: string, name: string) =>
  send(
    'POST',
    `${url}/webhooks/tencent-chat?${query}`,
    JSON.stringify({ Official_Account: 'a', Name: name.padEnd(30_000, '.'), EventTime: Date.now() }),
  );

/** The tables as a first run leaves them. */
async function firstRun(): Promise<void> {
  const service = await startTestService({ DATABASE_URL: `sqlite:${file}`, SINK_A_TYPE: 'log', SINK_A_CHANNELS: 'nothing' });
  for (let count = 0; count < 5; count++) expect((await webhook(service.url, `first ${count}`)).status).toBe(200);
  await service.stop();
}

/** How a process that cannot use the file ends, and that it left the file as it was. */
async function refusal(): Promise<string> {
  const before = readFileSync(file);
  const service = new ServiceProcess({ DATABASE_URL: `sqlite:${file}` });
  expect([await service.exited, service.lines.filter(line => line['msg'] === 'listening')]).toEqual([78, []]);
  expect(readFileSync(file).equals(before)).toBe(true);
  return service.stderr.trim();
}

test('a disk that is full: 503 and nothing half-kept; when there is room again it goes on', async () => {
  const service = await startTestService({ DATABASE_URL: `sqlite:${file}`, SINK_A_TYPE: 'log', SINK_A_CHANNELS: 'nothing' });
  const limit = async (pages: number): Promise<void> => {
    await sql.raw(`pragma max_page_count = ${pages}`).execute(service.database.kysely);
  };
  const ids = async (): Promise<unknown[]> => service.database.kysely.selectFrom('change').select('id').execute();
  try {
    expect((await webhook(service.url, 'before')).status).toBe(200);
    const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(service.database.kysely);
    await limit(rows[0]!.page_count + 1);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, count) => webhook(service.url, `full ${count}`)));
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(20).fill(503));
    expect(JSON.parse(answers[0]!.text)).toMatchObject({ ErrorCode: 120005 });
    expect(await ids()).toHaveLength(1);
    const long = 'x'.repeat(100_000);
    // What is logged says what is wrong.
    const insert = service.database.kysely
      .transaction()
      .execute(trx => sql`insert into migration (version, applied_at) values (${long}, 0)`.execute(trx));
    await expect(insert).rejects.toThrow('disk is full');
    await limit(1_000_000);
    expect((await webhook(service.url, 'after')).status).toBe(200);
    expect(await ids()).toHaveLength(2);
    expect((await sql<{ integrity_check: string }>`pragma integrity_check`.execute(service.database.kysely)).rows).toEqual([
      { integrity_check: 'ok' },
    ]);
  } finally {
    await service.stop();
  }
}, 30_000);

test('a file that is no database is named and left alone', async () => {
  writeFileSync(file, 'this is somebody’s diary'.repeat(1000));
  expect(await refusal()).toMatch(new RegExp(`^DATABASE_URL: ${file}: .*not a database.*move it away or restore it$`));
}, 30_000);

test('a database that is damaged is named and left alone', async () => {
  await firstRun();
  const handle = openSync(file, 'r+');
  // Everything but the head of the first page.
  writeSync(handle, Buffer.alloc(40 * 4096, 0xa5), 0, undefined, 200);
  closeSync(handle);
  expect(await refusal()).toMatch(new RegExp(`^DATABASE_URL: ${file}: .*(malformed|not a database).*move it away or restore it$`));
}, 30_000);

test('a database of a newer major version is refused', async () => {
  await firstRun();
  const database = new DatabaseSync(file);
  database.exec(`insert into migration (version, applied_at) values ('2.0', 0); pragma wal_checkpoint(truncate)`);
  database.close();
  expect(await refusal()).toMatch(/^DATABASE_URL: .*version 2\.0.*run a newer release$/);
  // A newer minor version only added something.
  const minor = new DatabaseSync(file);
  minor.exec(`update migration set version = '1.9' where version = '2.0'`);
  minor.close();
  const service = await startTestService({ DATABASE_URL: `sqlite:${file}`, SINK_A_TYPE: 'log', SINK_A_CHANNELS: 'nothing' });
  expect((await webhook(service.url, 'x')).status).toBe(200);
  await service.stop();
}, 30_000);

test('what it writes is for its owner alone, whatever the umask lets through', async () => {
  const before = process.umask(0o022);
  const data = join(folder, 'data');
  const service = await startTestService({
    DATABASE_URL: `sqlite:${join(data, 'test.db')}`,
    SINK_A_TYPE: 'log',
    SINK_A_CHANNELS: 'nothing',
  });
  try {
    expect((await webhook(service.url, 'a')).status).toBe(200);
    const names = readdirSync(data);
    expect(names).toEqual(expect.arrayContaining(['test.db', 'test.db-wal']));
    const modes = [data, ...names.map(name => join(data, name))].map(path => (statSync(path).mode & 0o777).toString(8));
    expect(modes).toEqual(['700', ...names.map(() => '600')]);
  } finally {
    process.umask(before);
    await service.stop();
  }
});
