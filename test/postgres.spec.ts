import { chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import pg from 'pg';
import { v7 as uuid } from 'uuid';
import type { InboundWebhook } from '../src/channel/inbound-webhook.js';
import { Recorder } from '../src/channel/recorder.js';
import { explain } from '../src/database/postgres/advice.js';
import { Database } from '../src/database/database.js';
import { UnusableDatabase } from '../src/database/errors.js';
import { registerSinks } from '../src/sinks/registry.js';
import { FaultyProxy } from './support/faulty-proxy.js';
import { mark } from './support/planted.js';
import { type TestPostgres, newDatabase, startPostgres } from './support/postgres.js';
import { ServiceProcess } from './support/process.js';
import { send } from './support/service.js';
import { ca, client, server as certificate } from './support/test-certificates.js';
import { until } from './support/until.js';
import { byWebhook, recorderAt } from './support/engine.js';
import { EngineEvents } from '../src/process/engine-events.js';

const changed = 'OfficialAccount.CallbackAfterOfficialAccountInfoChanged';
const shared = process.env['TEST_POSTGRES_URL']!;
/** A server of our own, whose settings may be changed. */
let server: TestPostgres;
let folder: string;
const proxies: FaultyProxy[] = [];
const services: ServiceProcess[] = [];
const databases: Database[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'channel-sync-pg-'));
  server = await startPostgres({ synced: false });
}, 60_000);
afterEach(async () => {
  await Promise.all(services.splice(0).map(service => service.kill()));
  await Promise.all(databases.splice(0).map(database => database.close()));
  await Promise.all(proxies.splice(0).map(proxy => proxy.cut()));
}, 30_000);
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}, 30_000);

async function viaProxy(url: string, roundTripMs?: number): Promise<{ proxy: FaultyProxy; url: string }> {
  const proxy = new FaultyProxy(Number(new URL(url).port), roundTripMs);
  proxies.push(proxy);
  return { proxy, url: Object.assign(new URL(url), { port: String(await proxy.open()) }).href };
}

async function ask<Row extends object>(url: string, ...texts: string[]): Promise<Row[]> {
  const connection = new pg.Client({ connectionString: url });
  await connection.connect();
  let rows: Row[] = [];
  for (const text of texts) ({ rows } = await connection.query<Row>(text));
  await connection.end();
  return rows;
}

/** A new user of a new database, with rights as PostgreSQL gives them to the public by default. */
async function newRole(options: string, ...more: string[]): Promise<{ admin: string; url: string; role: string }> {
  const admin = await newDatabase(server.url);
  const role = `r_${uuid().replaceAll('-', '')}`;
  await ask(admin, `create role ${role} login password '${mark}' ${options}`, ...more.map(text => text.replaceAll('ROLE', role)));
  return { admin, role, url: Object.assign(new URL(admin), { username: role }).href };
}

let webhooks = 0;
function webhook(): InboundWebhook {
  const eventTime = Date.now() + webhooks++;
  const rest = {
    operator: 'leckie',
    eventTimeEstimated: false,
    ...byWebhook,
    fields: { name: "商店 \\ '" },
    body: Buffer.from('{"raw":"\u0000\\x41"}'),
  };
  return { id: uuid(), sdkAppId: '1400000001', channelId: '@TOA#_shop', command: 'changed', eventTime, receivedAt: eventTime, ...rest };
}

async function open(url: string): Promise<{ database: Database; recorder: Recorder }> {
  const database = await Database.open(url, () => undefined);
  databases.push(database);
  return { database, recorder: recorderAt(database, Date.now, new EngineEvents()) };
}

async function openReady(url: string): Promise<{ database: Database; recorder: Recorder }> {
  const opened = await open(url);
  await opened.database.migrate();
  await registerSinks(opened.database, [{ name: 'log', type: 'log', mode: 'log', filters: {} }], Date.now());
  opened.database.ready = true;
  return opened;
}

function start(url: string, more: Record<string, string> = {}): ServiceProcess {
  const service = new ServiceProcess({ DATABASE_URL: url, SPOOL_DIR: join(folder, uuid()), SINK_LOG_TYPE: 'log', ...more });
  services.push(service);
  return service;
}

async function post(service: ServiceProcess, name: string): Promise<number> {
  const { url } = await service.listening();
  const body = JSON.stringify({ Official_Account: name, Name: name, EventTime: Date.now() });
  return (await send('POST', `${url}/webhooks/tencent-chat?SdkAppid=1400000001&CallbackCommand=${changed}`, body)).status;
}

async function results(service: ServiceProcess): Promise<Record<string, number>> {
  const { text } = await send('GET', `${(await service.listening()).managementUrl}/metrics`);
  const lines = text.matchAll(/^channel_sync_webhooks_total\{.*result="(\w+)".*\} (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, result, count]) => [result, Number(count)]).filter(([, count]) => count !== 0));
}

const complaints = ({ lines }: ServiceProcess): unknown[] =>
  lines.filter(({ level, msg }) => level === 'error' || (level === 'warn' && !/WEBHOOK_TOKENS/.test(String(msg))));
const delivered = ({ lines }: ServiceProcess): number => lines.filter(({ msg }) => msg === 'channel change').length;

describe('far away', () => {
  // Guards against a round trip for each statement: ten of them for a webhook.
  test('a transaction costs as many round trips as it waits for answers: its beginning none, a webhook two', async () => {
    const { proxy, url } = await viaProxy(await newDatabase(shared));
    const { database, recorder } = await openReady(url);
    const trips = async (work: () => Promise<unknown>): Promise<number> => {
      const before = proxy.roundTrips;
      await work();
      return proxy.roundTrips - before;
    };
    const one = sql`select 1`;
    await one.execute(database.kysely);
    expect(await trips(() => one.execute(database.kysely))).toBe(1);
    expect(await trips(() => database.kysely.transaction().execute(trx => one.execute(trx)))).toBe(2);
    expect(await trips(() => recorder.record(webhook(), 5000))).toBe(2);
  }, 30_000);

  test('80 ms away webhooks are recorded, not spooled, and the log is silent', async () => {
    const service = start((await viaProxy(await newDatabase(shared), 80)).url);
    // On a busy machine all that begins at the start may take longer than the first webhook may wait.
    expect(await post(service, 'first')).toBe(200);
    await until(() => delivered(service) === 1, 'its delivery');
    const [before, said] = [(await results(service))['recorded'] ?? 0, complaints(service).length];
    const senders = Array.from({ length: 4 }, async (_, lane) => {
      for (let count = 0; count < 10; count++) expect(await post(service, `${lane}-${count}`)).toBe(200);
    });
    await Promise.all(senders);
    expect((await results(service))['recorded']! - before).toBe(40);
    await until(() => delivered(service) === 41, 'every delivery', 15_000);
    expect(complaints(service).slice(said)).toEqual([]);
  }, 60_000);
});

test('a healthy database is waited for at the start: the first webhook is not spooled, and the log is silent', async () => {
  const service = start(await newDatabase(shared));
  expect(await post(service, 'first')).toBe(200);
  expect(await results(service)).toEqual({ recorded: 1 });
  expect(complaints(service)).toEqual([]);
}, 30_000);

// Guards against connections that stay: the old server refused every write, for ever.
test('after a failover behind one name, while the old server lives on read-only, webhooks and notices go to the new one', async () => {
  const old = await newDatabase(server.url);
  const name = new URL(old).pathname.slice(1);
  await ask(`${shared}/postgres`, `create database ${name}`);
  const next = `${shared}/${name}`;
  for (const url of [old, next]) await (await openReady(url)).database.close();
  const { proxy, url } = await viaProxy(old);
  const service = start(url);
  await service.delivering();
  expect(await post(service, 'before')).toBe(200);
  await until(() => delivered(service) === 1, 'a delivery');
  const sessions = `select query from pg_stat_activity where datname = '${name}' and application_name = 'channel-sync'`;
  try {
    await ask(old, 'alter system set default_transaction_read_only = on', 'select pg_reload_conf()');
    proxy.leadTo(Number(new URL(next).port));
    const at = performance.now();
    for (let count = 0; count < 5; count++) expect(await post(service, `after ${count}`)).toBe(200);
    await until(async () => (await ask(next, 'select 1 from change')).length === 5, 'every webhook in the new one', 10_000);
    await until(() => delivered(service) === 6, 'deliveries from there', 10_000);
    await until(
      async () => (await ask<{ query: string }>(next, sessions)).some(({ query }) => query.startsWith('listen')),
      'the listener',
      10_000,
    );
    expect(performance.now() - at).toBeLessThan(10_000);
    expect(await ask(old, sessions)).toEqual([]);
  } finally {
    await ask(
      old,
      'set default_transaction_read_only = off',
      'alter system reset default_transaction_read_only',
      'select pg_reload_conf()',
    );
  }
}, 60_000);

// With PostgreSQL's own compression 200 webhooks of 0.9 MB took twice as long.
test('texts that may be long are stored as they are', async () => {
  const url = await newDatabase(shared);
  const database = await Database.open(url, () => undefined);
  databases.push(database);
  await database.migrate();
  const columns = await ask<{ name: string }>(
    url,
    `select attrelid::regclass || '.' || attname as name from pg_attribute join pg_class on pg_class.oid = attrelid
     where relkind = 'r' and relnamespace = 'public'::regnamespace and attstorage = 'e' order by 1`,
  );
  expect(columns.map(({ name }) => name)).toEqual([
    'change.body',
    'change.changes',
    'change.profile',
    'channel.state',
    'lane.sent_profile',
  ]);
});

test('one value that the database refuses costs no connection', async () => {
  const { database, recorder } = await openReady(await newDatabase(shared));
  const pid = async (): Promise<unknown> => (await sql`select pg_backend_pid() as pid`.execute(database.kysely)).rows;
  const before = await pid();
  await expect(recorder.record({ ...webhook(), operator: 'a\0' }, 5000)).rejects.toThrow('refuses');
  await expect(sql`select 1 / 0`.execute(database.kysely)).rejects.toThrow('division');
  await expect(sql`select pg_sleep(10)`.execute(database.kysely)).rejects.toThrow('statement timeout');
  expect(await pid()).toEqual(before);
}, 30_000);

describe('settings of the role', () => {
  const odd = `alter role ROLE set client_encoding = 'LATIN1'; alter role ROLE set standard_conforming_strings = off;
    alter role ROLE set default_transaction_isolation = 'serializable'; alter role ROLE set statement_timeout = '200ms';
    alter role ROLE set search_path = 'sync'; alter role ROLE set bytea_output = 'escape'; alter role ROLE set datestyle = 'German';
    alter role ROLE set synchronous_commit = off; alter role ROLE set extra_float_digits = 0; alter role ROLE set backslash_quote = off`;

  test('none of them matters', async () => {
    const { url, role } = await newRole('', 'create schema sync', 'grant create, usage on schema sync to ROLE', odd);
    const { database, recorder } = await openReady(url);
    const all = Array.from({ length: 20 }, webhook);
    expect(await Promise.all(all.map(one => recorder.record(one, 5000)))).toEqual(all.map(() => 'recorded'));
    const rows = await database.kysely.selectFrom('change').select(['body', 'profile']).execute();
    expect(rows.filter(row => Buffer.from(row.body).equals(all[0]!.body) && row.profile.includes('商店'))).not.toEqual([]);
    // 200 means on disk, and a statement gets its time, whatever the role says.
    const show = sql<object>`select current_user as role, current_setting('synchronous_commit') as synced, current_setting('statement_timeout') as timeout`;
    expect((await show.execute(database.kysely)).rows).toEqual([{ role, synced: 'on', timeout: '3s' }]);
    await database.asyncCommit(async trx => expect((await show.execute(trx)).rows).toEqual([{ role, synced: 'off', timeout: '3s' }]));
  }, 30_000);

  test.each(['My Schema', 'a.b', 'channel-sync'])(
    'its schema may be called %s',
    async schema => {
      const make = (...rights: string[]) =>
        newRole(
          '',
          `create schema "${schema}"`,
          `grant ${rights.join()} on schema "${schema}" to ROLE`,
          `alter role ROLE set search_path = "${schema}"`,
        );
      const database = await Database.open((await make('usage')).url, () => undefined);
      databases.push(database);
      await expect(database.migrate()).rejects.toThrow(`grant create on schema "${schema}" to`);
      const { recorder } = await openReady((await make('usage', 'create')).url);
      expect(await recorder.record(webhook(), 5000)).toBe('recorded');
    },
    30_000,
  );

  // Seen failing: a warning each minute that the server is starting or stopping.
  test('that it closes idle connections is no news', async () => {
    const { admin, url, role } = await newRole(
      '',
      'grant create on schema public to ROLE',
      "alter role ROLE set idle_session_timeout = '300ms'",
    );
    const service = start(url);
    await service.delivering();
    const connections = `select 1 from pg_stat_activity where usename = '${role}'`;
    for (let index = 0; index < 3; index++) {
      expect(await post(service, `${index}`)).toBe(200);
      await until(async () => (await ask(admin, connections)).length === 0, 'the end of every connection');
    }
    await until(() => delivered(service) === 3, 'every delivery');
    expect(complaints(service)).toEqual([]);
  }, 30_000);

  test.each([1, 3])(
    'with %i connections for us all is done, and the log tells of no error',
    async limit => {
      const { url } = await newRole(`connection limit ${limit}`, 'grant create on schema public to ROLE');
      const service = start(url, { SINK_B_TYPE: 'log', SINK_C_TYPE: 'log' });
      await service.delivering();
      expect(await Promise.all(Array.from({ length: 30 }, (_, index) => post(service, `${index}`)))).toEqual(Array(30).fill(200));
      await until(() => delivered(service) === 90, 'every delivery', 20_000);
      expect(await results(service)).toEqual({ recorded: 30 });
      expect(complaints(service)).toEqual([]);
    },
    60_000,
  );
});

describe('mistakes of who set it up', () => {
  const latin1 = "encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0";
  const mistakes: [string, () => Promise<string>, RegExp][] = [
    [
      'SQL_ASCII',
      () => newDatabase(shared, "encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0"),
      /its encoding is SQL_ASCII/,
    ],
    ['LATIN1', () => newDatabase(shared, latin1), /its encoding is LATIN1/],
    ['no right to make tables', async () => (await newRole('')).url, /\w+ may not create tables there: grant create on schema public/],
    ['no schema', async () => (await newRole('', "alter role ROLE set search_path = 'gone'")).url, /no schema of its search_path exists/],
    [
      'no right to use the tables',
      async () => {
        const { admin, url } = await newRole('', 'grant create on schema public to ROLE');
        await (await openReady(admin)).database.close();
        return url;
      },
      /\w+ may not use what is there \(alert, .*attempt, .*migration.*\): grant select, insert, update, delete on all tables/,
    ],
    [
      'tables of another program',
      async () => {
        const url = await newDatabase(shared);
        await ask(url, 'create table channel (id int)');
        return url;
      },
      /another program has tables here by our names \(relation "channel" already exists\): give us a schema or a database of our own/,
    ],
    [
      'a newer release was here',
      async () => {
        const url = await newDatabase(shared);
        await (await openReady(url)).database.close();
        await ask(url, "insert into migration values ('99.0', 0)");
        return url;
      },
      /it has schema version 99.0/,
    ],
  ];

  test.each(mistakes)(
    '%s: exit 78 at the start, with advice',
    async (_, make, says) => {
      const service = start(await make());
      expect(await service.exited).toBe(78);
      expect(service.stderr).toMatch(new RegExp(`^DATABASE_URL: ${says.source}.*\n$`));
    },
    30_000,
  );

  test('tables that somebody has dropped are told with what helps', async () => {
    const { database } = await openReady(await newDatabase(shared));
    await sql`drop table change`.execute(database.kysely);
    const error = await sql`select 1 from change`.execute(database.kysely).catch((failure: Error) => failure);
    expect(explain(error as Error).advice).toMatch(/^Its tables are missing: .* restart channel-sync/);
  });

  test('a mistake that is found when the ports are open is told, nothing is migrated, and the spool goes on', async () => {
    const database = await newDatabase(shared, latin1);
    const { proxy, url } = await viaProxy(database);
    await proxy.cut();
    const service = start(url);
    await service.listening();
    await proxy.open();
    await until(() => service.lines.some(({ level, error }) => level === 'error' && /LATIN1/.test(String(error))), 'the mistake', 10_000);
    expect(await post(service, 'kept')).toBe(200);
    expect(await results(service)).toEqual({ spooled: 1 });
    expect(await service.stop()).toBe(0);
    expect(await ask(database, "select 1 from pg_class where relname = 'migration'")).toEqual([]);
  }, 30_000);

  const refusals: [string, (url: URL) => unknown, RegExp][] = [
    ['a wrong password', url => (url.password = `${mark}-wrong`), /Check user and password/],
    ['an unknown database', url => (url.pathname = '/nowhere'), /Create this database/],
    ['a port where nobody listens', url => (url.port = '1'), /Check that it runs/],
    ['a host that does not exist', url => (url.hostname = 'nowhere.invalid'), /Check the host name/],
  ];

  test.each(refusals)('%s is none, but there is advice', async (_, spoil, advice) => {
    const url = new URL(`${shared}/postgres`);
    spoil(url);
    const { database } = await open(url.href);
    const error = await database.migrate().catch((failure: Error) => failure);
    expect(error).not.toBeInstanceOf(UnusableDatabase);
    expect(explain(error as Error).advice).toMatch(advice);
  });

  test('a refused login is told once, with advice, and tried again', async () => {
    const service = start(Object.assign(new URL(await newDatabase(shared)), { password: `${mark}-wrong` }).href);
    expect(await post(service, 'kept')).toBe(200);
    const said = service.lines.filter(({ msg }) => String(msg).startsWith('cannot connect to PostgreSQL'));
    expect(said).toEqual([expect.objectContaining({ advice: expect.stringMatching(/^Check user and password/) as unknown })]);
    expect(await service.stop()).toBe(0);
  }, 30_000);
});

describe('TLS', () => {
  let url: string;
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  /** The settings of the server's TLS. */
  async function serve(ssl: boolean, files = { cert: certificate.cert, key: certificate.key, ca: '' }): Promise<void> {
    const { uid, gid } = statSync(server.folder);
    for (const [name, text] of Object.entries({ 'server.crt': files.cert, 'server.key': files.key, 'root.crt': files.ca || ca })) {
      writeFileSync(join(server.folder, name), text, { mode: 0o600 });
      chownSync(join(server.folder, name), uid, gid);
    }
    await ask(
      `${server.url}/postgres`,
      `alter system set ssl = ${ssl ? 'on' : 'off'}`,
      `alter system set ssl_ca_file = 'root.crt'`,
      'select pg_reload_conf()',
    );
    await until(async () => (await ask<{ ssl: string }>(`${server.url}/postgres`, 'show ssl'))[0]!.ssl === (ssl ? 'on' : 'off'), 'TLS');
  }
  beforeAll(async () => {
    url = await newDatabase(server.url);
    await serve(true);
  });
  afterAll(() => serve(false));

  async function connecting(query: string): Promise<unknown> {
    const { database } = await open(`${url}?${query}`);
    const encrypted = sql<{ ssl: boolean }>`select ssl from pg_stat_ssl where pid = pg_backend_pid()`;
    return encrypted.execute(database.kysely).then(
      ({ rows }) => (rows[0]!.ssl ? 'encrypted' : 'plain'),
      (error: Error) => explain(error).advice,
    );
  }
  const unknownCa = expect.stringMatching(/sslrootcert/) as unknown;

  test.each(['allow', 'prefer', 'require', 'verify-ca', 'verify-full'])(
    'sslmode=%s checks the certificate, and warns of nothing',
    async mode => {
      const warnings: unknown[] = [];
      const warn = (warning: Error): unknown => warnings.push(warning.message);
      process.on('warning', warn);
      expect(await connecting(`sslmode=${mode}`)).toEqual(unknownCa);
      expect(await connecting(`sslmode=${mode}&sslrootcert=${file('ca.pem', ca)}`)).toBe('encrypted');
      process.off('warning', warn);
      expect(warnings).toEqual([]);
    },
  );

  test('the others', async () => {
    expect(await connecting('')).toBe('plain');
    expect(await connecting('sslmode=disable')).toBe('plain');
    expect(await connecting('sslmode=no-verify')).toBe('encrypted');
    expect(await connecting('uselibpqcompat=true&sslmode=require')).toBe('encrypted');
    const other = new URL(`${url}?sslmode=verify-full&sslrootcert=${file('ca.pem', ca)}`);
    other.hostname = 'localhost';
    const { database } = await open(other.href);
    const error = await sql`select 1`.execute(database.kysely).catch((failure: Error) => failure);
    expect(explain(error as Error).advice).toMatch(/host name into DATABASE_URL that its certificate is for/);
    const clientFiles = `sslcert=${file('client.pem', client.cert)}&sslkey=${file('client.key', client.key)}`;
    expect(await connecting(`sslmode=verify-full&sslrootcert=${file('ca.pem', ca)}&${clientFiles}`)).toBe('encrypted');
    expect(await connecting(`sslmode=verify-full&sslrootcert=${file('bad.pem', 'no certificate')}`)).toMatch(/PEM|sslrootcert/);
    expect(await connecting(`sslmode=verify-full&sslrootcert=${join(folder, 'gone.pem')}`)).toMatch(/PEM files that can be read/);
    expect(await connecting(`sslmode=verify-full&sslrootcert=${folder}`)).toMatch(/PEM files that can be read/);
  });

  test('a server without TLS', async () => {
    await serve(false);
    expect(await connecting(`sslmode=verify-full&sslrootcert=${file('ca.pem', ca)}`)).toMatch(/sslmode=disable/);
    await serve(true);
  });

  // Guards against a client that was made outside of any try: the process ended.
  test('a file of certificates that is gone for a moment, or garbage, ends nothing: it is told with advice, and tried again', async () => {
    const root = file('root.pem', 'garbage');
    const { proxy, url: way } = await viaProxy(url);
    const service = start(`${way}?sslmode=verify-full&sslrootcert=${root}`);
    await until(() => complaints(service).length > 0, 'a word about it');
    file('root.pem', ca);
    await service.delivering();
    rmSync(root);
    await proxy.cut();
    await proxy.open();
    for (let count = 0; count < 5; count++) expect(await post(service, `${count}`)).toBe(200);
    await until(() => complaints(service).length > 1, 'a word about it');
    file('root.pem', ca);
    await until(() => delivered(service) === 5, 'every delivery', 20_000);
    const said = service.lines.filter(({ msg }) => /cannot connect to PostgreSQL|database error/.test(String(msg)));
    expect(said.map(({ advice }) => /sslrootcert/.test(String(advice)))).toContain(true);
    expect(service.stderr).toBe('');
  }, 60_000);
});
