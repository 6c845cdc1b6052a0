import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { Cli } from './support/cli.js';
import { fill, smallDisk, testWithDisks } from './support/disks.js';
import { ServiceProcess } from './support/process.js';
import { send, startTestService } from './support/service.js';
import { until } from './support/until.js';

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

const ready = async (url: string): Promise<string> => (await send('GET', `${url}/readyz`)).text;
const notReady = (reason: string): string => JSON.stringify({ status: 'not ready', reason });
const isReady = JSON.stringify({ status: 'ready', reason: null });

/** What `doctor` says of the database while this service runs. */
async function doctorOf(managementUrl: string, at = file): Promise<string> {
  const environment = { SDK_APP_IDS: '1400000001', DATABASE_URL: `sqlite:${at}`, MANAGEMENT_PORT: new URL(managementUrl).port };
  const { out } = await new Cli(folder, environment).run(['doctor', '--json']);
  const { state, message } = (JSON.parse(out) as { what: string; state: string; message: string }[]).find(one => one.what === 'database')!;
  return `${state}: ${message}`;
}

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
    // A ping still fits, but that is no reason to be ready.
    await expect(service.database.ping()).resolves.toBeUndefined();
    expect(await ready(service.managementUrl)).toBe(notReady('the latest webhook could not be stored'));
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

/* oxlint-disable jest/no-standalone-expect -- it is a test where disks can be made */
// Once ready all the while: the ping wrote what was there already, for which SQLite writes nothing.
testWithDisks(
  'a disk that is really full: not ready, also before a webhook is lost, until there is room',
  async () => {
    const disk = smallDisk(3);
    const at = join(disk.path, 'data', 'test.db');
    const service = new ServiceProcess({ DATABASE_URL: `sqlite:${at}`, SINK_A_TYPE: 'log', SINK_A_CHANNELS: 'nothing' });
    try {
      const { url, managementUrl } = await service.listening();
      expect([(await webhook(url, 'before')).status, await ready(managementUrl)]).toEqual([200, isReady]);
      expect(await doctorOf(managementUrl, at)).toMatch(/^ok: .*, in use by a running service$/);
      fill(join(disk.path, 'filling'));
      await until(async () => (await ready(managementUrl)) === notReady('database cannot be written'), 'word of the disk');
      expect(await doctorOf(managementUrl, at)).toMatch(
        /^failure: .*in use .*; the running service is not ready: database cannot be written$/,
      );
      expect((await webhook(url, 'full')).status).toBe(503);
      expect(await ready(managementUrl)).toBe(notReady('the latest webhook could not be stored'));
      rmSync(join(disk.path, 'filling'));
      expect((await webhook(url, 'after')).status).toBe(200);
      await until(async () => (await ready(managementUrl)) === isReady, 'ready again');
      const told = (): unknown[] => service.lines.map(line => line['msg']).filter(msg => String(msg).startsWith('recording: '));
      await until(() => told().length === 2, 'the end is told');
      expect(told()).toEqual(['recording: database error; retrying', 'recording: the database works again']);
    } finally {
      await service.kill();
      disk.remove();
    }
  },
  60_000,
);
/* oxlint-enable jest/no-standalone-expect */

// Once 200 for every webhook, ready, and not a line; the restart began with an empty database.
describe('a database that is deleted or replaced while it is in use', () => {
  const lost: [string, (data: string) => void][] = [
    ['the folder is deleted', data => rmSync(data, { recursive: true })],
    ['the folder is deleted and made again', data => (rmSync(data, { recursive: true }), mkdirSync(data))],
    ['the file is deleted', data => rmSync(join(data, 'test.db'))],
    [
      'a copy takes the place of the file',
      data => (copyFileSync(join(data, 'test.db'), join(data, 'copy')), renameSync(join(data, 'copy'), join(data, 'test.db'))),
    ],
    ['the WAL is deleted', data => rmSync(join(data, 'test.db-wal'))],
  ];
  test.each(lost)(
    '%s: 503, not ready, and the log says so',
    async (_, lose) => {
      const at = join(folder, 'data', 'test.db');
      const service = new ServiceProcess({ DATABASE_URL: `sqlite:${at}`, SINK_A_TYPE: 'log', SINK_A_CHANNELS: 'nothing' });
      const { url, managementUrl } = await service.listening();
      await service.delivering();
      expect((await webhook(url, 'before')).status).toBe(200);
      lose(join(folder, 'data'));
      expect((await webhook(url, 'lost')).status).toBe(503);
      expect(await ready(managementUrl)).toBe(notReady('the latest webhook could not be stored'));
      const gone = service.lines.filter(({ msg }) => msg === 'the database file is gone: webhooks are rejected');
      expect(gone).toEqual([
        expect.objectContaining({
          level: 'error',
          error: expect.stringMatching(`^${at}(-wal)? was deleted or replaced$`) as unknown,
          advice: expect.stringMatching(/^Move the original back/) as unknown,
        }),
      ]);
      expect(await doctorOf(managementUrl, at)).toMatch(/^failure: .*(is not there, though a service runs|is not ready: .*)$/);
      await service.kill();
    },
    30_000,
  );

  test('once it is back, webhooks are recorded again', async () => {
    const service = new ServiceProcess({ DATABASE_URL: `sqlite:${file}`, SINK_A_TYPE: 'log', SINK_A_CHANNELS: 'nothing' });
    const { url, managementUrl } = await service.listening();
    expect((await webhook(url, 'before')).status).toBe(200);
    for (const name of ['test.db', 'test.db-wal']) renameSync(join(folder, name), join(folder, `moved-${name}`));
    // The ping finds it, too.
    await until(async () => (await ready(managementUrl)) === notReady('database cannot be written'), 'word of the file');
    for (const name of ['test.db', 'test.db-wal']) renameSync(join(folder, `moved-${name}`), join(folder, name));
    expect((await webhook(url, 'after')).status).toBe(200);
    await until(() => service.lines.some(line => line['msg'] === 'the database file is back'), 'the end is told');
    await until(async () => (await ready(managementUrl)) === isReady, 'ready again');
    expect(await service.stop()).toBe(0);
    const database = new DatabaseSync(file);
    expect(database.prepare('select count(*) as count from change').get()).toEqual({ count: 2 });
    database.close();
  }, 30_000);
});

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
