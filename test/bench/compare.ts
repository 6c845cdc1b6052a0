import { setTimeout as sleep } from 'node:timers/promises';
import { fakeVendor, succeeded } from '../support/fake-vendor.ts';
import { percentile } from './load.ts';
import { type Bench, complain } from './measures.ts';
import { addChannels } from './rows.ts';
import type { Service } from './stage.ts';

const perSecond = 20;
/** From here on memory must not grow with the channels. */
const warmAfter = 20_000;

/** What comparing many channels with the vendor costs, and what webhooks notice of it. */
export async function compare({ stage, load, report, stores, quick }: Bench): Promise<void> {
  const channels = quick ? 20_000 : 100_000;
  for (const store of stores) {
    report.progress(`compare: ${store}, ${channels} channels are stored`);
    const vendor = await fakeVendor();
    const service = await stage.startService(store);
    complain(report, await load.run({ port: service.port, connections: 1, count: 1 }), 'compare');
    let profile: Record<string, string> = {};
    await service.restart(async run => {
      await addChannels(run, channels);
      const [row] = await run('select profile from change where position = 1 and channel = 1');
      const known = JSON.parse(String(row!['profile'])) as Record<string, string | null>;
      profile = { Name: known['name']!, ...(known['introduction'] !== null && { Introduction: known['introduction']! }) };
      if (store === 'postgres') await run('vacuum analyze');
    });
    // Of the channels that the load is about nothing is carried, so that nothing differs.
    const item = (id: string) => ({ Official_Account: id, ErrorCode: 0, ...(id.startsWith('stored ') && profile) });
    vendor.fault = ({ ids }) => succeeded({ OfficialAccountInfoList: ids.map(item) });

    const job = { port: service.port, connections: 64, rate: 200, seconds: quick ? 10 : 40, channels: 1000 };
    report.progress(`compare: ${store}, answers at 200/s, alone and beside`);
    const alone = await load.run(job);
    await service.restart(() => Promise.resolve(), { ...vendor.environment, COMPARE_RATE_PER_SECOND: String(perSecond) });
    const over = compared(service, channels);
    while (vendor.calls.length === 0) await sleep(50);
    const startedAt = performance.now();
    const beside = await load.run({ ...job, port: service.port });
    for (const outcome of [alone, beside]) complain(report, outcome, `compare, ${store}, 200/s`);
    const { growth } = await over;
    const seconds = (performance.now() - startedAt) / 1000;
    const [before, during] = [alone, beside].map(({ sinceDue }) => percentile(sinceDue, 0.99)) as [number, number];
    report.raw.push({ part: 'compare', store, channels, alone: before, beside: during, seconds, calls: vendor.calls.length });
    report.add(`${channels} channels compared at ${perSecond} calls/s`, store, seconds, 's', {
      atMost: Math.round((1.1 * channels) / 50 / perSecond),
    });
    report.add('answer at 200/s, p99', store, before, 'ms');
    report.add('answer at 200/s beside it, p99', store, during, 'ms');
    report.add('that p99 beside none', store, during / before, '×', { atMost: 1.2 });
    report.add(`growth of memory after the first ${warmAfter}`, store, growth, 'MB', { atMost: 25 });
    if ((await service.metric('compared_total', 'result="corrected"')) > 0) report.note(`compare: ${store}, something was corrected`);
    await service.stop();
    await vendor.close();
  }
}

/** Waits until so many channels were compared. @returns how much memory has grown since it was warm */
async function compared(service: Service, channels: number): Promise<{ growth: number }> {
  for (let [most, warm] = [0, 0]; ; await sleep(200)) {
    most = Math.max(most, service.rssMb());
    const count = await service.metric('compared_total');
    if (count <= warmAfter) warm = most;
    if (count >= channels) return { growth: most - warm };
  }
}
