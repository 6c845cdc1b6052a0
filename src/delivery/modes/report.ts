import { sql } from 'kysely';
import { channelsOf } from '../../database/locks.js';
import { acknowledgeRefreshes, drainRefreshQueue } from '../../reports/refresh-queue.js';
import { auditActionsOf, holdMsOf, recheckAt, resultsOf, unfinishedOf, waits } from '../../reports/results.js';
import { freeLanes, leaseLanes } from '../claim.js';
import { loadDeliveries } from './load.js';
import { type LaneWork, type Lease, storedChange } from '../work.js';
import type { ModeRules, Session } from './mode.js';

/** If more changes than this wait for their card and are finished at all other sinks, they are posted as one digest. */
const digestThreshold = 5;
const maxDigestSize = 200;
/** How many of the oldest waiting changes are considered; some may lack results. */
const digestScanLimit = 500;

/** Reports each change with its results at the other sinks, and updates the report when these change. */
export const report: ModeRules = {
  // New reports go before updates, once their results are known or they were held long enough.
  next({ sink: { report: shows }, now }) {
    // A sink that posts nothing before the results are known must look past unfinished changes for a failed one.
    const looked = sql.lit(shows?.holdMs === null ? 10_000 : 1);
    const heldSince = shows?.holdMs === null ? -1 : now - holdMsOf(shows);
    const open = sql`from delivery d where d.sink = lane.sink and d.channel = lane.channel and d.open = 1`;
    return sql`select coalesce(
        (select first.id from (select d.change_id as id, d.enqueued_at ${open} and d.state = 'pending' order by d.position limit ${looked}) first
         where first.enqueued_at <= ${heldSince} or not ${waits(sql.ref('first.id'), shows)} limit 1),
        (select d.change_id ${open} and d.state = 'delivered' order by d.position limit 1))`;
  },
  async show(session, rows) {
    const { database, trx, sink } = session;
    const changeIds = rows.map(row => row.change_id);
    // These refreshes are covered by the reports being loaded; leaving them queued would cause a redundant update.
    await acknowledgeRefreshes(database, trx, sql`sink = ${sink.id} and ${database.isAmong('change_id', changeIds)}`);
    const results = await resultsOf(database, trx, changeIds);
    const auditActions = await auditActionsOf(database, trx, changeIds);
    return row => ({
      ...storedChange(row),
      results: results.get(row.change_id) ?? [],
      auditActions: auditActions.get(row.change_id) ?? [],
      possiblyPostedSince: row.failing_since ?? (row.lost > 0 ? row.received_at : null),
      messageRef: row.message_ref,
    });
  },
  firstOf: null,
  prepare: drainRefreshQueue,
  claimTogether: claimDigest,
  async nextDueIn({ database, trx, sink, now }, channels) {
    const rows = await trx
      .selectFrom('delivery')
      .select(eb => ['channel', eb.fn.min('enqueued_at').as('since')])
      .where('sink', '=', sink.id)
      .where(database.isAmong('channel', channels))
      .where('open', '=', sql.lit(1))
      .groupBy('channel')
      .execute();
    return new Map(rows.map(({ channel, since }) => [channel, recheckAt(sink.report, since, now)]));
  },
  supersedes: false,
  reopens: true,
};

/** Claims changes for a digest if too many wait for their first report. Changes that failed as part of a digest are reported singly. */
async function claimDigest(session: Session, lease: Lease): Promise<LaneWork[]> {
  const { database, trx, sink, now, claim } = session;
  const { rows: hidden } = await sql<{ id: string; channel: number }>`
      with due as materialized (select channel, due_at from lane where sink = ${sink.id} and due_at <= ${now} order by due_at limit ${sql.lit(digestScanLimit)})
      select delivery.change_id as id, delivery.channel from due join delivery on delivery.sink = ${sink.id} and delivery.channel = due.channel
      where delivery.open = 1 and delivery.state = 'pending' and delivery.message_ref is null and delivery.tries < 2
      order by due.due_at, delivery.position limit ${sql.lit(digestScanLimit)}`.execute(trx);
  if (hidden.length <= digestThreshold) return [];
  const hiddenIds = hidden.map(({ id }) => id);
  const unfinished = await unfinishedOf(database, trx, hiddenIds);
  const rows = hidden.filter(({ id }) => !unfinished.has(id)).slice(0, maxDigestSize);
  if (rows.length <= digestThreshold) return [];
  const channels = [...new Set(channelsOf(rows))];
  const due = sql`due_at <= ${now} and ${database.isAmong('channel', channels)}`;
  const leased = new Set(await leaseLanes(session, due, channels.length, lease.lease));
  if (leased.size === 0) return [];
  const ids = rows.filter(row => leased.has(row.channel)).map(row => row.id);
  const { work } = await loadDeliveries(session, lease, [...leased], claim.bytes, ids);
  // Lanes whose work another process has taken, or whose work is too large to load now.
  const idle = [...leased].filter(channel => !work.some(item => item.channel === channel));
  if (idle.length > 0) await freeLanes(session, idle, now);
  return work;
}
