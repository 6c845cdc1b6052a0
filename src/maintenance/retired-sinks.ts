import { sql } from 'kysely';
import { type Explanation, stored } from '../explanations/explanation.js';
import type { Database } from '../database/database.js';
import { pageRows } from '../database/limits.js';
import { lockLanes } from '../database/locks.js';
import { acknowledgeRefreshes, enqueueRefreshes } from '../reports/refresh-queue.js';

/** A sink that is permanently removed, and the reason with which its deliveries are discarded. */
export interface RetiredSink {
  id: number;
  name: string;
  reason: Explanation;
}

/** Sinks that were replaced by another with the same name, or not configured since `old` (ms), `retentionDays` ago. */
export async function retiredSinks(database: Database, retentionDays: number, old: number): Promise<RetiredSink[]> {
  const sinks = await database.kysely.selectFrom('sink').select(['id', 'name', 'type', 'mode', 'removed_at']).execute();
  return sinks.flatMap<RetiredSink>(({ id, name, removed_at: removedAt }) => {
    if (removedAt === null) return [];
    const successor = sinks.find(sink => sink.name === name && sink.removed_at === null);
    if (successor) return [{ id, name, reason: ['replaced', name, successor.type, successor.mode] }];
    return removedAt > old ? [] : [{ id, name, reason: ['not_configured_for', retentionDays] }];
  });
}

/**
 * Discards a page of a retired sink's deliveries and finally its entries in the refresh queue. Its lanes stay; if the sink returns, they
 * are found to have nothing open.
 * @returns the number discarded, the report sinks to refresh, and whether there may be more
 */
export async function discardPage(
  database: Database,
  { id, reason }: RetiredSink,
  now: number,
): Promise<{ count: number; reports: number[]; more: boolean }> {
  return database.kysely.transaction().execute(async trx => {
    const row = trx.selectFrom('sink').select('removed_at').where('id', '=', id);
    const { removed_at: removedAt } = await row.$call(database.lock).executeTakeFirstOrThrow();
    // It was configured again in the meantime.
    if (removedAt === null) return { count: 0, reports: [], more: false };
    const deliveries = trx.selectFrom('delivery').select(['change_id as changeId', 'channel']).where('sink', '=', id).limit(pageRows);
    // One state at a time, since each has its own index.
    const pending = await deliveries.where('state', '=', 'pending').execute();
    const page = pending.length > 0 ? pending : await deliveries.where('state', '=', 'parked').execute();
    if (page.length === 0) {
      const refreshes = await acknowledgeRefreshes(database, trx, sql`sink = ${id}`);
      return { count: 0, reports: [], more: refreshes.length >= pageRows };
    }
    await lockLanes(database, trx, id, page);
    const changeIds = page.map(({ changeId }) => changeId);
    const { numUpdatedRows } = await trx
      .updateTable('delivery')
      .set({ state: 'discarded', open: 0, cause: null, reason: stored(reason), advice: null, updated_at: now })
      .where('sink', '=', id)
      .where('state', 'in', ['pending', 'parked'])
      .where(database.isAmong('change_id', changeIds))
      .executeTakeFirst();
    const reports = await enqueueRefreshes(database, trx, page);
    if (reports.length > 0) await database.notify(trx, reports);
    return { count: Number(numUpdatedRows), reports, more: true };
  });
}
