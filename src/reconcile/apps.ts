import { setTimeout as sleep } from 'node:timers/promises';
import { type Selectable, type Updateable, sql } from 'kysely';
import { stored } from '../explanations/explanation.js';
import type { Database } from '../database/database.js';
import type { Tables, Trx } from '../database/tables.js';
import type { SharedClock } from '../process/clock.js';
import { lockApp } from './comparison.js';
import type { VendorError } from './vendor/error.js';

/** How long a process has an app without renewing it: longer than a call and what is written after it take. */
export const leaseMs = 30_000;
/** The longest rest at a time while an app's next call waits for its rate. */
const longestRestMs = 5000;
/** When what needs a person is tried again by itself, and the waits for what passes by itself. */
const stoppedMs = 15 * 60_000;
const firstBackOffMs = 2000;
const longestBackOffMs = 60_000;
/** How late a timer may be without making the rate lower. */
const lateMs = 50;

export const appStates = ['ok', 'retrying', 'misconfigured', 'off'] as const;

export type AppRow = Selectable<Tables['app']>;

/** Another process reads for the app. */
export class LeaseLost extends Error {}

/** The lease under which this process reads for an app, and the pace of its calls. */
export class AppTurn {
  /** When the last calls were over, by the monotonic clock. */
  private ended: number[] = [];
  private startedAt = -Infinity;
  private notBefore = 0;
  private lease: string | null = null;

  constructor(
    readonly sdkAppId: string,
    private readonly database: Database,
    private readonly clock: SharedClock,
    private readonly perSecond: number,
  ) {}

  /** The time in which there is one call, or as many as a second may have. */
  private get spanMs(): number {
    return Math.max(1000, 1000 / this.perSecond);
  }

  /** @returns whether no other process has it */
  async take(lease: string): Promise<boolean> {
    this.lease = await this.database.kysely.transaction().execute(async trx => {
      const row = await lockApp(this.database, trx, this.sdkAppId);
      const now = this.clock.now();
      // The embedded store has one process: a lease is what a killed one left. A time far ahead was set by a clock that was wrong.
      const held = row.lease !== null && row.leased_until > now && row.leased_until <= now + leaseMs;
      if (held && !this.database.embedded) return null;
      await this.set(trx, { lease, leased_until: now + leaseMs });
      this.notBefore = this.clock.monotonic() + Math.min(Math.max(row.paced_until - now, 0), this.spanMs);
      return lease;
    });
    return this.lease !== null;
  }

  /** Whoever has it next makes no call in the span of our last ones. */
  async giveBack(): Promise<void> {
    const sinceLastMs = this.clock.monotonic() - (this.ended.at(-1) ?? -Infinity);
    const until = Math.ceil(this.clock.now() + Math.max(0, this.spanMs - sinceLastMs));
    const later = sql<number>`case when paced_until < ${until} then cast(${until} as bigint) else paced_until end`;
    await this.leased(this.database.kysely).set({ lease: null, paced_until: later }).execute();
    this.lease = null;
  }

  /**
   * Waits until a call may be made: evenly as the rate says, and never more in a second than it allows, by all processes and however long calls take to arrive.
   * @returns to be called when the call is over
   * @throws LeaseLost
   */
  readonly pace = async (signal: AbortSignal): Promise<() => void> => {
    const most = Math.max(1, Math.floor(this.perSecond));
    const evenMs = 1000 / this.perSecond;
    const window = this.ended.length < most ? -Infinity : this.ended.at(-most)! + this.spanMs;
    const at = Math.max(this.notBefore, window, this.startedAt + evenMs);
    for (let waitMs = at - this.clock.monotonic(); waitMs > 0; waitMs = at - this.clock.monotonic()) {
      if (waitMs > longestRestMs) await this.renew();
      await sleep(Math.min(waitMs, longestRestMs), undefined, { signal });
    }
    await this.renew();
    const now = this.clock.monotonic();
    // By the plan, so that timers that are late do not add up.
    this.startedAt = Math.max(at, now - lateMs);
    this.ended = [...this.ended, Infinity].slice(-most);
    return () => void (this.ended[this.ended.length - 1] = this.clock.monotonic());
  };

  private async renew(): Promise<void> {
    const now = this.clock.now();
    // A power cut may undo it: then no process is left that it could keep away.
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

  /** Locks the app's row, before any channel's. @throws LeaseLost */
  async fence(trx: Trx): Promise<AppRow> {
    const row = await lockApp(this.database, trx, this.sdkAppId);
    if (row.lease === null || row.lease !== this.lease) throw new LeaseLost();
    return row;
  }

  async set(trx: Trx, values: Updateable<Tables['app']>): Promise<void> {
    await trx.updateTable('app').set(values).where('sdk_app_id', '=', this.sdkAppId).execute();
  }

  /** Its API works: what failed for what was wrong with the app goes on. */
  async succeeded(trx: Trx, row: AppRow): Promise<void> {
    if (row.state === 'ok') return;
    await this.set(trx, { state: 'ok', state_since: this.clock.now(), reason: null, advice: null, failures: 0, retry_at: 0 });
    await trx
      .updateTable('comparison')
      .set({ state: 'waiting', finished_at: null, reason: null, advice: null, resumes: 0 })
      .where('sdk_app_id', '=', this.sdkAppId)
      .where('resumes', '=', 1)
      .execute();
  }

  /** A call failed as a whole. */
  async failed(trx: Trx, row: AppRow, { kind, why, advice, waitMs }: VendorError): Promise<void> {
    const now = this.clock.now();
    const state = kind === 'stop' ? 'misconfigured' : 'retrying';
    const jitter = 0.5 + this.clock.random() / 2;
    const backOffMs = Math.round(jitter * Math.min(longestBackOffMs, firstBackOffMs * 2 ** Math.min(row.failures, 10)));
    const since = row.state === state ? row.state_since : now;
    const retryAt = now + (kind === 'stop' ? stoppedMs : Math.max(waitMs, backOffMs));
    await this.set(trx, {
      state,
      state_since: since,
      reason: stored(why),
      advice: stored(advice),
      failures: row.failures + 1,
      retry_at: retryAt,
    });
  }
}

/** Whether an app's API is known not to work just now. A time far ahead was set by a clock that was wrong. */
export function isHeldBack({ retry_at: at, state }: AppRow, now: number): boolean {
  return at > now && at <= now + (state === 'misconfigured' ? stoppedMs : longestBackOffMs);
}
