import { type Transaction, sql } from 'kysely';
import type { Database } from '../database/database.js';
import type { Tables } from '../database/tables.js';
import type { RegisteredSink } from './registry.js';
import type { Moved } from './reports.js';
import type { Settlement } from './settlement.js';
import type { LaneWork } from './work.js';

/** Of a delivery that probes a dead sink. */
const attemptsKept = 100;
/** Several bulks may end at once; SQLite takes 32,766 values in a statement, and conditions up to 1,000 deep. */
const writtenAtOnce = 500;

/** Writes what settlements say, each under its own lease. Gives the older deliveries that were superseded, and when the lanes are due again. */
export async function writeSettlements(
  database: Database,
  trx: Transaction<Tables>,
  sink: RegisteredSink,
  settlements: readonly Settlement[],
  now: number,
): Promise<{ superseded: Moved[]; dues: number[] }> {
  const superseded: Moved[] = [];
  const dues: number[] = [];
  for (let from = 0; from < settlements.length; from += writtenAtOnce) {
    const some = settlements.slice(from, from + writtenAtOnce);
    await writeAttempts(database, trx, sink, some);
    await writeDeliveries(database, trx, sink, some, now);
    if (sink.mode === 'state') superseded.push(...(await supersede(trx, sink, some, now)));
    dues.push(...(await freeLanes(database, trx, sink, some, now)));
  }
  return { superseded, dues };
}

/** A sink that is well again need not wait for the back-off of its lanes. */
export async function makeAllDue(trx: Transaction<Tables>, sink: RegisteredSink, now: number): Promise<void> {
  await trx
    .updateTable('lane')
    .set({ due_at: now })
    .where('sink', '=', sink.id)
    .where('due_at', '>', now)
    .where('lease', 'is', null)
    .execute();
}

async function writeAttempts(
  database: Database,
  trx: Transaction<Tables>,
  sink: RegisteredSink,
  settlements: readonly Settlement[],
): Promise<void> {
  const rows = settlements.map(({ work, attempt }) => ({
    change_id: work.head.changeId,
    sink: sink.id,
    at: attempt.at,
    duration_ms: attempt.durationMs,
    outcome: attempt.outcome,
    status: attempt.status,
    error: attempt.error,
  }));
  await database.insert(trx, 'attempt', rows, 'on conflict do nothing');
  for (const { work, attempt } of settlements) if (work.probe && attempt.outcome !== 'delivered') await pruneAttempts(trx, sink, work);
}

/** A sink that is dead for weeks is probed every 15 s with the same few deliveries: their newest attempts tell enough. */
async function pruneAttempts(trx: Transaction<Tables>, sink: RegisteredSink, { head: { changeId } }: LaneWork): Promise<void> {
  const own = trx.selectFrom('attempt').where('change_id', '=', changeId).where('sink', '=', sink.id);
  const oldest = await own.select('at').orderBy('at', 'desc').offset(attemptsKept).limit(1).executeTakeFirst();
  if (oldest)
    await trx.deleteFrom('attempt').where('change_id', '=', changeId).where('sink', '=', sink.id).where('at', '<=', oldest.at).execute();
}

/** The rows exist; an upsert is how one statement gives each its own values on both dialects. */
async function writeDeliveries(
  database: Database,
  trx: Transaction<Tables>,
  sink: RegisteredSink,
  settlements: readonly Settlement[],
  now: number,
): Promise<void> {
  const rows = settlements.map(({ work: { channel, head }, ...end }) => ({
    change_id: head.changeId,
    sink: sink.id,
    channel,
    position: head.position,
    owed_at: 0,
    state: end.state,
    open: Number(end.state === 'pending' || end.tryAgainAt !== null),
    tries: end.tries,
    failing_since: end.failingSince,
    stopped_ms: end.stoppedMs,
    cause: end.cause,
    reason: end.reason,
    advice: end.advice,
    updated_at: now,
    duration_ms: end.attempt.durationMs,
    moved: head.moved,
    receipt: end.receipt,
  }));
  await database.insert(
    trx,
    'delivery',
    rows,
    // A report whose results moved while it was being shown stays open, where it can be shown anew.
    `on conflict (change_id, sink) do update set state = excluded.state,
       open = case when excluded.open = 1 or (${sink.report?.edits === false ? 'false' : "excluded.state = 'delivered' and delivery.moved <> excluded.moved"}) then 1 else 0 end,
       tries = excluded.tries, failing_since = excluded.failing_since, stopped_ms = excluded.stopped_ms, cause = excluded.cause, reason = excluded.reason, advice = excluded.advice,
       updated_at = excluded.updated_at, duration_ms = excluded.duration_ms, receipt = excluded.receipt`,
  );
}

/** Ends what an ended newer delivery of a state sink makes superfluous. After a refusal too: an older state is never sent instead. */
async function supersede(
  trx: Transaction<Tables>,
  sink: RegisteredSink,
  settlements: readonly Settlement[],
  now: number,
): Promise<Moved[]> {
  const ended = settlements.filter(one => one.state !== 'pending');
  if (ended.length === 0) return [];
  return trx
    .updateTable('delivery')
    .set({ state: 'superseded', open: 0, updated_at: now })
    .where('sink', '=', sink.id)
    .where('open', '=', sql.lit(1))
    .where(eb => eb.or(ended.map(({ work }) => eb.and([eb('channel', '=', work.channel), eb('position', '<', work.head.position)]))))
    .returning(['change_id as changeId', 'channel'])
    .execute();
}

/** @returns when those that have more to do are due */
async function freeLanes(
  database: Database,
  trx: Transaction<Tables>,
  sink: RegisteredSink,
  settlements: readonly Settlement[],
  now: number,
): Promise<number[]> {
  const rows = settlements.map(({ work, state, tryAgainAt, laneTries, complaint }) => {
    const sent = sink.mode === 'state' && state === 'delivered' ? work.head : null;
    const sentProfile = sent && JSON.stringify(sent.delivery.event.data.profile);
    return {
      sink: sink.id,
      channel: work.channel,
      due_at: tryAgainAt ?? now,
      tries: laneTries,
      complaint,
      sent_revision: sent?.delivery.event.data.revision ?? null,
      sent_profile: sentProfile,
    };
  });
  const freed = await database.insert<'lane', { due_at: number | null }>(
    trx,
    'lane',
    // Those of a digest share lanes, and their end.
    [...new Map(rows.map(row => [row.channel, row])).values()],
    `on conflict (sink, channel) do update set lease = null, lost = 0, tries = excluded.tries, complaint = excluded.complaint,
       sent_revision = coalesce(excluded.sent_revision, lane.sent_revision), sent_profile = coalesce(excluded.sent_profile, lane.sent_profile),
       due_at = case when exists (select 1 from delivery where delivery.sink = lane.sink and delivery.channel = lane.channel and delivery.open = 1)
         then excluded.due_at end
     returning due_at`,
  );
  return freed.flatMap(lane => lane.due_at ?? []);
}
