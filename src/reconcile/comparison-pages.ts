import { stored } from '../explanations/explanation.js';
import type { Row, Trx } from '../database/tables.js';
import { type Comparison, type Outcome, type Progress, addChannels, idsOf, progressAfter, readComparison } from './comparison.js';
import { finishComparison, logEnd } from './ending.js';
import { type AppContext, recordReadings } from './record-page.js';
import { idsPerCall, listSubscribed, readChannels } from './vendor/reader.js';
import { VendorError } from './vendor/error.js';

/** After this many consecutive failures to list all channels, only the known ones are compared. */
const maxDiscoverTries = 3;

/** Rows of `comparison_channel`, or of known channels, without an id. */
type Page = readonly { id?: number; channel_id: string }[];

/** Runs the next step of a comparison; each page and the progress are recorded in one transaction. @throws VendorError */
export async function advance(context: AppContext, comparison: Comparison, stop: AbortSignal): Promise<void> {
  if (comparison.started_at === null || comparison.state !== 'running') return start(context, comparison);
  const { discoverFrom } = comparison.progress;
  const { DISCOVER_AS: user } = context.app.settings;
  if (user !== undefined && discoverFrom !== null) return discover(context, comparison, user, discoverFrom, stop);
  const page = await nextPage(context, comparison);
  return page.length > 0 ? compare(context, comparison, page, stop) : end(context, comparison);
}

async function start({ app, clock, database, log, lease }: AppContext, comparison: Comparison): Promise<void> {
  const { id, cause, dry_run: dryRun, whole, started_at: startedAt } = comparison;
  const now = clock.now();
  await database.kysely.transaction().execute(async trx => {
    await lease.fence(trx);
    const progress = { ...comparison.progress };
    if (whole === 1 && startedAt === null) {
      const known = trx.selectFrom('channel').where('sdk_app_id', '=', app.sdkAppId);
      progress.total = (await known.select(({ fn }) => fn.countAll<number>().as('n')).executeTakeFirstOrThrow()).n;
      if (dryRun === 0) await lease.set(trx, { compared_at: now });
    }
    const runs = { state: 'running', started_at: startedAt ?? now, finished_at: null, resumes: 0 };
    await save(trx, id, progress, runs);
  });
  log.info('comparing channels with Tencent', { app: app.sdkAppId, comparison: id, cause, dryRun: dryRun === 1 });
}

/** Lists a page of all channels and adds unknown ones to the comparison. If that fails, the known ones are still compared. */
async function discover(
  { api, app, database, lease }: AppContext,
  comparison: Comparison,
  user: string,
  offset: number,
  stop: AbortSignal,
): Promise<void> {
  const progress = { ...comparison.progress };
  let page: { ids: string[]; next: number | null } = { ids: [], next: null };
  let failure: VendorError | null = null;
  try {
    page = await listSubscribed(api, user, offset, stop);
    Object.assign(progress, { discoverFrom: page.next, discoverTries: 0 });
  } catch (error) {
    if (!(error instanceof VendorError)) throw error;
    failure = error;
    progress.discoverTries += 1;
    if (failure.kind !== 'retry' || progress.discoverTries >= maxDiscoverTries) {
      const undiscovered = { reason: stored(['vendor_unlisted', failure.why]), advice: stored(failure.advice) };
      Object.assign(progress, { discoverFrom: null, undiscovered });
    }
  }
  await database.kysely.transaction().execute(async trx => {
    await lease.fence(trx);
    const known = trx.selectFrom('channel').select('channel_id').where('sdk_app_id', '=', app.sdkAppId);
    const rows = await known.where(database.isAmong('channel_id', page.ids)).execute();
    const knownIds = new Set(rows.map(row => row.channel_id));
    const unknown = [...new Set(page.ids)].filter(id => !knownIds.has(id));
    progress.total += unknown.length;
    await addChannels(database, trx, comparison.id, unknown);
    await save(trx, comparison.id, progress);
  });
  if (failure && progress.discoverFrom !== null) throw failure;
}

async function nextPage({ app, database }: AppContext, { id, whole, progress }: Comparison): Promise<Page> {
  if (whole === 1 && progress.after !== null) {
    const known = database.kysely.selectFrom('channel').select('channel_id').where('sdk_app_id', '=', app.sdkAppId);
    const rows = await known.where('channel_id', '>', progress.after).orderBy('channel_id').limit(idsPerCall).execute();
    if (rows.length > 0) return rows;
  }
  const listed = database.kysely.selectFrom('comparison_channel').select(['id', 'channel_id']).where('comparison', '=', id);
  return listed.where('gone', '=', 0).orderBy('id').limit(idsPerCall).execute();
}

async function compare(context: AppContext, { id, cause, dry_run: dryRun }: Comparison, page: Page, stop: AbortSignal): Promise<void> {
  const { api, database } = context;
  const ids = page.map(row => row.channel_id);
  const readings = await readChannels(api, [...new Set(ids)], stop);
  await recordReadings(context, readings, { confirmed: cause === 'gone', dryRun: dryRun === 1 }, async (trx, outcomes) => {
    // Read inside the transaction, since a page may be recorded in parts.
    const row = await trx.selectFrom('comparison').select('progress').where('id', '=', id).executeTakeFirstOrThrow();
    const results = new Map(outcomes.map(outcome => [outcome.channelId, outcome]));
    const done = ids.flatMap((channelId, index): Outcome[] => {
      const outcome = results.get(channelId);
      if (!outcome) return [];
      // A duplicate id is read once; further occurrences count as equal.
      const isRepeated = outcome.result !== 'failed' && ids.indexOf(channelId) < index;
      return [isRepeated ? { channelId, result: 'equal' } : outcome];
    });
    const progress = progressAfter(JSON.parse(row.progress) as Progress, done);
    progress.total = Math.max(progress.total, progress.compared + progress.failed);
    const through = page.filter(row => results.has(row.channel_id));
    const listed = through.flatMap(row => row.id ?? []);
    if (listed.length > 0) await trx.deleteFrom('comparison_channel').where(database.isAmong('id', listed)).execute();
    progress.after = listed.length > 0 ? null : through.at(-1)!.channel_id;
    await addChannels(database, trx, id, idsOf('gone', outcomes), 1);
    await save(trx, id, progress, { reason: null, advice: null });
  });
}

async function end({ clock, database, log, lease }: AppContext, { id }: Comparison): Promise<void> {
  const now = clock.now();
  const ended = await database.kysely.transaction().execute(async trx => {
    await lease.fence(trx);
    const row = trx.selectFrom('comparison').selectAll().where('id', '=', id);
    const comparison = readComparison(await row.executeTakeFirstOrThrow());
    const end = await finishComparison(trx, comparison, now);
    await save(trx, id, comparison.progress, end);
    if (comparison.whole === 1 && comparison.dry_run === 0 && end.state === 'done') await lease.set(trx, { compared_all_at: now });
    return { ...comparison, ...end };
  });
  logEnd(log, ended);
}

async function save(trx: Trx, id: string, progress: Progress, more: Partial<Row<'comparison'>> = {}): Promise<void> {
  const values = { ...more, progress: JSON.stringify(progress) };
  await trx.updateTable('comparison').set(values).where('id', '=', id).execute();
}
