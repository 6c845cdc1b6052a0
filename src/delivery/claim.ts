import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../database/database.js';
import { chunks, pageRows } from '../database/limits.js';
import type { Row } from '../database/tables.js';
import type { Health } from './breaker.js';
import { loadNext } from './modes/load.js';
import type { Claim, Session } from './modes/mode.js';
import type { RegisteredSink } from '../sinks/registry.js';
import type { Ended } from './settlement.js';
import type { LaneWork, Lease } from './work.js';
import { channelsOf, isOneOf, skipLocked } from '../database/locks.js';
import { believable, furthest, longestLeadMs, paceFree, paceNextAt, paceTake } from './retry.js';

/** What a worker knows of its sink's row. */
export type SinkRow = Health & Pick<Row<'sink'>, 'removed_at' | 'held_until' | 'paced_at' | 'recovered_to' | 'check_state'>;

/** The columns of Health. */
export const healthColumns = [
  ...(['state', 'state_since', 'reason', 'advice', 'failures', 'config_error_seq', 'cleared_up_to'] as const),
  ...(['next_probe_at', 'next_round_robin_probe_at', 'paused_at', 'stopped_since', 'stopped_ms'] as const),
] as const;
const sinkColumns = sql.raw([...healthColumns, 'removed_at', 'held_until', 'paced_at', 'recovered_to', 'check_state'].join(', '));

/** The row as it can be: what a clock that was wrong has put further ahead than it could have been set is over. */
export function plausible(row: SinkRow, { perSecond, probeMs }: Claim, now: number): SinkRow {
  return {
    ...row,
    held_until: believable(row.held_until, now, furthest.holdMs),
    paced_at: believable(row.paced_at, now, longestLeadMs(perSecond)),
    next_probe_at: believable(row.next_probe_at, now, probeMs),
    next_round_robin_probe_at: believable(row.next_round_robin_probe_at, now, furthest.probeMs),
  };
}

/** Paused by a person, or removed by a process of another release: that one may send to the same target under other settings. */
const standsStill = ({ paused_at: pausedAt, removed_at: removedAt }: SinkRow): boolean => pausedAt !== null || removedAt !== null;

/** Whether deliveries may go to the sink for all that its row tells. */
export const mayDeliver = (row: SinkRow, now: number): boolean => row.state === 'ok' && !standsStill(row) && (row.held_until ?? 0) <= now;

/** A lane that is due and has not failed since it was last well. */
const freshLane = (now: number): RawBuilder<unknown> => sql`tries = 0 and config_error_seq is null and lease is null and due_at <= ${now}`;

/** A lane that has something to do and that nobody works on. */
const freeLane = (now: number): RawBuilder<unknown> => sql`due_at is not null and (lease is null or due_at <= ${now})`;

/** What each attempt is to carry, and whether there is more that is due than one transaction takes. */
export interface Claimed {
  works: LaneWork[][];
  more: boolean;
}

export const nothingClaimed: Claimed = { works: [], more: false };

/** Leases what is due, or what is to be probed, and loads it. Moves `row` on, for the end of the turn to write. */
export async function claimWork(session: Session, row: SinkRow, token: string): Promise<Claimed> {
  const { now, claim } = session;
  if (standsStill(row) || (row.held_until ?? 0) > now) return nothingClaimed;
  const { perSecond } = claim;
  const attempts = perSecond === null ? claim.attempts : Math.min(claim.attempts, paceFree(row.paced_at, perSecond, now));
  if (attempts === 0) return nothingClaimed;
  const probe = row.state !== 'ok';
  const lease = { lease: token, sinkConfigErrorSeq: row.config_error_seq, probe };
  const together = probe ? [] : ((await session.mode.together?.(session, lease)) ?? []);
  const claimed = together.length > 0 ? { works: [together], more: false } : await claimHeads(session, row, attempts, lease);
  const { works } = claimed;
  if (perSecond !== null && works.length > 0) row.paced_at = paceTake(row.paced_at, perSecond, now, works.length);
  return claimed;
}

/** What each lane is to attempt next, in batches. */
async function claimHeads(session: Session, row: SinkRow, attempts: number, lease: Lease): Promise<Claimed> {
  const { batchSize, bytes } = session.claim;
  const wanted = attempts * batchSize;
  const limit = Math.min(wanted, pageRows);
  const channels = lease.probe
    ? await leaseProbe(session, row, lease.lease)
    : await leaseLanes(session, sql`due_at <= ${session.now}`, limit, lease.lease);
  if (channels.length === 0) return nothingClaimed;
  const { work, tooLarge } = await loadNext(session, channels, lease, bytes);
  await freeIdle(session, channels, new Set(channelsOf(work)), tooLarge);
  const works = [...chunks(work, batchSize)].map(some => [...some]);
  return { works, more: tooLarge.size > 0 || (limit < wanted && channels.length === limit) };
}

/** Frees the leased lanes without work: what is too large for now is due again at once. */
async function freeIdle(session: Session, channels: readonly number[], busy: Set<number>, tooLarge: Set<number>): Promise<void> {
  const idle = channels.filter(channel => !busy.has(channel));
  if (idle.length === 0) return;
  const later = await session.mode.laterIn?.(session, idle);
  const dueAt = (channel: number): number | null => (tooLarge.has(channel) ? session.now : (later?.get(channel) ?? null));
  for (const [at, some] of Map.groupBy(idle, dueAt)) await freeLanes(session, some, at);
}

/** Frees lanes for which there is nothing to do before `dueAt`; `null`: nothing at all. */
export async function freeLanes({ database, trx, sink }: Session, channels: readonly number[], dueAt: number | null): Promise<void> {
  const lanes = trx.updateTable('lane').set({ due_at: dueAt, lease: null, ...(dueAt === null && { lost: 0 }) });
  await lanes.where('sink', '=', sink.id).where(database.isAmong('channel', channels)).execute();
}

/** After a jump of the shared clock leases look as if they were over, until their workers have renewed them by it. */
function whoseLeaseIsOver({ time }: Database): RawBuilder<unknown> {
  return time.jumpedWithin(furthest.leaseMs) ? sql`and lease is null` : sql``;
}

/** @returns the channels of the leased lanes */
export async function leaseLanes(session: Session, which: RawBuilder<unknown>, limit: number, token: string): Promise<number[]> {
  const { database, trx, sink, now, claim } = session;
  // Materialized, so that PostgreSQL locks no more lanes than the limit; for a limit that is bound SQLite would plan the statement anew each time.
  // A lease that is still there was not settled by whoever had it.
  const { rows } = await sql<{ channel: number }>`
      with chosen as materialized (
        select channel from lane where sink = ${sink.id} and ${which} ${whoseLeaseIsOver(database)} order by due_at limit ${sql.lit(limit)} ${skipLocked(database)})
      update lane set lost = lost + case when lease is null then 0 else 1 end, lease = ${token}, due_at = ${now + claim.leaseMs}
      where sink = ${sink.id} and ${isOneOf(database, 'channel', sql`chosen`)}
      returning channel`.execute(trx);
  return channelsOf(rows);
}

/** One lane at a time: one that has not failed yet if there is one, else the next of the round. */
async function leaseProbe(session: Session, row: SinkRow, token: string): Promise<number[]> {
  const { now, claim } = session;
  const [freshAt, roundAt] = [row.next_probe_at ?? 0, row.next_round_robin_probe_at ?? 0];
  if (now < freshAt) return [];
  const fresh = freshLane(now);
  const round = sql`${freeLane(now)} and not (${fresh})`;
  // The round was to come before the fresh lane that failed last: more of them must not keep it waiting.
  const turns = now < roundAt ? [fresh] : roundAt < freshAt ? [round, fresh] : [fresh, round];
  let channels: number[] = [];
  for (const lane of turns) if (channels.length === 0) channels = await leaseLanes(session, lane, 1, token);
  if (channels.length > 0) row.next_probe_at = now + claim.probeMs;
  return channels;
}

/** When the first lane is due, of those after a time if there is one; `null` if none is. */
function firstDue({ id }: RegisteredSink, after: number | null = null): RawBuilder<number | null> {
  return sql`(select min(due_at) from lane where sink = ${id} and ${after === null ? sql`due_at is not null` : sql`due_at > ${after}`})`;
}

/** Whether there is a report sink that tells of the others. */
const isReported = sql`exists (select 1 from sink where mode = 'report' and removed_at is null)`;

/** All that a turn without work has to know. */
interface SinkReading {
  row: SinkRow;
  /** When the first lane is due, and the first that is not due yet; `null` if none is. */
  due: number | null;
  later: number | null;
  /** Whether there is a sink that tells of this one's results. */
  reported: boolean;
  /** Whether some of its lanes have more that was superseded than is marked so. */
  superseding: boolean;
}

/** Reads the row of a sink, locked if asked, with what else its worker has to know. */
async function readSink({ database, trx, sink, mode, now }: Session, lock: boolean): Promise<SinkReading> {
  const superseding = mode.supersedes
    ? sql`exists (select 1 from lane where sink = ${sink.id} and superseded_before is not null)`
    : sql`false`;
  // It looks at the shared clock, too: nobody may claim who does not know yet that it jumped.
  const read = sql<SinkRow & Pick<SinkReading, 'due' | 'later'> & Record<'reported' | 'superseding', boolean | number> & { clock: number }>`
      select ${sinkColumns}, ${firstDue(sink)} as due, ${firstDue(sink, now)} as later, ${isReported} as reported, ${superseding} as superseding,
        ${database.clock} as clock from sink where id = ${sink.id} ${lock ? sql`for update` : sql``}`;
  const { due, later, reported, superseding: some, clock: _, ...row } = await database.timed(trx, read);
  return { row, due, later, reported: Boolean(reported), superseding: Boolean(some) };
}

/** The sink's row; locked if this turn may change it, so that all processes agree on how the sink is. */
export async function readForTurn(session: Session, ended: readonly Ended[]): Promise<SinkReading> {
  if (session.database.embedded) return readSink(session, false);
  const failed = ended.some(({ answers }) => answers.some(({ answer }) => 'failure' in answer));
  if (failed || session.claim.perSecond !== null) return readSink(session, true);
  const read = await readSink(session, false);
  const { state, failures, config_error_seq, cleared_up_to, check_state } = read.row;
  return state === 'ok' && failures === 0 && cleared_up_to === config_error_seq && check_state === null ? read : readSink(session, true);
}

/** Until when nothing may be sent, whatever there is: a Retry-After, or the sink's rate, holds it back. */
export function closedUntil(row: SinkRow, perSecond: number | null): number {
  return Math.max(row.held_until ?? 0, perSecond === null ? 0 : paceNextAt(row.paced_at, perSecond));
}

/**
 * When there may be something to claim again; `null` if only a wake-up can bring it.
 * @param known when the first lane is due, if that need not be asked
 */
export async function nextDue({ trx, sink, now, claim }: Session, row: SinkRow, known?: number | null): Promise<number | null> {
  if (standsStill(row)) return null;
  const due = known === undefined ? (await sql<{ due: number | null }>`select ${firstDue(sink)} as due`.execute(trx)).rows[0]!.due : known;
  if (due === null) return null;
  const from = closedUntil(row, claim.perSecond);
  if (row.state === 'ok') return Math.max(due, from);
  const fresh = await sql`select 1 from lane where sink = ${sink.id} and ${freshLane(now)} limit 1`.execute(trx);
  if (fresh.rows.length > 0) return Math.max(from, row.next_probe_at ?? 0);
  const free = await sql`select 1 from lane where sink = ${sink.id} and ${freeLane(now)} limit 1`.execute(trx);
  return Math.max(from, row.next_probe_at ?? 0, free.rows.length > 0 ? (row.next_round_robin_probe_at ?? 0) : due);
}
