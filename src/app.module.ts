import { type DynamicModule, Module, type Provider } from '@nestjs/common';
import { ReadingRecorder } from './channel/readings/reading-recorder.js';
import { Recorder } from './channel/recorder.js';
import { Checks } from './checks/checks.js';
import { Database } from './database/database.js';
import { outage } from './database/outage.js';
import { Dispatcher } from './delivery/dispatcher.js';
import { Enqueuer } from './delivery/enqueue.js';
import { Engine } from './engine.js';
import { WebhookIntake } from './intake/intake.js';
import { Spool } from './intake/spool.js';
import { Timekeeper } from './maintenance/timekeeper.js';
import { Upkeep } from './maintenance/upkeep.js';
import { AdminActions } from './management/admin-actions.js';
import { EngineLog } from './management/engine-log.js';
import { StoredLookups } from './management/lookup/lookups.js';
import { Metrics } from './management/metrics.js';
import { Readiness } from './management/readiness.js';
import { version } from './outgoing/http.js';
import { Clock, SharedClock } from './process/clock.js';
import { EngineEvents } from './process/engine-events.js';
import { Log } from './process/log.js';
import { Tracing, type TracingOptions } from './process/tracing.js';
import { Comparisons } from './reconcile/comparisons.js';
import { Alerts } from './reports/alerts.js';
import { IndexJobs } from './search-index/index-jobs.js';
import { cleaner } from './settings/cleaner.js';
import { secretsOf } from './settings/secrets.js';
import { Settings } from './settings/settings.js';
import { Lookups } from './sinks/lookup.js';
import { ServedSinks } from './sinks/served-sinks.js';
import { Actions } from './sinks/sink.js';
import { BodyBudget } from './webhook/body-budget.js';
import { Rejections } from './webhook/rejections.js';
import { InteractionHandlers, SlackInteractionsController } from './webhook/slack-interactions.controller.js';
import { WebhookController } from './webhook/webhook.controller.js';

/** What every part uses: clocks, log, database, engine events and tracing. */
const platform: Provider[] = [
  Clock,
  {
    provide: Log,
    useFactory: (settings: Settings, clock: Clock) =>
      new Log(settings.LOG_LEVEL, () => clock.now(), undefined, cleaner(secretsOf(settings))),
    inject: [Settings, Clock],
  },
  {
    provide: Database,
    useFactory: (settings: Settings, log: Log, clock: Clock) => {
      const onLost = outage(fields => log.warn('database connection lost', fields));
      return Database.open(settings.DATABASE_URL, onLost, clock);
    },
    inject: [Settings, Log, Clock],
  },
  { provide: SharedClock, useFactory: (database: Database) => SharedClock.by(() => database.now()), inject: [Database] },
  EngineEvents,
  {
    provide: Tracing,
    useFactory: async (settings: Settings, log: Log, events: EngineEvents) => {
      const onExport = outage(
        fields => log.warn('traces cannot be sent, and are dropped', fields),
        () => log.info('traces can be sent again'),
      );
      const tracing = await Tracing.start(tracingOptions(settings), onExport);
      if (tracing.on) events.on('attempt', end => tracing.attempt(end));
      return tracing;
    },
    inject: [Settings, Log, EngineEvents],
  },
];

function tracingOptions(settings: Settings): TracingOptions | null {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: base, OTEL_EXPORTER_OTLP_HEADERS: headers = {} } = settings;
  const url = settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base && `${base.replace(/\/$/, '')}/v1/traces`);
  if (!url) return null;
  return { url, headers, sampler: settings.OTEL_TRACES_SAMPLER, ratio: settings.OTEL_TRACES_SAMPLER_ARG, version };
}

/** Everything behind the ports, in the order of the flow: storing, recording, delivering and reporting webhooks, and maintenance. */
const engine: Provider[] = [
  WebhookIntake,
  {
    // Not with SQLite, whose file is on the same disk.
    provide: Spool,
    useFactory: ({ SPOOL_DIR }: Settings, { embedded }: Database, log: Log) => (embedded ? null : new Spool(SPOOL_DIR, log)),
    inject: [Settings, Database, Log],
  },
  Recorder,
  ReadingRecorder,
  Enqueuer,
  ServedSinks,
  Dispatcher,
  Alerts,
  IndexJobs,
  Checks,
  Comparisons,
  Upkeep,
  Timekeeper,
  AdminActions,
  { provide: Actions, useExisting: AdminActions },
  { provide: Lookups, useClass: StoredLookups },
  EngineLog,
  Metrics,
  Readiness,
  Engine,
];

/** The whole service: the public port's controllers on top of the engine. */
@Module({
  controllers: [WebhookController, SlackInteractionsController],
  providers: [...platform, ...engine, BodyBudget, Rejections, { provide: InteractionHandlers, useExisting: ServedSinks }],
})
export class AppModule {
  static with(settings: Settings): DynamicModule {
    return { module: AppModule, providers: [{ provide: Settings, useValue: settings }] };
  }
}
