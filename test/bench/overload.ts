import { type Bench, drained } from './measures.ts';
import type { Service, Store } from './stage.ts';

const sinks = 3;
const connections = 256;
const rates = [800, 1200, 1600, 2400];

/** What three webhook sinks get while more arrives than they keep up with: the rate of sends should not fall as arrivals rise. */
export async function overload(bench: Bench): Promise<void> {
  for (const store of bench.stores) {
    let most = 0;
    for (const rate of rates) {
      const { arrived, sent } = await step(bench, store, rate);
      bench.report.add(`answered of ${rate}/s`, store, arrived, '/s');
      // Of what was measured before some may be luck.
      bench.report.add(`sends of ${sinks * rate}/s`, store, sent, '/s', { atLeast: Math.round(0.9 * most) });
      most = Math.max(most, sent);
    }
  }
}

async function step(bench: Bench, store: Store, rate: number): Promise<{ arrived: number; sent: number }> {
  const { load, stage, report, quick } = bench;
  const service: Service = await stage.startService(store);
  try {
    await load.run({ port: service.port, connections: 16, rate: 200, seconds: 2 });
    await drained(stage, service, 8000);
    const before = (await stage.ask('count')).count;
    const outcome = await load.run({ port: service.port, connections, rate, seconds: quick ? 5 : 10 });
    const seconds = outcome.ok / outcome.perSecond;
    const sent = Math.round(((await stage.ask('count')).count - before) / seconds);
    report.raw.push({ part: 'overload', store, rate, answered: outcome.perSecond, failed: outcome.failed, sent });
    report.progress(
      `overload: ${store}, ${rate}/s: answered ${Math.round(outcome.perSecond)}/s, ${sent} sends/s, ${outcome.failed} failed`,
    );
    return { arrived: Math.round(outcome.perSecond), sent };
  } finally {
    await service.stop();
  }
}
