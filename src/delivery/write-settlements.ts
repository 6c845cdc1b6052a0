import { sql } from 'kysely';
import type { Session } from './modes/mode.js';
import type { Settlement } from './settlement.js';

/** How many attempts are kept of a delivery that serves as a probe. */
const attemptsKept = 100;

export interface WrittenLanes {
  /** True if superseded deliveries remain to be marked. */
  superseding: boolean;
  /** When the lanes with more work are due again. */
  dues: number[];
}

/** Writes settlements and releases their lanes. */
export async function writeSettlements(session: Session, settlements: readonly Settlement[]): Promise<WrittenLanes> {
  const kept = session.mode.reopens ? await stillThere(session, settlements) : settlements;
  await writeAttempts(session, kept);
  await writeDeliveries(session, kept);
  return writeLanes(session, settlements);
}

/** Leaves out reports that retention deleted while they were being edited, as it may once they are delivered: an upsert would create them anew. */
async function stillThere({ database, trx, sink }: Session, settlements: readonly Settlement[]): Promise<Settlement[]> {
  const ids = settlements.map(({ work }) => work.change_id);
  const query = trx.selectFrom('delivery').select('change_id').where('sink', '=', sink.id).where(database.isAmong('change_id', ids));
  const rows = await query.$call(database.lock).execute();
  const found = new Set(rows.map(row => row.change_id));
  return settlements.filter(({ work }) => found.has(work.change_id));
}

async function writeAttempts({ database, trx, sink }: Session, settlements: readonly Settlement[]): Promise<void> {
  const rows = settlements.flatMap(({ work, attempt }) => (attempt ? [{ change_id: work.change_id, sink: sink.id, ...attempt }] : []));
  await database.insert(trx, 'attempt', rows, 'on conflict do nothing');
  // A sink that is down for weeks is probed every 15 s with the same few deliveries, so only their latest attempts are kept.
  for (const { work, attempt } of settlements) {
    if (!work.probe || !attempt || attempt.outcome === 'delivered') continue;
    const own = sql`from attempt where change_id = ${work.change_id} and sink = ${sink.id}`;
    await sql`delete ${own} and at <= (select at ${own} order by at desc limit 1 offset ${sql.lit(attemptsKept)})`.execute(trx);
  }
}

/** The columns that a settlement sets, except `open`. */
const settledColumns = [
  ...(['state', 'tries', 'failing_since', 'stopped_ms', 'doubt', 'cause', 'reason', 'advice'] as const),
  ...(['updated_at', 'duration_ms', 'message_ref'] as const),
];

/** The rows exist; an upsert sets different values per row in one statement on both dialects. */
async function writeDeliveries({ database, trx, sink, now }: Session, settlements: readonly Settlement[]): Promise<void> {
  const rows = settlements.map(({ work, delivery, tryAgainAt, attempt }) => {
    const { change_id, channel, position, moved } = work;
    const key = { change_id, sink: sink.id, channel, position, enqueued_at: 0, moved };
    const open = Number(delivery.state === 'pending' || tryAgainAt !== null);
    return { ...key, ...delivery, open, updated_at: now, duration_ms: attempt?.duration_ms ?? null };
  });
  // A report whose results changed while it was being sent stays open if it can be edited.
  const moved = sink.report?.edits === false ? 'false' : "excluded.state = 'delivered' and delivery.moved <> excluded.moved";
  const open = `case when excluded.open = 1 or (${moved}) then 1 else 0 end`;
  const settled = settledColumns.map(column => `${column} = excluded.${column}`).join(', ');
  await database.insert(trx, 'delivery', rows, `on conflict (change_id, sink) do update set open = ${open}, ${settled}`);
}

/** For state sinks: deliveries before this position are superseded, by the one that just ended or an earlier one. */
const supersededBefore = 'coalesce(excluded.superseded_before, lane.superseded_before, 0)';

async function writeLanes({ database, trx, sink, mode, now }: Session, settlements: readonly Settlement[]): Promise<WrittenLanes> {
  // Not by `exists`, see `isThere`.
  const hasOpen = (where = ''): string =>
    `(select 1 from delivery d where d.sink = lane.sink and d.channel = lane.channel and d.open = 1${where} limit 1) is not null`;
  const { supersedes } = mode;
  const hasSuperseded = hasOpen(` and d.position < ${supersededBefore}`);
  const hasWork = hasOpen(supersedes ? ` and d.position >= ${supersededBefore}` : '');
  const supersede = supersedes ? `superseded_before = case when ${hasSuperseded} then ${supersededBefore} end,` : '';
  const rows = settlements.map(({ work, delivery: { state }, lane, tryAgainAt }) => {
    const sent = supersedes && state === 'delivered' ? work : null;
    const sentNow = {
      sent_revision: sent?.delivery.event.data.revision ?? null,
      sent_profile: sent && JSON.stringify(sent.delivery.event.data.profile),
    };
    const before = supersedes && state !== 'pending' ? work.position : null;
    return { sink: sink.id, channel: work.channel, due_at: tryAgainAt ?? now, ...lane, superseded_before: before, ...sentNow };
  });
  const written = await database.insert<'lane', { due_at: number | null; superseded_before: number | null }>(
    trx,
    'lane',
    // Deliveries of a digest may share a lane and have the same result.
    [...new Map(rows.map(row => [row.channel, row])).values()],
    `on conflict (sink, channel) do update set lease = null, lost = 0, tries = excluded.tries, config_error_seq = excluded.config_error_seq,
       sent_revision = coalesce(excluded.sent_revision, lane.sent_revision), sent_profile = coalesce(excluded.sent_profile, lane.sent_profile),
       ${supersede} due_at = case when ${hasWork} then excluded.due_at end
     returning due_at, superseded_before`,
  );
  const lanes = await written();
  return { superseding: lanes.some(lane => lane.superseded_before !== null), dues: lanes.flatMap(lane => lane.due_at ?? []) };
}
