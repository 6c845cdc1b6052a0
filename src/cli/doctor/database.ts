import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { sql } from 'kysely';
import { Database } from '../../database/database.js';
import { UnusableDatabase, fileAdvice } from '../../database/errors.js';
import { tableNames, throwIfNewer } from '../../database/migrations.js';
import { checkPostgres } from '../../database/postgres/preconditions.js';

/**
 * Checks whether the database of `DATABASE_URL` can be used, without writing to it or blocking a running service.
 * @returns `aheadMs`: how far its clock is ahead of ours; `null` for SQLite, which uses ours. `isThere`: whether it exists already
 * @throws UnusableDatabase, or the error of the database
 */
export async function examineDatabase(url: string): Promise<{ found: string; aheadMs: number | null; isThere: boolean }> {
  if (url.startsWith('sqlite:')) return { ...(await examineSqlite(url.slice('sqlite:'.length))), aheadMs: null };
  const database = await Database.open(url, () => undefined);
  try {
    await database.readClock();
    const aheadMs = Math.round(database.now() - Date.now());
    const { version, encoding } = await checkPostgres(database.kysely, tableNames);
    const { rows } = await sql<{ standby: boolean; tables: boolean }>`
      select current_setting('transaction_read_only') = 'on' as standby, to_regclass('migration') is not null as tables`.execute(
      database.kysely,
    );
    // The code of the error that a write would cause.
    if (rows[0]!.standby) throw Object.assign(new Error('it is read-only'), { code: '25006' });
    if (rows[0]!.tables) {
      const applied = await sql<{ version: string }>`select version from migration`.execute(database.kysely);
      throwIfNewer(applied.rows.map(row => row.version));
    }
    return {
      found: `PostgreSQL ${version}, ${encoding}, all rights${rows[0]!.tables ? '' : ', no tables yet: the service makes them'}`,
      aheadMs,
      isThere: true,
    };
  } finally {
    await database.close();
  }
}

const sqlite = `SQLite ${process.versions['sqlite']}`;

/** Takes only a short read lock, and creates no file. @throws UnusableDatabase */
async function examineSqlite(path: string): Promise<{ found: string; isThere: boolean }> {
  const file = resolve(path);
  const isThere = existsSync(file);
  const problem = problemOf(nearestExisting(dirname(file)), 'isDirectory') ?? (isThere ? problemOf(file, 'isFile') : null);
  if (problem !== null) throw new UnusableDatabase(problem);
  if (!isThere) return { found: `${sqlite}, ${file} is not there`, isThere };
  const found = `${sqlite}, UTF-8, ${file}`;
  try {
    // Fails if a killed service left a write-ahead log, which only the next start may recover. Then read the file without the log.
    await throwIfUnusable(file, 'readonly_shm=1').catch((error: Error) => {
      if (!/unable to open/i.test(error.message)) throw error;
      return throwIfUnusable(file, 'immutable=1');
    });
    return { found, isThere };
  } catch (error) {
    if (error instanceof UnusableDatabase) throw error;
    const { message } = error as Error;
    if (/locked|busy/i.test(message)) return { found: `${found}, in use by a running service`, isThere };
    const isOther = /not a database/i.test(message);
    throw new UnusableDatabase(isOther ? `${file} is no SQLite database: move it away or name another file` : `${file}: ${message}`);
  }
}

/** @throws the error of SQLite, or UnusableDatabase if the file has another encoding, or a newer release has migrated it */
async function throwIfUnusable(file: string, how: string): Promise<void> {
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(Object.assign(pathToFileURL(file), { search: how }), { readOnly: true, timeout: 0 });
  try {
    const { encoding } = database.prepare('pragma encoding').get()!;
    if (encoding !== 'UTF-8') throw new UnusableDatabase(`${file} is in ${String(encoding)}: name another file`);
    const isOurs = database.prepare("select 1 from sqlite_master where name = 'migration'").get() !== undefined;
    const rows = isOurs ? database.prepare('select version from migration').all() : [];
    throwIfNewer(rows.map(row => String(row['version'])));
  } finally {
    database.close();
  }
}

function nearestExisting(folder: string): string {
  return existsSync(folder) ? folder : nearestExisting(dirname(folder));
}

/** Why a path cannot be used as a file or folder; `null` if it can. */
function problemOf(path: string, kind: 'isFile' | 'isDirectory'): string | null {
  if (!statSync(path)[kind]()) return `${path} is no ${kind === 'isFile' ? 'file' : 'folder'}`;
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return [`${path} cannot be written (${code})`, fileAdvice(error as NodeJS.ErrnoException)].filter(Boolean).join(': ');
  }
}
