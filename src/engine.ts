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
import { EngineEvents } from './process/engine-events.js';
import { Log } from './process/log.js';
import { Tracing } from './process/tracing.js';
import { repeatedly } from './process/repeatedly.js';
import { outage } from './database/outage.js';
import { Alerts } from './reports/alerts.js';
import { Comparisons } from './reconcile/comparisons.js';
import { IndexJobs } from './search-index/index-jobs.js';

const databaseRetryMs = 1000;
/** What PostgreSQL gets to answer before the ports open without it, and webhooks go to the spool. */
const openWithinMs = 2000;
/** What attempts under way get to end. */
const attemptGraceMs = 10_000;

/** Starts and stops all that works behind the ports. By hand and not by Nest's hooks: the ports wait for some of it, and the database comes when it comes. */
@Injectable()
export class Engine {
  private readonly stopping = new AbortController();
  private background: Promise<unknown>[] = [];
  /** True while the ports are closed, so that a mistake in DATABASE_URL may end the start. */
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
    private readonly events: EngineEvents,
    private readonly log: Log,
    private readonly tracing: Tracing,
  ) {}

  /**
   * Starts the way to the database; with PostgreSQL as often as it takes.
   * @returns waits until webhooks can be kept: two seconds at most for PostgreSQL, since the spool can
   * @throws UnusableDatabase, and whatever the embedded store says
   */
  async start(): Promise<() => Promise<void>> {
    await this.served.open();
    const late = sleep(openWithinMs, undefined, { ref: false });
    const started = this.bringUp();
    // Awaited below; until then a failure must not count as unhandled.
    started.catch(() => undefined);
    return async () => {
      await (this.database.embedded ? started : Promise.race([started, late]));
      this.opening = false;
      await this.intake.start();
    };
  }

  private async bringUp(): Promise<void> {
    const mistaken = outage(fields =>
      this.log.error('DATABASE_URL: this database cannot be used as it is; webhooks stay in SPOOL_DIR', fields),
    );
    const away = outage(fields => this.log.error('PostgreSQL does not take us; trying again until it does', fields));
    while (!this.stopping.signal.aborted) {
      try {
        await this.database.migrate();
        await this.comparisons.lookBack();
        await this.timekeeper.once();
        await this.served.register();
        await this.dispatcher.start();
        this.database.ready = true;
        this.log.info('delivering');
        const parts = [this.timekeeper, this.upkeep, this.alerts, this.indexJobs, this.checks, this.comparisons];
        const { signal } = this.stopping;
        this.background = parts.map(one => repeatedly(one.works(signal), error => this.events.report(one.part, error), signal));
        return;
      } catch (error) {
        const mistake = error instanceof UnusableDatabase;
        if (this.database.embedded || (mistake && this.opening)) throw error;
        (mistake ? mistaken : away)(error as Error);
        await sleep(databaseRetryMs, undefined, { signal: this.stopping.signal }).catch(() => undefined);
      }
    }
  }

  /** Ends what is under way, and begins nothing more. Webhooks can still be kept. */
  async drain(): Promise<void> {
    this.stopping.abort();
    await Promise.all([this.dispatcher.drain(attemptGraceMs), ...this.background]);
  }

  /** Webhooks must not come any more. */
  stopIntake(): Promise<void> {
    return this.intake.stop();
  }

  async close(): Promise<void> {
    await Promise.all([this.database.close(), this.tracing.close()]);
  }
}
