import {
  AbortedTransactionError,
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from 'kysely';
import type pg from 'pg';
import type { PostgresServer } from './server.js';

/** How long a statement may take before the server ends it. */
const statementWithinMs = 3000;
/** A process that stands still in a transaction must not hold its locks for ever. */
const idleInTransactionMs = 5000;

/** Local to the transaction, whatever the role's own settings are: a pooler may give each transaction another connection of the server. */
const beginning = [
  'begin isolation level read committed',
  `set local statement_timeout = ${statementWithinMs}`,
  `set local idle_in_transaction_session_timeout = ${idleInTransactionMs}`,
].join('; ');
const unsynced = 'set local synchronous_commit = off';
const synced = "select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') = 'off'";

/** A statement whose answer its transaction does not wait for; its only row is the promise of its rows. */
export interface SentAhead<R> extends CompiledQuery<Promise<R[]>> {
  ahead: true;
}

/** PostgreSQL for Kysely. It connects when it is first used. @param asyncCommit for workers, whose commits do not wait for the disk */
export function postgresDialect(server: PostgresServer, asyncCommit: boolean): Dialect {
  return {
    createDriver: () => driver(server, asyncCommit),
    createAdapter: () => new PostgresAdapter(),
    createIntrospector: db => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  };
}

function driver(server: PostgresServer, asyncCommit: boolean): Driver {
  const begin = `${beginning}; ${asyncCommit ? unsynced : synced}`;
  return {
    init: () => Promise.resolve(),
    acquireConnection: async () => new Connection(server, asyncCommit ? await server.connectWorker() : await server.connect(), begin),
    beginTransaction: async connection => (connection as Connection).begin(),
    commitTransaction: connection => (connection as Connection).commit(),
    rollbackTransaction: connection => (connection as Connection).rollback(),
    releaseConnection: async connection => {
      (connection as Connection).release();
      if (asyncCommit) server.releaseWorker();
    },
    destroy: () => Promise.resolve(),
  };
}

/**
 * A connection while somebody has it. Statements go out without waiting for the answers of those before them, so the beginning and the end of a
 * transaction cost no round trip of their own where something else is sent with them.
 */
class Connection implements DatabaseConnection {
  private transaction: 'none' | 'to begin' | 'begun' = 'none';
  /** The first of this transaction: whatever comes after it fails only because of it. */
  private failure: Error | null = null;
  private useless = false;

  constructor(
    private readonly server: PostgresServer,
    private readonly client: pg.PoolClient,
    private readonly beginning: string,
  ) {}

  async executeQuery<R>(query: CompiledQuery | SentAhead<R>): Promise<QueryResult<R>> {
    if (this.transaction === 'none') return this.alone(query);
    const answer = this.send(query.sql, query.parameters);
    if (!('ahead' in query)) return resultOf(await answer);
    const rows = answer.then(result => result.rows);
    rows.catch(() => undefined);
    return { rows: [rows] as R[] };
  }

  /** In a transaction of its own, for the sake of its limits. */
  private async alone<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    this.begin();
    const [answer, end] = await Promise.allSettled([this.send(sql, parameters), this.commit()]);
    if (answer.status === 'rejected') throw answer.reason;
    if (end.status === 'rejected') throw end.reason;
    return resultOf(answer.value);
  }

  begin(): void {
    this.transaction = 'to begin';
    this.failure = null;
  }

  async commit(): Promise<void> {
    const begun = this.end();
    if (begun && (await this.send('commit')).command === 'ROLLBACK') throw this.failure ?? new AbortedTransactionError();
  }

  async rollback(): Promise<void> {
    if (this.end() && !this.useless) await this.send('rollback').catch(() => (this.useless = true));
  }

  /** @returns whether there is anything to end */
  private end(): boolean {
    const begun = this.transaction === 'begun';
    this.transaction = 'none';
    return begun;
  }

  private send(text: string, values: readonly unknown[] = []): Promise<pg.QueryResult> {
    if (this.transaction === 'to begin') {
      this.transaction = 'begun';
      this.send(this.beginning).catch(() => undefined);
    }
    return this.client.query(text, values as unknown[]).catch((error: Error) => {
      this.failure ??= error;
      this.useless ||= this.server.failed(this.client, error);
      throw this.failure;
    });
  }

  release(): void {
    this.client.release(this.useless);
  }

  streamQuery(): never {
    throw new Error('nothing here streams');
  }
}

function resultOf<R>({ command, rowCount, rows }: pg.QueryResult): QueryResult<R> {
  const counts = ['INSERT', 'UPDATE', 'DELETE'].includes(command) && rowCount !== null;
  return { rows: (rows ?? []) as R[], ...(counts && { numAffectedRows: BigInt(rowCount) }) };
}
