import pg from 'pg';
import { parseIntoClientConfig } from 'pg-connection-string';
import { faultOf } from '../errors.js';

/** Client-side timeout of a query. Longer than `statement_timeout`, with which a live server ends the statement earlier. */
const queryTimeoutMs = 4000;
const connectTimeoutMs = 2000;
/** TCP keep-alive delay, for networks that drop idle connections. */
const keepAliveDelayMs = 10_000;
const maxConnections = 15;
/** Workers may use this share of the connections; the rest is reserved for webhooks. */
const workerShare = 2 / 3;
/** After the server ran out of connections, how long we stay at the number we got. */
const limitedForMs = 300_000;
/** A pooler without free server connections accepts ours, but lets the first statement wait. */
const firstQueryTimeoutMs = 1000;
/** A connection that was idle for longer is checked before use: the server may just have closed it, which would fail a transaction. */
const checkAfterIdleMs = 100;
/** While a server keeps failing, the pool is not replaced more often than this. */
const minRenewIntervalMs = 1000;

/**
 * The connection pool. When one connection fails, all are replaced: a firewall that dropped one has probably dropped the others, and after
 * a failover the host name leads to a new server while the old one may live on, read-only.
 */
export class PostgresServer {
  /** Called when the pool is replaced. */
  onRenewed: () => void = () => undefined;
  private pool: pg.Pool | null = null;
  private renewedAt = -Infinity;
  private max = maxConnections;
  private workers = 0;
  private readonly waiting: (() => void)[] = [];
  private readonly poolOf = new WeakMap<pg.Client, pg.Pool>();
  /** When each connection was last known to work (monotonic). */
  private readonly workedAt = new WeakMap<pg.Client, number>();
  private ended = false;

  constructor(
    private readonly url: string,
    private readonly onLost: (error: Error) => void,
  ) {}

  /** @throws if it cannot connect, or cannot read the certificate files, which are read again for each new pool */
  async connect(): Promise<pg.PoolClient> {
    for (;;) {
      const pool = (this.pool ??= this.newPool());
      try {
        const client = await pool.connect();
        if (performance.now() - this.workedAt.get(client)! < checkAfterIdleMs || (await this.stillWorks(client))) return client;
      } catch (error) {
        if (isFull(error) && pool.totalCount > 0) this.limitForAWhile(pool.totalCount);
        else {
          if (faultOf(error) === 'server') this.renew(pool);
          throw error;
        }
      }
    }
  }

  /** Checks an idle connection; drops it if it is lost. */
  private async stillWorks(client: pg.PoolClient): Promise<boolean> {
    try {
      await client.query('select 1');
      return true;
    } catch (error) {
      client.release(true);
      if (this.lostIdle(error as Error)) this.failed(client, error as Error);
      return false;
    }
  }

  /** @returns false if it was closed for being idle, by PostgreSQL's idle_session_timeout or PgBouncer's client_idle_timeout: no problem */
  private lostIdle(error: Error & { code?: string }): boolean {
    if (error.code === '57P05' || error.message === 'client_idle_timeout') return false;
    this.onLost(error);
    return true;
  }

  /** Like `connect`, limited to the workers' share, so that webhooks need not wait for them. */
  async connectWorker(): Promise<pg.PoolClient> {
    while (this.workers >= Math.max(1, Math.floor(this.max * workerShare))) await new Promise<void>(next => this.waiting.push(next));
    this.workers += 1;
    return this.connect().catch((error: Error) => {
      this.releaseWorker();
      throw error;
    });
  }

  releaseWorker(): void {
    this.workers -= 1;
    this.waiting.shift()?.();
  }

  /** The server has no more connections for us: make do with `max` for a while. */
  private limitForAWhile(max: number): void {
    if (this.max === maxConnections) setTimeout(() => this.limit(maxConnections), limitedForMs).unref();
    this.limit(max);
  }

  private limit(max: number): void {
    this.max = max;
    if (this.pool) this.pool.options.max = max;
  }

  /** A new connection outside the pool. */
  client(): pg.Client {
    return new pg.Client(configOf(this.url));
  }

  /** Handles an error on a connection. @returns true if the connection is unusable */
  failed(client: pg.Client, error: Error): boolean {
    if (faultOf(error) !== 'server') return false;
    this.renew(this.poolOf.get(client)!);
    return true;
  }

  private renew(pool: pg.Pool): void {
    if (pool !== this.pool || this.ended || performance.now() - this.renewedAt < minRenewIntervalMs) return;
    this.renewedAt = performance.now();
    this.pool = null;
    // We may reach another server, with more free connections.
    this.max = maxConnections;
    void pool.end();
    this.onRenewed();
  }

  private newPool(): pg.Pool {
    if (this.ended) throw new Error('the database was closed');
    const works = (client: pg.Client): unknown => this.workedAt.set(client, performance.now());
    const verify: pg.PoolConfig['verify'] = (client, done) =>
      void client
        .query({ text: 'select 1', query_timeout: firstQueryTimeoutMs } as pg.QueryConfig)
        .then(() => (works(client), done()), done);
    const pool = new pg.Pool({ ...configOf(this.url), max: this.max, min: 2, verify });
    pool.on('error', error => this.lostIdle(error)).on('release', (_, client) => works(client));
    return pool.on('connect', client => {
      this.poolOf.set(client, pool);
      // While the connection is in use, its query reports the error; without a listener here it would crash the process.
      client.on('error', () => undefined);
    });
  }

  async end(): Promise<void> {
    const pool = this.ended ? null : this.pool;
    this.ended = true;
    await pool?.end();
  }
}

/** Whether connecting failed because the server or pooler has no free connection. */
function isFull(error: unknown): boolean {
  const { code, message } = error as { code?: string; message: string };
  return code === '53300' || message.includes('no more connections allowed') || message === 'Query read timeout';
}

/** @throws if the URL is invalid or a file that it names cannot be read */
function configOf(url: string): pg.ClientConfig & { binary: boolean } {
  // `pg` treats all of these as verify-full, but prints a warning to standard error.
  const strict = url.includes('uselibpqcompat=true')
    ? url
    : url.replace(/([?&]sslmode=)(allow|prefer|require|verify-ca)\b/, '$1verify-full');
  return {
    // Avoid options that become startup parameters, such as statement_timeout: poolers reject them.
    application_name: 'channel-sync',
    ...(parseIntoClientConfig(strict) as pg.ClientConfig),
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: queryTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveDelayMs,
    pipeline: true,
    // A parameter of the URL could turn it on: we read numbers from their texts, and would get NaN.
    binary: false,
    // We store milliseconds, revisions and counts as bigint, all far below 2^53.
    types: { getTypeParser: (oid, format) => (oid === 20 ? Number : pg.types.getTypeParser(oid, format)) } as pg.CustomTypesConfig,
  };
}
