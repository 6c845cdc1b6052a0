import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, complain } from './measures.ts';
import type { Service } from './stage.ts';

const channels = 500;
const partSize = 10_000;
const longestMs = 180_000;

/** What a sink that was away gets when it is back: a state sink one send for each channel, a log sink everything in order. */
export async function catchUp({ stage, load, report, stores, quick }: Bench): Promise<void> {
  const changes = quick ? 10_000 : 100_000;
  for (const store of stores) {
    report.progress(`catch-up: ${store}, ${changes} changes are recorded while both sinks are paused`);
    const service = await stage.startService(store, 'both modes');
    await service.pause();
    // In parts: the generator waits 30 s for the last answer of each.
    for (let sent = 0; sent < changes; sent += partSize) {
      complain(report, await load.run({ port: service.port, connections: 64, count: partSize, channels }), `catch-up, ${store}`);
    }
    for (const [sink, mode, unit] of [
      ['crm2', 'state', 'sends'],
      ['crm1', 'log', '/s'],
    ] as const) {
      report.progress(`catch-up: ${store}, the ${mode} sink is back`);
      const before = (await stage.ask('count')).count;
      const startedAt = performance.now();
      await service.resume(sink);
      const over = await waitFor(service, sink);
      const seconds = (performance.now() - startedAt) / 1000;
      const sends = (await stage.ask('count')).count - before;
      if (!over) report.note(`catch-up: the ${mode} sink had not caught up after ${longestMs / 1000} s`);
      report.raw.push({ part: 'catch-up', store, mode, changes, seconds, sends });
      report.add(`catch-up of ${changes} changes, ${mode} sink`, store, seconds, 's');
      report.add(`its sends, ${mode} sink`, store, mode === 'state' ? sends : sends / seconds, unit);
    }
    await service.stop();
  }
}

async function waitFor(service: Service, sink: string): Promise<boolean> {
  for (const until = performance.now() + longestMs; performance.now() < until; await sleep(100)) {
    if ((await service.metric('pending', `sink="${sink}"`)) === 0) return true;
  }
  return false;
}
