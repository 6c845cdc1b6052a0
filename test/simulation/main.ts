import '../support/node-version.ts';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loadCode } from './code.ts';
import { type Outcome, Simulation } from './simulation.ts';
import { VirtualTime } from './virtual-time.ts';

const help = `npm run simulate -- [--seeds 100] [--from S] [--journal FILE]

Plays hours of several replicas on one store in virtual time: the real recorder, lanes, workers, breakers, timekeepers and retention, with kills, standstills, clocks that
differ, drift and jump by up to ten years, and sinks that fail in every way, all of it thrown by the dice of one seed. Checks the promises on the way and at the end. The same seed gives the same journal, byte for
byte: --from S --seeds 1 --journal FILE plays a failing one again and writes what happened. Exit 0 only if all of them held.`;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean' },
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    journal: { type: 'string' },
  },
});
if (values.help) {
  console.log(help);
  process.exit(0);
}
const [seeds, from] = [Number(values.seeds), Number(values.from)];
if (![seeds, from].every(Number.isSafeInteger) || seeds < 1) {
  console.error(`${help}\n\nWhole numbers, please.`);
  process.exit(2);
}
const realNow = process.hrtime.bigint.bind(process.hrtime);
const startedAt = realNow();
const time = new VirtualTime();
time.install();
const code = await loadCode();
const failed: Outcome[] = [];
const digests: string[] = [];
for (let seed = from; seed < from + seeds; seed++) {
  const outcome = await new Simulation(code, time, seed).run();
  digests.push(outcome.digest);
  if (outcome.breaches.length > 0) failed.push(outcome);
  if (outcome.breaches.length > 0) console.log(`seed ${seed} BROKEN: ${outcome.breaches.slice(0, 3).join('; ')}`);
  if (values.journal) writeFileSync(values.journal, `${outcome.journal.join('\n')}\n`);
}
console.log(
  `${seeds} hours from seed ${from} in ${(Number(realNow() - startedAt) / 1e9).toFixed(1)} s, ${failed.length} broken, journals ${createHash('sha256').update(digests.join()).digest('hex').slice(0, 16)}`,
);
process.exit(failed.length === 0 ? 0 : 1);
