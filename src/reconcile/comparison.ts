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

/** Those that a person waits for: they are tried also while the app's API is known not to work. */
export const askedCauses: readonly string[] = ['request', 'slack', 'import'] satisfies Cause[];

/** A field that differed, or with `field: null` a channel that could not be compared or does not exist any more. */
export interface Example {
  channelId: string;
  field: string | null;
  ours: string | null;
  theirs: string | null;
  reason: string | null;
}

/** How far a comparison is, and what it found. */
export interface Progress {
  total: number;
  compared: number;
  corrected: number;
  destroyed: number;
  imported: number;
  failed: number;
  /** Channels that we have and the vendor has not, as a first reading found. */
  gone: number;
  /** Of all channels that were known: the id of the last one compared; `null` once all are. */
  after: string | null;
  /** From where the list of all channels is read on; `null` if it is not, or has been. How often in a row that failed, and why it was given up. */
  discoverFrom: number | null;
  discoverTries: number;
  undiscovered: { reason: string; advice: string } | null;
  examples: Example[];
}

const nothingYet = {
  compared: 0,
  corrected: 0,
  destroyed: 0,
  imported: 0,
  failed: 0,
  gone: 0,
  after: '',
  discoverTries: 0,
  undiscovered: null,
};

export const newProgress = (total: number, whole = false): Progress => {
  return { total, ...nothingYet, discoverFrom: whole ? 0 : null, examples: [] };
};

export type ComparisonRow = Selectable<Tables['comparison']>;

export interface Comparison extends Omit<ComparisonRow, 'progress'> {
  progress: Progress;
}

export const readComparison = (row: ComparisonRow): Comparison => ({ ...row, progress: JSON.parse(row.progress) as Progress });

const examplesMost = 20;
/** Of a text of an example, in characters. */
const exampleLength = 500;

/** Adds examples as long as there is room. */
function exemplify(progress: Progress, found: readonly Example[]): void {
  const cut = (text: string | null): string | null => text?.slice(0, exampleLength).toWellFormed() ?? null;
  for (const example of found.slice(0, examplesMost - progress.examples.length))
    progress.examples.push({ ...example, ours: cut(example.ours), theirs: cut(example.theirs) });
}

/** What became of one channel that was read; `gone` is one that we have and the vendor has not, and which is to be read once more. */
export interface Outcome {
  channelId: string;
  result: 'equal' | 'corrected' | 'destroyed' | 'imported' | 'failed' | 'gone';
  examples: Example[];
}

/** A comparison's progress after these outcomes. */
export function progressAfter(before: Progress, outcomes: readonly Outcome[]): Progress {
  const progress = structuredClone(before);
  for (const { result, examples } of outcomes) {
    if (result !== 'equal') progress[result] += 1;
    if (result !== 'failed') progress.compared += 1;
    exemplify(progress, examples);
  }
  return progress;
}

/** What is to be compared. */
export interface Wanted {
  sdkAppId: string;
  cause: Cause;
  /** All channels of the app if this is not given; what cannot be the id of a channel is counted as failed. */
  channelIds?: readonly unknown[] | undefined;
  dryRun?: boolean | undefined;
  destroy?: boolean | undefined;
}

/**
 * Begins a comparison: it waits while another one of its app is open. One of all channels that waits already is as good as another one; on record if a
 * person asked for it and it is no dry run.
 * @param doing who asked
 */
export async function beginComparison(database: Database, wanted: Wanted, doing: Doing | { at: number; actor: null }): Promise<Comparison> {
  const { sdkAppId, cause, channelIds, dryRun = false, destroy = false } = wanted;
  const { at: now } = doing;
  return database.kysely.transaction().execute(async trx => {
    await lockApp(database, trx, sdkAppId);
    if (doing.actor !== null && !dryRun) {
      const details = { sdkAppId, ...(channelIds && { channels: channelIds.length }), ...(destroy && { destroy }) };
      await recordAction(trx, doing, cause === 'import' ? 'import' : 'compare', details);
    }
    const open = await openComparisons(trx, sdkAppId).execute();
    const same = (one: ComparisonRow): boolean => one.whole === 1 && one.dry_run === Number(dryRun) && one.destroy === Number(destroy);
    const waiting = channelIds ? undefined : open.find(one => one.state === 'waiting' && same(one));
    if (waiting) return readComparison(waiting);
    const progress = newProgress(channelIds?.length ?? 0, !channelIds);
    const id = uuid({ msecs: await recordedAt(trx, now) });
    const given = channelIds?.filter(isChannelId) ?? [];
    const nonsense = channelIds?.filter(one => !isChannelId(one)) ?? [];
    progress.failed = nonsense.length;
    const refused = { field: null, ours: null, theirs: null, reason: stored(['no_channel_id']) };
    exemplify(
      progress,
      nonsense
        .slice(0, examplesMost)
        .map(one => ({ ...refused, channelId: (typeof one === 'string' ? one : JSON.stringify(one)).slice(0, 255) })),
    );
    const rules = { dry_run: Number(dryRun), destroy: Number(destroy), whole: Number(!channelIds), due_at: now };
    const state = open.some(one => one.due_at <= now) ? 'waiting' : 'running';
    const notYet = { started_at: null, finished_at: null, reason: null, advice: null, resumes: 0 };
    const row: ComparisonRow = { id, sdk_app_id: sdkAppId, cause, state, ...rules, ...notYet, progress: JSON.stringify(progress) };
    await trx.insertInto('comparison').values(row).execute();
    await addChannels(database, trx, id, given);
    // It compares what those would that failed before.
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

/** Locks the row of an app, which is made if there is none. */
export async function lockApp(database: Database, trx: Trx, sdkAppId: string): Promise<Selectable<Tables['app']>> {
  const rows = await database.insert<'app', Selectable<Tables['app']>>(
    trx,
    'app',
    [{ sdk_app_id: sdkAppId }],
    'on conflict (sdk_app_id) do update set sdk_app_id = excluded.sdk_app_id returning *',
  );
  return (await rows())[0]!;
}

/** The comparisons of an app that are not over: the one that runs, then those that wait in the order of their asking. */
export function openComparisons(db: Pick<Trx, 'selectFrom'>, sdkAppId: string) {
  return db
    .selectFrom('comparison')
    .selectAll()
    .where('sdk_app_id', '=', sdkAppId)
    .where('finished_at', 'is', null)
    .orderBy(sql`case when state = 'running' then 0 else 1 end`)
    .orderBy('id');
}

/** Lists channels that a comparison is to look at, or found to be gone. */
export async function addChannels(database: Database, trx: Trx, comparison: string, ids: readonly string[], gone = 0): Promise<void> {
  await database.insert(
    trx,
    'comparison_channel',
    ids.map(channel_id => ({ comparison, channel_id, gone })),
  );
}
