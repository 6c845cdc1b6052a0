import { setTimeout as sleep } from 'node:timers/promises';
import { FakeSearch } from '../support/fake-search.ts';
import { findJava, startOpenSearch } from '../support/opensearch/start-opensearch.mjs';
import { percentile } from './load.ts';
import { type Bench, complain } from './measures.ts';
import { addChannels } from './rows.ts';
import type { Service } from './stage.ts';

const channels = 100_000;
const longestMs = 240_000;
/** From here on memory must not grow with the channels: all is loaded and SQLite's cache of pages nearly full. */
const warmAfter = 20_000;
/** Left to itself V8 keeps young garbage of 128 MB, and more of old, for as long as the machine has room: what is held is seen once it may not. */
const narrowHeap = '--max-old-space-size=128 --max-semi-space-size=16';

/** What a search index of many channels costs: filling it, comparing it, and building it anew under load. */
export async function search({ stage, load, report, stores, quick }: Bench): Promise<void> {
  const engine = await openEngine();
  if (!engine.real) report.note('search: no JDK 21 and Maven here, so the engine is the fake one');
  try {
    for (const store of stores) {
      report.progress(`search: ${store}, ${channels} channels are stored, then a new index is filled`);
      const service = await stage.startService(store, 'log');
      complain(report, await load.run({ port: service.port, connections: 1, count: 1 }), 'search');
      const sink = { SINK_SEARCH_TYPE: 'opensearch', SINK_SEARCH_URL: engine.url, SINK_SEARCH_INDEX: `bench-${store}` };
      await service.restart(
        async run => {
          await addChannels(run, channels);
          if (store === 'postgres') await run('vacuum analyze');
        },
        { ...sink, NODE_OPTIONS: narrowHeap },
      );
      const startedAt = performance.now();
      const { most, growth } = await filled(service);
      report.add(`${channels} channels into an empty index`, store, (performance.now() - startedAt) / 1000, 's', { atMost: 60 });
      report.add('memory meanwhile, on a narrow heap', store, most, 'MB', { atMost: 300 });
      report.add(`its growth after the first ${warmAfter}`, store, growth, 'MB', { atMost: 25 });
      await service.restart(() => Promise.resolve(), sink);

      const verify = await service.job('search', 'verify');
      report.add('verify of them', store, verify.seconds, 's', { atMost: 30 });
      const { compared, missing, older, newer, surplus } = verify.state as Record<string, number>;
      if (compared !== channels + 1 || missing! + older! + newer! + surplus! > 0)
        report.note(`search: ${store}, verify says ${JSON.stringify(verify.state)}`);

      report.progress(`search: ${store}, answers at 200/s, alone and while the index is built anew`);
      const job = { port: service.port, connections: 64, rate: 200, seconds: quick ? 10 : 30, channels: 1000 };
      const alone = await load.run(job);
      const rebuild = service.job('search', 'rebuild');
      await sleep(1000);
      const beside = await load.run(job);
      for (const outcome of [alone, beside]) complain(report, outcome, `search, ${store}, 200/s`);
      const { seconds } = await rebuild;
      const [before, during] = [alone, beside].map(({ sinceDue }) => percentile(sinceDue, 0.99)) as [number, number];
      report.raw.push({ part: 'search', store, real: engine.real, alone: before, beside: during, seconds });
      report.add('answer at 200/s, p99', store, before, 'ms');
      report.add('answer at 200/s while the index is built anew, p99', store, during, 'ms', { atMost: 25 });
      report.add('building it anew', store, seconds, 's');
      await service.stop();
    }
  } finally {
    await engine.close();
  }
}

async function openEngine(): Promise<{ url: string; real: boolean; close: () => Promise<unknown> }> {
  const java = await Promise.resolve()
    .then(findJava)
    .catch(() => null);
  if (java !== null) {
    const engine = await startOpenSearch();
    return { url: engine.url, real: true, close: () => engine.stop() };
  }
  const fake = await new FakeSearch().open();
  return { url: fake.url, real: false, close: () => fake.close() };
}

/** Waits until the index has every channel. @returns the most memory that was seen meanwhile, and how much more that is than in the beginning */
async function filled(service: Service): Promise<{ most: number; growth: number }> {
  let most = 0;
  let warm = 0;
  for (const until = performance.now() + longestMs; performance.now() < until; await sleep(200)) {
    most = Math.max(most, service.rssMb());
    const delivered = await service.metric('deliveries_total', 'sink="search",outcome="delivered"');
    if (delivered <= warmAfter) warm = most;
    if (delivered > channels) return { most, growth: most - warm };
  }
  throw new Error('the index was not filled in time');
}
