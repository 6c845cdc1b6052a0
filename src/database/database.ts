import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CompiledQuery, type Insertable, Kysely, type RawBuilder, sql } from 'kysely';
import { Clock } from '../process/clock.js';
import { chunks, chunksOfFewSizes, statementLimits } from './limits.js';
import { migrate, tableNames } from './migrations.js';
import type { PostgresServer } from './postgres/server.js';
import type { SentAhead } from './postgres/driver.js';
import { type LocalClock, SharedTime } from './shared-time.js';
import { openSqlite } from './sqlite.js';
import type { Tables, Trx } from './tables.js';

/** The PostgreSQL channel on which processes notify each other of sinks with due work. */
const notifyChannel = 'channel_sync';
/** Keys of advisory locks, each for work that only one process may do at a time. */
const advisoryKeys = { tables: 4739201, sinks: 4739202, retention: 4739203, alerts: 4739204 } as const;
const lockWaitMs = 10_000;

const unsyncedCommits = CompiledQuery.raw('pragma synchronous = normal');
const syncedCommits = CompiledQuery.raw('pragma synchronous = full');

/** The database, on either dialect; hides their differences. */
export class Database {
  /** True once tables are migrated and sinks registered: changes recorded earlier would be delivered to no sink. */
  ready = false;
  /** Our estimate of the shared clock. */
  readonly time: SharedTime;
  /** SQL expression for that clock, in milliseconds. */
  readonly clock: RawBuilder<number>;
  /** Marks our own notifications, which we ignore: our workers are already awake. */
  private readonly self = randomUUID();
  /** The last worker in the queue for the embedded store: webhooks wait for one worker at most, however many sinks there are. */
  private lastTurn: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly kysely: Kysely<Tables>,
    /** Commits on it do not wait for the disk. The same as `kysely` for the embedded store, which has a single connection. */
    private readonly unsynced: Kysely<Tables>,
    private readonly server: PostgresServer | null,
    private readonly local: LocalClock,
  ) {
    this.time = new SharedTime(local);
    // Not `now()`, which is the start of the transaction.
    this.clock = server === null ? sql`null` : sql`(extract(epoch from clock_timestamp()) * 1000)::float8`;
  }

  /** The time shared by all processes, in milliseconds since 1970: PostgreSQL's clock, or with SQLite the clock of this machine. */
  now(): number {
    return this.time.now();
  }

  /** Runs a query for one row that selects `this.clock` as `clock`, and updates our estimate from it. */
  async timed<R extends { clock: number }>(db: Kysely<Tables>, query: RawBuilder<R>): Promise<R> {
    const from = this.local.monotonic();
    return this.time.readFrom((await query.execute(db)).rows, from)[0]!;
  }

  /** Reads the shared clock. @throws the database's error */
  async readClock(): Promise<void> {
    if (this.embedded) this.time.readLocal();
    else await this.timed(this.unsynced, sql<{ clock: number }>`select ${this.clock} as clock`);
  }

  /** True for SQLite: there is only one process, so no other can hold a lease. */
  get embedded(): boolean {
    return this.server === null;
  }

  /**
   * Opens the database of a `DATABASE_URL`: `sqlite:` with a path, or `postgres://…`, which connects on first use.
   * @param onLost called when an idle connection to PostgreSQL or the file of SQLite is lost; with `null` when the file is back
   * @throws UnusableDatabase
   */
  static async open(url: string, onLost: (error: Error | null) => void, clock: LocalClock = new Clock()): Promise<Database> {
    if (url.startsWith('sqlite:')) {
      const kysely = new Kysely<Tables>({ dialect: await openSqlite(url.slice('sqlite:'.length), lockWaitMs, onLost) });
      return new Database(kysely, kysely, null, clock);
    }
    // Loaded only when used.
    const [{ PostgresServer }, { postgresDialect }] = await Promise.all([import('./postgres/server.js'), import('./postgres/driver.js')]);
    const server = new PostgresServer(url, onLost);
    const open = (asyncCommit: boolean): Kysely<Tables> => new Kysely<Tables>({ dialect: postgresDialect(server, asyncCommit) });
    return new Database(open(false), open(true), server, clock);
  }

  /** @throws UnusableDatabase, or the database's error */
  async migrate(): Promise<void> {
    await this.readClock();
    if (!this.embedded) await (await import('./postgres/preconditions.js')).checkPostgres(this.kysely, tableNames);
    const lock = (trx: Kysely<Tables>): Promise<void> => this.advisoryLock(trx, 'tables');
    await migrate(this.kysely, this.embedded, this.now(), lock, (trx, statement) => this.send(trx, CompiledQuery.raw(statement)));
  }

  /** Waits for a lock that one process at a time holds until the end of its transaction. */
  async advisoryLock(trx: Kysely<Tables>, what: keyof typeof advisoryKeys): Promise<void> {
    if (!this.embedded) await sql`select pg_advisory_xact_lock(${advisoryKeys[what]}::bigint)`.execute(trx);
  }

  /** Like `advisoryLock`, but returns false instead of waiting. */
  async tryAdvisoryLock(trx: Kysely<Tables>, what: keyof typeof advisoryKeys): Promise<boolean> {
    if (this.embedded) return true;
    const { rows } = await sql<{ locked: boolean }>`select pg_try_advisory_xact_lock(${advisoryKeys[what]}::bigint) as locked`.execute(trx);
    return rows[0]!.locked;
  }

  /**
   * A transaction that survives a crash of the process but not a power cut, for small and frequent work that is repeated if it was lost:
   * a delivery is sent again with the same id, a channel is read again. The next synchronous commit also makes it durable.
   */
  async asyncCommit<T>(work: (trx: Trx) => Promise<T>): Promise<T> {
    if (!this.embedded) return this.unsynced.transaction().execute(work);
    const turn = this.lastTurn.then(nextTurn).then(() => this.unsyncedTransaction(work));
    this.lastTurn = turn.catch(() => undefined);
    return turn;
  }

  private unsyncedTransaction<T>(work: (trx: Trx) => Promise<T>): Promise<T> {
    return this.unsynced.connection().execute(async connection => {
      await connection.executeQuery(unsyncedCommits);
      try {
        return await connection.transaction().execute(work);
      } finally {
        await connection.executeQuery(syncedCommits);
      }
    });
  }

  /**
   * Sends a statement without waiting for its result, saving a round trip. If it fails, so does the transaction, at the latest on commit.
   * @returns a function that waits for the rows, and updates our estimate of the shared clock if they select it
   */
  async send<R extends object>(trx: Trx, query: CompiledQuery<R>): Promise<() => Promise<R[]>> {
    if (this.embedded) {
      const { rows } = await trx.executeQuery(query);
      return () => Promise.resolve(rows);
    }
    const from = this.local.monotonic();
    const ahead: SentAhead<R> = { ...query, ahead: true };
    const { rows } = await trx.executeQuery<Promise<R[]>>(ahead);
    return async () => this.time.readFrom((await rows[0]) as R[], from);
  }

  /**
   * Inserts any number of rows, all with the columns of the first. Builds the SQL as text: the query builder is slow for hundreds of rows.
   * @param tail SQL after the values, such as `on conflict …` or `returning …`
   * @returns a function that waits for the returned rows; see `send`
   */
  async insert<T extends keyof Tables, R extends object = never>(
    trx: Trx,
    table: T,
    rows: readonly Insertable<Tables[T]>[],
    tail = '',
  ): Promise<() => Promise<R[]>> {
    if (rows.length === 0) return () => Promise.resolve([]);
    const columns = Object.keys(rows[0] as object) as (keyof Insertable<Tables[T]>)[];
    const limits = this.embedded ? statementLimits.sqlite : statementLimits.postgres;
    const size = Math.min(limits.rows, Math.floor(limits.values / columns.length));
    const returned: (() => Promise<R[]>)[] = [];
    for (const chunk of (this.embedded ? chunksOfFewSizes : chunks)(rows, size)) {
      const parameters: unknown[] = [];
      for (const row of chunk) for (const column of columns) parameters.push(row[column]);
      const values = this.placeholders(chunk.length, columns.length);
      const text = `insert into ${table} (${columns.join(', ')}) values ${values} ${tail}`;
      returned.push(await this.send<R>(trx, CompiledQuery.raw(text, parameters) as CompiledQuery<R>));
    }
    return async () => (await Promise.all(returned.map(rows => rows()))).flat();
  }

  /** For `$call`: adds `for update` to a query. SQLite needs no row locks, having a single connection. */
  readonly lock = <Q extends { forUpdate(): Q }>(query: Q): Q => (this.embedded ? query : query.forUpdate());

  /** Condition that a column has one of these values. Binds the list as a single value; both dialects use the column's index. */
  isAmong(column: string, values: readonly (number | string)[]): RawBuilder<boolean> {
    const name = sql.ref(column);
    return this.embedded ? sql`${name} in (select value from json_each(${JSON.stringify(values)}))` : sql`${name} = any(${values})`;
  }

  /** A loop, since for thousands of values it is four times as fast as joining lists. */
  private placeholders(rows: number, columns: number): string {
    let texts = '';
    for (let value = 0; value < rows * columns; value++) {
      texts += value === 0 ? '(' : value % columns === 0 ? '), (' : ', ';
      texts += this.embedded ? '?' : `$${value + 1}`;
    }
    return `${texts})`;
  }

  /** Notifies the other processes, when this transaction commits, that these sinks have due work. */
  async notify(trx: Trx, sinks: Iterable<number>): Promise<void> {
    const text = `${this.self} ${[...sinks].join(',')}`;
    if (!this.embedded) await this.send(trx, CompiledQuery.raw('select pg_notify($1, $2)', [notifyChannel, text]));
  }

  /** Calls `onSinks` with the sinks for which another process has notified us of due work. A notification may be lost. */
  async listen(onSinks: (sinks: number[]) => void, stop: AbortSignal): Promise<void> {
    if (!this.server) return;
    const { listen } = await import('./postgres/listen.js');
    const onNotification = (text: string): void => {
      const [sender, sinks = ''] = text.split(' ');
      if (sender !== this.self) onSinks(Array.from(sinks.split(','), Number).filter(id => id > 0));
    };
    await listen(this.server, notifyChannel, onNotification, stop);
  }

  /** Checks that the database is writable. @throws if it does not respond, is read-only, its disk is full or its file is gone */
  async ping(): Promise<void> {
    const row = { key: 'ping', at: this.now() };
    // The time, since SQLite writes nothing where no byte changes. A transaction, since only `commit` looks whether the file is still there.
    await this.kysely.transaction().execute(async trx => {
      await trx
        .insertInto('seen')
        .values(row)
        .onConflict(conflict => conflict.column('key').doUpdateSet({ at: row.at }))
        .execute();
    });
  }

  async close(): Promise<void> {
    await this.kysely.destroy();
    if (this.unsynced !== this.kysely) await this.unsynced.destroy();
    await this.server?.end();
  }
}
