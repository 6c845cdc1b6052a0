import { setTimeout as sleep } from 'node:timers/promises';
import { inTurns, refusing } from './isolation.ts';
import type { Bench } from './measures.ts';
import { addPending } from './rows.ts';
import type { Service } from './stage.ts';

/** How many deliveries, on how many channels, how many on each. */
const crowds = [
  ['10', 10, 1],
  ['1,000,000', 100_000, 10],
] as const;
/** So many that a sink that is back does not come to their end while it is measured. */
const enough = 50_000;

/** What a million deliveries that wait for a dead sink do to the others, and what claiming costs among them once it is back. */
export async function crowd(bench: Bench): Promise<void> {
  const { stage, load, report, stores, quick } = bench;
  const alive = { SINK_CRM2_URL: `http://127.0.0.1:${(await stage.ask('ports')).ports[1]}/crm` };
  for (const store of stores) {
    const services: [who: string, service: Service, dead: number][] = [];
    for (const [who, channels, each] of crowds) {
      report.progress(`crowd: ${store}, ${who} deliveries are made to wait`);
      const service = await stage.startService(store, 'webhooks', { SINK_CRM2_URL: refusing });
      await load.run({ port: service.port, connections: 1, count: 1 });
      await service.restart(run => addPending(run, channels, each));
      services.push([`${who} pending`, service, 1]);
    }
    for (const [who, { p50, p99, ratio }] of await inTurns(bench, 'crowd', store, services)) {
      report.add(`webhook → well sinks at 50/s, ${who} elsewhere, p50`, store, p50, 'ms');
      report.add(`webhook → well sinks at 50/s, ${who} elsewhere, p99`, store, p99, 'ms');
      if (who !== services[0]?.[0]) report.add('that p99 beside 10 pending', store, ratio, '×', { atMost: 1.2 });
    }
    for (const [who, service] of services) {
      const startedAt = performance.now();
      await service.metric('pending');
      report.add(`one look at /metrics, ${who}`, store, performance.now() - startedAt, 'ms');
    }
    const rates: number[] = [];
    for (const [index, [who, service]] of services.entries()) {
      report.progress(`crowd: ${store}, the sink that was dead is back, ${who}`);
      await service.restart(async run => {
        if (index === 0) await addPending(run, enough, 1);
      }, alive);
      await sleep(1000);
      const before = (await stage.ask('count')).count;
      const seconds = quick ? 3 : 6;
      await sleep(seconds * 1000);
      const rate = ((await stage.ask('count')).count - before) / seconds;
      rates.push(rate);
      report.raw.push({ part: 'crowd', store, who, sends: rate });
      await service.stop();
    }
    report.add('its sends when it is back, 50,000 pending', store, rates[0] ?? Number.NaN, '/s');
    report.add('its sends when it is back, 1,000,000 pending', store, rates[1] ?? Number.NaN, '/s');
    report.add('of those with 50,000', store, (100 * (rates[1] ?? Number.NaN)) / (rates[0] ?? Number.NaN), '%', { atLeast: 83 });
  }
}
