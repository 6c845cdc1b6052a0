import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Clock } from '../process/clock.js';
import type { Database } from '../database/database.js';
import { newestArrival } from '../database/arrival-times.js';
import { countParked, countPending } from './counting.js';
import { type SinkStatus, sinkStateNames } from './sink-states.js';

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 5, 10, 30];

type Value = [labels: Record<string, string>, value: number];

/** Less than this is drift of a clock. */
const jumpMs = 60_000;

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

  private lastKept: { at: number; monotonic: number } | null = null;

  constructor(
    database: Database,
    private readonly clock: Clock,
    sinkStates: () => Promise<SinkStatus[]>,
    spooled: () => number,
  ) {
    const lastWebhook = async (): Promise<number | null> =>
      this.webhookAt ?? (await newestArrival(database.kysely, 'received_at', this.clock.now()));
    new Gauge({
      ...this.common,
      name: 'channel_sync_last_webhook_timestamp_seconds',
      help: 'When the last webhook of ours was kept; absent before the first',
      async collect() {
        const at = await lastWebhook();
        // Before the first it has no value, not even 0.
        if (at === null) this.remove();
        else this.set(at / 1000);
      },
    });
    this.gauge('spooled', 'Webhooks that are in the spool only, for as long as the database does not answer', [], async () => [
      [{}, spooled()],
    ]);
    this.gauge('pending', 'Deliveries that wait, by sink', ['sink'], () => pendingBySink(database));
    this.gauge('lag_seconds', 'Age of the oldest delivery that waits, by sink; 0 if none does', ['sink'], async () =>
      (await sinkStates()).flatMap(({ name, lagSeconds }) => (lagSeconds === null ? [] : [[{ sink: name }, lagSeconds]])),
    );
    this.gauge('parked', 'Deliveries that were parked, by sink and reason', ['sink', 'reason'], () => parkedBySink(database));
    this.gauge('sink_state', '1 for the state that a sink is in, 0 for the others', ['sink', 'state'], async () =>
      (await sinkStates()).flatMap(({ name, state }) =>
        sinkStateNames.map((one): Value => [{ sink: name, state: one }, Number(one === state)]),
      ),
    );
  }

  /** To be told of each webhook that was kept, and of exact repeats. */
  kept(): void {
    this.lastKept = { at: this.clock.now(), monotonic: this.clock.monotonic() };
  }

  /** When this process was last told of one, in milliseconds; if the clock was set since then, by the clock of now. */
  get webhookAt(): number | null {
    if (!this.lastKept) return null;
    const { at, monotonic } = this.lastKept;
    const since = this.clock.now() - (this.clock.monotonic() - monotonic);
    return Math.abs(since - at) < jumpMs ? at : since;
  }

  /** A gauge that has these values whenever it is asked for. */
  private gauge(name: string, help: string, labelNames: string[], values: () => Promise<Value[]>): void {
    new Gauge({
      ...this.common,
      name: `channel_sync_${name}`,
      help,
      labelNames,
      async collect() {
        const found = await values();
        this.reset();
        for (const [labels, value] of found) this.set(labels, value);
      },
    });
  }
}

/** How many deliveries are pending at every configured sink; zero for the idle. */
async function pendingBySink(database: Database): Promise<Value[]> {
  const sinks = await database.kysely.selectFrom('sink').select(['id', 'name']).where('removed_at', 'is', null).execute();
  const found: Value[] = [];
  for (const { id, name } of sinks) found.push([{ sink: name }, await countPending(database, id)]);
  return found;
}

/** How many deliveries are parked, by sink, also by those that were removed, and by cause. */
async function parkedBySink(database: Database): Promise<Value[]> {
  const counts = new Map<string, Value>();
  for (const { id, name } of await database.kysely.selectFrom('sink').select(['id', 'name']).execute()) {
    for (const [reason, count] of await countParked(database, id)) {
      const before = counts.get(`${name} ${reason}`)?.[1] ?? 0;
      counts.set(`${name} ${reason}`, [{ sink: name, reason }, before + count]);
    }
  }
  return [...counts.values()];
}
