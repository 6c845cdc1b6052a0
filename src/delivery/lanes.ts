import { type Transaction, sql } from 'kysely';
import type { Database } from '../database/database.js';
import type { Tables } from '../database/tables.js';
import type { Mode } from '../sinks/sink.js';
import { type LaneWork, loadWork } from './work.js';

/** The row of a registered sink. */
export interface RegisteredSink {
  id: number;
  name: string;
  type: string;
  mode: Mode;
}

/** What an ended attempt means for its delivery and its lane. */
export interface Settlement {
  work: LaneWork;
  /** The state that the delivery has now. */
  state: 'pending' | 'delivered' | 'parked';
  /** When the lane may try again; `null`: as soon as it has something to do. */
  tryAgainAt: number | null;
  /** Failures in a row of the lane, and tries of the delivery. */
  laneTries: number;
  tries: number;
  failingSince: number | null;
  cause: 'refused' | 'expired' | null;
  reason: string | null;
  advice: string | null;
  receipt: string | null;
  /** `null` if it was no attempt: postponed, or cancelled. */
  attempt: { at: number; durationMs: number; outcome: string; status: number | null; error: string | null } | null;
  /** True if other sinks' reports should tell of it. */
  tell: boolean;
  /** Until when the whole sink must be left alone. */
  holdUntil: number | null;
}

/** What one turn of a worker brought. */
export interface Turn {
  claimed: LaneWork[];
  /** How many older deliveries the settled ones superseded. */
  superseded: number;
  /** When to look again; `null` if only a wake-up can bring work. */
  nextDueAt: number | null;
  /** Report sinks that have something to do because of what was settled. */
  wakes: number[];
}

/** A worker's protocol with the database: settle what ended, claim what is due. Each settle is fenced by the lease's token. */
export class Lanes {
  constructor(
    private readonly database: Database,
    private readonly newToken: () => string,
  ) {}

  /** Settles and claims in one transaction. A settlement whose lease was lost is dropped: whoever has the lane now tries again. */
  async turn(
    sink: RegisteredSink,
    settlements: readonly Settlement[],
    claim: { limit: number; leaseMs: number },
    now: number,
  ): Promise<Turn> {
    return this.database.relaxed(async trx => {
      const { superseded, wakes } = settlements.length > 0 ? await this.settle(trx, sink, settlements, now) : { superseded: 0, wakes: [] };
      const claimed = claim.limit > 0 ? await this.claim(trx, sink, claim, now) : [];
      const nextDueAt = claimed.length < claim.limit ? await nextDue(trx, sink.id) : null;
      return { claimed, superseded, wakes, nextDueAt };
    });
  }

  private async claim(
    trx: Transaction<Tables>,
    sink: RegisteredSink,
    { limit, leaseMs }: { limit: number; leaseMs: number },
    now: number,
  ): Promise<LaneWork[]> {
    const token = this.newToken();
    // Materialized, so that PostgreSQL locks no more lanes than the limit.
    const { rows } = await sql<{ channel: number }>`
      with due as materialized (
        select channel from lane where sink = ${sink.id} and due_at <= ${now} order by due_at limit ${limit} ${this.database.embedded ? sql`` : sql`for update skip locked`})
      update lane set lease = ${token}, due_at = ${now + leaseMs}
      where sink = ${sink.id} and channel in (select channel from due)
        and exists (select 1 from sink where id = ${sink.id} and paused_at is null and (held_until is null or held_until <= ${now}))
      returning channel`.execute(trx);
    if (rows.length === 0) return [];
    const channels = rows.map(row => row.channel);
    const { work, idle } = await loadWork(trx, sink, channels, token);
    if (idle.length > 0)
      await trx.updateTable('lane').set({ due_at: null, lease: null }).where('sink', '=', sink.id).where('channel', 'in', idle).execute();
    return work;
  }

  private async settle(
    trx: Transaction<Tables>,
    sink: RegisteredSink,
    settlements: readonly Settlement[],
    now: number,
  ): Promise<{ superseded: number; wakes: number[] }> {
    const held = await this.lock(
      trx,
      [sink.id],
      settlements.map(one => one.work.channel),
    );
    const ours = settlements.filter(({ work }) => held.some(lane => lane.channel === work.channel && lane.lease === work.lease));
    if (ours.length === 0) return { superseded: 0, wakes: [] };
    await writeAttempts(this.database, trx, sink, ours);
    await writeDeliveries(this.database, trx, sink, ours, now);
    const superseded = sink.mode === 'state' ? await supersede(trx, sink, ours, now) : 0;
    await freeLanes(this.database, trx, sink, ours, now);
    const holdUntil = Math.max(...ours.map(one => one.holdUntil ?? 0));
    if (holdUntil > now) {
      await sql`update sink set held_until = case when held_until > ${holdUntil} then held_until else ${holdUntil} end where id = ${sink.id}`.execute(
        trx,
      );
    }
    return {
      superseded,
      wakes: await this.tell(
        trx,
        ours.filter(one => one.tell),
        now,
      ),
    };
  }

  /** Opens the reports of what moved, and makes their lanes due unless they are at work or backing off. */
  private async tell(trx: Transaction<Tables>, moved: readonly Settlement[], now: number): Promise<number[]> {
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
    const channels = moved.map(one => one.work.channel);
    await this.lock(trx, ids, channels);
    await trx
      .updateTable('delivery')
      .set(eb => ({ moved: eb('moved', '+', 1), open: sql`case when state in ('pending', 'delivered') then 1 else 0 end` }))
      .where('sink', 'in', ids)
      .where(
        'change_id',
        'in',
        moved.map(one => one.work.head.changeId),
      )
      .execute();
    await trx
      .updateTable('lane')
      .set({ due_at: now })
      .where('sink', 'in', ids)
      .where('channel', 'in', channels)
      .where('lease', 'is', null)
      .where('tries', '=', 0)
      .execute();
    return ids;
  }

  private lock(trx: Transaction<Tables>, sinks: number[], channels: number[]): Promise<{ channel: number; lease: string | null }[]> {
    const query = trx
      .selectFrom('lane')
      .select(['channel', 'lease'])
      .where('sink', 'in', sinks)
      .where('channel', 'in', channels)
      .orderBy('sink')
      .orderBy('channel');
    return (this.database.embedded ? query : query.forUpdate()).execute();
  }

  /** Keeps the leases of lanes that are still worked on. A lease that was lost stays lost. */
  async renew(sink: RegisteredSink, works: readonly LaneWork[], until: number): Promise<void> {
    await this.mine(sink, works, { due_at: until });
  }

  /** Gives lanes back untouched: what was under way there did not count. */
  async release(sink: RegisteredSink, works: readonly LaneWork[], now: number): Promise<void> {
    await this.mine(sink, works, { lease: null, due_at: now });
  }

  private async mine(sink: RegisteredSink, works: readonly LaneWork[], values: { lease?: null; due_at: number }): Promise<void> {
    if (works.length === 0) return;
    await this.database.kysely
      .updateTable('lane')
      .set(values)
      .where('sink', '=', sink.id)
      .where(
        'channel',
        'in',
        works.map(work => work.channel),
      )
      .where('lease', 'in', [...new Set(works.map(work => work.lease))])
      .execute();
  }

  /** Gives back every lease of a process that is gone; only for the embedded store, where no other process can hold one. */
  async releaseAll(now: number): Promise<void> {
    if (this.database.embedded)
      await this.database.kysely.updateTable('lane').set({ lease: null, due_at: now }).where('lease', 'is not', null).execute();
  }
}

async function nextDue(trx: Transaction<Tables>, sink: number): Promise<number | null> {
  const row = await trx
    .selectFrom('sink')
    .select(eb => [
      'paused_at',
      'held_until',
      eb
        .selectFrom('lane')
        .select(({ fn }) => fn.min('due_at').as('due'))
        .where('lane.sink', '=', sink)
        .where('due_at', 'is not', null)
        .as('due'),
    ])
    .where('id', '=', sink)
    .executeTakeFirstOrThrow();
  return row.due === null || row.paused_at !== null ? null : Math.max(row.due, row.held_until ?? 0);
}

async function writeAttempts(
  database: Database,
  trx: Transaction<Tables>,
  sink: RegisteredSink,
  settlements: readonly Settlement[],
): Promise<void> {
  const rows = settlements.flatMap(({ work, attempt }) =>
    attempt === null
      ? []
      : [
          {
            change_id: work.head.changeId,
            sink: sink.id,
            at: attempt.at,
            duration_ms: attempt.durationMs,
            outcome: attempt.outcome,
            status: attempt.status,
            error: attempt.error,
          },
        ],
  );
  if (rows.length > 0) await database.insert(trx, 'attempt', rows, 'on conflict do nothing');
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
    cause: end.cause,
    reason: end.reason,
    advice: end.advice,
    updated_at: now,
    duration_ms: end.attempt?.durationMs ?? null,
    moved: head.moved,
    receipt: end.receipt,
  }));
  await database.insert(
    trx,
    'delivery',
    rows,
    // A report whose results moved while it was being shown stays open.
    `on conflict (change_id, sink) do update set state = excluded.state,
       open = case when excluded.open = 1 or (excluded.state = 'delivered' and delivery.moved <> excluded.moved) then 1 else 0 end,
       tries = excluded.tries, failing_since = excluded.failing_since, cause = excluded.cause, reason = excluded.reason, advice = excluded.advice,
       updated_at = excluded.updated_at, duration_ms = coalesce(excluded.duration_ms, delivery.duration_ms), receipt = excluded.receipt`,
  );
}

/** Ends what an ended newer delivery of a state sink makes superfluous. After a refusal too: an older state is never sent instead. */
async function supersede(trx: Transaction<Tables>, sink: RegisteredSink, settlements: readonly Settlement[], now: number): Promise<number> {
  const ended = settlements.filter(one => one.state !== 'pending');
  if (ended.length === 0) return 0;
  const { numUpdatedRows } = await trx
    .updateTable('delivery')
    .set({ state: 'superseded', open: 0, updated_at: now })
    .where('sink', '=', sink.id)
    .where('open', '=', 1)
    .where(eb => eb.or(ended.map(({ work }) => eb.and([eb('channel', '=', work.channel), eb('position', '<', work.head.position)]))))
    .executeTakeFirst();
  return Number(numUpdatedRows);
}

async function freeLanes(
  database: Database,
  trx: Transaction<Tables>,
  sink: RegisteredSink,
  settlements: readonly Settlement[],
  now: number,
): Promise<void> {
  const rows = settlements.map(({ work, state, tryAgainAt, laneTries }) => {
    const sent = sink.mode === 'state' && state === 'delivered' ? work.head : null;
    const sentProfile = sent && JSON.stringify(sent.delivery.event.data.profile);
    return {
      sink: sink.id,
      channel: work.channel,
      due_at: tryAgainAt ?? now,
      tries: laneTries,
      sent_revision: sent?.delivery.event.data.revision ?? null,
      sent_profile: sentProfile,
    };
  });
  await database.insert(
    trx,
    'lane',
    rows,
    `on conflict (sink, channel) do update set lease = null, tries = excluded.tries,
       sent_revision = coalesce(excluded.sent_revision, lane.sent_revision), sent_profile = coalesce(excluded.sent_profile, lane.sent_profile),
       due_at = case when exists (select 1 from delivery where delivery.sink = lane.sink and delivery.channel = lane.channel and delivery.open = 1)
         then excluded.due_at end`,
  );
}
