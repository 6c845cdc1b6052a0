import { closeSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { DatabaseSync, StatementSync, SQLInputValue } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SqliteDatabase, SqliteDialect, type SqliteStatement } from 'kysely';
import { makeFolder } from '../process/make-folder.js';
import { UnusableDatabase } from './errors.js';

/** Maximum number of cached prepared statements; each group size is a statement of its own. */
const preparedLimit = 500;
const lockRetryMs = 100;

/**
 * Opens the embedded store: WAL mode, fsync on every commit, exclusively locked until it is closed.
 * @param waitMs how long to wait for another process to release the file
 * @throws UnusableDatabase
 */
export async function openSqlite(path: string, waitMs: number): Promise<SqliteDialect> {
  // Imported here, so that older versions of Node get as far as our error message about the version.
  const { DatabaseSync: Database } = await import('node:sqlite');
  const file = path === ':memory:' ? path : resolve(path);
  for (const giveUpAt = performance.now() + waitMs; ;) {
    let database: DatabaseSync | undefined;
    try {
      if (file !== ':memory:') await makeFile(file);
      const opened = (database = new Database(file));
      // Exclusive mode before WAL: the lock is then held by this process only and released with it, even after kill -9.
      opened.exec('pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full');
      // Consecutive groups of webhooks rewrite the same pages: with rarer checkpoints (at 32 MB of WAL) each page is written once.
      opened.exec('pragma wal_autocheckpoint = 8192; pragma temp_store = memory; pragma cache_size = -32768; begin immediate; commit');
      return new SqliteDialect({ database: new Shim(opened) });
    } catch (error) {
      database?.close();
      if (!isLocked(error) || performance.now() > giveUpAt) throw new UnusableDatabase(`${file}: ${explain(error)}`);
      // SQLite's own busy wait would block the event loop, and thus signals.
      await sleep(lockRetryMs);
    }
  }
}

/** Only accessible to its owner; SQLite creates the WAL file with the same mode. */
async function makeFile(file: string): Promise<void> {
  await makeFolder(dirname(file));
  closeSync(openSync(file, 'a', 0o600));
}

function isLocked(error: unknown): boolean {
  return /locked|busy/i.test((error as Error).message);
}

function explain(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (isLocked(error)) return 'another process holds this file; SQLite serves one process, use postgres:// for several';
  if (/not a database|malformed/i.test(message))
    return `${message}: this is not (or no longer) a SQLite database; move it away or restore it`;
  return message;
}

/** Adapts `node:sqlite` to the interface that Kysely expects. */
class Shim implements SqliteDatabase {
  private readonly prepared = new Map<string, SqliteStatement>();

  constructor(private readonly database: DatabaseSync) {}

  prepare(sql: string): SqliteStatement {
    const statement = this.prepared.get(sql) ?? new ShimStatement(this.database, sql);
    // Reinserted at the end, so that the first entry is the least recently used.
    this.prepared.delete(sql);
    if (this.prepared.size >= preparedLimit) this.prepared.delete(this.prepared.keys().next().value!);
    this.prepared.set(sql, statement);
    return statement;
  }

  close(): void {
    this.database.close();
  }
}

class ShimStatement implements SqliteStatement {
  readonly reader: boolean;

  private readonly statement: StatementSync;

  constructor(
    private readonly database: DatabaseSync,
    private readonly sql: string,
  ) {
    this.statement = database.prepare(sql);
    this.reader = this.statement.columns().length > 0;
  }

  all(parameters: readonly unknown[]): unknown[] {
    const values = bindable(parameters);
    try {
      return this.statement.all(...values);
    } catch (error) {
      // Only a damaged row has an integer beyond 2^53. It must not hide other rows, so a SELECT is repeated with rounded numbers.
      if ((error as NodeJS.ErrnoException).code !== 'ERR_OUT_OF_RANGE' || !/^\s*select\b/i.test(this.sql)) throw error;
      return this.rounded(values);
    }
  }

  private rounded(values: SQLInputValue[]): unknown[] {
    this.statement.setReadBigInts(true);
    try {
      const round = (value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);
      return this.statement.all(...values).map(row => Object.fromEntries(Object.entries(row).map(([key, value]) => [key, round(value)])));
    } finally {
      this.statement.setReadBigInts(false);
    }
  }

  run(parameters: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint } {
    // A full disk has already rolled back the transaction: an error here would hide the original one.
    if (this.sql === 'rollback' && !this.database.isTransaction) return { changes: 0, lastInsertRowid: 0 };
    return this.statement.run(...bindable(parameters));
  }

  iterate(parameters: readonly unknown[]): IterableIterator<unknown> {
    return this.statement.iterate(...bindable(parameters));
  }
}

/**
 * Accepts only values that SQLite stores unchanged: a Date, an object or NaN would silently become NULL or named parameters.
 * @throws TypeError
 */
function bindable(parameters: readonly unknown[]): SQLInputValue[] {
  for (const value of parameters) {
    const ok =
      value === null || typeof value === 'string' || typeof value === 'bigint' || Number.isFinite(value) || value instanceof Uint8Array;
    if (!ok) throw new TypeError(`SQLite cannot store this ${value instanceof Date ? 'Date' : typeof value} as it is`);
  }
  return parameters as SQLInputValue[];
}
