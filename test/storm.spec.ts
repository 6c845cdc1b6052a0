import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Storm } from './storm/storm.js';
import { newDatabase } from './support/postgres.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'channel-sync-storm-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

// The large ones have a command of their own: npm run storm -- --help
// Seen failing with answers before the commit, repeats that are recorded, a merge that ignores times, a log sink that takes the newest first, documents of a
// bulk that were answered 429 and taken for written (with a verify that sees nothing, too), and a rebuild that swaps before it has filled.
test.each([
  ['sqlite', 1],
  ['postgres', 2],
])(
  'a small storm on %s: kills under load, webhooks out of order, repeats, sinks that misbehave',
  async (store, replicas) => {
    const databaseUrl = store === 'sqlite' ? `sqlite:${join(folder, 'storm.db')}` : await newDatabase(process.env['TEST_POSTGRES_URL']!);
    const report = await new Storm({
      kills: 3,
      seed: 7,
      databaseUrl,
      folder,
      replicas,
      rebuild: false,
      compare: store === 'postgres',
    }).run();
    expect(report.breaches).toEqual([]);
  },
  // A channel that is gone is read again a minute later.
  240_000,
);
