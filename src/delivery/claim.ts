import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../database/database.js';
import { chunks, pageRows } from '../database/limits.js';
import type { Row } from '../database/tables.js';
import { type Health, healthColumns } from './breaker.js';
import { loadDeliveries } from './modes/load.js';
import type { ClaimLimits, Session } from './modes/mode.js';
import type { RegisteredSink } from '../sinks/registry.js';
import type { Ended } from './settlement.js';
import type { LaneWork, Lease } from './work.js';
import { channelsOf, isOneOf, skipLocked } from '../database/locks.js';
import { leaseMs, plausibleTime, maxAhead, maxPaceLeadMs, paceFree, paceNextAt, paceTake } from './retry.js';

/** The part of a sink's row that its worker uses. */
export type SinkRow = Health & Pick<Row<'sink'>, 'removed_at' | 'held_until' | 'paced_at' | 'recovered_to' | 'check_state'>;

const sinkColumns = sql.raw([...healthColumns, 'removed_at', 'held_until', 'paced_at', 'recovered_to', 'check_state'].join(', '));

/** Drops times that are too far ahead, which only a wrong clock can have set. */
export function withPlausibleTimes(row: SinkRow, { perSecond, probeMs }: ClaimLimits, now: number): SinkRow {
  return {
    ...row,
    held_until: plausibleTime(row.held_until, now, maxAhead.holdMs),
    paced_at: plausibleTime(row.paced_at, now, maxPaceLeadMs(perSecond)),
    next_probe_at: plausibleTime(row.next_probe_at, now, probeMs),
    next_round_robin_probe_at: plausibleTime(row.next_round_robin_probe_at, now, maxAhead.probeMs),
  };
}

/** Paused by a person, or removed by a replica with other settings, which may send to the same target under another name. */
const pausedOrRemoved = ({ paused_at: pausedAt, removed_at: removedAt }: SinkRow): boolean => pausedAt !== null || removedAt !== null;

/** Whether the sink's row permits deliveries. */
export const mayDeliver = (row: SinkRow, now: number): boolean =>
  row.state === 'ok' && !pausedOrRemoved(row) && (row.held_until ?? 0) <= now;

/** Due, and without a failure since its last success. */
const freshLane = (now: number): RawBuilder<unknown> => sql`tries = 0 and config_error_seq is null and lease is null and due_at <= ${now}`;

/** Has work and is not leased by a running worker. */
const freeLane = (now: number): RawBuilder<unknown> => sql`due_at is not null and (lease is null or due_at <= ${now})`;

export interface Claimed {
  /** The work of each attempt. */
  works: LaneWork[][];
  /** True if more is due than fits into one transaction. */
  more: boolean;
}

export const nothingClaimed: Claimed = { works: [], more: false };

/** Leases and loads the lanes that are due, or one to probe. Updates `row`, which the caller writes at the end of the turn. */
export async function claimWork(session: Session, row: SinkRow, token: string): Promise<Claimed> {
  const { now, claim } = session;
  if (pausedOrRemoved(row) || (row.held_until ?? 0) > now) return nothingClaimed;
  const { perSecond } = claim;
  const attempts = perSecond === null ? claim.attempts : Math.min(claim.attempts, paceFree(row.paced_at, perSecond, now));
  if (attempts === 0) return nothingClaimed;
  const probe = row.state !== 'ok';
  const lease = { lease: token, sinkConfigErrorSeq: row.config_error_seq, probe };
  const together = probe ? [] : ((await session.mode.claimTogether?.(session, lease)) ?? []);
  const claimed = together.length > 0 ? { works: [together], more: false } : await claimHeads(session, row, attempts, lease);
  const { works } = claimed;
  if (perSecond !== null && works.length > 0) row.paced_at = paceTake(row.paced_at, perSecond, now, works.length);
  return claimed;
}

async function claimHeads(session: Session, row: SinkRow, attempts: number, lease: Lease): Promise<Claimed> {
  const { batchSize, bytes } = session.claim;
  const maxLanes = attempts * batchSize;
  const limit = Math.min(maxLanes, pageRows);
  const channels = lease.probe
    ? await leaseProbe(session, row, lease.lease)
    : await leaseLanes(session, sql`due_at <= ${session.now}`, limit, lease.lease);
  if (channels.length === 0) return nothingClaimed;
  const { work, tooLarge } = await loadDeliveries(session, lease, channels, bytes);
  await freeIdle(session, channels, new Set(channelsOf(work)), tooLarge);
  const works = [...chunks(work, batchSize)].map(batch => [...batch]);
  return { works, more: tooLarge.size > 0 || (limit < maxLanes && channels.length === limit) };
}

/** Releases leased lanes without work to attempt; one whose delivery is too large for now is due again at once. */
async function freeIdle(session: Session, channels: readonly number[], busy: Set<number>, tooLarge: Set<number>): Promise<void> {
  const idle = channels.filter(channel => !busy.has(channel));
  if (idle.length === 0) return;
  const nextDue = await session.mode.nextDueIn?.(session, idle);
  const dueAt = (channel: number): number | null => (tooLarge.has(channel) ? session.now : (nextDue?.get(channel) ?? null));
  for (const [at, lanes] of Map.groupBy(idle, dueAt)) await freeLanes(session, lanes, at);
}

/** Releases lanes that have no work before `dueAt`; `null` if they have none at all. */
export async function freeLanes({ database, trx, sink }: Session, channels: readonly number[], dueAt: number | null): Promise<void> {
  const lanes = trx.updateTable('lane').set({ due_at: dueAt, lease: null, ...(dueAt === null && { lost: 0 }) });
  await lanes.where('sink', '=', sink.id).where(database.isAmong('channel', channels)).execute();
}

/** After a jump of the shared clock valid leases may look expired until their workers renew them, so only unleased lanes are taken. */
function leaseAvailable({ time }: Database): RawBuilder<unknown> {
  return time.jumpedWithin(leaseMs) ? sql`and lease is null` : sql``;
}

/** @returns the channels of the leased lanes */
export async function leaseLanes(session: Session, which: RawBuilder<unknown>, limit: number, token: string): Promise<number[]> {
  const { database, trx, sink, now, claim } = session;
  // Materialized, so that PostgreSQL locks no more lanes than the limit. The limit is a literal because SQLite re-plans for a bound one.
  // `lost` counts leases that expired before their holder settled them.
  const { rows } = await sql<{ channel: number }>`
      with chosen as materialized (
        select channel from lane where sink = ${sink.id} and ${which} ${leaseAvailable(database)} order by due_at limit ${sql.lit(limit)} ${skipLocked(database)})
      update lane set lost = lost + case when lease is null then 0 else 1 end, lease = ${token}, due_at = ${now + claim.leaseMs}
      where sink = ${sink.id} and ${isOneOf(database, 'channel', sql`chosen`)}
      returning channel`.execute(trx);
  return channelsOf(rows);
}

/** Leases one lane to probe: one that has not failed yet if there is one, else the next in the round-robin. */
async function leaseProbe(session: Session, row: SinkRow, token: string): Promise<number[]> {
  const { now, claim } = session;
  const [freshAt, roundAt] = [row.next_probe_at ?? 0, row.next_round_robin_probe_at ?? 0];
  if (now < freshAt) return [];
  const fresh = freshLane(now);
  const round = sql`${freeLane(now)} and not (${fresh})`;
  // If the round-robin probe was due before the next fresh lane, it goes first, so that fresh lanes cannot starve it.
  const turns = now < roundAt ? [fresh] : roundAt < freshAt ? [round, fresh] : [fresh, round];
  let channels: number[] = [];
  for (const lane of turns) if (channels.length === 0) channels = await leaseLanes(session, lane, 1, token);
  if (channels.length > 0) row.next_probe_at = now + claim.probeMs;
  return channels;
}

function firstDue({ id }: RegisteredSink, after: number | null = null): RawBuilder<number | null> {
  return sql`(select min(due_at) from lane where sink = ${id} and ${after === null ? sql`due_at is not null` : sql`due_at > ${after}`})`;
}

const isReported = sql`exists (select 1 from sink where mode = 'report' and removed_at is null)`;

interface SinkSnapshot {
  row: SinkRow;
  /** When the first lane is due, and the first that is not due yet; `null` if there is none. */
  due: number | null;
  later: number | null;
  /** Whether there is a report sink that shows this sink's results. */
  reported: boolean;
  /** Whether some lanes have superseded deliveries that are not marked yet. */
  superseding: boolean;
}

async function snapshotOf({ database, trx, sink, mode, now }: Session, lock: boolean): Promise<SinkSnapshot> {
  const superseding = mode.supersedes
    ? sql`exists (select 1 from lane where sink = ${sink.id} and superseded_before is not null)`
    : sql`false`;
  // Also checks the shared clock: a worker must notice a jump before it claims.
  const read = sql<
    SinkRow & Pick<SinkSnapshot, 'due' | 'later'> & Record<'reported' | 'superseding', boolean | number> & { clock: number }
  >`
      select ${sinkColumns}, ${firstDue(sink)} as due, ${firstDue(sink, now)} as later, ${isReported} as reported, ${superseding} as superseding,
        ${database.clock} as clock from sink where id = ${sink.id} ${lock ? sql`for update` : sql``}`;
  const { due, later, reported, superseding: unmarked, clock: _, ...row } = await database.timed(trx, read);
  return { row, due, later, reported: Boolean(reported), superseding: Boolean(unmarked) };
}

/** Reads the sink; locks its row if this turn may change it, so that all processes agree on its health. */
export async function readForTurn(session: Session, ended: readonly Ended[]): Promise<SinkSnapshot> {
  if (session.database.embedded) return snapshotOf(session, false);
  const failed = ended.some(({ answers }) => answers.some(({ answer }) => 'failure' in answer));
  if (failed || session.claim.perSecond !== null) return snapshotOf(session, true);
  const read = await snapshotOf(session, false);
  const { state, failures, config_error_seq, cleared_up_to, check_state } = read.row;
  return state === 'ok' && failures === 0 && cleared_up_to === config_error_seq && check_state === null ? read : snapshotOf(session, true);
}

/** Until when nothing may be sent because of a Retry-After or the sink's rate. */
export function closedUntil(row: SinkRow, perSecond: number | null): number {
  return Math.max(row.held_until ?? 0, perSecond === null ? 0 : paceNextAt(row.paced_at, perSecond));
}

/**
 * When there may be work to claim again; `null` if only a wake-up can bring it.
 * @param known when the first lane is due, if that is known already
 */
export async function nextDue({ trx, sink, now, claim }: Session, row: SinkRow, known?: number | null): Promise<number | null> {
  if (pausedOrRemoved(row)) return null;
  const due = known === undefined ? (await sql<{ due: number | null }>`select ${firstDue(sink)} as due`.execute(trx)).rows[0]!.due : known;
  if (due === null) return null;
  const from = closedUntil(row, claim.perSecond);
  if (row.state === 'ok') return Math.max(due, from);
  const fresh = await sql`select 1 from lane where sink = ${sink.id} and ${freshLane(now)} limit 1`.execute(trx);
  if (fresh.rows.length > 0) return Math.max(from, row.next_probe_at ?? 0);
  const free = await sql`select 1 from lane where sink = ${sink.id} and ${freeLane(now)} limit 1`.execute(trx);
  return Math.max(from, row.next_probe_at ?? 0, free.rows.length > 0 ? (row.next_round_robin_probe_at ?? 0) : due);
}
