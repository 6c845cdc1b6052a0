import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Checks } from './checks/checks.js';
import { Database } from './database/database.js';
import { UnusableDatabase } from './database/errors.js';
import { Dispatcher } from './delivery/dispatcher.js';
import { WebhookIntake } from './intake/intake.js';
import { ServedSinks } from './sinks/served-sinks.js';
import { Timekeeper } from './maintenance/timekeeper.js';
import { Upkeep } from './maintenance/upkeep.js';
import { SharedClock } from './process/clock.js';
import { EngineEvents } from './process/engine-events.js';
import { Log } from './process/log.js';
import { Tracing } from './process/tracing.js';
import { repeatedly } from './process/repeatedly.js';
import { outage } from './database/outage.js';
import { Alerts } from './reports/alerts.js';
import { Comparisons } from './reconcile/comparisons.js';
import { warnOfRemovedSinks } from './management/removed-sinks.js';
import { IndexJobs } from './search-index/index-jobs.js';

const databaseRetryMs = 1000;
/** If PostgreSQL is not ready after this time, the ports open without it, and webhooks go to the spool. */
const openTimeoutMs = 2000;
/** On shutdown, how long running attempts may take to finish. */
const attemptGraceMs = 10_000;

/** Starts and stops everything behind the ports. Not in Nest hooks: ports open after parts of it, and the database may come up later. */
@Injectable()
export class Engine {
  private readonly stopping = new AbortController();
  private background: Promise<unknown>[] = [];
  /** True until the ports open: until then an unusable database aborts the start. */
  private opening = true;

  constructor(
    private readonly database: Database,
    private readonly served: ServedSinks,
    private readonly dispatcher: Dispatcher,
    private readonly intake: WebhookIntake,
    private readonly timekeeper: Timekeeper,
    private readonly upkeep: Upkeep,
    private readonly alerts: Alerts,
    private readonly indexJobs: IndexJobs,
    private readonly checks: Checks,
    private readonly comparisons: Comparisons,
    private readonly clock: SharedClock,
    private readonly events: EngineEvents,
    private readonly log: Log,
    private readonly tracing: Tracing,
  ) {}

  /**
   * Starts connecting to the database; PostgreSQL is retried until it works.
   * @returns a function that waits until webhooks can be stored: at most two seconds for PostgreSQL, since there is the spool.
   *   It throws UnusableDatabase, or SQLite's error
   */
  async start(): Promise<() => Promise<void>> {
    await this.served.open();
    const late = sleep(openTimeoutMs, undefined, { ref: false });
    const storable = Promise.withResolvers<void>();
    const started = this.bringUp(storable.resolve);
    // Awaited below; not an unhandled rejection until then.
    started.catch(() => undefined);
    return async () => {
      await (this.database.embedded ? started : Promise.race([started, storable.promise, late]));
      this.opening = false;
      await this.intake.start();
    };
  }

  private async bringUp(onStorable: () => void): Promise<void> {
    const unusable = outage(fields =>
      this.log.error('DATABASE_URL: this database cannot be used as it is; webhooks stay in SPOOL_DIR', fields),
    );
    const unavailable = outage(fields => this.log.error('cannot connect to PostgreSQL; retrying', fields));
    const { signal } = this.stopping;
    while (!signal.aborted) {
      try {
        await this.database.migrate();
        await this.served.register();
        this.database.ready = true;
        onStorable();
        if (!this.database.embedded) await this.timekeeper.letOthersNotice(signal);
        await this.comparisons.checkDowntime();
        await this.timekeeper.once();
        if (signal.aborted) return;
        await this.dispatcher.start();
        this.log.info('delivering');
        // Not awaited: counting may take long. A failure does no harm: the API and the metrics have the counts, too.
        void warnOfRemovedSinks(this.database, this.clock.now(), this.log).catch(() => undefined);
        const parts = [this.timekeeper, this.upkeep, this.alerts, this.indexJobs, this.checks, this.comparisons];
        this.background = parts.map(job => repeatedly(job.works(signal), error => this.events.report(job.part, error), signal));
        return;
      } catch (error) {
        const isUnusable = error instanceof UnusableDatabase;
        if (this.database.embedded || (isUnusable && this.opening)) throw error;
        (isUnusable ? unusable : unavailable)(error as Error);
        await sleep(databaseRetryMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** Finishes running work and starts nothing new. Webhooks can still be stored. */
  async drain(): Promise<void> {
    this.stopping.abort();
    await Promise.all([this.dispatcher.drain(attemptGraceMs), ...this.background]);
  }

  /** Call once no more webhooks arrive. */
  stopIntake(): Promise<void> {
    return this.intake.stop();
  }

  async close(): Promise<void> {
    await Promise.all([this.database.close(), this.tracing.close()]);
  }
}
