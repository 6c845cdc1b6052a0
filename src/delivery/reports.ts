import { type RawBuilder, type Transaction, sql } from 'kysely';
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

/** Whether some other sink still owes a result of this change. */
export function waits(changeId: RawBuilder<unknown>): RawBuilder<boolean> {
  return sql`exists (select 1 from delivery r join sink s on s.id = r.sink where r.change_id = ${changeId} and r.state = 'pending' and s.mode <> 'report')`;
}

/** Opens the reports of what moved, and makes their lanes due unless they are at work, backing off, or still waiting for other results. Gives the report sinks. */
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
    const changes = moved.slice(from, from + statementSize).map(one => one.changeId);
    await sql`
        update delivery set moved = moved + 1,
          open = case when state = 'pending' or (state = 'delivered' and (select edits from sink where id = delivery.sink) = 1) then 1 else 0 end
        where sink in (${sql.join(ids)}) and change_id in (${sql.join(changes)})`.execute(trx);
    // What was never shown may go before its patience ends once it has all its results.
    await sql`
        update lane set due_at = ${now}
        where sink in (${sql.join(ids)}) and channel in (${sql.join(channels)}) and lease is null and tries = 0 and exists
          (select 1 from delivery d where d.change_id in (${sql.join(changes)}) and d.sink = lane.sink and d.channel = lane.channel and d.open = 1
             and (d.state = 'delivered' or not ${waits(sql.ref('d.change_id'))}))`.execute(trx);
  }
  return ids;
}
