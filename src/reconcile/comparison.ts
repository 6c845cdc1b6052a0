import { type Selectable, sql } from 'kysely';
import { v7 as uuid } from 'uuid';
import { stored } from '../explanations/explanation.js';
import { recordedAt } from '../database/arrival-times.js';
import { type Doing, recordAction } from '../database/audit.js';
import type { Database } from '../database/database.js';
import type { Tables, Trx } from '../database/tables.js';
import { isChannelId } from './vendor/reader.js';

export const causes = [
  ...(['schedule', 'request', 'slack', 'import', 'refused', 'downtime', 'gone'] as const),
  ...(['created', 'tie', 'estimated', 'again'] as const),
] as const;
export type Cause = (typeof causes)[number];
export const comparisonStates = ['waiting', 'running', 'done', 'failed'] as const;

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

/** Progress and results of a comparison. */
export interface Progress {
  total: number;
  compared: number;
  corrected: number;
  destroyed: number;
  imported: number;
  failed: number;
  /** Channels that the first reading did not find at the vendor. */
  gone: number;
  /** The last known channel compared, by id; `null` once all are. */
  after: string | null;
  /** The offset for listing all channels; `null` if that is finished or not wanted. */
  discoverFrom: number | null;
  /** Consecutive failures to list channels. */
  discoverTries: number;
  /** Why listing was given up. */
  undiscovered: { reason: string; advice: string } | null;
  examples: Example[];
}

export function newProgress(total: number, whole = false): Progress {
  const counts = { compared: 0, corrected: 0, destroyed: 0, imported: 0, failed: 0, gone: 0 };
  return { total, ...counts, after: '', discoverFrom: whole ? 0 : null, discoverTries: 0, undiscovered: null, examples: [] };
}

export type ComparisonRow = Selectable<Tables['comparison']>;

export interface Comparison extends Omit<ComparisonRow, 'progress'> {
  progress: Progress;
}

export const readComparison = (row: ComparisonRow): Comparison => ({ ...row, progress: JSON.parse(row.progress) as Progress });

const maxExamples = 20;
/** Maximum length of a text in an example, in characters. */
const maxExampleLength = 500;

/** Adds examples up to the limit. */
function addExamples(progress: Progress, found: readonly Example[]): void {
  const cut = (text: string | null): string | null => text?.slice(0, maxExampleLength).toWellFormed() ?? null;
  for (const example of found.slice(0, maxExamples - progress.examples.length))
    progress.examples.push({ ...example, ours: cut(example.ours), theirs: cut(example.theirs) });
}

/** The result for one channel; `gone` means that the vendor does not have it, which a second reading must confirm. */
export interface Outcome {
  channelId: string;
  result: 'equal' | 'corrected' | 'destroyed' | 'imported' | 'failed' | 'gone';
  examples: Example[];
}

/** The progress after these outcomes. */
export function progressAfter(before: Progress, outcomes: readonly Outcome[]): Progress {
  const progress = structuredClone(before);
  for (const { result, examples } of outcomes) {
    if (result !== 'equal') progress[result] += 1;
    if (result !== 'failed') progress.compared += 1;
    addExamples(progress, examples);
  }
  return progress;
}

/** The parameters of a comparison. */
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
 * @param doing who requested it
 */
export async function beginComparison(
  database: Database,
  request: ComparisonRequest,
  doing: Doing | { at: number; actor: null },
): Promise<Comparison> {
  const { sdkAppId, cause, channelIds, dryRun = false, destroy = false } = request;
  const { at: now } = doing;
  return database.kysely.transaction().execute(async trx => {
    await lockApp(database, trx, sdkAppId);
    if (doing.actor !== null && !dryRun) {
      const details = { sdkAppId, ...(channelIds && { channels: channelIds.length }), ...(destroy && { destroy }) };
      await recordAction(trx, doing, cause === 'import' ? 'import' : 'compare', details);
    }
    const open = await openComparisons(trx, sdkAppId).execute();
    const same = (row: ComparisonRow): boolean => row.whole === 1 && row.dry_run === Number(dryRun) && row.destroy === Number(destroy);
    const waiting = channelIds ? undefined : open.find(row => row.state === 'waiting' && same(row));
    if (waiting) return readComparison(waiting);
    const progress = newProgress(channelIds?.length ?? 0, !channelIds);
    const id = uuid({ msecs: await recordedAt(trx, now) });
    const valid = channelIds?.filter(isChannelId) ?? [];
    const invalid = channelIds?.filter(id => !isChannelId(id)) ?? [];
    progress.failed = invalid.length;
    const refused = { field: null, ours: null, theirs: null, reason: stored(['no_channel_id']) };
    const asText = (id: unknown): string => (typeof id === 'string' ? id : JSON.stringify(id)).slice(0, 255);
    addExamples(
      progress,
      invalid.map(id => ({ ...refused, channelId: asText(id) })),
    );
    const rules = { dry_run: Number(dryRun), destroy: Number(destroy), whole: Number(!channelIds), due_at: now };
    const state = open.some(row => row.due_at <= now) ? 'waiting' : 'running';
    const notYet = { started_at: null, finished_at: null, reason: null, advice: null, resumes: 0 };
    const row: ComparisonRow = { id, sdk_app_id: sdkAppId, cause, state, ...rules, ...notYet, progress: JSON.stringify(progress) };
    await trx.insertInto('comparison').values(row).execute();
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
export async function lockApp(database: Database, trx: Trx, sdkAppId: string): Promise<Selectable<Tables['app']>> {
  const rows = await database.insert<'app', Selectable<Tables['app']>>(
    trx,
    'app',
    [{ sdk_app_id: sdkAppId }],
    'on conflict (sdk_app_id) do update set sdk_app_id = excluded.sdk_app_id returning *',
  );
  return (await rows())[0]!;
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
