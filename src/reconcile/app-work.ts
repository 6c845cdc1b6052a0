import { v4 as uuid } from 'uuid';
import { inEnglish, stored } from '../explanations/explanation.js';
import { recordedAt } from '../database/arrival-times.js';
import { LeaseLost, isHeldBack } from './app-lease.js';
import { type Comparison, openComparisons, readComparison, requestedCauses } from './comparison.js';
import { advance } from './comparison-pages.js';
import type { AppContext } from './record-page.js';
import { type Single, dueSingles, readSingles } from './singles.js';
import { VendorError } from './vendor/error.js';

/** How far ahead the start of a comparison can be: the second reading of missing channels. */
const maxWaitMs = 60_000;

/** The next step for an app; single channels take precedence over the next page of a comparison. */
type Due = Single[] | Comparison;

/** Reads channels of one app from the vendor: due single channels first, then a comparison page by page. */
export class AppWork {
  /** Whether this process has called the API: after a restart the settings may have been corrected. */
  private called = false;

  constructor(private readonly context: AppContext) {}

  async once(stop: AbortSignal): Promise<void> {
    const { lease } = this.context;
    if (!(await this.due()) || !(await lease.take(uuid()))) return;
    try {
      for (let due = await this.due(); due && !stop.aborted; due = await this.due()) await this.step(due, stop);
    } catch (error) {
      // The new holder of the lease continues.
      if (!(error instanceof LeaseLost) && !stop.aborted) throw error;
    } finally {
      await lease.release();
    }
  }

  private async due(): Promise<Due | null> {
    const { database, clock, app } = this.context;
    const { kysely } = database;
    const now = clock.now();
    const row = await kysely.selectFrom('app').selectAll().where('sdk_app_id', '=', app.sdkAppId).executeTakeFirst();
    const held = row !== undefined && isHeldBack(row, now) && (this.called || row.state !== 'misconfigured');
    const singles = held ? [] : await dueSingles(this.context);
    if (singles.length > 0) return singles;
    const open = await openComparisons(kysely, app.sdkAppId).execute();
    const next = open.find(({ due_at: dueAt, cause }) => {
      const isTime = dueAt <= now || dueAt > now + maxWaitMs;
      return isTime && (!held || (row.state === 'misconfigured' && requestedCauses.includes(cause)));
    });
    if (next) return readComparison(next);
    if (held || row?.state !== 'misconfigured') return null;
    // The oldest comparison that failed because of the app's configuration; retrying it shows whether that has been fixed.
    const failed = kysely.selectFrom('comparison').selectAll().where('sdk_app_id', '=', row.sdk_app_id).where('resumes', '=', 1);
    const [oldest] = await failed.orderBy('id').limit(1).execute();
    return oldest ? readComparison(oldest) : null;
  }

  private async step(due: Due, stop: AbortSignal): Promise<void> {
    this.called = true;
    try {
      if (Array.isArray(due)) await readSingles(this.context, due, stop);
      else await advance(this.context, due, stop);
    } catch (error) {
      if (!(error instanceof VendorError) || stop.aborted) throw error;
      await this.failed(error, Array.isArray(due) ? null : due);
    }
  }

  /** Handles a failed call: the work is retried later, or, if the app needs attention, the comparison fails until that is fixed. */
  private async failed(error: VendorError, comparison: Comparison | null): Promise<void> {
    const { app, clock, database, log, lease } = this.context;
    const stops = error.kind === 'stop';
    const [reason, advice] = [stored(error.why), stored(error.advice)];
    const before = await database.kysely.transaction().execute(async trx => {
      const row = await lease.fence(trx);
      await lease.failed(trx, row, error);
      const ends = stops && { state: 'failed', finished_at: await recordedAt(trx, clock.now()), resumes: 1 };
      const values = { reason, advice, ...ends };
      if (comparison) await trx.updateTable('comparison').set(values).where('id', '=', comparison.id).execute();
      return row;
    });
    if (before.state !== 'ok' && before.reason === reason) return;
    const fields = { app: app.sdkAppId, reason: error.message, advice: inEnglish(error.advice) };
    if (stops) log.warn('comparing with Tencent is stopped; it is tried again every 15 minutes', fields);
    else log.warn("Tencent's API fails; it is tried again", fields);
  }
}
