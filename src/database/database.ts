import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CompiledQuery, type Insertable, Kysely, type RawBuilder, sql } from 'kysely';
import { Clock } from '../process/clock.js';
import { chunks, statementLimits } from './limits.js';
import { type DialectWords, migrate, tableNames } from './migrations.js';
import type { PostgresServer } from './postgres/server.js';
import type { SentAhead } from './postgres/driver.js';
import { type LocalClock, SharedTime } from './shared-time.js';
import { openSqlite } from './sqlite.js';
import type { Tables, Trx } from './tables.js';

/** The PostgreSQL channel on which processes tell each other which sinks have something to do. */
const noticeChannel = 'channel_sync';
/** Advisory locks, one for each thing that one process at a time may do. */
const advisoryKeys = { tables: 4739201, sinks: 4739202, retention: 4739203, notices: 4739204 } as const;
/** How long a second process waits for the file of the embedded store. */
const lockWaitMs = 10_000;

const unsyncedCommits = CompiledQuery.raw('pragma synchronous = normal');
const syncedCommits = CompiledQuery.raw('pragma synchronous = full');

/** Our tables, on either dialect; where they differ, this says how. */
export class Database {
  /** True once the tables are up to date and the sinks registered: what is kept before would be owed to nobody. */
  ready = false;
  /** What is known of the shared clock. */
  readonly time: SharedTime;
  /** That clock in a query, in milliseconds. */
  readonly clock: RawBuilder<number>;
  /** How this process signs its notices: it has woken its own workers already. */
  private readonly self = randomUUID();
  /** Whether notices of other processes come. */
  private hears = false;
  /** The last of the workers that wait for the embedded store: a webhook waits for one of them, however many sinks there are. */
  private turns: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly kysely: Kysely<Tables>,
    /** Its commits do not wait for the disk; the embedded store has one connection for all. */
    private readonly unsynced: Kysely<Tables>,
    private readonly words: DialectWords,
    private readonly server: PostgresServer | null,
    private readonly local: LocalClock,
  ) {
    this.time = new SharedTime(local);
    // The moment at which it is asked, whenever the transaction began.
    this.clock = server === null ? sql`null` : sql`(extract(epoch from clock_timestamp()) * 1000)::float8`;
  }

  /** The time of all processes in milliseconds since 1970: the clock of PostgreSQL, or of this machine for the embedded store, which has but one process. */
  now(): number {
    return this.time.now();
  }

  /** Asks for one row that has our clock as `clock`, and takes in what that says. */
  async timed<R extends { clock: number }>(db: Kysely<Tables>, query: RawBuilder<R>): Promise<R> {
    const from = this.local.monotonic();
    const row = (await query.execute(db)).rows[0]!;
    if (!this.embedded) this.time.read(row.clock, from, this.local.monotonic());
    return row;
  }

  /** Looks at that clock. @throws whatever the database says */
  async readClock(): Promise<void> {
    if (this.embedded) this.time.readLocal();
    else await this.timed(this.unsynced, sql<{ clock: number }>`select ${this.clock} as clock`);
  }

  /** True for the embedded store: one process, nobody else can hold a lease. */
  get embedded(): boolean {
    return this.server === null;
  }

  /**
   * Opens the store named by `DATABASE_URL`, `sqlite:` and a path or `postgres://…`. PostgreSQL is not connected to yet.
   * @param onLost told of connections that are lost while nobody uses them
   * @throws UnusableDatabase
   */
  static async open(url: string, onLost: (error: Error) => void, clock: LocalClock = new Clock()): Promise<Database> {
    if (url.startsWith('sqlite:')) {
      const dialect = await openSqlite(url.slice('sqlite:'.length), lockWaitMs);
      const words = {
        identity: 'integer primary key autoincrement',
        bytes: 'blob',
        bytewise: '',
        clustered: ' without rowid',
        uncompressed: () => [],
      };
      const kysely = new Kysely<Tables>({ dialect });
      return new Database(kysely, kysely, words, null, clock);
    }
    // Loaded only when they are used.
    const [{ PostgresServer }, { postgresDialect }] = await Promise.all([import('./postgres/server.js'), import('./postgres/driver.js')]);
    const server = new PostgresServer(url, onLost);
    const words = {
      identity: 'bigint generated always as identity primary key',
      bytes: 'bytea',
      bytewise: 'collate "C"',
      clustered: '',
      uncompressed: (table: string, ...columns: string[]) =>
        columns.map(column => `alter table ${table} alter ${column} set storage external`),
    };
    const open = (asyncCommit: boolean): Kysely<Tables> => new Kysely<Tables>({ dialect: postgresDialect(server, asyncCommit) });
    return new Database(open(false), open(true), words, server, clock);
  }

  /** @throws UnusableDatabase, or whatever the database answers */
  async migrate(): Promise<void> {
    await this.readClock();
    if (!this.embedded) await (await import('./postgres/preconditions.js')).checkPostgres(this.kysely, tableNames);
    const lock = (trx: Kysely<Tables>): Promise<void> => this.advisoryLock(trx, 'tables');
    await migrate(this.kysely, this.words, this.now(), lock, (trx, statement) => this.send(trx, CompiledQuery.raw(statement)));
  }

  /** Lets one process at a time go on, until the end of its transaction. */
  async advisoryLock(trx: Kysely<Tables>, what: keyof typeof advisoryKeys): Promise<void> {
    if (!this.embedded) await sql`select pg_advisory_xact_lock(${advisoryKeys[what]}::bigint)`.execute(trx);
  }

  /** As `advisoryLock`, but who is not alone learns it at once and does not wait. */
  async tryAdvisoryLock(trx: Kysely<Tables>, what: keyof typeof advisoryKeys): Promise<boolean> {
    if (this.embedded) return true;
    const { rows } = await sql<{ alone: boolean }>`select pg_try_advisory_xact_lock(${advisoryKeys[what]}::bigint) as alone`.execute(trx);
    return rows[0]!.alone;
  }

  /**
   * A transaction that outlives the process, but that a power cut may undo: for the claims and settles of workers, which are many and small.
   * What is lost is sent again with the same id. Nothing that was answered depends on it, and the next synced commit takes it along.
   */
  async asyncCommit<T>(work: (trx: Trx) => Promise<T>): Promise<T> {
    if (!this.embedded) return this.unsynced.transaction().execute(work);
    const turn = this.turns.then(nextTurn).then(() => this.unsyncedTransaction(work));
    this.turns = turn.catch(() => undefined);
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
   * Sends a statement of a transaction without waiting for its answer, which saves a round trip. If it fails, so does whatever comes after it in the
   * transaction, the commit at the latest.
   * @returns waits for its rows
   */
  async send<R>(trx: Trx, query: CompiledQuery<R>): Promise<() => Promise<R[]>> {
    if (this.embedded) {
      const { rows } = await trx.executeQuery(query);
      return () => Promise.resolve(rows);
    }
    const ahead: SentAhead<R> = { ...query, ahead: true };
    const { rows } = await trx.executeQuery<Promise<R[]>>(ahead);
    return () => rows[0] as Promise<R[]>;
  }

  /**
   * An INSERT of any number of rows, all with the columns of the first, as text: for hundreds of rows the query builder would cost more than the statement.
   * @param tail what follows the values, such as `on conflict …` and `returning …`
   * @returns waits for the rows that it returns; see `send`
   */
  async insert<T extends keyof Tables, R = never>(
    trx: Trx,
    table: T,
    rows: readonly Insertable<Tables[T]>[],
    tail = '',
  ): Promise<() => Promise<R[]>> {
    if (rows.length === 0) return () => Promise.resolve([]);
    const columns = Object.keys(rows[0] as object) as (keyof Insertable<Tables[T]>)[];
    const limits = this.embedded ? statementLimits.sqlite : statementLimits.postgres;
    const returned: (() => Promise<R[]>)[] = [];
    for (const some of chunks(rows, Math.min(limits.rows, Math.floor(limits.values / columns.length)))) {
      const parameters: unknown[] = [];
      for (const row of some) for (const column of columns) parameters.push(row[column]);
      const values = this.placeholders(some.length, columns.length);
      const text = `insert into ${table} (${columns.join(', ')}) values ${values} ${tail}`;
      returned.push(await this.send<R>(trx, CompiledQuery.raw(text, parameters) as CompiledQuery<R>));
    }
    return async () => (await Promise.all(returned.map(rows => rows()))).flat();
  }

  /** For `$call`: locks the rows of a query; the embedded store has one connection for all. */
  readonly lock = <Q extends { forUpdate(): Q }>(query: Q): Q => (this.embedded ? query : query.forUpdate());

  /** Whether a column has one of these values: one bound value for any number of them, which both dialects look up by their keys. */
  isAmong(column: string, values: readonly (number | string)[]): RawBuilder<boolean> {
    const name = sql.ref(column);
    return this.embedded ? sql`${name} in (select value from json_each(${JSON.stringify(values)}))` : sql`${name} = any(${values})`;
  }

  /** In a loop: for thousands of values it takes a quarter of the time of joined lists. */
  private placeholders(rows: number, columns: number): string {
    let texts = '';
    for (let value = 0; value < rows * columns; value++) {
      texts += value === 0 ? '(' : value % columns === 0 ? '), (' : ', ';
      texts += this.embedded ? '?' : `$${value + 1}`;
    }
    return `${texts})`;
  }

  /** Tells the other processes, once this transaction is committed, that these sinks have something to do. */
  async notify(trx: Trx, sinks: Iterable<number>): Promise<void> {
    const text = `${this.self} ${[...sinks].join(',')}`;
    if (!this.embedded) await this.send(trx, CompiledQuery.raw('select pg_notify($1, $2)', [noticeChannel, text]));
  }

  /**
   * Calls back with what other processes tell, `null` when anything may have been missed, until it is stopped.
   * @param onDeaf told once when notices cannot come
   */
  async listen(onSinks: (sinks: number[] | null) => void, onDeaf: (pollMs: number) => void, stop: AbortSignal): Promise<void> {
    if (!this.server) return;
    const { listen } = await import('./postgres/listen.js');
    const notice = (text: string): void => {
      const [sender, sinks = ''] = text.split(' ');
      if (sender !== this.self && sinks !== '') onSinks(Array.from(sinks.split(','), Number).filter(id => id > 0));
    };
    const hears = (hears: boolean): void => {
      if (hears && !this.hears) onSinks(null);
      this.hears = hears;
    };
    // Only the listener that sent it knows it.
    const tell = async (text: string): Promise<void> => void (await sql`select pg_notify(${noticeChannel}, ${text})`.execute(this.kysely));
    await listen(this.server, noticeChannel, { notice, hears, deaf: () => onDeaf(this.pollMs) }, tell, stop);
  }

  /** How often to look, in milliseconds, for what another process may have told in vain, or may have died before it told. */
  get pollMs(): number {
    return this.hears ? 10_000 : 2000;
  }

  /** Writes something, as keeping a webhook would. @throws if the database does not answer, is read-only, or its disk is full */
  async ping(): Promise<void> {
    await sql`update migration set applied_at = applied_at`.execute(this.kysely);
  }

  async close(): Promise<void> {
    await this.kysely.destroy();
    if (this.unsynced !== this.kysely) await this.unsynced.destroy();
    await this.server?.end();
  }
}
