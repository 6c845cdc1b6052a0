import '../support/node-version.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { newDatabase, startPostgres } from '../support/postgres.ts';
import { Storm } from './storm.ts';

const help = `npm run storm -- [--kills 50] [--store sqlite|postgres] [--seed S] [--replicas R]

Kills the built service with SIGKILL again and again, at random moments under load, with webhooks out of order, repeats, sinks that misbehave, and a
search index that is built anew meanwhile, on loopback and in a throw-away folder. Then checks what was answered 200 and what the sinks got against the promises. Exit 0 only if all of them held.
The same seed throws the same dice; what the machine makes of them differs.`;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean' },
    kills: { type: 'string', default: '50' },
    store: { type: 'string', default: 'sqlite' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    replicas: { type: 'string' },
  },
});
if (values.help) {
  console.log(help);
  process.exit(0);
}
const [kills, seed] = [Number(values.kills), Number(values.seed)];
const replicas = Number(values.replicas ?? (values.store === 'postgres' ? 3 : 1));
const wrong =
  !['sqlite', 'postgres'].includes(values.store) || ![kills, seed, replicas].every(Number.isSafeInteger) || kills < 1 || replicas < 1;
if (wrong || (values.store === 'sqlite' && replicas > 1)) {
  console.error(`${help}\n\nWhole numbers, please; SQLite has one replica.`);
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'channel-sync-storm-'));
const postgres = values.store === 'postgres' ? await startPostgres() : null;
try {
  const databaseUrl = postgres ? await newDatabase(postgres.url) : `sqlite:${join(folder, 'storm.db')}`;
  const startedAt = Date.now();
  const { breaches, ...counts } = await new Storm({ kills, seed, databaseUrl, folder, replicas, rebuild: true, tell: console.log }).run();
  console.log(`\nseed ${seed}, ${values.store}, ${replicas} replica(s), ${Math.round((Date.now() - startedAt) / 1000)} s`);
  console.table(counts);
  console.log(breaches.length === 0 ? 'Every promise held.' : `BROKEN:\n${breaches.slice(0, 20).join('\n')}`);
  process.exitCode = breaches.length === 0 ? 0 : 1;
} finally {
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
}
