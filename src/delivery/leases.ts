import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../database/database.js';
import { chunks, pageRows } from '../database/limits.js';
import { channelsOf, lockLanes } from '../database/locks.js';
import type { Row, Trx } from '../database/tables.js';
import type { RegisteredSink } from '../sinks/registry.js';
import type { LaneWork } from './work.js';

/** How many lanes of a sink that has recovered are looked at in one transaction, whether they wait or not. */
const recoveringLanes = 2000;

/** What happens to the leases of lanes outside of turns. */
export class Leases {
  constructor(protected readonly database: Database) {}

  /** Keeps the leases of lanes that are still held. @returns those that are: a lease that was lost stays lost */
  renew(sink: RegisteredSink, works: readonly LaneWork[], until: number): Promise<LaneWork[]> {
    return this.mine(sink, works, sql`due_at = ${until}`);
  }

  /** Gives lanes back that were not attempted, or whose attempts were cancelled: nobody knows whether those arrived. */
  async giveBack(sink: RegisteredSink, works: readonly LaneWork[], now: number, were: 'waiting' | 'cancelled'): Promise<void> {
    await this.mine(sink, works, sql`lease = null, due_at = ${now}, lost = lost + ${sql.lit(Number(were === 'cancelled'))}`);
    if (!works.some(work => work.probe)) return;
    const row = { next_probe_at: now, next_round_robin_probe_at: now };
    await this.database.kysely.updateTable('sink').set(row).where('id', '=', sink.id).execute();
  }

  /** Locks lanes. @returns those that are held by the same lease as when they were claimed */
  protected async stillHeld(trx: Trx, sink: RegisteredSink, works: readonly LaneWork[]): Promise<LaneWork[]> {
    const leases = new Map((await lockLanes(this.database, trx, sink.id, works)).map(lane => [lane.channel, lane.lease]));
    return works.filter(work => leases.get(work.channel) === work.lease);
  }

  private async mine(sink: RegisteredSink, works: readonly LaneWork[], set: RawBuilder<unknown>): Promise<LaneWork[]> {
    const mine: LaneWork[] = [];
    for (const some of chunks(works, pageRows)) {
      await this.database.asyncCommit(async trx => {
        const ours = await this.stillHeld(trx, sink, some);
        await sql`update lane set ${set} where sink = ${sink.id} and ${this.database.isAmong('channel', channelsOf(ours))}`.execute(trx);
        mine.push(...ours);
      });
    }
    return mine;
  }

  /**
   * Gives back every lease of a process that is gone; only for the embedded store, where no other process can hold one. Those that are over are due
   * already; the others are found by when they are.
   */
  async releaseAll(now: number): Promise<void> {
    const { embedded, kysely } = this.database;
    if (!embedded) return;
    await sql`
      update lane set lease = null, due_at = ${now}, lost = lost + 1
      where lease is not null and due_at > ${now} and sink in (select id from sink)`.execute(kysely);
    await sql`update sink set next_probe_at = ${now}, next_round_robin_probe_at = ${now} where state <> 'ok'`.execute(kysely);
  }
}

/**
 * A sink that has recovered need not wait for the back-off of its lanes: makes a page of them due, in a transaction of its own, so that nobody locks
 * lanes twice in one.
 */
export async function recoverPage(database: Database, { id }: RegisteredSink, now: number): Promise<void> {
  await database.asyncCommit(async trx => {
    const row = trx.selectFrom('sink').select('recovered_to').where('id', '=', id);
    const { recovered_to: from } = await row.$call(database.lock).executeTakeFirstOrThrow();
    if (from === null) return;
    const { rows: page } = await sql<Pick<Row<'lane'>, 'channel' | 'due_at' | 'lease'>>`
        select channel, due_at, lease from lane where sink = ${id} and channel > ${from}
        order by channel limit ${sql.lit(recoveringLanes)}`.execute(trx);
    const waiting = page.filter(lane => lane.lease === null && lane.due_at !== null && lane.due_at > now);
    await lockLanes(database, trx, id, waiting);
    await sql`
        update lane set due_at = ${now}
        where sink = ${id} and ${database.isAmong('channel', channelsOf(waiting))} and lease is null and due_at > ${now}`.execute(trx);
    const to = page.length === recoveringLanes ? page.at(-1)!.channel : null;
    await trx.updateTable('sink').set({ recovered_to: to }).where('id', '=', id).execute();
  });
}
