import pg from 'pg';
import { parseIntoClientConfig } from 'pg-connection-string';
import { faultOf } from '../errors.js';

/** What is not answered in this time is given up here; the server has ended a statement before, if it lives. */
const answerWithinMs = 4000;
const connectWithinMs = 2000;
/** How soon a network that forgets idle connections is shown that one is alive. */
const keepAliveAfterMs = 10_000;
const mostConnections = 15;
/** Workers leave the rest to webhooks. */
const shareOfWorkers = 2 / 3;
/** A server that had no more connections for us is asked for more after this time. */
const fullForMs = 300_000;
/** A pooler lets in whom it has no connection for, and lets the first statement wait. */
const firstAnswerWithinMs = 1000;
/** A server that fails us for long is not found sooner by starting anew more often. */
const renewEveryMs = 1000;

/**
 * The connections to the server that `DATABASE_URL` leads to now. As soon as one fails as connections do, all are made anew when they are next
 * needed: where a firewall forgot one it forgot the others, and after a failover the name leads elsewhere while the old server may live on, read-only.
 */
export class PostgresServer {
  /** Told when connections are made anew. */
  onRenewed: () => void = () => undefined;
  private pool: pg.Pool | null = null;
  private renewedAt = -Infinity;
  private most = mostConnections;
  private workers = 0;
  private readonly waiting: (() => void)[] = [];
  private readonly poolOf = new WeakMap<pg.Client, pg.Pool>();
  private ended = false;

  /** @param onLost told of connections that are lost while nobody uses them */
  constructor(
    private readonly url: string,
    private readonly onLost: (error: Error) => void,
  ) {}

  /** @throws whatever keeps us from connecting, files of certificates too, which are read again with each new pool */
  async connect(): Promise<pg.PoolClient> {
    for (;;) {
      const pool = (this.pool ??= this.newPool());
      try {
        return await pool.connect();
      } catch (error) {
        if (isFull(error) && pool.totalCount > 0) this.makeDo(pool.totalCount);
        else {
          if (faultOf(error) === 'server') this.renew(pool);
          throw error;
        }
      }
    }
  }

  /** As `connect`, for workers: however many there are, webhooks need not wait for them. */
  async connectWorker(): Promise<pg.PoolClient> {
    while (this.workers >= Math.max(1, Math.floor(this.most * shareOfWorkers))) await new Promise<void>(next => this.waiting.push(next));
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

  /** The server has no more connections for us: so many have to do for a while. */
  private makeDo(most: number): void {
    if (this.most === mostConnections) setTimeout(() => this.limit(mostConnections), fullForMs).unref();
    this.limit(most);
  }

  private limit(most: number): void {
    this.most = most;
    if (this.pool) this.pool.options.max = most;
  }

  /** A connection for whoever needs one of its own. */
  client(): pg.Client {
    return new pg.Client(configOf(this.url));
  }

  /** Something failed on a connection. @returns true if it is of no use any more */
  failed(client: pg.Client, error: Error): boolean {
    if (faultOf(error) !== 'server') return false;
    this.renew(this.poolOf.get(client)!);
    return true;
  }

  private renew(pool: pg.Pool): void {
    if (pool !== this.pool || this.ended || performance.now() - this.renewedAt < renewEveryMs) return;
    this.renewedAt = performance.now();
    this.pool = null;
    // Another server may have more for us.
    this.most = mostConnections;
    void pool.end();
    this.onRenewed();
  }

  private newPool(): pg.Pool {
    if (this.ended) throw new Error('the database was closed');
    const verify: pg.PoolConfig['verify'] = (client, done) =>
      void client.query({ text: 'select 1', query_timeout: firstAnswerWithinMs } as pg.QueryConfig).then(() => done(), done);
    const pool = new pg.Pool({ ...configOf(this.url), max: this.most, min: 2, verify });
    // That the server closes what has been idle for its idle_session_timeout is no news.
    pool.on('error', (error: Error & { code?: string }) => error.code === '57P05' || this.onLost(error));
    return pool.on('connect', client => {
      this.poolOf.set(client, pool);
      // A connection that is lost while it is in use fails the query of its user; an error that nobody listens to would end the process.
      client.on('error', () => undefined);
    });
  }

  async end(): Promise<void> {
    const pool = this.ended ? null : this.pool;
    this.ended = true;
    await pool?.end();
  }
}

/** Whether a new connection failed for lack of one. */
function isFull(error: unknown): boolean {
  const { code, message } = error as { code?: string; message: string };
  return code === '53300' || message.includes('no more connections allowed') || message === 'Query read timeout';
}

/** @throws what the URL or the files that it names are to blame for */
function configOf(url: string): pg.ClientConfig {
  // `pg` means the same by all of these, and warns of it on standard error.
  const strict = url.includes('uselibpqcompat=true')
    ? url
    : url.replace(/([?&]sslmode=)(allow|prefer|require|verify-ca)\b/, '$1verify-full');
  return {
    // Nothing here may become a startup parameter that poolers refuse, such as statement_timeout.
    application_name: 'channel-sync',
    ...(parseIntoClientConfig(strict) as pg.ClientConfig),
    connectionTimeoutMillis: connectWithinMs,
    query_timeout: answerWithinMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveAfterMs,
    pipeline: true,
    // bigint holds milliseconds, revisions and counts here, all far below 2^53.
    types: { getTypeParser: (oid, format) => (oid === 20 ? Number : pg.types.getTypeParser(oid, format)) } as pg.CustomTypesConfig,
  };
}
