import { percentile } from './load.ts';
import { type Bench, times, webhookToSink } from './measures.ts';
import type { Service, Store } from './stage.ts';

/** Nobody listens there, and nobody will: the port is privileged. */
export const refusing = 'http://127.0.0.1:1/crm';

/** Short rounds of each service in turn: whatever else the machine does is in all of them. A round alone is too short for its p99 to mean anything. */
export async function inTurns(
  bench: Bench,
  part: string,
  store: Store,
  services: readonly (readonly [who: string, service: Service, dead: number])[],
): Promise<Map<string, { p50: number; p99: number; ratio: number }>> {
  const rounds = bench.quick ? 3 : 9;
  const found = new Map<string, number[]>(services.map(([who]) => [who, []]));
  for (let round = 0; round <= rounds; round++) {
    bench.report.progress(`${part}: ${store}, ${round === 0 ? 'warming up' : `round ${round} of ${rounds}`}`);
    for (const [who, service, dead] of services) {
      const took = await webhookToSink(bench, service, { rate: 50, seconds: bench.quick ? 2 : 4 }, `${part}, ${store}, ${who}`, dead);
      if (round === 0) continue;
      bench.report.raw.push({ part, store, who, ...times(took) });
      found.get(who)!.push(...took);
    }
  }
  const p99Of = (took: readonly number[] = []): number => percentile(took, 0.99);
  for (const took of found.values()) took.sort((one, other) => one - other);
  const first = p99Of(found.values().next().value);
  return new Map([...found].map(([who, took]) => [who, { p50: percentile(took, 0.5), p99: p99Of(took), ratio: p99Of(took) / first }]));
}

/** What healthy sinks notice of a dead one beside them. */
export async function isolation(bench: Bench): Promise<void> {
  const { stage, report, stores } = bench;
  const [, hanging] = (await stage.ask('ports')).ports;
  for (const store of stores) {
    const services = [
      ['all sinks well', await stage.startService(store), 0],
      ['one refuses', await stage.startService(store, 'webhooks', { SINK_CRM2_URL: refusing }), 1],
      [
        'one hangs',
        await stage.startService(store, 'webhooks', { SINK_CRM2_URL: `http://127.0.0.1:${hanging}/hang`, SINK_CRM2_TIMEOUT_MS: '1000' }),
        1,
      ],
    ] as const;
    for (const [who, { p50, p99, ratio }] of await inTurns(bench, 'isolation', store, services)) {
      report.add(`webhook → well sinks at 50/s, ${who}, p50`, store, p50, 'ms');
      report.add(`webhook → well sinks at 50/s, ${who}, p99`, store, p99, 'ms');
      if (who !== 'all sinks well') report.add('that p99 beside all sinks well', store, ratio, '×', { atMost: 1.2 });
    }
    for (const [, service] of services) await service.stop();
  }
}
