import { accessSync, closeSync, constants, existsSync, openSync, readSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { sql } from 'kysely';
import { Database } from '../../database/database.js';
import { UnusableDatabase } from '../../database/errors.js';
import { tableNames, throwIfNewer } from '../../database/migrations.js';
import { checkPostgres } from '../../database/postgres/preconditions.js';
import { succeeds } from '../../settings/setting.js';

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
    return {
      found: `PostgreSQL ${version}, ${encoding}, all rights${rows[0]!.tables ? '' : ', no tables yet: the service makes them'}`,
      aheadMs,
    };
  } finally {
    await database.close();
  }
}

const sqlite = `SQLite ${process.versions['sqlite']}`;

/** Takes no lock but a reader's, for a moment, and makes no file. @throws UnusableDatabase */
async function examineSqlite(path: string): Promise<string> {
  if (path === ':memory:') return `${sqlite} in memory: all is lost when the service stops`;
  const file = resolve(path);
  const folder = nearest(dirname(file));
  const isThere = existsSync(file);
  const [wrong] = [fault(folder, 'isDirectory'), isThere && fault(file, 'isFile')].filter(one => typeof one === 'string');
  if (wrong) throw new UnusableDatabase(wrong);
  if (!isThere) return `${sqlite}, ${file} is not there yet: the service makes it`;
  const encoding = encodingOf(file);
  const found = `${sqlite}, ${encoding}, ${file}`;
  try {
    // Fails where a killed service left more beside the file, which is the next one's to take in: then what is in the file itself has to do.
    await readVersions(file, 'readonly_shm=1').catch((error: Error) => {
      if (!/unable to open/i.test(error.message)) throw error;
      return readVersions(file, 'immutable=1');
    });
    return found;
  } catch (error) {
    const { message } = error as Error;
    if (/locked|busy/i.test(message)) return `${found}, in use by a running service`;
    throw error instanceof UnusableDatabase ? error : new UnusableDatabase(`${file}: ${message}`);
  }
}

/** @throws whatever SQLite says, and UnusableDatabase if a newer release was here */
async function readVersions(file: string, how: string): Promise<void> {
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(Object.assign(pathToFileURL(file), { search: how }), { readOnly: true, timeout: 0 });
  try {
    const isOurs = database.prepare("select 1 from sqlite_master where name = 'migration'").get() !== undefined;
    const rows = isOurs ? database.prepare('select version from migration').all() : [];
    throwIfNewer(rows.map(row => String(row['version'])));
  } finally {
    database.close();
  }
}

/** The folder, or the nearest above it that there is. */
function nearest(folder: string): string {
  return existsSync(folder) ? folder : nearest(dirname(folder));
}

/** What keeps us from using a path as what it must be; `null` if nothing does. */
function fault(path: string, kind: 'isFile' | 'isDirectory'): string | null {
  if (!statSync(path)[kind]()) return `${path} is no ${kind === 'isFile' ? 'file' : 'folder'}`;
  const may = succeeds(() => accessSync(path, constants.R_OK | constants.W_OK));
  return may ? null : `${path} cannot be read and written: give the user of the service the right to`;
}

/** By the header of a SQLite file (https://www.sqlite.org/fileformat.html), which needs no lock. @throws UnusableDatabase */
function encodingOf(file: string): string {
  const header = Buffer.alloc(100);
  const handle = openSync(file, 'r');
  const length = readSync(handle, header);
  closeSync(handle);
  if (length === 0) return 'empty';
  if (header.toString('latin1', 0, 16) !== 'SQLite format 3\0')
    throw new UnusableDatabase(`${file} is no SQLite database: move it away or name another file`);
  const encoding = ['UTF-8', 'UTF-8', 'UTF-16le', 'UTF-16be'][header.readUInt32BE(56)] ?? 'an unknown encoding';
  if (encoding !== 'UTF-8') throw new UnusableDatabase(`${file} is in ${encoding}: name another file`);
  return encoding;
}
