import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { WebhookIntake } from '../intake/intake.js';
import { SharedClock } from '../process/clock.js';
import { version } from '../outgoing/http.js';
import { latestArrival } from '../database/arrival-times.js';
import { countParked, countPending } from '../reports/counting.js';
import { Settings } from '../settings/settings.js';
import { sinkStateNames } from './api/sinks/sink.dto.js';
import { type SinkStatus, sinkStates } from './api/sinks/sinks.queries.js';

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 5, 10, 30];

type Value = [labels: Record<string, string>, value: number];

/** Every metric, in one list (docs/metrics.md). */
@Injectable()
export class Metrics {
  readonly registry = new Registry();

  readonly webhooks = this.counter('webhooks_total', 'Webhooks by command and by what became of them', ['command', 'result']);
  readonly answerSeconds = this.histogram('webhook_answer_seconds', 'Time until a webhook was answered', [], seconds);
  readonly deliveries = this.counter('deliveries_total', 'Deliveries that ended, by sink and outcome', ['sink', 'outcome']);
  readonly deliverySeconds = this.histogram(
    'delivery_seconds',
    'Time from the arrival of a webhook until a sink has its change, by sink',
    ['sink'],
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600],
  );
  readonly attemptSeconds = this.histogram('attempt_seconds', 'Time that attempts took, by sink and outcome', ['sink', 'outcome'], seconds);
  readonly compared = this.counter('compared_total', 'Channels that were compared with Tencent, by app and by what became of them', [
    'app',
    'result',
  ]);
  readonly vendorRequests = this.counter(
    'vendor_requests_total',
    "Calls to Tencent's REST API, by app and by the code that was answered, http_<status>, timeout or network",
    ['app', 'code'],
  );

  constructor(database: Database, clock: SharedClock, intake: WebhookIntake, { apps }: Settings) {
    this.gauge(
      'comparison_age_seconds',
      'How long ago the last comparison of all channels was done, by app; absent before the first',
      ['app'],
      async () => {
        const rows = await database.kysely.selectFrom('app').select(['sdk_app_id', 'compared_all_at']).execute();
        const compared = rows.filter(row => row.compared_all_at !== null && apps.some(app => app.sdkAppId === row.sdk_app_id));
        return compared.map(row => [{ app: row.sdk_app_id }, Math.max(0, clock.now() - row.compared_all_at!) / 1000]);
      },
    );
    this.gauge('last_webhook_timestamp_seconds', 'When the last webhook of ours was kept; absent before the first', [], async () => {
      const at = intake.lastKeptAt ?? (await latestArrival(database.kysely, 'received_at', clock.now()));
      return at === null ? [] : [[{}, at / 1000]];
    });
    this.gauge('build_info', 'The release that runs', ['version'], async () => [[{ version }, 1]]);
    this.gauge('spooled', 'Webhooks that are in the spool only, for as long as the database does not answer', [], async () => [
      [{}, intake.spooled],
    ]);
    const ofSinks = async (values: (sink: SinkStatus) => Value[] | Promise<Value[]>): Promise<Value[]> => {
      const all: Value[] = [];
      for (const sink of await sinkStates(database, clock.now())) all.push(...(await values(sink)));
      return all;
    };
    this.gauge('pending', 'Deliveries that wait, by sink', ['sink'], () =>
      ofSinks(async ({ id, name }) => [[{ sink: name }, await countPending(database, id)]]),
    );
    this.gauge('lag_seconds', 'Age of the oldest delivery that waits, by sink; 0 if none does', ['sink'], () =>
      ofSinks(({ name, lagSeconds }) => (lagSeconds === null ? [] : [[{ sink: name }, lagSeconds]])),
    );
    this.gauge('parked', 'Deliveries that were parked, by sink and reason', ['sink', 'reason'], () =>
      ofSinks(async ({ id, name }) => Array.from(await countParked(database, id), ([reason, count]) => [{ sink: name, reason }, count])),
    );
    this.gauge('sink_state', '1 for the state that a sink is in, 0 for the others', ['sink', 'state'], () =>
      ofSinks(({ name, state }) => sinkStateNames.map(other => [{ sink: name, state: other }, Number(other === state)])),
    );
  }

  private counter<Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> {
    return new Counter({ registers: [this.registry], name: `channel_sync_${name}`, help, labelNames });
  }

  private histogram<Label extends string>(name: string, help: string, labelNames: Label[], buckets: number[]): Histogram<Label> {
    return new Histogram({ registers: [this.registry], name: `channel_sync_${name}`, help, labelNames, buckets });
  }

  /** Registers a gauge whose values are read at each scrape. */
  private gauge(name: string, help: string, labelNames: string[], values: () => Promise<Value[]>): void {
    new Gauge({
      registers: [this.registry],
      name: `channel_sync_${name}`,
      help,
      labelNames,
      async collect() {
        const found = await values();
        this.reset();
        // A gauge without labels is 0 after the reset, even if it has no value.
        if (labelNames.length === 0) this.remove();
        for (const [labels, value] of found) this.set(labels, value);
      },
    });
  }
}
