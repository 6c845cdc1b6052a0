import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../database/database.js';
import { isThere } from '../database/locks.js';
import type { Trx } from '../database/tables.js';
import type { RegisteredSink } from '../sinks/registry.js';
import { nextAttemptAt, nextAttemptColumns } from '../delivery/retry.js';
import type { AuditAction, SinkResult } from '../sinks/report-sink.js';

type ReportOptions = RegisteredSink['report'];

/** How long a change waits for its results before it is first shown, in milliseconds; without limit if `holdMs` is `null`. */
export const holdMsOf = (report: ReportOptions): number => (report ? (report.holdMs ?? Infinity) : 0);

/** When a lane checks again for the results of a change that was enqueued then: at the end of its hold time, at most an hour from now. */
export const recheckAt = (report: ReportOptions, enqueuedAt: number, now: number): number =>
  Math.min(enqueuedAt + holdMsOf(report), now + 3_600_000);

/** Whether the sink shows a failure at once, but nothing else before all results are known. */
const showsFailures = (report: ReportOptions): boolean => report?.holdMs === null && report.edits;

/** Whether this change waits for a result of another sink. */
export function waits(changeId: RawBuilder<unknown>, report: ReportOptions): RawBuilder<boolean> {
  const has = (state: string) =>
    isThere(
      sql`from delivery r join sink s on s.id = r.sink where r.change_id = ${changeId} and r.state = ${sql.lit(state)} and s.mode <> 'report'`,
    );
  return showsFailures(report) ? sql`(${has('pending')} and not ${has('parked')})` : has('pending');
}

/** Those of these changes that wait for a result of another sink. */
export async function waitingOf(database: Database, trx: Trx, changeIds: readonly string[], report: ReportOptions): Promise<Set<string>> {
  if (changeIds.length === 0) return new Set();
  const missing = await missingResults(database, trx, changeIds);
  const those = (which: string) => missing.filter(({ state }) => state === which).map(row => row.change_id);
  const shown = new Set(showsFailures(report) ? those('parked') : []);
  return new Set(those('pending').filter(id => !shown.has(id)));
}

/** Those of these changes that not every other sink has: a result is missing, or it was parked or discarded somewhere. */
export async function unfinishedOf(database: Database, trx: Trx, changeIds: readonly string[]): Promise<Set<string>> {
  return new Set((await missingResults(database, trx, changeIds)).map(row => row.change_id));
}

/** The other sinks' deliveries of these changes that were not made. By key: as a subquery, PostgreSQL scanned all pending ones. */
function missingResults(database: Database, trx: Trx, changeIds: readonly string[]): Promise<{ change_id: string; state: string }[]> {
  const deliveries = trx.selectFrom('delivery').innerJoin('sink', 'sink.id', 'delivery.sink').where('sink.mode', '<>', 'report');
  const missing = deliveries.where('delivery.state', 'in', [sql.lit('pending'), sql.lit('parked'), sql.lit('discarded')]);
  return missing.where(database.isAmong('change_id', changeIds)).select(['change_id', 'delivery.state']).execute();
}

/** The users' actions on these changes, by change id. */
export async function auditActionsOf(database: Database, trx: Trx, changeIds: readonly string[]): Promise<Map<string, AuditAction[]>> {
  const actions = await trx
    .selectFrom('audit')
    .select(['change_id', 'at', 'actor', 'action'])
    .$narrowType<{ change_id: string; action: AuditAction['action'] }>()
    .where(database.isAmong('change_id', changeIds))
    .where('action', 'in', ['replay', 'discard'])
    .orderBy('id')
    .execute();
  return Map.groupBy(actions, ({ change_id }) => change_id);
}

/** The results of these changes at all sinks except report sinks, by change id. */
export async function resultsOf(database: Database, trx: Trx, changeIds: readonly string[]): Promise<Map<string, SinkResult[]>> {
  const rows = await trx
    .selectFrom('delivery')
    .innerJoin('sink', 'sink.id', 'delivery.sink')
    .innerJoin('lane', join => join.onRef('lane.sink', '=', 'delivery.sink').onRef('lane.channel', '=', 'delivery.channel'))
    .select(['change_id', 'sink.name', 'delivery.state', 'delivery.tries', 'delivery.reason', 'delivery.duration_ms', 'delivery.cause'])
    .select(['delivery.updated_at', ...nextAttemptColumns])
    .where(database.isAmong('change_id', changeIds))
    .where('sink.mode', '<>', 'report')
    .orderBy('sink.name')
    .execute();
  const results = new Map<string, SinkResult[]>();
  for (const { change_id, name, state, tries, reason, duration_ms, cause, updated_at, ...lane } of rows) {
    const shown = (state === 'pending' && tries > 0 ? 'retrying' : state) as SinkResult['state'];
    const held = lane.removed_at !== null ? 'removed' : lane.paused_at !== null ? 'paused' : null;
    const times =
      state === 'pending' ? { endedAt: null, nextAttemptAt: nextAttemptAt(lane) } : { endedAt: updated_at, nextAttemptAt: null };
    const result: SinkResult = { sink: name, state: shown, reason, durationMs: duration_ms, skipped: cause === 'skipped', ...times, held };
    results.set(change_id, [...(results.get(change_id) ?? []), result]);
  }
  return results;
}
