import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../database/database.js';
import { channelsOf, isOneOf, skipLocked } from '../database/locks.js';
import type { Trx } from '../database/tables.js';
import type { Moved } from '../delivery/modes/mode.js';
import type { RegisteredSink } from '../sinks/registry.js';
import { recheckAt, waitingOf } from './results.js';

const statementSize = 1000;
/** New reports are due this much earlier, so that they go before updates, which may be thousands after a replay. */
const newFirstMs = 3_600_000;

/**
 * Asks the report sinks to update their reports of these changes, in the transaction that moved them. Only a report sink's own workers
 * lock its lanes, so no other sink ever waits for one.
 * @returns the ids of the report sinks
 */
export async function enqueueRefreshes(database: Database, trx: Trx, moved: readonly Moved[]): Promise<number[]> {
  if (moved.length === 0) return [];
  const reports = await trx.selectFrom('sink').select('id').where('mode', '=', 'report').where('removed_at', 'is', null).execute();
  const refreshes = reports.flatMap(({ id }) => moved.map(({ changeId, channel }) => ({ sink: id, change_id: changeId, channel })));
  await database.insert(trx, 'report_refresh', refreshes);
  return reports.map(({ id }) => id);
}

/**
 * Drains the refreshes of a report sink, one page per transaction: reopens the reports and makes their lanes due, unless these are leased
 * or backing off. They are due at once; a change that was never shown and still lacks results is due when its hold time ends.
 */
export async function drainRefreshQueue(database: Database, sink: RegisteredSink, now: number): Promise<void> {
  for (let drained = statementSize; drained === statementSize;)
    drained = await database.asyncCommit(trx => drainPage(database, trx, sink, now));
}

/** @returns how many refreshes it drained */
async function drainPage(database: Database, trx: Trx, { id, report }: RegisteredSink, now: number): Promise<number> {
  const refreshes = await acknowledgeRefreshes(database, trx, sql`sink = ${id}`);
  if (refreshes.length === 0) return 0;
  const lanes = [...new Set(channelsOf(refreshes))].sort((one, other) => one - other).map(channel => ({ sink: id, channel }));
  // Lanes first: their lock makes a worker that settles now see what is reopened, or this transaction see the lane it left idle.
  await database.insert(trx, 'lane', lanes, 'on conflict (sink, channel) do update set due_at = lane.due_at where lane.due_at is null');
  const changes = [...new Set(refreshes.map(one => one.changeId))];
  const opens = report?.edits === false ? sql`state = 'pending'` : sql`state in ('pending', 'delivered')`;
  const { rows } = await sql<{ changeId: string; channel: number; state: string; open: number; enqueuedAt: number }>`
      update delivery set moved = moved + 1, open = case when ${opens} then 1 else 0 end
      where sink = ${id} and ${database.isAmong('change_id', changes)}
      returning change_id as "changeId", channel, state, open, enqueued_at as "enqueuedAt"`.execute(trx);
  const opened = rows.filter(row => row.open === 1);
  const hidden = opened.filter(({ state }) => state === 'pending').map(({ changeId }) => changeId);
  const waiting = await waitingOf(database, trx, hidden, report);
  const dueAt = new Map<number, number>();
  for (const { changeId, channel, state, enqueuedAt } of opened) {
    // New reports are due in the order in which they were enqueued.
    const at = state === 'delivered' ? now : waiting.has(changeId) ? recheckAt(report, enqueuedAt, now) : enqueuedAt - newFirstMs;
    dueAt.set(channel, Math.min(at, dueAt.get(channel) ?? Infinity));
  }
  await database.insert(
    trx,
    'lane',
    [...dueAt].map(([channel, at]) => ({ sink: id, channel, due_at: at })),
    `on conflict (sink, channel) do update set due_at = excluded.due_at
     where lane.due_at is null or (lane.lease is null and lane.tries = 0 and lane.due_at > excluded.due_at)`,
  );
  return refreshes.length;
}

/** Deletes refreshes and returns them. Rows that another transaction has locked are left to it, which avoids deadlocks. */
export async function acknowledgeRefreshes(database: Database, trx: Trx, which: RawBuilder<unknown>): Promise<Moved[]> {
  const { rows } = await sql<Moved>`
      with taken as materialized (
        select id from report_refresh where ${which} order by change_id limit ${sql.lit(statementSize)} ${skipLocked(database)})
      delete from report_refresh where ${isOneOf(database, 'id', sql`taken`)}
      returning change_id as "changeId", channel`.execute(trx);
  return rows;
}
