import { sql } from 'kysely';
import { v7 as uuid } from 'uuid';
import { recordedAt } from '../database/arrival-times.js';
import type { Row, Trx } from '../database/tables.js';
import { isDueSql } from '../channel/readings/to-read.js';
import { type Cause, type Outcome, addChannels, idsOf, newProgress, progressAfter } from './comparison.js';
import { type Ended, finishComparison, logEnd } from './ending.js';
import { type AppContext, recordReadings } from './record-page.js';
import { idsPerCall, readChannels } from './vendor/reader.js';

/** A channel to read by itself, and why: a webhook or an inconclusive reading has marked it. */
export type Single = Pick<Row<'channel'>, 'channel_id' | 'read_cause'>;

/** The single channels that are due, up to the limit of one call. */
export function dueSingles({ app, database, clock }: AppContext): Promise<Single[]> {
  const channels = database.kysely.selectFrom('channel').select(['channel_id', 'read_cause']).where('sdk_app_id', '=', app.sdkAppId);
  return channels.where(isDueSql(clock.now())).orderBy('read_at').limit(idsPerCall).execute();
}

/** Reads channels; each cause makes a separate comparison, stored only if it changed something. */
export async function readSingles(context: AppContext, singles: readonly Single[], stop: AbortSignal): Promise<void> {
  const { api, app, clock, database, log } = context;
  const causeOf = new Map(singles.map(single => [single.channel_id, (single.read_cause ?? 'created') as Cause]));
  const startedAt = clock.now();
  const readings = await readChannels(api, [...causeOf.keys()], stop);
  await recordReadings(context, readings, { confirmed: false, dryRun: false }, async (trx, outcomes) => {
    const failed = idsOf('failed', outcomes);
    if (failed.length > 0)
      await sql`update channel set read_at = null, read_cause = null, read_tries = 0
          where sdk_app_id = ${app.sdkAppId} and ${database.isAmong('channel_id', failed)} and ${isDueSql(startedAt)}`.execute(trx);
    const ended: Ended[] = [];
    for (const [cause, group] of Map.groupBy(outcomes, ({ channelId }) => causeOf.get(channelId)!))
      ended.push(...(await store(context, trx, cause, group, startedAt)));
    return () => {
      for (const comparison of ended) if (comparison.state === 'failed') logEnd(log, comparison);
    };
  });
}

/** @returns the comparison, without its id if it is not stored; none if there was nothing to change */
async function store(
  { app, clock, database }: AppContext,
  trx: Trx,
  cause: Cause,
  outcomes: readonly Outcome[],
  startedAt: number,
): Promise<Ended[]> {
  const progress = progressAfter(newProgress(outcomes.length), outcomes);
  const changed = progress.corrected + progress.imported > 0;
  if (!changed && progress.gone === 0) return [];
  const now = clock.now();
  const id = uuid({ msecs: await recordedAt(trx, now) });
  const rules = { dry_run: 0, destroy: 0, whole: 0, due_at: startedAt, started_at: startedAt };
  const comparison = { id, sdk_app_id: app.sdkAppId, cause, ...rules, progress };
  await addChannels(database, trx, id, idsOf('gone', outcomes), 1);
  const ended = { ...comparison, ...(await finishComparison(trx, comparison, now)) };
  if (!changed) return [{ ...ended, id: undefined }];
  await trx
    .insertInto('comparison')
    .values({ ...ended, progress: JSON.stringify(progress) })
    .execute();
  return [ended];
}
