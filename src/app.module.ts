import { type DynamicModule, Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { ModuleRef } from '@nestjs/core';
import { WebhookIntake } from './intake/intake.js';
import { Recorder } from './channel/recorder.js';
import { Spool } from './intake/spool.js';
import { Clock, SharedClock } from './process/clock.js';
import { Database } from './database/database.js';
import { IndexJobs } from './search-index/index-jobs.js';
import { Timekeeper } from './maintenance/timekeeper.js';
import { Upkeep } from './maintenance/upkeep.js';
import { Dispatcher } from './delivery/dispatcher.js';
import { AdminActions } from './management/admin-actions.js';
import { Log } from './process/log.js';
import { Metrics } from './management/metrics.js';
import { Alerts } from './reports/alerts.js';
import { outage } from './process/outage.js';
import { ReportSinks, SlackInteractionsController } from './webhook/slack-interactions.controller.js';
import { Readiness } from './management/readiness.js';
import { sinkStates } from './management/sink-states.js';
import { withEnvFile } from './settings/env-file.js';
import { secretsOf } from './settings/secrets.js';
import { Settings, readSettings } from './settings/settings.js';
import { BodyBudget } from './webhook/body-budget.js';
import { Rejections } from './webhook/rejections.js';
import { WebhookController } from './webhook/webhook.controller.js';

/** The whole wiring of the public side, in the order of the flow: webhook → change → delivery → sink. */
@Module({})
export class AppModule {
  /** @param environment the variables to read; by default those of the process and of `.env` */
  static with(environment?: Record<string, string>): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ConfigModule.forRoot({
          // Read by us, so that what its reader cuts is seen.
          ignoreEnvFile: true,
          validate: env => {
            const { variables, cut } = environment ? { variables: environment, cut: [] } : withEnvFile(env);
            return { settings: readSettings(variables, cut) };
          },
        }),
      ],
      controllers: [WebhookController, SlackInteractionsController],
      providers: [
        { provide: Settings, useFactory: (config: ConfigService) => config.getOrThrow<Settings>('settings'), inject: [ConfigService] },
        Clock,
        {
          provide: Log,
          useFactory: (settings: Settings, clock: Clock) => new Log(settings.LOG_LEVEL, () => clock.now(), undefined, secretsOf(settings)),
          inject: [Settings, Clock],
        },
        {
          provide: Database,
          useFactory: (settings: Settings, log: Log, clock: Clock) =>
            Database.open(
              settings.DATABASE_URL,
              outage(fields => log.warn('database connection lost', fields)),
              clock,
            ),
          inject: [Settings, Log, Clock],
        },
        { provide: SharedClock, useFactory: (database: Database) => new SharedClock(() => database.now()), inject: [Database] },
        BodyBudget,
        {
          provide: ReportSinks,
          useFactory: (served: Dispatcher): ReportSinks => ({ all: () => served.opened.filter(sink => 'report' in sink) }),
          inject: [Dispatcher],
        },
        { provide: Recorder, useFactory: recorder, inject: [Database, Dispatcher, Log, SharedClock] },
        { provide: Timekeeper, useFactory: timekeeper, inject: [Database, Dispatcher, Log, Clock] },
        { provide: WebhookIntake, useFactory: keeper, inject: [Settings, Recorder, Database, Log] },
        { provide: AdminActions, useFactory: auditActions, inject: [Database, SharedClock, Log, Metrics, ModuleRef] },
        { provide: Dispatcher, useFactory: workers, inject: [Settings, Database, Metrics, Log, SharedClock, AdminActions] },
        { provide: Upkeep, useFactory: upkeep, inject: [Settings, Database, Dispatcher, Metrics, Log, SharedClock] },
        { provide: IndexJobs, useFactory: indexJobs, inject: [Database, Dispatcher, Log, SharedClock] },
        { provide: Alerts, useFactory: notices, inject: [Settings, Database, Dispatcher, Metrics, Rejections, Log, SharedClock] },
        { provide: Metrics, useFactory: metrics, inject: [Database, SharedClock, ModuleRef] },
        { provide: Rejections, useFactory: rejections, inject: [Log, Clock] },
        { provide: Readiness, useFactory: readiness, inject: [Database, WebhookIntake] },
      ],
    };
  }
}

function logged(log: Log, begins: string, ends?: string): (error: Error | null) => void {
  return outage(
    fields => log.error(begins, fields),
    () => ends !== undefined && log.info(ends),
  );
}

function recorder(database: Database, served: Dispatcher, log: Log, clock: SharedClock): Recorder {
  return new Recorder(
    database,
    () => clock.now(),
    sinks => served.recorded(sinks),
    logged(log, 'the database did not take webhooks'),
  );
}

function timekeeper(database: Database, served: Dispatcher, log: Log, clock: Clock): Timekeeper {
  return new Timekeeper(database, clock, {
    jumped: (whose, byMs) =>
      log.warn(`the clock of ${whose} was set ${byMs < 0 ? 'back' : 'forward'}: what waits goes by the new time`, { byMs }),
    wake: () => served.wakeAll(),
    trouble: logged(log, 'the database does not tell its time; trying again until it does', 'the database tells its time again'),
  });
}

function auditActions(database: Database, clock: SharedClock, log: Log, metered: Metrics, modules: ModuleRef): AdminActions {
  // Looked up late: the sinks' buttons do what the workers then see to.
  return new AdminActions(database, clock, log, metered, sinks => modules.get(Dispatcher).wake(sinks));
}

function workers(
  settings: Settings,
  database: Database,
  metered: Metrics,
  log: Log,
  clock: SharedClock,
  actions: AdminActions,
): Dispatcher {
  return new Dispatcher(
    database,
    settings.sinks,
    {
      attempt: end => {
        metered.attemptSeconds.observe({ sink: end.sink, outcome: end.outcome }, end.durationMs / 1000);
        log.debug('delivery attempted', end);
      },
      state: (sink, { state, reason, advice }) => {
        if (state === 'ok') log.info('sink is well again', { sink });
        else log.warn('sink is stopped and probed until it heals', { sink, state, reason, advice });
      },
      deliveries: (sink, outcome, count) => metered.deliveries.inc({ sink, outcome }, count),
      trouble: logged(log, 'the database fails the workers; they go on trying', 'the database serves the workers again'),
    },
    clock,
    (message, fields) => log.warn(message, fields),
    actions,
    settings.proxies,
  );
}

function upkeep(settings: Settings, database: Database, served: Dispatcher, metered: Metrics, log: Log, clock: SharedClock): Upkeep {
  return new Upkeep(database, settings.RETENTION_DAYS, () => clock.now(), {
    wake: sinks => served.wake(sinks),
    discarded: (sink, count) => metered.deliveries.inc({ sink, outcome: 'discarded' }, count),
    trouble: logged(log, 'the database fails the upkeep; it goes on trying', 'the database serves the upkeep again'),
  });
}

function indexJobs(database: Database, served: Dispatcher, log: Log, clock: SharedClock): IndexJobs {
  return new IndexJobs(database, () => served.searchSinks, clock, {
    wake: sinks => served.wake(sinks),
    told: (message, fields) => log.info(message, fields),
    trouble: logged(
      log,
      'the database fails the jobs of search indices; they go on trying',
      'the database serves the jobs of search indices again',
    ),
  });
}

function notices(
  settings: Settings,
  database: Database,
  served: Dispatcher,
  metered: Metrics,
  rejected: Rejections,
  log: Log,
  clock: SharedClock,
): Alerts {
  const startedAt = clock.monotonic();
  return new Alerts(
    database,
    () => served.reportSinks,
    () => ({
      webhookAt: metered.webhookAt,
      rejected: { ...rejected.counts },
      startedAt: clock.now() - (clock.monotonic() - startedAt),
    }),
    settings.SILENCE_ALERT_AFTER ?? null,
    clock,
    {
      failed: (sink, reason) => log.warn('a notice could not be shown', { sink, reason }),
      trouble: logged(log, 'the database failed the notices; they go on trying', 'the notices go on'),
    },
  );
}

function metrics(database: Database, clock: SharedClock, modules: ModuleRef): Metrics {
  // Looked up late: the keeper records, recording wakes workers, and workers are metered.
  return new Metrics(
    database,
    clock,
    () => sinkStates(database, clock.now()),
    () => modules.get(WebhookIntake).spooled,
  );
}

function keeper(settings: Settings, recorded: Recorder, database: Database, log: Log): WebhookIntake {
  const broken = logged(
    log,
    'SPOOL_DIR cannot be written: webhooks are refused while the database does not answer',
    'SPOOL_DIR can be written again',
  );
  const spool = database.embedded
    ? null
    : new Spool(settings.SPOOL_DIR, {
        problem: problem => broken(problem === null ? null : new Error(problem)),
        aside: (file, reason) => log.error('spooled webhooks cannot be taken in and were put aside', { file, reason }),
        stuck: (path, reason) => log.error('a spooled file cannot be taken in or removed: it stays and is tried again', { path, reason }),
        unsynced: (folder, reason) => log.warn('SPOOL_DIR cannot fsync folders: a power cut may cost webhooks', { folder, reason }),
      });
  let takenIn = 0;
  const trouble = outage(
    fields => log.warn('the database does not take webhooks: they go to SPOOL_DIR', fields),
    () => {
      log.info('the database takes webhooks again, and has all that were spooled', { takenIn });
      takenIn = 0;
    },
  );
  return new WebhookIntake(recorded, spool, {
    away: reason => trouble(new Error(reason)),
    back: count => {
      takenIn += count;
      trouble(null);
    },
  });
}

function rejections(log: Log, clock: Clock): Rejections {
  return new Rejections(
    (message, fields) => log.warn(message, fields),
    () => clock.monotonic(),
  );
}

function readiness(database: Database, kept: WebhookIntake): Readiness {
  return new Readiness(database, () => kept.spoolWorks);
}
