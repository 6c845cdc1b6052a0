import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Database } from '../src/database/database.js';
import { mark } from './support/planted.js';
import { freePort, newDatabase } from './support/postgres.js';
import { ServiceProcess } from './support/process.js';
import { send } from './support/service.js';
import { until } from './support/until.js';

const server = new URL(process.env['TEST_POSTGRES_URL']!);
let folder: string;
let pooler: ChildProcess;
const services: ServiceProcess[] = [];

/** PgBouncer as Debian ships it, its addresses and these settings apart. @returns the URL of a new database behind it */
async function startPooler(settings: string): Promise<{ direct: string; url: string }> {
  folder = mkdtempSync(join(tmpdir(), 'channel-sync-pgbouncer-'));
  chmodSync(folder, 0o755);
  const port = await freePort();
  const users = join(folder, 'userlist.txt');
  writeFileSync(users, `"postgres" "${mark}"\n`);
  const ini = join(folder, 'pgbouncer.ini');
  writeFileSync(
    ini,
    `[databases]\n* = host=127.0.0.1 port=${server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =\nauth_type = md5\nauth_file = ${users}\n${settings}\n`,
  );
  // It refuses to run as root.
  const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  pooler = spawn('pgbouncer', [ini], { stdio: 'ignore', ...nobody, env: { PATH: `${process.env['PATH']}:/usr/sbin` } });
  const direct = await newDatabase(server.href.replace(/\/$/, ''));
  const url = Object.assign(new URL(direct), { port: String(port) }).href;
  await until(async () => {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => undefined);
    return client.connect().then(
      () => client.end().then(() => true),
      () => false,
    );
  }, 'PgBouncer');
  return { direct, url };
}

afterEach(async () => {
  await Promise.all(services.splice(0).map(service => service.kill()));
  pooler.kill();
  rmSync(folder, { recursive: true, force: true });
});

function start(url: string): ServiceProcess {
  const service = new ServiceProcess({
    DATABASE_URL: url,
    SPOOL_DIR: join(folder, String(services.length)),
    SINK_A_TYPE: 'log',
    SINK_B_TYPE: 'log',
  });
  services.push(service);
  return service;
}

async function post(service: ServiceProcess, name: string): Promise<number> {
  const query = 'SdkAppid=1400000001&CallbackCommand=OfficialAccount.CallbackAfterOfficialAccountInfoChanged';
  const { url } = await service.listening();
  const body = JSON.stringify({ Official_Account: name, Name: name, EventTime: Date.now() });
  return (await send('POST', `${url}/webhooks/tencent-chat?${query}`, body)).status;
}

const complaints = ({ lines }: ServiceProcess): string[] =>
  lines
    .filter(({ level, msg }) => ['warn', 'error'].includes(String(level)) && !/WEBHOOK_TOKENS/.test(String(msg)))
    .map(({ msg }) => String(msg));
const delivered = (all: ServiceProcess[]): number => all.flatMap(({ lines }) => lines).filter(({ msg }) => msg === 'channel change').length;

describe.each(['session', 'transaction'])('PgBouncer in %s mode', mode => {
  test('two replicas record and deliver all', async () => {
    const { url, direct } = await startPooler(`pool_mode = ${mode}`);
    const both = [start(url), start(url)];
    for (const service of both) await service.delivering();
    const names = Array.from({ length: 40 }, (_, index) => `${index}`);
    expect(await Promise.all(names.map((name, index) => post(both[index % 2]!, name)))).toEqual(names.map(() => 200));
    await until(() => delivered(both) === 80, 'every delivery', 15_000);
    expect(both.map(complaints)).toEqual([[], []]);
    // Nothing of ours stays behind in sessions that others get.
    const client = new pg.Client({ connectionString: direct });
    await client.connect();
    const left = "select from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'";
    // The services work on meanwhile.
    await until(async () => (await client.query(left)).rowCount === 0, 'the end of every transaction');
    await client.end();
  }, 60_000);
});

test('fewer connections than we would like, in session mode: who waits for one is not taken for a server that is gone', async () => {
  const { url } = await startPooler('pool_mode = session\ndefault_pool_size = 2');
  const service = start(url);
  await service.delivering();
  const names = Array.from({ length: 20 }, (_, index) => `${index}`);
  for (const name of names) expect(await post(service, name)).toBe(200);
  await until(() => delivered([service]) === 40, 'every delivery', 20_000);
  const said = service.lines.filter(({ level }) => level === 'error');
  expect(said).toEqual([]);
}, 60_000);

// Fails if only PostgreSQL's own idle_session_timeout is expected: a warning that a connection was lost.
test('that it closes idle connections is no news', async () => {
  const { url } = await startPooler('pool_mode = transaction\nclient_idle_timeout = 1');
  const service = start(url);
  await service.delivering();
  for (let index = 0; index < 3; index++) {
    expect(await post(service, `${index}`)).toBe(200);
    await sleep(2500);
  }
  await until(() => delivered([service]) === 6, 'every delivery');
  expect(complaints(service)).toEqual([]);
}, 30_000);

test('notices come through a session', async () => {
  const { url } = await startPooler('pool_mode = session');
  const heard: number[][] = [];
  const stop = new AbortController();
  const [one, other] = await Promise.all([0, 1].map(() => Database.open(url, () => undefined)));
  void one!.listen(sinks => heard.push(sinks), stop.signal);
  await until(async () => {
    await other!.kysely.transaction().execute(trx => other!.notify(trx, [7]));
    return heard.length > 0;
  }, 'a notice');
  expect(heard[0]).toEqual([7]);
  stop.abort();
  await Promise.all([one!.close(), other!.close()]);
}, 30_000);
