import { closeSync, openSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { DatabaseSync, StatementSync, SQLInputValue } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SqliteDatabase, SqliteDialect, type SqliteStatement } from 'kysely';
import { makeFolder } from '../process/make-folder.js';
import { UnusableDatabase, fileAdvice } from './errors.js';

/** Maximum number of cached prepared statements; see `chunksOfFewSizes`. */
const preparedLimit = 500;
const lockRetryMs = 100;

/**
 * Opens the embedded store: WAL mode, fsync on every commit, exclusively locked until it is closed.
 * @param waitMs how long to wait for another process to release the file
 * @param onLost called when a commit fails because the file was deleted or replaced, and with `null` once it is back
 * @throws UnusableDatabase
 */
export async function openSqlite(path: string, waitMs: number, onLost: (error: Error | null) => void): Promise<SqliteDialect> {
  // Imported here, so that older versions of Node get as far as our error message about the version.
  const { DatabaseSync: Database } = await import('node:sqlite');
  const file = path === ':memory:' ? path : resolve(path);
  for (const giveUpAt = performance.now() + waitMs; ;) {
    let database: DatabaseSync | undefined;
    try {
      if (file !== ':memory:') {
        await makeFolder(dirname(file));
        // Only accessible to its owner; SQLite creates the WAL file with the same mode.
        closeSync(openSync(file, 'a', 0o600));
      }
      const opened = (database = new Database(file));
      // Exclusive mode before WAL: the lock is then held by this process only and released with it, even after kill -9.
      opened.exec('pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full');
      // Consecutive groups of webhooks rewrite the same pages: with rarer checkpoints (at 32 MB of WAL) each page is written once.
      opened.exec('pragma wal_autocheckpoint = 8192; pragma temp_store = memory; pragma cache_size = -32768; begin immediate; commit');
      return new SqliteDialect({ database: adapted(opened, file === ':memory:' ? () => undefined : inPlace(file, onLost)) });
    } catch (error) {
      database?.close();
      if (!isLocked(error) || performance.now() > giveUpAt) throw new UnusableDatabase(`${file}: ${explain(error)}`);
      // SQLite's own busy wait would block the event loop, and thus signals.
      await sleep(lockRetryMs);
    }
  }
}

function isLocked(error: unknown): boolean {
  return /locked|busy/i.test((error as Error).message);
}

function explain(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (isLocked(error)) return 'another process holds this file; SQLite serves one process, use postgres:// for several';
  if (/not a database|malformed/i.test(message))
    return `${message}: this is not (or no longer) a SQLite database; move it away or restore it`;
  const advice = fileAdvice(error as NodeJS.ErrnoException);
  return advice === undefined ? message : `${message}: ${advice}`;
}

/**
 * SQLite goes on writing to files that were deleted or replaced, and all that it writes is gone once they are closed.
 * @returns call it before each commit. It throws while the database or its WAL is not the file that was opened
 */
function inPlace(file: string, onLost: (error: Error | null) => void): () => void {
  const identityOf = (path: string): string | null => {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false });
    return found ? `${found.dev} ${found.ino}` : null;
  };
  const opened = [file, `${file}-wal`].map(path => ({ path, identity: identityOf(path) }));
  let isLost = false;
  return () => {
    const lost = opened.find(({ path, identity }) => identityOf(path) !== identity);
    const error = lost ? new Error(`${lost.path} was deleted or replaced`) : null;
    if (isLost || error) onLost(error);
    isLost = error !== null;
    if (error) throw error;
  };
}

/** Adapts `node:sqlite` to the interface that Kysely expects. */
function adapted(database: DatabaseSync, beforeCommit: () => void): SqliteDatabase {
  const prepared = new Map<string, SqliteStatement>();
  return {
    prepare(sql) {
      const statement = prepared.get(sql) ?? prepare(database, sql, beforeCommit);
      // Reinserted at the end, so that the first entry is the least recently used.
      prepared.delete(sql);
      if (prepared.size >= preparedLimit) prepared.delete(prepared.keys().next().value!);
      prepared.set(sql, statement);
      return statement;
    },
    close: () => database.close(),
  };
}

function prepare(database: DatabaseSync, sql: string, beforeCommit: () => void): SqliteStatement {
  const statement = database.prepare(sql);
  return {
    reader: statement.columns().length > 0,
    all(parameters) {
      const values = bindable(parameters);
      try {
        return statement.all(...values);
      } catch (error) {
        // Only a damaged row has an integer beyond 2^53. It must not hide other rows, so a SELECT is repeated with rounded numbers.
        if ((error as NodeJS.ErrnoException).code !== 'ERR_OUT_OF_RANGE' || !/^\s*select\b/i.test(sql)) throw error;
        return allRounded(statement, values);
      }
    },
    run(parameters) {
      // A full disk has already rolled back the transaction: an error here would hide the original one.
      if (sql === 'rollback' && !database.isTransaction) return { changes: 0, lastInsertRowid: 0 };
      if (sql === 'commit') beforeCommit();
      return statement.run(...bindable(parameters));
    },
    iterate: parameters => statement.iterate(...bindable(parameters)),
  };
}

function allRounded(statement: StatementSync, values: SQLInputValue[]): unknown[] {
  statement.setReadBigInts(true);
  try {
    const round = (value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);
    return statement.all(...values).map(row => Object.fromEntries(Object.entries(row).map(([key, value]) => [key, round(value)])));
  } finally {
    statement.setReadBigInts(false);
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
