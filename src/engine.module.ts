import { Module } from '@nestjs/common';
import { Recorder } from './channel/recorder.js';
import { Database } from './database/database.js';
import { Dispatcher } from './delivery/dispatcher.js';
import { Enqueuer } from './delivery/enqueue.js';
import { Engine } from './engine.js';
import { WebhookIntake } from './intake/intake.js';
import { Spool } from './intake/spool.js';
import { ServedSinks } from './maintenance/served-sinks.js';
import { Timekeeper } from './maintenance/timekeeper.js';
import { Upkeep } from './maintenance/upkeep.js';
import { AdminActions } from './management/admin-actions.js';
import { EngineLog } from './management/engine-log.js';
import { Metrics } from './management/metrics.js';
import { Readiness } from './management/readiness.js';
import { Log } from './process/log.js';
import { outage } from './process/outage.js';
import { Alerts } from './reports/alerts.js';
import { IndexJobs } from './search-index/index-jobs.js';
import { Settings } from './settings/settings.js';
import { Actions } from './sinks/sink.js';
import { Rejections } from './webhook/rejections.js';

/** What happens to a webhook that was let in, in the order of the flow: kept → recorded → delivered → reported; and what looks after all that. */
@Module({
  providers: [
    WebhookIntake,
    { provide: Spool, useFactory: spool, inject: [Settings, Database, Log] },
    Recorder,
    Enqueuer,
    ServedSinks,
    Dispatcher,
    Alerts,
    IndexJobs,
    Upkeep,
    Timekeeper,
    AdminActions,
    { provide: Actions, useExisting: AdminActions },
    EngineLog,
    Metrics,
    Readiness,
    Rejections,
    Engine,
  ],
  exports: [WebhookIntake, ServedSinks, AdminActions, Metrics, Readiness, Rejections, Engine],
})
export class EngineModule {}

/** None for the embedded store: that is on the same disk. */
function spool(settings: Settings, database: Database, log: Log): Spool | null {
  if (database.embedded) return null;
  const broken = outage(
    fields => log.error('SPOOL_DIR cannot be written: webhooks are refused while the database does not answer', fields),
    () => log.info('SPOOL_DIR can be written again'),
  );
  return new Spool(settings.SPOOL_DIR, {
    problem: problem => broken(problem === null ? null : new Error(problem)),
    aside: (file, reason) => log.error('spooled webhooks cannot be taken in and were put aside', { file, reason }),
    stuck: (path, reason) => log.error('a spooled file cannot be taken in or removed: it stays and is tried again', { path, reason }),
    unsynced: (folder, reason) => log.warn('SPOOL_DIR cannot fsync folders: a power cut may cost webhooks', { folder, reason }),
  });
}
