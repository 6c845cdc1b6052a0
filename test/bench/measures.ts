import { setTimeout as sleep } from 'node:timers/promises';
import { type Load, type Outcome, median, percentile } from './load.ts';
import type { Report } from './report.ts';
import type { Service, Stage, Store } from './stage.ts';

export interface Bench {
  stage: Stage;
  load: Load;
  report: Report;
  stores: readonly Store[];
  quick: boolean;
}

const sinks = 3;
const vendorTimeoutMs = 2000;

/** Durable acks per second of the whole HTTP path beside the bare route, closed loop. */
export async function acks({ stage, load, report, stores, quick }: Bench): Promise<void> {
  const levels = [1, 16, 64, 256];
  const rounds = quick ? 1 : 3;
  const seconds = quick ? 1 : 2;
  const found = new Map<string, number[]>();
  const rate = (who: string, connections: number) => median(found.get(`${who} ${connections}`) ?? []);
  const climb = async (who: string, port: number) => {
    let ok = (await load.run({ port, connections: 16, seconds: 1.5 })).ok;
    for (const connections of levels) {
      const before = (await stage.ask('count')).count;
      const outcome = await load.run({ port, connections, seconds });
      const sends = ((await stage.ask('count')).count - before) / seconds;
      ok += outcome.ok;
      complain(report, outcome, `${who}, ${connections} connections`);
      found.set(`${who} ${connections}`, [...(found.get(`${who} ${connections}`) ?? []), outcome.perSecond]);
      found.set(`${who} sends ${connections}`, [...(found.get(`${who} sends ${connections}`) ?? []), sends]);
      report.raw.push({ part: 'acks', who, connections, perSecond: outcome.perSecond, sends, ...times(outcome.sinceSent) });
      if (who.endsWith('paused') && sends > 0) report.note(`${who}: ${sends} sends/s although every sink is paused`);
    }
    return ok;
  };
  for (let round = 1; round <= rounds; round++) {
    for (const mode of ['paused', 'served'] as const) {
      report.progress(`acks: round ${round} of ${rounds}, sinks ${mode}: bare ${stores.join(' ')}`);
      const bare = await stage.startBare();
      await climb('bare', bare.port);
      await bare.stop();
      for (const store of stores) {
        const service = await stage.startService(store);
        if (mode === 'paused') await service.pause();
        const ok = await climb(`${store} ${mode}`, service.port);
        await audit(report, service, ok, `${store} ${mode}`);
        await service.stop();
      }
    }
  }
  for (const level of levels) {
    const connections = `acks, ${level} connection${level === 1 ? '' : 's'}`;
    report.add(connections, 'bare', rate('bare', level), '/s');
    for (const store of stores) {
      report.add(`${connections}, sinks paused`, store, rate(`${store} paused`, level), '/s');
      report.add(`${connections}, sinks served`, store, rate(`${store} served`, level), '/s');
    }
  }
  for (const store of stores) {
    const [paused, served] = [rate(`${store} paused`, 64), rate(`${store} served`, 64)];
    report.add('share of bare at 64, sinks paused', store, (100 * paused) / rate('bare', 64), '%', {
      atLeast: store === 'sqlite' ? 45 : 25,
    });
    report.add('of that while sinks are served', store, (100 * served) / paused, '%', { atLeast: 60 });
    report.add('sends meanwhile, at 64', store, rate(`${store} served sends`, 64), '/s');
  }
}

/** How fast answers and sinks are when there is little to do. */
export async function latency({ stage, load, report, stores, quick }: Bench): Promise<void> {
  for (const store of stores) {
    report.progress(`latency: ${store}`);
    const service = await stage.startService(store);
    await load.run({ port: service.port, connections: 16, rate: 200, seconds: quick ? 1 : 3 });
    const answers = await load.run({ port: service.port, connections: 64, rate: 200, seconds: quick ? 4 : 12 });
    complain(report, answers, `${store}, 200/s`);
    await drained(stage, service);
    const took = await webhookToSink({ stage, load, report }, service, { rate: 10, seconds: quick ? 5 : 15 }, `${store}, 10/s`);
    await service.stop();
    report.raw.push({ part: 'latency', store, answers: times(answers.sinceDue), sinks: times(took) });
    report.add('answer at 200/s, p50', store, percentile(answers.sinceDue, 0.5), 'ms');
    report.add('answer at 200/s, p99', store, percentile(answers.sinceDue, 0.99), 'ms', { atMost: store === 'sqlite' ? 10 : 20 });
    report.add('answer at 200/s, max', store, answers.sinceDue.at(-1) ?? Number.NaN, 'ms');
    report.add('webhook → sink at 10/s, p50', store, percentile(took, 0.5), 'ms', { atMost: store === 'sqlite' ? 3 : 4.5 });
    report.add('webhook → sink at 10/s, p99', store, percentile(took, 0.99), 'ms', { atMost: store === 'sqlite' ? 8 : 15 });
  }
}

/** 10,000 webhooks at once over 256 connections; the worst of all rounds counts. */
export async function burst({ stage, load, report, stores, quick }: Bench): Promise<void> {
  const rounds = quick ? 1 : 3;
  const worst = new Map(stores.map(store => [store, { own: 0, last: 0, failed: 0 }]));
  for (let round = 1; round <= rounds; round++) {
    for (const store of stores) {
      report.progress(`burst: round ${round} of ${rounds}, ${store}`);
      const service = await stage.startService(store);
      await load.run({ port: service.port, connections: 16, rate: 300, seconds: 2 });
      await drained(stage, service);
      const outcome = await load.run({ port: service.port, connections: 256, count: 10_000 });
      complain(report, outcome, `${store}, burst`);
      await service.stop();
      report.raw.push({ part: 'burst', store, sinceSent: times(outcome.sinceSent), sinceStart: times(outcome.sinceDue) });
      const seen = worst.get(store) ?? { own: 0, last: 0, failed: 0 };
      worst.set(store, {
        own: Math.max(seen.own, outcome.sinceSent.at(-1) ?? Number.NaN),
        last: Math.max(seen.last, outcome.sinceDue.at(-1) ?? Number.NaN),
        failed: seen.failed + outcome.failed,
      });
    }
  }
  for (const [store, { own, last, failed }] of worst) {
    report.add('burst of 10,000: not answered OK', store, failed, '', { atMost: 0 });
    report.add('burst: slowest answer since it was sent', store, own, 'ms', { atMost: vendorTimeoutMs });
    report.add("burst: last answer since the burst's start", store, last, 'ms', { atMost: vendorTimeoutMs });
  }
}

/** Start to ready, and what the process weighs with a sink of every type. */
export async function idle({ stage, load, report, stores, quick }: Bench): Promise<void> {
  const starts = quick ? 2 : 4;
  const settleMs = quick ? 4000 : 10_000;
  const ready = new Map<Store, number[]>();
  const running: [Store, Service][] = [];
  for (let start = 1; start <= starts; start++) {
    report.progress(`idle: start ${start} of ${starts}`);
    for (const store of stores) {
      const service = await stage.startService(store, 'every type');
      ready.set(store, [...(ready.get(store) ?? []), service.readyMs]);
      if (start < starts) await service.stop();
      else running.push([store, service]);
    }
  }
  report.progress(`idle: ${(2 * settleMs) / 1000} s of rest`);
  await sleep(settleMs);
  const fresh = running.map(([, service]) => service.rssMb());
  for (const [, service] of running) await load.run({ port: service.port, connections: 1, rate: 5, seconds: 1 });
  await sleep(settleMs);
  for (const [index, [store, service]] of running.entries()) {
    report.add('start to ready, every type of sink', store, median(ready.get(store) ?? []), 'ms', { atMost: 900 });
    report.add('idle RSS, every type of sink', store, fresh[index] ?? Number.NaN, 'MB', { atMost: 145 });
    report.add('idle RSS after its first 5 webhooks', store, service.rssMb(), 'MB', { atMost: 145 });
    report.raw.push({ part: 'idle', store, ready: ready.get(store) });
    await service.stop();
  }
}

/**
 * Sorted milliseconds from when a webhook was written until it was at a sink, for each webhook and sink.
 * @param dead how many of the sinks get nothing
 */
export async function webhookToSink(
  { stage, load, report }: Pick<Bench, 'stage' | 'load' | 'report'>,
  service: Service,
  { rate, seconds }: { rate: number; seconds: number },
  where: string,
  dead = 0,
): Promise<number[]> {
  await stage.ask('watch');
  const calm = await load.run({ port: service.port, connections: 4, rate, seconds });
  complain(report, calm, where);
  await sleep(500);
  const { arrivals } = await stage.ask('arrivals');
  const took = arrivals.map(([, number, at]) => at - (calm.sentAt[number - calm.firstNumber] ?? Number.NaN)).toSorted((a, b) => a - b);
  if (took.length !== calm.ok * (sinks - dead)) report.note(`${where}: ${calm.ok} webhooks, but ${took.length} sends`);
  return took;
}

export function complain(report: Report, { failed, firstFailure }: Outcome, where: string): void {
  if (failed > 0)
    report.note(`${where}: ${failed} webhooks were not answered OK, the first: ${firstFailure?.replaceAll(/\s+/g, ' ').slice(0, 300)}`);
}

/** Waits until no delivery is pending; says whether that came true in time. */
export async function drained(stage: Stage, service: Service, withinMs = 15_000): Promise<boolean> {
  for (const until = Date.now() + withinMs; Date.now() < until; await sleep(200)) {
    if ((await service.metric('pending')) === 0) return true;
  }
  return false;
}

/** Every good answer must be a recorded webhook: no repeats, nothing lost. */
async function audit(report: Report, service: Service, ok: number, where: string): Promise<void> {
  const recorded =
    (await service.metric('webhooks_total', 'result="recorded"')) + (await service.metric('webhooks_total', 'result="spooled"'));
  if (recorded !== ok) report.note(`${where}: ${ok} answers OK, but ${recorded} webhooks recorded or spooled`);
}

export function times(sorted: readonly number[]): object {
  return { count: sorted.length, p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), max: sorted.at(-1) };
}
