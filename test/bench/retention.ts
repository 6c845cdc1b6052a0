import { median } from './load.ts';
import { type Bench, complain, drained } from './measures.ts';
import { addKept, countKept } from './rows.ts';
import type { Service, Store } from './stage.ts';

const channels = 500;
const kept = 1_000_000;

/** What answers cost with a million changes kept, and while these are deleted, beside an empty store. */
export async function retention(bench: Bench): Promise<void> {
  const { stage, load, report, stores, quick } = bench;
  const rounds = quick ? 2 : 6;
  for (const store of stores) {
    const empty = await stage.startService(store);
    const full = await stage.startService(store);
    await load.run({ port: full.port, connections: 64, count: channels, channels });
    await drained(stage, full);
    report.progress(`retention: ${store}, ${kept} changes are made to be kept`);
    await full.restart(async run => {
      await addKept(run, kept / channels);
      // What is a month old, autovacuum has seen.
      if (store === 'postgres') await run('vacuum analyze');
    });
    for (const service of [empty, full]) await service.pause();
    const rates = { empty: [] as number[], full: [] as number[], deleting: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      rates.empty.push(await acksOf(bench, store, empty, 'empty'));
      rates.full.push(await acksOf(bench, store, full, 'full'));
    }
    // Starts to delete at once, and would be in the way of the other.
    await full.restart(async () => undefined, { RETENTION_DAYS: '7' });
    const startedAt = performance.now();
    for (let round = 0; round < rounds; round++) rates.deleting.push(await acksOf(bench, store, full, 'deleting'));
    const seconds = (performance.now() - startedAt) / 1000;
    let left = Number.NaN;
    await full.restart(async run => void (left = await countKept(run)));
    await full.stop();
    for (let round = 0; round < rounds; round++) rates.empty.push(await acksOf(bench, store, empty, 'empty'));
    await empty.stop();
    if (left === 0) report.note(`retention: ${store} had deleted all before the end, so part of it was measured without`);
    const beside = (some: number[], others: number[]): number => (100 * median(some)) / median(others);
    report.add('acks, 64 connections, empty store', store, median(rates.empty), '/s');
    report.add('share of that with 1,000,000 changes kept', store, beside(rates.full, rates.empty.slice(0, rounds)), '%', { atLeast: 90 });
    report.add('share of that while they are deleted', store, beside(rates.deleting, rates.empty.slice(rounds)), '%', { atLeast: 90 });
    report.add('changes deleted meanwhile', store, (kept - left) / seconds, '/s');
  }
}

async function acksOf({ load, report, quick }: Bench, store: Store, service: Service, who: string): Promise<number> {
  report.progress(`retention: ${store}, acks, ${who}`);
  const outcome = await load.run({ port: service.port, connections: 64, seconds: quick ? 2 : 3, channels });
  complain(report, outcome, `retention, ${store}, ${who}`);
  report.raw.push({ part: 'retention', store, who, perSecond: outcome.perSecond });
  return outcome.perSecond;
}
