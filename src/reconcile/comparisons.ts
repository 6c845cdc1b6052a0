import { Injectable } from '@nestjs/common';
import { ReadingRecorder } from '../channel/readings/reading-recorder.js';
import { Database } from '../database/database.js';
import { SharedClock } from '../process/clock.js';
import { EngineEvents } from '../process/engine-events.js';
import { Log } from '../process/log.js';
import type { RepeatedTask } from '../process/repeatedly.js';
import { Settings } from '../settings/settings.js';
import { AppWork } from './app-work.js';
import { AppTurn, leaseMs } from './apps.js';
import { type Cause, beginComparison, lockApp, openComparisons } from './comparison.js';
import { type Refusals, isDue, withRefusal } from './refusals.js';
import { VendorApi } from './vendor/api.js';

const lookEveryMs = 1000;
/** How often it is written when the last webhook of an app came. */
const rememberEveryMs = 2000;
/** A standstill of all processes that may have cost webhooks; a living one touches its row every 20 s. */
const downMs = 60_000;

/** Compares the channels of apps with the vendor, when there is reason to, and imports channels. One process at a time works for an app. */
@Injectable()
export class Comparisons {
  readonly part = 'comparisons';
  private readonly refused = new Map<string, Refusals>();
  /** When the last webhook of each app was kept, as this process heard. */
  private readonly webhookAt = new Map<string, number>();
  private readonly remembered = new Map<string, number>();
  /** When this process began, by its monotonic clock. */
  private readonly startedAt: number;

  constructor(
    private readonly database: Database,
    private readonly recorder: ReadingRecorder,
    private readonly settings: Settings,
    private readonly clock: SharedClock,
    private readonly events: EngineEvents,
    private readonly log: Log,
  ) {
    this.startedAt = clock.monotonic();
    events
      .on('rejected', (app, result) => {
        if (settings.apps.some(one => one.sdkAppId === app))
          this.refused.set(app, withRefusal(this.refused.get(app), result, clock.monotonic()));
      })
      .on('kept', webhooks => {
        for (const { sdkAppId, receivedAt } of webhooks) this.webhookAt.set(sdkAppId, receivedAt);
      });
  }

  /** Before this process touches the row that tells that the service works: if no other did for long before it began, webhooks may have been lost. */
  async lookBack(): Promise<void> {
    const { at } = await this.database.kysely.selectFrom('heartbeat').select('at').executeTakeFirstOrThrow();
    const now = this.clock.now();
    // While it waited for the database it kept webhooks in the spool.
    const downForMs = now - (this.clock.monotonic() - this.startedAt) - at;
    if (at === 0 || downForMs <= downMs) return;
    for (const { sdkAppId } of this.settings.apps) {
      this.log.info('no process was there for a while: channels are compared', { app: sdkAppId, forMs: Math.round(downForMs) });
      await this.beginWhole(sdkAppId, 'downtime', now);
    }
  }

  /** Looks every second for what there is to do; each app beside the others. */
  works(stop: AbortSignal): RepeatedTask[] {
    const { database, recorder, clock, events, log } = this;
    const { apps, proxies, COMPARE_RATE_PER_SECOND } = this.settings;
    const works = apps.map(app => {
      const api = new VendorApi(app, proxies, clock, events, log);
      stop.addEventListener('abort', () => api.close(), { once: true });
      const turn = new AppTurn(app.sdkAppId, database, clock, COMPARE_RATE_PER_SECOND);
      const work = new AppWork({ app, api, turn, database, recorder, clock, events, log });
      return { work: () => this.turn(app.sdkAppId, work, stop), delayMs: lookEveryMs };
    });
    return [...works, { work: () => this.remember(), delayMs: rememberEveryMs }];
  }

  private async turn(sdkAppId: string, work: AppWork, stop: AbortSignal): Promise<void> {
    // After a jump of the clock the lease of another process looks as if it were over.
    if (this.database.time.jumpedWithin(leaseMs)) return;
    await this.beginByItself(sdkAppId);
    await work.once(stop);
  }

  private async beginByItself(sdkAppId: string): Promise<void> {
    const now = this.clock.now();
    const { COMPARE_EVERY: every } = this.settings;
    const refused = this.refused.get(sdkAppId);
    const row = await this.database.kysely
      .selectFrom('app')
      .select(['compared_at', 'refused_at'])
      .where('sdk_app_id', '=', sdkAppId)
      .executeTakeFirst();
    // A time to come was written by a clock that was ahead.
    const ago = (at: number | null | undefined): number => (at === null || at === undefined || at > now ? Infinity : now - at);
    if (refused && isDue(refused, this.clock.monotonic(), ago(row?.refused_at))) {
      await this.beginWhole(sdkAppId, 'refused', now);
      if (!refused.ours)
        await this.database.kysely.updateTable('app').set({ refused_at: now }).where('sdk_app_id', '=', sdkAppId).execute();
      // Another may have been refused meanwhile.
      if (this.refused.get(sdkAppId) === refused) this.refused.delete(sdkAppId);
    }
    if (every !== null && ago(row?.compared_at) >= every) await this.beginWhole(sdkAppId, 'schedule', now);
  }

  /** By the schedule it is skipped while one of all channels is open; for any other reason one that waits is as good. */
  private async beginWhole(sdkAppId: string, cause: Cause, now: number): Promise<void> {
    const open = await openComparisons(this.database.kysely, sdkAppId).execute();
    const whole = open.filter(one => one.whole === 1 && one.dry_run === 0);
    if (whole.some(one => cause === 'schedule' || one.started_at === null)) return;
    await beginComparison(this.database, { sdkAppId, cause }, { at: now, actor: null });
  }

  private async remember(): Promise<void> {
    for (const [sdkAppId, at] of this.webhookAt) {
      if (this.remembered.get(sdkAppId) === at) continue;
      await this.database.asyncCommit(async trx => {
        const { webhook_at: before } = await lockApp(this.database, trx, sdkAppId);
        if (at > (before ?? 0)) await trx.updateTable('app').set({ webhook_at: at }).where('sdk_app_id', '=', sdkAppId).execute();
      });
      this.remembered.set(sdkAppId, at);
    }
  }
}
