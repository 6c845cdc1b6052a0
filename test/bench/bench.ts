import '../support/node-version.ts';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { catchUp } from './catch-up.ts';
import { compare } from './compare.ts';
import { crowd } from './crowd.ts';
import { isolation } from './isolation.ts';
import { Load } from './load.ts';
import { type Bench, acks, burst, idle, latency } from './measures.ts';
import { overload } from './overload.ts';
import { replicated } from './replicas.ts';
import { Report, machine } from './report.ts';
import { retention } from './retention.ts';
import { search } from './search.ts';
import { sizes } from './sizes.ts';
import { slack } from './slack.ts';
import { type Store, Stage, stores } from './stage.ts';
import { sustained } from './sustained.ts';
import { template } from './template.ts';

const parts: Record<string, (bench: Bench) => Promise<void>> = {
  acks,
  latency,
  burst,
  sustained,
  idle,
  'catch-up': catchUp,
  isolation,
  crowd,
  overload,
  replicas: replicated,
  retention,
  sizes,
  slack,
  search,
  compare,
  template,
};
/** What is measured unless told otherwise: the others take long. */
const usual = ['acks', 'latency', 'burst', 'sustained', 'idle'];
const longestMs = 10 * 60_000;
const resultFile = 'bench-result.json';

const help = `npm run bench -- [--quick] [--only ${Object.keys(parts).join(',')}] [--stores ${stores.join(',')}]

Measures the built service on this machine, on loopback only, in throw-away folders: prints a table with the aims beside
and writes ${resultFile}. Takes under 10 minutes; --quick, with fewer and shorter rounds, about 3.

  acks       durable answers per second at 1, 16, 64, 256 connections, sinks paused and served, beside a bare NestJS route
  latency    answers at 200 webhooks/s, webhook → sink at 10/s
  burst      10,000 webhooks at once
  sustained  the highest arrival rate at which three webhook sinks keep up
  idle       start to ready, and memory, with a sink of every type

and only when asked for

  catch-up   100,000 changes on 500 channels towards a state and a log sink that were away
  isolation  webhook → well sinks while another one refuses connections, or hangs, beside the same while all are well
  crowd      webhook → well sinks while 1,000,000 deliveries wait for a dead one, beside 10, and that sink's sends when it is back
  overload   answers and sends of three webhook sinks at 800, 1,200, 1,600 and 2,400 webhooks/s
  replicas   acks and sustained rate of 3 replicas on PostgreSQL beside 1
  retention  acks with 1,000,000 changes kept, and while they are deleted, beside an empty store
  sizes      answers and memory while a state sink supersedes 200,000 deliveries, and with 1,500,000 lanes of a replaced sink
  slack      calls and time of a Slack sink for 10,000 changes at once and for a few, and what three webhook sinks notice of it
  template   what the templates of the recipes cost a delivery
  search     100,000 channels into an empty index, comparing them, and building the index anew under 200 webhooks/s
  compare    100,000 channels compared with a fake of Tencent's API, and what 200 webhooks/s notice of it`;

function chosen<T extends string>(text: string | undefined, all: readonly T[], option: string): T[] {
  const words = text?.split(',') ?? all;
  const known = all.filter(one => words.includes(one));
  if (known.length !== new Set(words).size) {
    console.error(`--${option} takes a list out of ${all.join(',')}`);
    process.exit(2);
  }
  return known;
}

function options(): { quick: boolean; only: string[]; stores: Store[] } {
  try {
    const { values } = parseArgs({
      options: { help: { type: 'boolean' }, quick: { type: 'boolean' }, only: { type: 'string' }, stores: { type: 'string' } },
    });
    if (values.help) {
      console.log(help);
      process.exit(0);
    }
    return {
      quick: values.quick ?? false,
      only: chosen(values.only ?? usual.join(','), Object.keys(parts), 'only'),
      stores: chosen(values.stores, stores, 'stores'),
    };
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${help}`);
    return process.exit(2);
  }
}

const asked = options();
if (!existsSync(fileURLToPath(new URL('../../dist/main.js', import.meta.url)))) {
  console.error('dist/main.js is missing: run "npm run bench", which builds it.');
  process.exit(1);
}
const report = new Report();
const stage = new Stage(oddity => report.note(oddity));
const load = new Load();
const about = { startedAt: new Date().toISOString(), quick: asked.quick, ...machine(stage.folder) };

let ending = false;

async function end(code: number): Promise<never> {
  ending = true;
  await load.close();
  await stage.close();
  process.exit(code);
}

function tell(): void {
  console.log(
    `\n${about.cpu}, ${about.cores} cores, Node ${about.node}, fdatasync ${about.fdatasyncMs.toFixed(3)} ms${asked.quick ? ', --quick' : ''}\n`,
  );
  report.print();
  report.write(resultFile, about);
  console.log(`\nEvery single measurement is in ${resultFile}.`);
}

process.on('SIGINT', () => void end(130));
process.on('SIGTERM', () => void end(143));
setTimeout(() => {
  report.note('stopped after 10 minutes: what is not in the table was not measured');
  tell();
  void end(1);
}, longestMs).unref();

let broken = false;

async function run(part: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    // Ctrl-C ends the children first, and what then fails is no news.
    if (ending) return new Promise(() => undefined);
    broken = true;
    report.note(`${part} broke off: ${(error as Error).stack ?? String(error)}`);
    report.fail(part);
    await stage.endServices();
  }
}

if (about.memoryDisk)
  report.note(`${stage.folder} is in memory, so having bytes on disk costs nothing here: set TMPDIR to a folder on a disk`);
if (about.load > about.cores / 2) {
  report.note(`the machine is busy with other work (load ${about.load.toFixed(1)} on ${about.cores} cores): compare shares, not figures`);
}
await run('the set-up', async () => {
  await stage.startSinks();
  if (!asked.stores.includes('postgres')) return;
  report.progress('PostgreSQL starts');
  await stage.startPostgres();
});
for (const part of broken ? [] : asked.only) {
  await run(part, async () => parts[part]?.({ stage, load, report, stores: asked.stores, quick: asked.quick }));
}
tell();
await end(broken ? 1 : 0);
