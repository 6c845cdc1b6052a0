import { median } from './load.ts';
import { type Bench, complain } from './measures.ts';
import { Search } from './sustained.ts';

const replicas = 3;

/** What three processes on one PostgreSQL answer and deliver, beside one: on few cores it shows what sharing costs. */
export async function replicated(bench: Bench): Promise<void> {
  const { stage, load, report, stores, quick } = bench;
  if (!stores.includes('postgres')) throw new Error('replicas share a PostgreSQL: --stores must name it');
  const rounds = quick ? 2 : 5;
  const found = new Map<number, number[]>([
    [1, []],
    [replicas, []],
  ]);
  for (let round = 1; round <= rounds; round++) {
    for (const [processes, rates] of found) {
      report.progress(`replicas: round ${round} of ${rounds}, acks of ${processes}`);
      const service = await stage.startService('postgres');
      await service.pause();
      const ports = [service.port];
      while (ports.length < processes) ports.push(await service.replicate());
      await load.run({ port: ports, connections: 64, seconds: 1.5 });
      const outcome = await load.run({ port: ports, connections: 64, seconds: quick ? 2 : 4 });
      complain(report, outcome, `replicas, ${processes}`);
      report.raw.push({ part: 'replicas', processes, perSecond: outcome.perSecond });
      rates.push(outcome.perSecond);
      await service.stop();
    }
  }
  for (const [processes, rates] of found) {
    const who = processes === 1 ? '1 replica' : `${processes} replicas`;
    report.add(`acks, 64 connections, sinks paused, ${who}`, 'postgres', median(rates), '/s');
    const { rate, lagSeconds } = await new Search(bench, 'postgres', processes).find();
    report.add(`sustained arrivals, three sinks keep up, ${who}`, 'postgres', rate, '/s');
    report.add('lag at its end', 'postgres', lagSeconds, 's');
  }
}
