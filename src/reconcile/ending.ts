import { sql } from 'kysely';
import { v7 as uuid } from 'uuid';
import { inEnglishOrNull, stored } from '../explanations/explanation.js';
import { recordedAt } from '../database/arrival-times.js';
import type { Database } from '../database/database.js';
import type { Trx } from '../database/tables.js';
import type { Log } from '../process/log.js';
import { variablesOf } from './vendor/error.js';
import { type Comparison, type ComparisonRow, addChannels, newProgress } from './comparison.js';

/** When what was gone is read once more. */
const readAgainMs = 60_000;
/** More than so many channels, and more than this share of those compared, do not end at once: something else is wrong. */
const goneMost = 20;
const goneShare = 0.1;

/** A comparison that has looked at all its channels. */
type Ending = Pick<Comparison, 'id' | 'sdk_app_id' | 'cause' | 'dry_run' | 'destroy' | 'progress'>;
type End = Pick<ComparisonRow, 'state' | 'reason' | 'advice' | 'finished_at'>;

/**
 * How a comparison ends. What is gone is read again a minute later, as a comparison of its own, unless it is so much that the vendor's answer is not believed.
 * @param gone the channels that are gone; `null` where they are listed in the database
 * @returns what is to be written in its row
 */
export async function endOf(database: Database, trx: Trx, comparison: Ending, gone: readonly string[] | null, now: number): Promise<End> {
  const { id, sdk_app_id: sdkAppId, cause, dry_run: dryRun, destroy, progress } = comparison;
  const finishedAt = await recordedAt(trx, now);
  const isBelieved = progress.gone === 0 || destroy === 1 || cause === 'gone' || !(await isTooMuch(database, trx, comparison, gone));
  if (!isBelieved)
    return {
      state: 'failed',
      reason: stored(['too_many_gone', progress.gone, progress.compared]),
      advice: stored(['check_gone', variablesOf(sdkAppId)]),
      finished_at: finishedAt,
    };
  if (dryRun === 1) progress.destroyed += progress.gone;
  else if (progress.gone > 0) {
    const again = uuid({ msecs: finishedAt });
    const row = { id: again, sdk_app_id: sdkAppId, cause: 'gone', state: 'waiting', dry_run: 0, destroy: 0, whole: 0 };
    const progressOfAgain = JSON.stringify(newProgress(progress.gone));
    await trx
      .insertInto('comparison')
      .values({ ...row, due_at: now + readAgainMs, progress: progressOfAgain })
      .execute();
    if (gone) await addChannels(database, trx, again, gone);
    else await sql`update comparison_channel set comparison = ${again}, gone = 0 where comparison = ${id} and gone = 1`.execute(trx);
  }
  const failure = progress.undiscovered;
  return { state: failure ? 'failed' : 'done', reason: failure?.reason ?? null, advice: failure?.advice ?? null, finished_at: finishedAt };
}

async function isTooMuch(
  database: Database,
  trx: Trx,
  { id, sdk_app_id: sdkAppId, progress }: Ending,
  gone: readonly string[] | null,
): Promise<boolean> {
  if (progress.gone > goneMost && progress.gone > progress.compared * goneShare) return true;
  if (progress.gone < 2) return false;
  // Whether no other channel of the app exists.
  const listed = gone
    ? database.isAmong('channel_id', gone)
    : sql<boolean>`channel_id in (select channel_id from comparison_channel where comparison = ${id} and gone = 1)`;
  const { rows } = await sql`
      select 1 from channel_findable where sdk_app_id = ${sdkAppId} and exist = 1 and not (${listed}) limit 1`.execute(trx);
  return rows.length === 0;
}

/** Tells the log how a comparison ended. */
export function tellEnd(log: Log, { id, sdk_app_id: app, cause, state, reason, advice, progress }: Ending & End): void {
  const { total, compared, corrected, destroyed, imported, failed } = progress;
  const fields = { app, comparison: id, cause, total, compared, corrected, destroyed, imported, failed };
  if (state === 'done') log.info('channels compared with Tencent', fields);
  else log.warn('comparing channels with Tencent failed', { ...fields, reason: inEnglishOrNull(reason), advice: inEnglishOrNull(advice) });
}
