import { PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely';
import pg from 'pg';

/** How long a statement may take before the database counts as not answering. */
const answerWithinMs = 3000;
const connectWithinMs = 2000;
/** A process that stands still in a transaction must not hold its locks for ever. */
const idleInTransactionMs = 5000;

/**
 * PostgreSQL behind a pool of connections. It connects when it is first used.
 * @param synced false for connections whose commits do not wait for the disk
 * @param onError told of connections that are lost while nobody uses them
 */
export function postgresDialect(url: string, synced: boolean, onError: (error: Error) => void): PostgresDialect {
  const options: pg.PoolConfig = {
    connectionString: url,
    max: 10,
    connectionTimeoutMillis: connectWithinMs,
    statement_timeout: answerWithinMs,
    query_timeout: answerWithinMs,
    idle_in_transaction_session_timeout: idleInTransactionMs,
    keepAlive: true,
    application_name: 'channel-sync',
    ...(!synced && { options: '-c synchronous_commit=off' }),
    // bigint holds milliseconds, revisions and counts here, all far below 2^53.
    types: { getTypeParser: (oid, format) => (oid === 20 ? Number : pg.types.getTypeParser(oid, format)) } as pg.CustomTypesConfig,
  };
  return new PostgresDialect({ pool: new RenewedPool(options, onError) });
}

/**
 * A pool that starts anew as soon as one of its connections does not answer in time: where a firewall forgot one, it forgot the others, and
 * each would cost its user the whole time-out once more.
 */
class RenewedPool implements PostgresPool {
  private pool: pg.Pool;
  private ending = false;

  constructor(
    readonly options: pg.PoolConfig,
    private readonly onError: (error: Error) => void,
  ) {
    this.pool = this.fresh();
  }

  async connect(): Promise<PostgresPoolClient> {
    const pool = this.pool;
    const client = await pool.connect();
    let silent = false;
    const query = async (text: string, values: unknown[]): Promise<unknown> => {
      // What comes after it would wait behind it.
      if (silent) throw new Error('this connection does not answer');
      try {
        return await client.query(text, values);
      } catch (error) {
        silent = (error as Error).message === 'Query read timeout';
        if (silent) this.renew(pool);
        throw error;
      }
    };
    return { query: query as PostgresPoolClient['query'], release: () => client.release(silent) };
  }

  private renew(silent: pg.Pool): void {
    if (this.pool !== silent || this.ending) return;
    this.pool = this.fresh();
    void silent.end();
  }

  private fresh(): pg.Pool {
    const pool = new pg.Pool(this.options).on('error', this.onError);
    // A connection that is lost while it is in use fails the query of its user; an error that nobody listens to would end the process.
    return pool.on('connect', client => void client.on('error', () => undefined));
  }

  end(): Promise<void> {
    this.ending = true;
    return this.pool.end();
  }
}
