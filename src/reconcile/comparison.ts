import { sql } from 'kysely';
import { v7 as uuid } from 'uuid';
import { isChannelId } from '../channel/origin.js';
import { type Explanation, stored } from '../explanations/explanation.js';
import { recordedAt } from '../database/arrival-times.js';
import { type Doing, recordAction } from '../database/audit.js';
import type { Database } from '../database/database.js';
import type { Row, Trx } from '../database/tables.js';

/** Why a comparison was started; the second group is for single channels. */
export type Cause =
  ('schedule' | 'request' | 'slack' | 'import' | 'refused' | 'downtime' | 'gone') | ('created' | 'tie' | 'estimated' | 'again');

/** Causes where a person waits for the result; they run even while the app's API is known not to work. */
export const requestedCauses: readonly string[] = ['request', 'slack', 'import'] satisfies Cause[];

/** A field that differed; or, with `field: null`, a channel that could not be compared or no longer exists. */
export interface Example {
  channelId: string;
  field: string | null;
  ours: string | null;
  theirs: string | null;
  reason: string | null;
}

/** Progress and results of a comparison. `gone`: channels that the first reading did not find at the vendor. */
export interface Progress extends Record<'total' | 'compared' | 'corrected' | 'destroyed' | 'imported' | 'failed' | 'gone', number> {
  /** The last known channel compared, by id; `null` once all are. */
  after: string | null;
  /** The offset for listing all channels; `null` if that is finished or not wanted. */
  discoverFrom: number | null;
  discoverTries: number;
  /** Why listing was given up. */
  undiscovered: { reason: string; advice: string } | null;
  examples: Example[];
}

export function newProgress(total: number, whole = false): Progress {
  const counts = { compared: 0, corrected: 0, destroyed: 0, imported: 0, failed: 0, gone: 0 };
  return { total, ...counts, after: '', discoverFrom: whole ? 0 : null, discoverTries: 0, undiscovered: null, examples: [] };
}

export interface Comparison extends Omit<Row<'comparison'>, 'progress'> {
  progress: Progress;
}

export const readComparison = (row: Row<'comparison'>): Comparison => ({ ...row, progress: JSON.parse(row.progress) as Progress });

const maxExamples = 20;
const maxExampleLength = 500;

export function remark(channelId: string, reason: Explanation): Example {
  return { channelId, field: null, ours: null, theirs: null, reason: stored(reason) };
}

/** The result for one channel; `gone` means that the vendor does not have it, which a second reading must confirm. */
export interface Outcome {
  channelId: string;
  result: 'equal' | 'corrected' | 'destroyed' | 'imported' | 'failed' | 'gone';
  examples?: Example[];
}

export function idsOf(result: Outcome['result'], outcomes: readonly Outcome[]): string[] {
  return outcomes.filter(outcome => outcome.result === result).map(({ channelId }) => channelId);
}

export function progressAfter(before: Progress, outcomes: readonly Outcome[]): Progress {
  const cut = (text: string | null): string | null => text?.slice(0, maxExampleLength).toWellFormed() ?? null;
  const progress = structuredClone(before);
  for (const { result, examples = [] } of outcomes) {
    if (result !== 'equal') progress[result] += 1;
    if (result !== 'failed') progress.compared += 1;
    for (const example of examples)
      if (progress.examples.length < maxExamples)
        progress.examples.push({ ...example, ours: cut(example.ours), theirs: cut(example.theirs) });
  }
  return progress;
}

export interface ComparisonRequest {
  sdkAppId: string;
  cause: Cause;
  /** Default: all channels of the app. Invalid ids count as failed. */
  channelIds?: readonly unknown[] | undefined;
  dryRun?: boolean | undefined;
  destroy?: boolean | undefined;
}

/**
 * Starts a comparison; it waits while another one of its app is open. A full comparison that is already waiting is returned instead of
 * adding another. Recorded in the audit log if a person requested it and it is not a dry run.
 */
export async function beginComparison(
  database: Database,
  request: ComparisonRequest,
  doing: Doing | { at: number; actor: null },
): Promise<Comparison> {
  const { sdkAppId, cause, channelIds, dryRun = false, destroy = false } = request;
  const { at: now } = doing;
  return database.kysely.transaction().execute(async trx => {
    await lockApp(trx, sdkAppId);
    if (doing.actor !== null && !dryRun) {
      const details = { sdkAppId, ...(channelIds && { channels: channelIds.length }), ...(destroy && { destroy }) };
      await recordAction(trx, doing, cause === 'import' ? 'import' : 'compare', details);
    }
    const open = await openComparisons(trx, sdkAppId).execute();
    const whole = channelIds ? [] : open.filter(row => row.whole === 1 && row.dry_run === Number(dryRun));
    // Replicas begin the same one by themselves at the same time, so this has to be decided here.
    const same =
      doing.actor === null
        ? whole.find(row => cause === 'schedule' || row.started_at === null)
        : whole.find(row => row.state === 'waiting' && row.destroy === Number(destroy));
    if (same) return readComparison(same);
    const valid = channelIds?.filter(isChannelId) ?? [];
    const invalid = (channelIds ?? []).flatMap((id): Outcome[] => {
      if (isChannelId(id)) return [];
      const channelId = (typeof id === 'string' ? id : JSON.stringify(id)).slice(0, 255);
      return [{ channelId, result: 'failed', examples: [remark(channelId, ['no_channel_id'])] }];
    });
    const progress = progressAfter(newProgress(channelIds?.length ?? 0, !channelIds), invalid);
    const id = uuid({ msecs: await recordedAt(trx, now) });
    const rules = { dry_run: Number(dryRun), destroy: Number(destroy), whole: Number(!channelIds), due_at: now };
    const state = open.some(row => row.due_at <= now) ? 'waiting' : 'running';
    const row = await trx
      .insertInto('comparison')
      .values({ id, sdk_app_id: sdkAppId, cause, state, ...rules, progress: JSON.stringify(progress) })
      .returningAll()
      .executeTakeFirstOrThrow();
    await addChannels(database, trx, id, valid);
    // Replaces earlier full comparisons that failed and would be resumed.
    if (!channelIds && !dryRun)
      await trx
        .updateTable('comparison')
        .set({ resumes: 2 })
        .where('sdk_app_id', '=', sdkAppId)
        .where('whole', '=', 1)
        .where('resumes', '=', 1)
        .execute();
    return readComparison(row);
  });
}

/** Locks the row of an app; creates it if needed. */
export function lockApp(trx: Trx, sdkAppId: string): Promise<Row<'app'>> {
  const insert = trx.insertInto('app').values({ sdk_app_id: sdkAppId });
  const upsert = insert.onConflict(conflict => conflict.column('sdk_app_id').doUpdateSet({ sdk_app_id: sdkAppId }));
  return upsert.returningAll().executeTakeFirstOrThrow();
}

/** The unfinished comparisons of an app: the running one, then the waiting ones in order of creation. */
export function openComparisons(db: Pick<Trx, 'selectFrom'>, sdkAppId: string) {
  return db
    .selectFrom('comparison')
    .selectAll()
    .where('sdk_app_id', '=', sdkAppId)
    .where('finished_at', 'is', null)
    .orderBy(sql`case when state = 'running' then 0 else 1 end`)
    .orderBy('id');
}

/** Adds channels to a comparison: to be compared, or found missing (`gone`). */
export async function addChannels(database: Database, trx: Trx, comparison: string, ids: readonly string[], gone = 0): Promise<void> {
  await database.insert(
    trx,
    'comparison_channel',
    ids.map(channel_id => ({ comparison, channel_id, gone })),
  );
}
