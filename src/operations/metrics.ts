import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Database } from '../database/database.js';
import { newestArrival } from '../database/retention.js';
import { countParked, countPending } from './counting.js';
import { type SinkStatus, sinkStateNames } from './sink-states.js';

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 5, 10, 30];

/** Every metric, in one list (contract, section 7). */
export class Metrics {
  readonly registry = new Registry();
  private readonly common = { registers: [this.registry] };

  readonly webhooks = new Counter({
    ...this.common,
    name: 'channel_sync_webhooks_total',
    help: 'Webhooks by command and by what became of them',
    labelNames: ['command', 'result'],
  });
  readonly answerSeconds = new Histogram({
    ...this.common,
    name: 'channel_sync_webhook_answer_seconds',
    help: 'Time until a webhook was answered',
    buckets: seconds,
  });
  readonly deliveries = new Counter({
    ...this.common,
    name: 'channel_sync_deliveries_total',
    help: 'Deliveries that ended, by sink and outcome',
    labelNames: ['sink', 'outcome'],
  });
  readonly attemptSeconds = new Histogram({
    ...this.common,
    name: 'channel_sync_attempt_seconds',
    help: 'Time that attempts took, by sink and outcome',
    labelNames: ['sink', 'outcome'],
    buckets: seconds,
  });

  /** When this process last kept one, or an exact repeat, in milliseconds. */
  webhookAt: number | null = null;

  constructor(database: Database, sinkStates: () => Promise<SinkStatus[]>, spooled: () => number) {
    this.addLastWebhook(database);
    new Gauge({
      ...this.common,
      name: 'channel_sync_spooled',
      help: 'Webhooks that are in the spool only, for as long as the database does not answer',
      collect() {
        this.set(spooled());
      },
    });
    new Gauge({
      ...this.common,
      name: 'channel_sync_pending',
      help: 'Deliveries that wait, by sink',
      labelNames: ['sink'],
      async collect() {
        this.reset();
        for (const row of await pendingBySink(database)) this.set({ sink: row.name }, row.pending);
      },
    });
    new Gauge({
      ...this.common,
      name: 'channel_sync_lag_seconds',
      help: 'Age of the oldest delivery that waits, by sink; 0 if none does',
      labelNames: ['sink'],
      async collect() {
        this.reset();
        for (const { name, lagSeconds } of await sinkStates()) if (lagSeconds !== null) this.set({ sink: name }, lagSeconds);
      },
    });
    new Gauge({
      ...this.common,
      name: 'channel_sync_parked',
      help: 'Deliveries that were parked, by sink and reason',
      labelNames: ['sink', 'reason'],
      async collect() {
        this.reset();
        for (const row of await parkedBySink(database)) this.set({ sink: row.name, reason: row.cause }, row.parked);
      },
    });
    new Gauge({
      ...this.common,
      name: 'channel_sync_sink_state',
      help: '1 for the state that a sink is in, 0 for the others',
      labelNames: ['sink', 'state'],
      async collect() {
        this.reset();
        for (const { name, state } of await sinkStates()) {
          for (const one of sinkStateNames) this.set({ sink: name, state: one }, Number(one === state));
        }
      },
    });
  }

  private addLastWebhook(database: Database): void {
    const webhookAt = async (): Promise<number | null> => this.webhookAt ?? (await newestArrival(database.kysely, 'received_at'));
    new Gauge({
      ...this.common,
      name: 'channel_sync_last_webhook_timestamp_seconds',
      help: 'When the last webhook of ours was kept; absent before the first',
      async collect() {
        const at = await webhookAt();
        // Before the first it has no value, not even 0.
        if (at === null) this.remove();
        else this.set(at / 1000);
      },
    });
  }
}

/** How many deliveries are pending at every configured sink; zero for the idle. */
async function pendingBySink(database: Database): Promise<{ name: string; pending: number }[]> {
  const sinks = await database.kysely.selectFrom('sink').select(['id', 'name']).where('removed_at', 'is', null).execute();
  const found: { name: string; pending: number }[] = [];
  for (const { id, name } of sinks) found.push({ name, pending: await countPending(database, id) });
  return found;
}

/** How many deliveries are parked, by sink, also by those that were removed, and by cause. */
async function parkedBySink(database: Database): Promise<{ name: string; cause: string; parked: number }[]> {
  const counts = new Map<string, { name: string; cause: string; parked: number }>();
  for (const { id, name } of await database.kysely.selectFrom('sink').select(['id', 'name']).execute()) {
    for (const [cause, count] of await countParked(database, id)) {
      const before = counts.get(`${name} ${cause}`)?.parked ?? 0;
      counts.set(`${name} ${cause}`, { name, cause, parked: before + count });
    }
  }
  return [...counts.values()];
}
