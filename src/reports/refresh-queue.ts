import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../database/database.js';
import { chunks } from '../database/limits.js';
import type { Trx } from '../database/tables.js';
import type { AuditAction, SinkResult } from '../sinks/report-sink.js';
import type { Session } from '../delivery/session.js';
import { channelsOf, isOneOf, skipLocked } from '../database/locks.js';
import type { RegisteredSink } from '../delivery/session.js';
import { nextAttemptAt, standing } from '../delivery/retry.js';

/** How long a change waits for its results before it is shown first, in milliseconds. */
export const holdMsOf = (report: RegisteredSink['report']): number => report?.holdMs ?? 0;

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

/**
 * Leaves word of what moved for the report sinks, in the transaction that moved it. Only that: their lanes are for their own workers to lock, so that
 * no other sink ever waits for one.
 * @returns the report sinks
 */
export async function enqueueRefreshes(trx: Trx, moved: readonly Moved[]): Promise<number[]> {
  const sinks = new Set<number>();
  // A state sink that was down for long supersedes very many at once.
  for (const some of chunks(moved, statementSize)) {
    const values = some.map(({ changeId, channel }) => sql`(cast(${changeId} as text), cast(${channel} as bigint))`);
    const { rows } = await sql<{ sink: number }>`
        insert into report_refresh (sink, change_id, channel)
        select sink.id, moved.column1, moved.column2 from sink cross join (values ${sql.join(values)}) as moved
        where sink.mode = 'report' and sink.removed_at is null
        returning sink`.execute(trx);
    for (const { sink } of rows) sinks.add(sink);
  }
  return [...sinks];
}

/**
 * Takes in the refreshes of a report sink, a page a transaction: opens the reports that it is about, and makes their lanes due unless they are at work or
 * backing off: at once, or while a change that was never shown still lacks results, when its patience ends.
 */
export async function drainRefreshQueue(database: Database, sink: RegisteredSink, now: number): Promise<void> {
  for (let heard = statementSize; heard === statementSize;)
    heard = await database.asyncCommit(trx => hearPage({ database, trx, sink, now }));
}

/** @returns how many refreshes it has heard */
async function hearPage({ database, trx, sink: { id, report }, now }: Session): Promise<number> {
  const refreshes = await acknowledgeRefreshes(database, trx, sql`sink = ${id}`);
  if (refreshes.length === 0) return 0;
  const lanes = [...new Set(channelsOf(refreshes))].sort((one, other) => one - other).map(channel => ({ sink: id, channel }));
  // The lanes come first: their lock makes a worker that settles at this moment see what is opened, or us see the lane that it left idle.
  await database.insert(trx, 'lane', lanes, 'on conflict (sink, channel) do update set due_at = lane.due_at where lane.due_at is null');
  const changes = [...new Set(refreshes.map(one => one.changeId))];
  const opens = report?.edits === false ? sql`state = 'pending'` : sql`state in ('pending', 'delivered')`;
  const { rows } = await sql<{ changeId: string; channel: number; state: string; open: number; enqueuedAt: number }>`
      update delivery set moved = moved + 1, open = case when ${opens} then 1 else 0 end
      where sink = ${id} and ${database.isAmong('change_id', changes)}
      returning change_id as "changeId", channel, state, open, enqueued_at as "enqueuedAt"`.execute(trx);
  const opened = rows.filter(row => row.open === 1);
  const hidden = opened.filter(({ state }) => state === 'pending').map(({ changeId }) => changeId);
  const waiting = await waitingOf(database, trx, hidden);
  const dueAt = new Map<number, number>();
  for (const { changeId, channel, state, enqueuedAt } of opened) {
    // In the order in which they are owed.
    const at = state === 'delivered' ? now : enqueuedAt + (waiting.has(changeId) ? holdMsOf(report) : 0);
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

/** Those that another transaction takes at this moment are left to it: nobody waits in a circle. */
export async function acknowledgeRefreshes(database: Database, trx: Trx, which: RawBuilder<unknown>): Promise<Moved[]> {
  const { rows } = await sql<Moved>`
      with taken as materialized (
        select id from report_refresh where ${which} order by change_id limit ${sql.lit(statementSize)} ${skipLocked(database)})
      delete from report_refresh where ${isOneOf(database, 'id', sql`taken`)}
      returning change_id as "changeId", channel`.execute(trx);
  return rows;
}

/** Those of these changes that some other sink still owes a result. Asked by their keys: as a condition of another query PostgreSQL went through all that is pending. */
async function waitingOf(database: Database, trx: Trx, changeIds: readonly string[]): Promise<Set<string>> {
  if (changeIds.length === 0) return new Set();
  const rows = await trx
    .selectFrom('delivery')
    .innerJoin('sink', 'sink.id', 'delivery.sink')
    .select('delivery.change_id')
    .where(database.isAmong('delivery.change_id', changeIds))
    .where('delivery.state', '=', sql.lit('pending'))
    .where('sink.mode', '<>', 'report')
    .execute();
  return new Set(rows.map(row => row.change_id));
}

/** Those of these changes that not every sink has: some other one still owes a result, or it was parked or discarded somewhere. */
export async function unfinishedOf(database: Database, trx: Trx, changeIds: readonly string[]): Promise<Set<string>> {
  const rows = await trx
    .selectFrom('delivery')
    .select('change_id')
    .where(database.isAmong('change_id', changeIds))
    .where('state', 'in', [sql.lit('parked'), sql.lit('discarded')])
    .execute();
  return new Set([...(await waitingOf(database, trx, changeIds)), ...rows.map(row => row.change_id)]);
}

/** What is known of changes beyond themselves, by their ids. */
export interface Known {
  results: Map<string, SinkResult[]>;
  auditActions: Map<string, AuditAction[]>;
}

/** What reports of these changes tell beside the changes; forgets the refreshes of them. */
export async function knownOf({ database, trx, sink }: Session, changeIds: readonly string[]): Promise<Known> {
  if (changeIds.length === 0) return { results: new Map(), auditActions: new Map() };
  // They would be shown once more for nothing.
  await acknowledgeRefreshes(database, trx, sql`sink = ${sink.id} and ${database.isAmong('change_id', changeIds)}`);
  const done = await trx
    .selectFrom('audit')
    .select(['change_id', 'at', 'actor', 'action'])
    .where(database.isAmong('change_id', changeIds))
    .orderBy('id')
    .execute();
  const auditActions = new Map<string, AuditAction[]>();
  for (const { change_id, at, actor, action } of done)
    auditActions.set(change_id!, [...(auditActions.get(change_id!) ?? []), { at, actor, action: action as AuditAction['action'] }]);
  return { results: await resultsOf(database, trx, changeIds), auditActions };
}

function heldBy({ paused_at, removed_at }: { paused_at: number | null; removed_at: number | null }): SinkResult['held'] {
  return removed_at !== null ? 'removed' : paused_at !== null ? 'paused' : null;
}

async function resultsOf(database: Database, trx: Trx, changeIds: readonly string[]): Promise<Map<string, SinkResult[]>> {
  const rows = await trx
    .selectFrom('delivery')
    .innerJoin('sink', 'sink.id', 'delivery.sink')
    .innerJoin('lane', join => join.onRef('lane.sink', '=', 'delivery.sink').onRef('lane.channel', '=', 'delivery.channel'))
    .select(['change_id', 'sink.name', 'delivery.state', 'delivery.tries', 'delivery.reason', 'delivery.duration_ms'])
    .select(standing)
    .where(database.isAmong('change_id', changeIds))
    .where('sink.mode', '<>', 'report')
    .orderBy('sink.name')
    .execute();
  const results = new Map<string, SinkResult[]>();
  for (const { change_id, name, state, tries, reason, duration_ms, ...lane } of rows) {
    const shown = (state === 'pending' && tries > 0 ? 'retrying' : state) as SinkResult['state'];
    const next = state === 'pending' ? nextAttemptAt(lane) : null;
    const result = { sink: name, state: shown, reason, durationMs: duration_ms, nextAttemptAt: next, held: heldBy(lane) };
    results.set(change_id, [...(results.get(change_id) ?? []), result]);
  }
  return results;
}
