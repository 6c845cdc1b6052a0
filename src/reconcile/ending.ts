import { sql } from 'kysely';
import { v7 as uuid } from 'uuid';
import { inEnglishOrNull, stored } from '../explanations/explanation.js';
import { recordedAt } from '../database/arrival-times.js';
import type { Row, Trx } from '../database/tables.js';
import type { Log } from '../process/log.js';
import { variablesOf } from './vendor/error.js';
import { type Comparison, newProgress } from './comparison.js';

/** Delay before missing channels are read a second time. */
const rereadDelayMs = 60_000;
/** If more channels than this, and a larger share of those compared, are missing, something else is wrong and none is destroyed. */
const maxGone = 20;
const maxGoneShare = 0.1;

type Ending = Pick<Comparison, 'id' | 'sdk_app_id' | 'cause' | 'dry_run' | 'destroy' | 'progress'>;
type End = Pick<Row<'comparison'>, 'state' | 'reason' | 'advice' | 'finished_at'>;
/** A comparison that has ended, without its id if it is not stored. */
export type Ended = Omit<Ending, 'id'> & End & { id: string | undefined };

/**
 * Finishes a comparison: for the channels it has listed as missing, adds a comparison that reads them again a minute later, unless they are
 * implausibly many. In a dry run it adds them to `progress.destroyed` instead.
 * @returns the columns to update
 */
export async function finishComparison(trx: Trx, comparison: Ending, now: number): Promise<End> {
  const { id, sdk_app_id, cause, dry_run: dryRun, destroy, progress } = comparison;
  const finishedAt = await recordedAt(trx, now);
  const isPlausible = progress.gone === 0 || destroy === 1 || cause === 'gone' || !(await isTooMany(trx, comparison));
  if (isPlausible && dryRun === 0 && progress.gone > 0) {
    const again = uuid({ msecs: finishedAt });
    // Without those that an earlier comparison has listed to be read again.
    const { numAffectedRows: moved = 0n } = await sql`update comparison_channel set comparison = ${again}, gone = 0
      where comparison = ${id} and gone = 1 and channel_id not in (
        select listed.channel_id from comparison_channel listed join comparison waiting on waiting.id = listed.comparison
        where waiting.sdk_app_id = ${sdk_app_id} and waiting.cause = 'gone' and waiting.finished_at is null)`.execute(trx);
    const rules = { dry_run: 0, destroy: 0, whole: 0, due_at: now + rereadDelayMs, progress: JSON.stringify(newProgress(Number(moved))) };
    if (moved > 0n)
      await trx
        .insertInto('comparison')
        .values({ id: again, sdk_app_id, cause: 'gone', state: 'waiting', ...rules })
        .execute();
  }
  // What is still listed will not be read again.
  await trx.deleteFrom('comparison_channel').where('comparison', '=', id).execute();
  if (isPlausible && dryRun === 1) progress.destroyed += progress.gone;
  const tooMany = {
    reason: stored(['too_many_gone', progress.gone, progress.compared]),
    advice: stored(['check_gone', variablesOf(sdk_app_id)]),
  };
  const failure = isPlausible ? progress.undiscovered : tooMany;
  return { state: failure ? 'failed' : 'done', reason: failure?.reason ?? null, advice: failure?.advice ?? null, finished_at: finishedAt };
}

async function isTooMany(trx: Trx, { id, sdk_app_id: sdkAppId, progress }: Ending): Promise<boolean> {
  if (progress.gone > maxGone && progress.gone > progress.compared * maxGoneShare) return true;
  if (progress.gone < 2) return false;
  // Too many also if no other channel of the app would be left.
  const { rows } = await sql`select 1 from channel_findable where sdk_app_id = ${sdkAppId} and exist = 1
      and channel_id not in (select channel_id from comparison_channel where comparison = ${id} and gone = 1) limit 1`.execute(trx);
  return rows.length === 0;
}

/** Logs the end of a comparison, once that is committed. */
export function logEnd(log: Log, { id, sdk_app_id: app, cause, state, reason, advice, progress }: Ended): void {
  const { total, compared, corrected, destroyed, imported, failed } = progress;
  const fields = { app, comparison: id, cause, total, compared, corrected, destroyed, imported, failed };
  if (state === 'done') log.info('channels compared with Tencent', fields);
  else log.warn('comparing channels with Tencent failed', { ...fields, reason: inEnglishOrNull(reason), advice: inEnglishOrNull(advice) });
}
