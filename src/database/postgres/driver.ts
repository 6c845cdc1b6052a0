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

const statementTimeoutMs = 3000;
/** A process that hangs within a transaction must not hold its locks for ever. */
const idleInTransactionTimeoutMs = 5000;

/** Set per transaction, overriding the role's settings: behind a pooler each transaction may use another server connection. */
const beginning = [
  'begin isolation level read committed',
  `set local statement_timeout = ${statementTimeoutMs}`,
  `set local idle_in_transaction_session_timeout = ${idleInTransactionTimeoutMs}`,
].join('; ');
const unsynced = 'set local synchronous_commit = off';
const synced = "select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') = 'off'";

/** A statement that is sent without waiting for its result. Its only row is a promise of the actual rows. */
export interface SentAhead<R> extends CompiledQuery<Promise<R[]>> {
  ahead: true;
}

/** PostgreSQL for Kysely; connects on first use. @param asyncCommit for workers, whose commits do not wait for the disk */
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
 * A connection in use. Statements are pipelined, so the begin and commit of a transaction cost no extra round trip when sent along with
 * other statements.
 */
class Connection implements DatabaseConnection {
  private inTransaction = false;
  /** The first error of this transaction; later ones only follow from it. */
  private failure: Error | null = null;
  private broken = false;

  constructor(
    private readonly server: PostgresServer,
    private readonly client: pg.PoolClient,
    private readonly beginning: string,
  ) {}

  async executeQuery<R>(query: CompiledQuery | SentAhead<R>): Promise<QueryResult<R>> {
    if (!this.inTransaction) return this.autoCommit(query);
    const answer = this.send(query.sql, query.parameters);
    if (!('ahead' in query)) return resultOf(await answer);
    const rows = answer.then(result => result.rows);
    rows.catch(() => undefined);
    return { rows: [rows] as R[] };
  }

  /** Runs a statement in its own transaction, so that its timeouts apply. */
  private async autoCommit<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    this.begin();
    const [answer, end] = await Promise.allSettled([this.send(sql, parameters), this.commit()]);
    if (answer.status === 'rejected') throw answer.reason;
    if (end.status === 'rejected') throw end.reason;
    return resultOf(answer.value);
  }

  begin(): void {
    this.inTransaction = true;
    this.failure = null;
    this.send(this.beginning).catch(() => undefined);
  }

  async commit(): Promise<void> {
    this.inTransaction = false;
    if ((await this.send('commit')).command === 'ROLLBACK') throw this.failure ?? new AbortedTransactionError();
  }

  /** Does nothing after a failed commit, which has ended the transaction. */
  async rollback(): Promise<void> {
    if (this.inTransaction && !this.broken) await this.send('rollback').catch(() => (this.broken = true));
    this.inTransaction = false;
  }

  private send(text: string, values: readonly unknown[] = []): Promise<pg.QueryResult> {
    return this.client.query(text, values as unknown[]).catch((error: Error) => {
      this.failure ??= error;
      this.broken ||= this.server.failed(this.client, error);
      throw this.failure;
    });
  }

  release(): void {
    this.client.release(this.broken);
  }

  streamQuery(): never {
    throw new Error('nothing here streams');
  }
}

function resultOf<R>({ command, rowCount, rows }: pg.QueryResult): QueryResult<R> {
  const counts = ['INSERT', 'UPDATE', 'DELETE'].includes(command) && rowCount !== null;
  return { rows: (rows ?? []) as R[], ...(counts && { numAffectedRows: BigInt(rowCount) }) };
}
