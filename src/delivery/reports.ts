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
  await lockLanes(database, trx, ids, [...new Set(moved.map(one => one.channel))]);
  // A state sink that was down for long supersedes very many at once.
  for (let from = 0; from < moved.length; from += statementSize) {
    const changes = moved.slice(from, from + statementSize).map(one => one.changeId);
    const { rows: opened } = await sql<{ changeId: string; sink: number; channel: number; state: string; open: number }>`
        update delivery set moved = moved + 1,
          open = case when state = 'pending' or (state = 'delivered' and (select edits from sink where id = delivery.sink) = 1) then 1 else 0 end
        where sink in (${sql.join(ids)}) and change_id in (${sql.join(changes)})
        returning change_id as "changeId", sink, channel, state, open`.execute(trx);
    // What was never shown may go before its patience ends once it has all its results.
    const hidden = opened.filter(one => one.open === 1 && one.state === 'pending').map(one => one.changeId);
    const waiting = await waitingOf(trx, hidden);
    const ready = opened.filter(one => one.open === 1 && !(one.state === 'pending' && waiting.has(one.changeId)));
    for (const [sink, lanes] of Map.groupBy(ready, one => one.sink))
      await trx
        .updateTable('lane')
        .set({ due_at: now })
        .where('sink', '=', sink)
        .where('channel', 'in', [...new Set(lanes.map(one => one.channel))])
        .where('lease', 'is', null)
        .where('tries', '=', 0)
        .execute();
  }
  return ids;
}

/** Those of these changes that some other sink still owes a result. Asked by their keys: as a condition of another query PostgreSQL went through all that is pending. */
async function waitingOf(trx: Transaction<Tables>, changeIds: readonly string[]): Promise<Set<string>> {
  if (changeIds.length === 0) return new Set();
  const rows = await trx
    .selectFrom('delivery')
    .innerJoin('sink', 'sink.id', 'delivery.sink')
    .select('delivery.change_id')
    .where('delivery.change_id', 'in', changeIds)
    .where('delivery.state', '=', sql.lit('pending'))
    .where('sink.mode', '<>', 'report')
    .execute();
  return new Set(rows.map(row => row.change_id));
}

/** Those of these changes that not every sink has: some other one still owes a result, or it was parked or discarded somewhere. */
export async function unfinishedOf(trx: Transaction<Tables>, changeIds: readonly string[]): Promise<Set<string>> {
  const rows = await trx
    .selectFrom('delivery')
    .select('change_id')
    .where('change_id', 'in', changeIds)
    .where('state', 'in', [sql.lit('parked'), sql.lit('discarded')])
    .execute();
  return new Set([...(await waitingOf(trx, changeIds)), ...rows.map(row => row.change_id)]);
}
