import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Database } from '../../src/database/database.js';
import { newDatabase } from './postgres.ts';

/** Runs the same tests on both stores. `url` makes a new empty store, `open` opens one with its tables. */
export function eachStore(
  name: string,
  tests: (store: { url: () => Promise<string>; open: (url?: string) => Promise<Database> }) => void,
): void {
  describe.each(['sqlite', 'postgres'])(`${name} (%s)`, kind => {
    const opened = new Set<Database>();
    const folders: string[] = [];

    const url = async (): Promise<string> => {
      if (kind === 'postgres') return newDatabase(process.env['TEST_POSTGRES_URL']!);
      folders.push(mkdtempSync(join(tmpdir(), 'channel-sync-')));
      return `sqlite:${join(folders.at(-1)!, 'test.db')}`;
    };
    const open = async (at?: string): Promise<Database> => {
      const database = await Database.open(at ?? (await url()), error => {
        throw error;
      });
      opened.add(database);
      await database.migrate();
      database.ready = true;
      return database;
    };
    afterEach(async () => {
      for (const database of opened) await database.close();
      opened.clear();
      for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
    });
    tests({ url, open });
  });
}
