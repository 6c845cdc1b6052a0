import { sql } from 'kysely';
import type { Session } from './modes/mode.js';
import type { Settlement } from './settlement.js';
import type { LaneWork } from './work.js';

/** Of a delivery that probes a dead sink. */
const attemptsKept = 100;

/** What became of the lanes that were at work. */
export interface Freed {
  /** True if older deliveries were superseded that are not marked so yet. */
  superseding: boolean;
  /** When they are due again, if they have more to do. */
  dues: number[];
}

/** Writes what settlements say, each under its own lease. */
export async function writeSettlements(session: Session, settlements: readonly Settlement[]): Promise<Freed> {
  const kept = session.mode.reopens ? await stillThere(session, settlements) : settlements;
  await writeAttempts(session, kept);
  await writeDeliveries(session, kept);
  return freeLanes(session, settlements);
}

/** Without the reports that retention has deleted while their edit was under way: only what is delivered may be both. */
async function stillThere({ database, trx, sink }: Session, settlements: readonly Settlement[]): Promise<Settlement[]> {
  const ids = settlements.map(({ work }) => work.change_id);
  const query = trx.selectFrom('delivery').select('change_id').where('sink', '=', sink.id).where(database.isAmong('change_id', ids));
  const rows = await query.$call(database.lock).execute();
  const found = new Set(rows.map(row => row.change_id));
  return settlements.filter(({ work }) => found.has(work.change_id));
}

async function writeAttempts(session: Session, settlements: readonly Settlement[]): Promise<void> {
  const { database, trx, sink } = session;
  const rows = settlements.flatMap(({ work, attempt }) => (attempt ? [{ change_id: work.change_id, sink: sink.id, ...attempt }] : []));
  await database.insert(trx, 'attempt', rows, 'on conflict do nothing');
  for (const { work, attempt } of settlements)
    if (work.probe && attempt && attempt.outcome !== 'delivered') await pruneAttempts(session, work);
}

/** A sink that is dead for weeks is probed every 15 s with the same few deliveries: their newest attempts tell enough. */
async function pruneAttempts({ trx, sink }: Session, { change_id: changeId }: LaneWork): Promise<void> {
  const own = sql`from attempt where change_id = ${changeId} and sink = ${sink.id}`;
  await sql`delete ${own} and at <= (select at ${own} order by at desc limit 1 offset ${sql.lit(attemptsKept)})`.execute(trx);
}

/** The rows exist; an upsert is how one statement gives each its own values on both dialects. */
async function writeDeliveries({ database, trx, sink, now }: Session, settlements: readonly Settlement[]): Promise<void> {
  const rows = settlements.map(({ work, delivery, tryAgainAt, attempt }) => {
    const { change_id, channel, position, moved } = work;
    const key = { change_id, sink: sink.id, channel, position, enqueued_at: 0, moved };
    const open = Number(delivery.state === 'pending' || tryAgainAt !== null);
    return { ...key, ...delivery, open, updated_at: now, duration_ms: attempt?.duration_ms ?? null };
  });
  await database.insert(
    trx,
    'delivery',
    rows,
    // A report whose results moved while it was being shown stays open, where it can be shown anew.
    `on conflict (change_id, sink) do update set state = excluded.state,
       open = case when excluded.open = 1 or (${sink.report?.edits === false ? 'false' : "excluded.state = 'delivered' and delivery.moved <> excluded.moved"}) then 1 else 0 end,
       tries = excluded.tries, failing_since = excluded.failing_since, stopped_ms = excluded.stopped_ms, doubt = excluded.doubt, cause = excluded.cause, reason = excluded.reason, advice = excluded.advice,
       updated_at = excluded.updated_at, duration_ms = excluded.duration_ms, message_ref = excluded.message_ref`,
  );
}

/** Of a state sink: before which position deliveries are superseded, by what has ended just now or by what did before. */
const supersededBefore = 'coalesce(excluded.superseded_before, lane.superseded_before, 0)';
async function freeLanes({ database, trx, sink, mode, now }: Session, settlements: readonly Settlement[]): Promise<Freed> {
  const open = (where: string): string =>
    `exists (select 1 from delivery where delivery.sink = lane.sink and delivery.channel = lane.channel and delivery.open = 1${where})`;
  const ofState = mode.supersedes;
  const rows = settlements.map(({ work, delivery: { state }, lane, tryAgainAt }) => {
    const sent = ofState && state === 'delivered' ? work : null;
    const sentNow = {
      sent_revision: sent?.delivery.event.data.revision ?? null,
      sent_profile: sent && JSON.stringify(sent.delivery.event.data.profile),
    };
    const supersedes = ofState && state !== 'pending' ? work.position : null;
    return { sink: sink.id, channel: work.channel, due_at: tryAgainAt ?? now, ...lane, superseded_before: supersedes, ...sentNow };
  });
  const freed = await database.insert<'lane', { due_at: number | null; superseded_before: number | null }>(
    trx,
    'lane',
    // Those of a digest share lanes, and their end.
    [...new Map(rows.map(row => [row.channel, row])).values()],
    `on conflict (sink, channel) do update set lease = null, lost = 0, tries = excluded.tries, config_error_seq = excluded.config_error_seq,
       sent_revision = coalesce(excluded.sent_revision, lane.sent_revision), sent_profile = coalesce(excluded.sent_profile, lane.sent_profile),
       ${ofState ? `superseded_before = case when ${open(` and delivery.position < ${supersededBefore}`)} then ${supersededBefore} end,` : ''}
       due_at = case when ${open(ofState ? ` and delivery.position >= ${supersededBefore}` : '')} then excluded.due_at end
     returning due_at, superseded_before`,
  );
  const lanes = await freed();
  return { superseding: lanes.some(lane => lane.superseded_before !== null), dues: lanes.flatMap(lane => lane.due_at ?? []) };
}
