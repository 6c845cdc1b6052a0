import { setTimeout as sleep } from 'node:timers/promises';
import { type Updateable, sql } from 'kysely';
import { stored } from '../explanations/explanation.js';
import type { Database } from '../database/database.js';
import type { Row, Tables, Trx } from '../database/tables.js';
import type { SharedClock } from '../process/clock.js';
import { lockApp } from './comparison.js';
import type { VendorError } from './vendor/error.js';

/** Duration of the lease on an app: longer than a call and the writes after it take. */
export const leaseMs = 30_000;
/** Maximum sleep at a time while waiting for the rate, so that the lease is renewed. */
const maxSleepMs = 5000;
const stoppedRetryMs = 15 * 60_000;
const minBackOffMs = 2000;
const maxBackOffMs = 60_000;

/** Another process has taken the lease on the app. */
export class LeaseLost extends Error {}

/** The lease on an app, which permits its API calls, and their pacing. */
export class AppLease {
  /** When the last calls ended, monotonic; Infinity for one in progress. */
  private ended: number[] = [];
  private notBefore = 0;
  private lease: string | null = null;

  constructor(
    readonly sdkAppId: string,
    private readonly database: Database,
    private readonly clock: SharedClock,
    private readonly perSecond: number,
  ) {}

  /** The window of the rate limit: a second, or the interval between calls if that is longer. */
  private get spanMs(): number {
    return Math.max(1000, 1000 / this.perSecond);
  }

  async take(lease: string): Promise<boolean> {
    this.lease = await this.database.kysely.transaction().execute(async trx => {
      const row = await lockApp(trx, this.sdkAppId);
      const now = this.clock.now();
      // With SQLite there is one process: any lease is left from a killed one. A lease far ahead was set by a wrong clock.
      const held = row.lease !== null && row.leased_until > now && row.leased_until <= now + leaseMs;
      if (held && !this.database.embedded) return null;
      await this.set(trx, { lease, leased_until: now + leaseMs });
      this.notBefore = this.clock.monotonic() + Math.min(Math.max(row.paced_until - now, 0), this.spanMs);
      return lease;
    });
    return this.lease !== null;
  }

  /** Releases the lease; the next holder makes no call within the window of our last ones. */
  async release(): Promise<void> {
    const sinceLastMs = this.clock.monotonic() - (this.ended.at(-1) ?? -Infinity);
    const until = Math.ceil(this.clock.now() + Math.max(0, this.spanMs - sinceLastMs));
    const later = sql<number>`case when paced_until < ${until} then cast(${until} as bigint) else paced_until end`;
    await this.leased(this.database.kysely).set({ lease: null, paced_until: later }).execute();
    this.lease = null;
  }

  /**
   * Waits until a call is allowed: calls are evenly spaced, and no second has more than the rate allows, over all processes and however
   * long calls take to arrive. @returns what must be called when the call has ended @throws LeaseLost
   */
  readonly pace = async (signal: AbortSignal): Promise<() => void> => {
    const maxCalls = Math.max(1, Math.floor(this.perSecond));
    const at = Math.max(this.notBefore, (this.ended.at(-maxCalls) ?? -Infinity) + this.spanMs);
    for (let waitMs = at - this.clock.monotonic(); waitMs > 0; waitMs = at - this.clock.monotonic()) {
      if (waitMs > maxSleepMs) await this.renew();
      await sleep(Math.min(waitMs, maxSleepMs), undefined, { signal });
    }
    await this.renew();
    this.notBefore = this.clock.monotonic() + 1000 / this.perSecond;
    this.ended = [...this.ended, Infinity].slice(-maxCalls);
    return () => void (this.ended[this.ended.length - 1] = this.clock.monotonic());
  };

  private async renew(): Promise<void> {
    const now = this.clock.now();
    // May be lost in a power cut: then there is no other process to keep out.
    const { numUpdatedRows } = await this.database.asyncCommit(trx =>
      this.leased(trx)
        .set({ leased_until: now + leaseMs, paced_until: Math.ceil(now + this.spanMs) })
        .executeTakeFirst(),
    );
    if (numUpdatedRows === 0n) throw new LeaseLost();
  }

  private leased(db: Pick<Trx, 'updateTable'>) {
    return db.updateTable('app').where('sdk_app_id', '=', this.sdkAppId).where('lease', '=', this.lease);
  }

  /** Locks the app's row, always before any channel's. @throws LeaseLost */
  async fence(trx: Trx): Promise<Row<'app'>> {
    const row = await lockApp(trx, this.sdkAppId);
    if (row.lease === null || row.lease !== this.lease) throw new LeaseLost();
    return row;
  }

  async set(trx: Trx, values: Updateable<Tables['app']>): Promise<void> {
    await trx.updateTable('app').set(values).where('sdk_app_id', '=', this.sdkAppId).execute();
  }

  /** The API works: resumes comparisons that failed because of the app's configuration. */
  async succeeded(trx: Trx, row: Row<'app'>): Promise<void> {
    if (row.state === 'ok') return;
    await this.set(trx, { state: 'ok', state_since: this.clock.now(), reason: null, advice: null, failures: 0, retry_at: 0 });
    await trx
      .updateTable('comparison')
      .set({ state: 'waiting', finished_at: null, reason: null, advice: null, resumes: 0 })
      .where('sdk_app_id', '=', this.sdkAppId)
      .where('resumes', '=', 1)
      .execute();
  }

  async failed(trx: Trx, row: Row<'app'>, { kind, why, advice, waitMs }: VendorError): Promise<void> {
    const now = this.clock.now();
    const state = kind === 'stop' ? 'misconfigured' : 'retrying';
    const jitter = 0.5 + this.clock.random() / 2;
    const backOffMs = Math.round(jitter * Math.min(maxBackOffMs, minBackOffMs * 2 ** Math.min(row.failures, 10)));
    const retry_at = now + (kind === 'stop' ? stoppedRetryMs : Math.max(waitMs, backOffMs));
    const health = { state, state_since: row.state === 'ok' ? now : row.state_since, reason: stored(why), advice: stored(advice) };
    await this.set(trx, { ...health, failures: row.failures + 1, retry_at });
  }
}

/** Whether calls to the app's API wait for a retry. A time further ahead was set by a wrong clock. */
export function isHeldBack({ retry_at: at, state }: Row<'app'>, now: number): boolean {
  return at > now && at <= now + (state === 'misconfigured' ? stoppedRetryMs : maxBackOffMs);
}
