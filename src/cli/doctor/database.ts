import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { sql } from 'kysely';
import { Database } from '../../database/database.js';
import { UnusableDatabase } from '../../database/errors.js';
import { tableNames, throwIfNewer } from '../../database/migrations.js';
import { checkPostgres } from '../../database/postgres/preconditions.js';

/** What a database is found to be that the service could use. */
export interface Examined {
  /** In plain words. */
  found: string;
  /** How far its clock is ahead of ours, in milliseconds; `null` for the embedded store, which goes by ours. */
  aheadMs: number | null;
}

/**
 * Finds out whether the store of `DATABASE_URL` can be used, without writing anything or keeping the service from it.
 * @throws UnusableDatabase, or whatever the database answers
 */
export async function examineDatabase(url: string): Promise<Examined> {
  if (url.startsWith('sqlite:')) return { found: await examineSqlite(url.slice('sqlite:'.length)), aheadMs: null };
  const database = await Database.open(url, () => undefined);
  try {
    await database.readClock();
    const aheadMs = Math.round(database.now() - Date.now());
    const { version, encoding } = await checkPostgres(database.kysely, tableNames);
    const { rows } = await sql<{ standby: boolean; tables: boolean }>`
      select current_setting('transaction_read_only') = 'on' as standby, to_regclass('migration') is not null as tables`.execute(
      database.kysely,
    );
    // The code that it would answer to whoever writes.
    if (rows[0]!.standby) throw Object.assign(new Error('it is read-only'), { code: '25006' });
    if (rows[0]!.tables) {
      const applied = await sql<{ version: string }>`select version from migration`.execute(database.kysely);
      throwIfNewer(applied.rows.map(row => row.version));
    }
    return { found: `PostgreSQL ${version}, ${encoding}${rows[0]!.tables ? '' : ', no tables yet: the service makes them'}`, aheadMs };
  } finally {
    await database.close();
  }
}

async function examineSqlite(path: string): Promise<string> {
  const { DatabaseSync } = await import('node:sqlite');
  if (path === ':memory:') return 'SQLite in memory: all is lost when the service stops';
  const file = resolve(path);
  const isThere = existsSync(file);
  const folder = nearest(dirname(file));
  const closed = [...(isThere ? [file] : []), folder].find(one => !isWritable(one));
  if (closed !== undefined) throw new UnusableDatabase(`${closed} cannot be read and written: give the user of the service the right to`);
  if (!isThere) return `SQLite, ${file} is not there yet: the service makes it`;
  // The header alone, which needs no lock.
  const encoding = encodingOf(readFileSync(file).subarray(0, 100));
  const about = `SQLite, ${encoding ?? 'empty'}, ${file}`;
  if (encoding !== null && encoding !== 'UTF-8') throw new UnusableDatabase(`${file} is in ${encoding}: name another file`);
  const database = new DatabaseSync(file, { readOnly: true, timeout: 0 });
  try {
    const isOurs = database.prepare("select 1 from sqlite_master where name = 'migration'").get();
    if (isOurs)
      throwIfNewer(
        database
          .prepare('select version from migration')
          .all()
          .map(row => String(row['version'])),
      );
    return about;
  } catch (error) {
    if (/locked|busy/i.test((error as Error).message)) return `${about}, in use by a running service`;
    throw error instanceof UnusableDatabase ? error : new UnusableDatabase(`${file}: ${(error as Error).message}`);
  } finally {
    database.close();
  }
}

/** The folder, or the nearest above it that there is. */
function nearest(folder: string): string {
  return existsSync(folder) ? folder : nearest(dirname(folder));
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** By the header of a SQLite file (https://www.sqlite.org/fileformat.html); `null` for an empty one. @throws UnusableDatabase */
function encodingOf(header: Buffer): string | null {
  if (header.length === 0) return null;
  if (header.toString('latin1', 0, 16) !== 'SQLite format 3\0')
    throw new UnusableDatabase('this is no SQLite database: move it away or name another file');
  return ['UTF-8', 'UTF-8', 'UTF-16le', 'UTF-16be'][header.readUInt32BE(56)] ?? 'an unknown encoding';
}
