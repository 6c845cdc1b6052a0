import { type Transaction, sql } from 'kysely';
import type { Database } from '../database/database.js';
import type { Tables } from '../database/tables.js';
import { lockLanes } from './locks.js';

/** How many changes one statement names. */
const statementSize = 1000;

/** A delivery at another sink whose state moved. */
export interface Moved {
  changeId: string;
  channel: number;
}

/** Opens the reports of what moved, and makes their lanes due unless they are at work or backing off. Gives the report sinks. */
export async function openReports(database: Database, trx: Transaction<Tables>, moved: readonly Moved[], now: number): Promise<number[]> {
  if (moved.length === 0) return [];
  const reports = await trx
    .selectFrom('sink')
    .select('id')
    .where('mode', '=', 'report')
    .where('removed_at', 'is', null)
    .orderBy('id')
    .execute();
  const ids = reports.map(row => row.id);
  if (ids.length === 0) return [];
  const channels = [...new Set(moved.map(one => one.channel))];
  await lockLanes(database, trx, ids, channels);
  // A state sink that was down for long supersedes very many at once.
  for (let from = 0; from < moved.length; from += statementSize) {
    await trx
      .updateTable('delivery')
      .set(eb => ({ moved: eb('moved', '+', 1), open: sql`case when state in ('pending', 'delivered') then 1 else 0 end` }))
      .where('sink', 'in', ids)
      .where(
        'change_id',
        'in',
        moved.slice(from, from + statementSize).map(one => one.changeId),
      )
      .execute();
  }
  await trx
    .updateTable('lane')
    .set({ due_at: now })
    .where('sink', 'in', ids)
    .where('channel', 'in', channels)
    .where('lease', 'is', null)
    .where('tries', '=', 0)
    .execute();
  return ids;
}
