import { Injectable } from '@nestjs/common';
import { ReadingRecorder } from '../channel/readings/reading-recorder.js';
import { Database } from '../database/database.js';
import { SharedClock } from '../process/clock.js';
import { EngineEvents } from '../process/engine-events.js';
import { Log } from '../process/log.js';
import type { RepeatedTask } from '../process/repeatedly.js';
import { Settings } from '../settings/settings.js';
import { AppWork } from './app-work.js';
import { AppLease, leaseMs } from './app-lease.js';
import { type Cause, beginComparison, lockApp } from './comparison.js';
import { type Refusals, isDue, withRefusal } from './refusals.js';
import { VendorApi } from './vendor/api.js';

const pollIntervalMs = 1000;
/** How often the time of an app's last webhook is written. */
const saveIntervalMs = 2000;
/** Downtime of the whole service after which webhooks may be missing; a running process updates the heartbeat every 20 s. */
const minDowntimeMs = 60_000;

/** Compares channels with the vendor's API when there is reason to, and imports channels. One process at a time works for an app. */
@Injectable()
export class Comparisons {
  readonly part = 'comparisons';
  private readonly refused = new Map<string, Refusals>();
  /** When this process recorded the last webhook of each app, until that is saved. */
  private readonly webhookAt = new Map<string, number>();
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
        if (settings.apps.some(({ sdkAppId }) => sdkAppId === app))
          this.refused.set(app, withRefusal(this.refused.get(app), result, clock.monotonic()));
      })
      .on('recorded', webhooks => {
        for (const { sdkAppId, receivedAt } of webhooks) this.webhookAt.set(sdkAppId, receivedAt);
      });
  }

  /** Starts comparisons if the whole service was down before this process started. Must run before its first heartbeat. */
  async checkDowntime(): Promise<void> {
    const { at } = await this.database.kysely.selectFrom('heartbeat').select('at').executeTakeFirstOrThrow();
    const now = this.clock.now();
    // Time spent waiting for the database is no downtime: webhooks went to the spool.
    const downForMs = now - (this.clock.monotonic() - this.startedAt) - at;
    if (at === 0 || downForMs <= minDowntimeMs) return;
    for (const { sdkAppId } of this.settings.apps) {
      this.log.info('the service was down: comparing channels with Tencent', { app: sdkAppId, forMs: Math.round(downForMs) });
      await this.begin(sdkAppId, 'downtime', now);
    }
  }

  /** Polls for work every second, for each app independently. */
  works(stop: AbortSignal): RepeatedTask[] {
    const { database, recorder, clock, events, log } = this;
    const { apps, proxies, COMPARE_RATE_PER_SECOND } = this.settings;
    const works = apps.map(app => {
      const lease = new AppLease(app.sdkAppId, database, clock, COMPARE_RATE_PER_SECOND);
      const api = new VendorApi(app, proxies, clock, events, log, lease.pace);
      stop.addEventListener('abort', () => api.close(), { once: true });
      const work = new AppWork({ app, api, lease, database, recorder, clock, events, log });
      return { work: () => this.pollApp(app.sdkAppId, work, stop), delayMs: pollIntervalMs };
    });
    return [...works, { work: () => this.saveLastWebhooks(), delayMs: saveIntervalMs }];
  }

  private async pollApp(sdkAppId: string, work: AppWork, stop: AbortSignal): Promise<void> {
    // After a jump of the clock the lease of another process may look expired.
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
    // A time in the future was written by a wrong clock.
    const ago = (at: number | null | undefined): number => (at === null || at === undefined || at > now ? Infinity : now - at);
    if (refused && isDue(refused, this.clock.monotonic(), ago(row?.refused_at))) {
      await this.begin(sdkAppId, 'refused', now);
      if (!refused.ours)
        await this.database.kysely.updateTable('app').set({ refused_at: now }).where('sdk_app_id', '=', sdkAppId).execute();
      // Keep it if another webhook has been refused meanwhile.
      if (this.refused.get(sdkAppId) === refused) this.refused.delete(sdkAppId);
    }
    const sinceStart = ago(row?.compared_at);
    if (every === null || sinceStart < every) return;
    // Before the first one, it is due now.
    const dueAt = sinceStart === Infinity ? now : now - (sinceStart % every);
    const last = await this.database.kysely
      .selectFrom('comparison')
      .select('finished_at')
      .where('sdk_app_id', '=', sdkAppId)
      .where('whole', '=', 1)
      .where('dry_run', '=', 0)
      .where('finished_at', '<=', now)
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst();
    // One that fell due while another was running is skipped.
    if ((last?.finished_at ?? 0) <= dueAt) await this.begin(sdkAppId, 'schedule', now);
  }

  private async begin(sdkAppId: string, cause: Cause, now: number): Promise<void> {
    await beginComparison(this.database, { sdkAppId, cause }, { at: now, actor: null });
  }

  private async saveLastWebhooks(): Promise<void> {
    for (const [sdkAppId, at] of this.webhookAt) {
      await this.database.asyncCommit(async trx => {
        const { webhook_at: before } = await lockApp(trx, sdkAppId);
        if (at > (before ?? 0)) await trx.updateTable('app').set({ webhook_at: at }).where('sdk_app_id', '=', sdkAppId).execute();
      });
      if (this.webhookAt.get(sdkAppId) === at) this.webhookAt.delete(sdkAppId);
    }
  }
}
