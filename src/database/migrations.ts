import { type Kysely, sql } from 'kysely';
import { UnusableDatabase } from './errors.js';
import type { Tables, Trx } from './tables.js';

/** SQL fragments that differ between the dialects. */
const sqlite = {
  identity: 'integer primary key autoincrement',
  bytes: 'blob',
  /** Collation of a text column that is ordered by its bytes. */
  bytewise: '',
  /** Appended to tables that are accessed by primary key only. */
  clustered: ' without rowid',
  /** Statements that disable compression of columns, which would make texts of a megabyte three times as slow in PostgreSQL. */
  uncompressed: (_table: string, ..._columns: string[]): string[] => [],
};
const postgres: typeof sqlite = {
  identity: 'bigint generated always as identity primary key',
  bytes: 'bytea',
  bytewise: 'collate "C"',
  clustered: '',
  uncompressed: (table, ...columns) => columns.map(column => `alter table ${table} alter ${column} set storage external`),
};

interface Migration {
  /** `major.minor`. Within a major version, migrations only add, so that rolling updates work. */
  version: string;
  statements: (syntax: typeof sqlite) => string[];
}

const addColumns = (table: string, columns: string): string[] =>
  columns.split(', ').map(column => `alter table ${table} add column ${column}`);

// Queries must repeat the values of partial indexes as literals: with bound values SQLite would plan them again each time.
const first: Migration = {
  version: '1.0',
  statements: ({ identity, bytes, bytewise, clustered, uncompressed }) => [
    `create table channel (id ${identity}, sdk_app_id text ${bytewise} not null, channel_id text ${bytewise} not null, state text not null,
       revision bigint not null, position bigint not null, version bigint not null, updated_at bigint, unique (sdk_app_id, channel_id))`,
    `create table change (id text not null primary key, fingerprint text not null unique, channel bigint not null, position bigint not null,
       revision bigint, type text not null, operator text, event_time bigint not null, estimated int not null, tie int not null,
       received_at bigint not null, exist int not null, changes text not null, profile text not null, stale text not null, body ${bytes} not null)`,
    ...uncompressed('channel', 'state'),
    ...uncompressed('change', 'changes', 'profile', 'body'),
    `create index change_by_channel on change (channel, position)`,
    `create table sink (id ${identity}, name text not null, type text not null, mode text not null, filters text not null,
       registered_at bigint not null, removed_at bigint, paused_at bigint, held_until bigint, state text not null default 'ok', state_since bigint,
       reason text, advice text, failures int not null default 0, config_error_seq int not null default 0, cleared_up_to int not null default 0, next_probe_at bigint, next_round_robin_probe_at bigint,
       stopped_since bigint, stopped_ms bigint not null default 0, paced_at double precision, recovered_to bigint, backfilled_to bigint)`,
    `create table lane (sink int not null, channel bigint not null, due_at bigint, lease text, lost int not null default 0, tries int not null default 0, config_error_seq int,
       superseded_before bigint, sent_revision bigint, sent_profile text, primary key (sink, channel))${clustered}`,
    ...uncompressed('lane', 'sent_profile'),
    `create index lane_due on lane (sink, due_at) where due_at is not null`,
    `create index lane_failing on lane (sink, tries) where due_at is not null and tries > 0`,
    `create index lane_superseding on lane (sink, channel) where superseded_before is not null`,
    `create table delivery (change_id text not null, sink int not null, channel bigint not null, position bigint not null, state text not null default 'pending',
       open int not null default 1, tries int not null default 0, failing_since bigint, stopped_ms bigint, doubt int not null default 0, cause text, reason text, advice text, enqueued_at bigint not null,
       updated_at bigint not null, duration_ms int, moved int not null default 0, message_ref text, primary key (change_id, sink))${clustered}`,
    `create index delivery_open on delivery (sink, channel, position) where open = 1`,
    `create index delivery_pending on delivery (sink, enqueued_at) where state = 'pending'`,
    `create index delivery_parked on delivery (sink, change_id, cause) where state = 'parked'`,
    `create table report_refresh (id ${identity}, sink int not null, change_id text not null, channel bigint not null)`,
    `create index report_refresh_by_change on report_refresh (sink, change_id)`,
    `create table attempt (change_id text not null, sink int not null, at bigint not null, duration_ms int not null,
       outcome text not null, status int, error text, primary key (change_id, sink, at))${clustered}`,
    `create table audit (id ${identity}, at bigint not null, actor text not null, action text not null, change_id text, details text not null)`,
    `create table index_job (sink int not null, kind text not null, state text not null, started_at bigint not null, finished_at bigint, progress text not null,
       error text, failing_since bigint, due_at bigint not null, lease text, primary key (sink, kind))${clustered}`,
    `create table alert (id ${identity}, sink int not null, key text not null, opened_at bigint not null, resolved_at bigint, payload text not null, sent_payload text,
       message_ref text, due_at bigint not null, lease text, tries int not null default 0)`,
    `create unique index alert_open on alert (sink, key) where resolved_at is null`,
    `create index alert_to_show on alert (sink, id) where sent_payload is null or sent_payload <> payload`,
    `create table heartbeat (at bigint not null)`,
    `insert into heartbeat (at) values (0)`,
    `create index audit_by_change on audit (change_id) where change_id is not null`,
    `create table seen (key text not null primary key, at bigint not null)${clustered}`,
    `create index audit_of_sink on audit (details, id) where action in ('pause', 'resume')`,
  ],
};

const migrations: readonly Migration[] = [
  first,
  {
    version: '1.1',
    statements: () => [
      ...addColumns('change', "source text not null default 'webhook', client_ip text, platform text, owner text"),
      `create index change_by_source on change (source, id) where source <> 'webhook'`,
      `create index audit_by_time on audit (at)`,
    ],
  },
  { version: '1.2', statements: () => addColumns('attempt', 'response text') },
  {
    version: '1.3',
    statements: ({ bytewise, clustered }) => [
      `create table channel_findable (channel bigint not null primary key, sdk_app_id text not null, channel_id text ${bytewise} not null,
         revision bigint not null, exist int not null, updated_at bigint not null, folded text ${bytewise} not null)${clustered}`,
      `create index delivery_parked_by_channel on delivery (channel) where state = 'parked'`,
    ],
  },
  {
    version: '1.4',
    statements: () => [
      ...addColumns('sink', 'check_state text, check_reason text, check_advice text, check_since bigint'),
      ...addColumns('sink', 'next_check_at bigint, start_check_at bigint'),
    ],
  },
  {
    version: '1.5',
    statements: ({ identity, bytewise }) => [
      ...addColumns('channel', 'verified_at bigint, read_at bigint, read_cause text, read_tries int not null default 0'),
      `create index channel_to_read on channel (sdk_app_id, read_at) where read_at is not null`,
      `create table app (sdk_app_id text not null primary key, lease text, leased_until bigint not null default 0, paced_until bigint not null default 0,
         state text not null default 'ok', state_since bigint, reason text, advice text, failures int not null default 0, retry_at bigint not null default 0,
         compared_at bigint, compared_all_at bigint, refused_at bigint, webhook_at bigint)`,
      `create table comparison (id text not null primary key, sdk_app_id text not null, cause text not null, state text not null, dry_run int not null,
         destroy int not null, whole int not null, due_at bigint not null, started_at bigint, finished_at bigint, progress text not null,
         reason text, advice text, resumes int not null default 0)`,
      `create index comparison_open on comparison (sdk_app_id, id) where finished_at is null`,
      `create index comparison_by_app on comparison (sdk_app_id, id)`,
      `create table comparison_channel (id ${identity}, comparison text not null, channel_id text ${bytewise} not null, gone int not null)`,
      `create index comparison_channel_of on comparison_channel (comparison, gone, id)`,
    ],
  },
  { version: '1.6', statements: () => [`create index comparison_by_end on comparison (finished_at)`] },
  { version: '1.7', statements: () => addColumns('heartbeat', 'jumped_at bigint') },
];

export const tableNames: readonly string[] = migrations
  .flatMap(({ statements }) => statements(sqlite))
  .flatMap(statement => statement.match(/(?<=^create table )\w+/) ?? [])
  .concat('migration');

/**
 * Migrates the tables in one transaction, one process at a time.
 * @param lock makes other processes wait until the end of the transaction; the embedded store is locked as a whole
 * @param run sends a statement; it need not wait for the result
 * @throws UnusableDatabase if the schema is from a later major version, or another program uses our table names
 */
export async function migrate(
  db: Kysely<Tables>,
  embedded: boolean,
  now: number,
  lock: (trx: Kysely<Tables>) => Promise<void>,
  run: (trx: Trx, statement: string) => Promise<unknown>,
): Promise<void> {
  const migration = db.transaction().execute(async trx => {
    await lock(trx);
    await sql`create table if not exists migration (version text primary key, applied_at bigint not null)`.execute(trx);
    const { rows } = await sql<{ version: string }>`select version from migration`.execute(trx);
    const applied = rows.map(row => row.version);
    throwIfNewer(applied);
    for (const { version, statements } of migrations) {
      if (applied.includes(version)) continue;
      for (const statement of statements(embedded ? sqlite : postgres)) await run(trx, statement);
      await sql`insert into migration (version, applied_at) values (${version}, ${now})`.execute(trx);
    }
  });
  await migration.catch((error: NodeJS.ErrnoException) => {
    if (!isTaken(error)) throw error;
    throw new UnusableDatabase(
      `another program has tables here by our names (${error.message}): give us a schema or a database of our own`,
    );
  });
}

/** @throws UnusableDatabase if the schema is from a later major version */
export function throwIfNewer(applied: readonly string[]): void {
  const supported = Math.max(...migrations.map(({ version }) => major(version)));
  const newer = applied.find(version => major(version) > supported);
  if (newer !== undefined)
    throw new UnusableDatabase(`it has schema version ${newer}, this release knows up to major version ${supported}: run a newer release`);
}

/** Whether one of our names is taken: by another table, view, index or type, or by a migration table with other columns. */
function isTaken({ code = '', message }: NodeJS.ErrnoException): boolean {
  return (
    /^42(P07|710|703)$/.test(code) || /^(table|view|index) \w+ already exists|^there is already |^no such column: version/.test(message)
  );
}

function major(version: string): number {
  return Number(version.split('.')[0]);
}
