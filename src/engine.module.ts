import { Module } from '@nestjs/common';
import { ReadingRecorder } from './channel/readings/reading-recorder.js';
import { Checks } from './checks/checks.js';
import { Recorder } from './channel/recorder.js';
import { Database } from './database/database.js';
import { Dispatcher } from './delivery/dispatcher.js';
import { Enqueuer } from './delivery/enqueue.js';
import { Engine } from './engine.js';
import { WebhookIntake } from './intake/intake.js';
import { Spool } from './intake/spool.js';
import { ServedSinks } from './sinks/served-sinks.js';
import { Timekeeper } from './maintenance/timekeeper.js';
import { Upkeep } from './maintenance/upkeep.js';
import { AdminActions } from './management/admin-actions.js';
import { EngineLog } from './management/engine-log.js';
import { StoredLookups } from './management/lookup/lookups.js';
import { Metrics } from './management/metrics.js';
import { ParkedLog } from './management/parked-log.js';
import { Readiness } from './management/readiness.js';
import { Log } from './process/log.js';
import { Alerts } from './reports/alerts.js';
import { Comparisons } from './reconcile/comparisons.js';
import { IndexJobs } from './search-index/index-jobs.js';
import { Settings } from './settings/settings.js';
import { Lookups } from './sinks/lookup.js';
import { Actions } from './sinks/sink.js';
import { Rejections } from './webhook/rejections.js';

/** Everything behind the ports: storing, recording, delivering and reporting webhooks, and background maintenance. */
@Module({
  providers: [
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
    ParkedLog,
    Metrics,
    Readiness,
    Rejections,
    Engine,
  ],
  exports: [WebhookIntake, ServedSinks, AdminActions, Checks, Lookups, Metrics, Readiness, Rejections, Engine],
})
export class EngineModule {}
