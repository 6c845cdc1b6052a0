import { percentile } from './load.ts';
import { type Bench, complain } from './measures.ts';
import { addLanes, addPending } from './rows.ts';
import type { Run, Service, Store } from './stage.ts';

const [channels, pending] = [500, 400];
const lanes = 1_500_000;
const rate = 50;
const longestSeconds = 60;

/** What answers cost while a state sink supersedes 200,000 deliveries, and while a sink that was replaced had 1.5 million lanes. */
export async function sizes(bench: Bench): Promise<void> {
  for (const store of bench.stores) {
    await measured(
      bench,
      store,
      'a state sink supersedes 200,000',
      run => addPending(run, channels, pending),
      {},
      async service => {
        return (await service.metric('pending', 'crm2')) < channels;
      },
    );
    await measured(
      bench,
      store,
      '1,500,000 lanes of a replaced sink',
      run => addLanes(run, lanes),
      { SINK_CRM2_MODE: 'log' },
      () => Promise.resolve(false),
    );
  }
}

async function measured(
  { stage, load, report, quick }: Bench,
  store: Store,
  what: string,
  fill: (run: Run) => Promise<void>,
  changed: Record<string, string>,
  done: (service: Service) => Promise<boolean>,
): Promise<void> {
  report.progress(`sizes: ${store}, ${what}`);
  const service = await stage.startService(store, 'both modes');
  await load.run({ port: service.port, connections: 1, count: 1 });
  await service.restart(fill, changed);
  const startedAt = performance.now();
  const answers: number[] = [];
  let [rss, over] = [0, false];
  const seconds = quick ? 10 : longestSeconds;
  while (!over && performance.now() - startedAt < seconds * 1000) {
    const outcome = await load.run({ port: service.port, connections: 8, rate, seconds: 2 });
    complain(report, outcome, `sizes, ${store}, ${what}`);
    answers.push(...outcome.sinceDue);
    rss = Math.max(rss, service.rssMb());
    over = await done(service);
  }
  const sorted = answers.toSorted((one, other) => one - other);
  report.add(`answers while ${what}, p99`, store, percentile(sorted, 0.99), 'ms', { atMost: 200 });
  report.add('memory meanwhile', store, rss, 'MB', { atMost: 400 });
  if (over) report.add('time until that was done', store, (performance.now() - startedAt) / 1000, 's');
  await service.stop();
}
