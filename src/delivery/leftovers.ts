import type { Transaction } from 'kysely';
import type { Database } from '../database/database.js';
import type { Tables } from '../database/tables.js';
import { lockLanes } from './locks.js';
import { type Moved, leaveNews } from './reports.js';

const pageSize = 500;

/** A sink that is gone for good, and why what it was owed is discarded. */
export interface GoneSink {
  id: number;
  name: string;
  reason: string;
}

/** Sinks that were replaced by another of their name, or not configured since `old` (ms), which is so many days ago, and still are owed something. */
export async function goneSinks(database: Database, retentionDays: number, old: number): Promise<GoneSink[]> {
  const sinks = await database.kysely.selectFrom('sink').select(['id', 'name', 'type', 'mode', 'removed_at']).execute();
  return sinks.flatMap(({ id, name, removed_at: removedAt }) => {
    if (removedAt === null) return [];
    const successor = sinks.find(one => one.name === name && one.removed_at === null);
    if (successor)
      return [{ id, name, reason: `the sink was replaced: ${name} is of type ${successor.type} in mode ${successor.mode} now` }];
    if (removedAt > old) return [];
    return [{ id, name, reason: `the sink was not configured for ${retentionDays} days` }];
  });
}

/**
 * Discards a page of what a gone sink was owed.
 * @returns how many were discarded, and the report sinks that have to tell of it
 */
export async function discardPage(
  database: Database,
  { id, reason }: GoneSink,
  now: number,
): Promise<{ count: number; reports: number[] }> {
  return database.kysely.transaction().execute(async trx => {
    const row = trx.selectFrom('sink').select('removed_at').where('id', '=', id);
    const { removed_at: removedAt } = await (database.embedded ? row : row.forUpdate()).executeTakeFirstOrThrow();
    // It has come back just now.
    if (removedAt === null) return { count: 0, reports: [] };
    // One after the other: each state has an index of its own.
    const pending = await owedIn(trx, id, 'pending');
    const page = pending.length > 0 ? pending : await owedIn(trx, id, 'parked');
    if (page.length === 0) {
      await trx.updateTable('lane').set({ due_at: null, lease: null }).where('sink', '=', id).where('due_at', 'is not', null).execute();
      await trx.deleteFrom('news').where('sink', '=', id).execute();
      return { count: 0, reports: [] };
    }
    await lockLanes(database, trx, id, [...new Set(page.map(one => one.channel))]);
    const { numUpdatedRows } = await trx
      .updateTable('delivery')
      .set({ state: 'discarded', open: 0, cause: null, reason, advice: null, updated_at: now })
      .where('sink', '=', id)
      .where('state', 'in', ['pending', 'parked'])
      .where(
        database.isAmong(
          'change_id',
          page.map(one => one.changeId),
        ),
      )
      .executeTakeFirst();
    const reports = await leaveNews(trx, page);
    if (reports.length > 0) await database.notify(trx, reports);
    return { count: Number(numUpdatedRows), reports };
  });
}

function owedIn(trx: Transaction<Tables>, sink: number, state: string): Promise<Moved[]> {
  return trx
    .selectFrom('delivery')
    .select(['change_id as changeId', 'channel'])
    .where('sink', '=', sink)
    .where('state', '=', state)
    .limit(pageSize)
    .execute();
}
