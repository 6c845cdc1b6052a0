import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../database/database.js';
import { chunks, pageRows } from '../database/limits.js';
import { channelsOf, lockLanes } from '../database/locks.js';
import type { Row, Trx } from '../database/tables.js';
import type { RegisteredSink } from '../sinks/registry.js';
import type { LaneWork } from './work.js';

const recoveredLanesPerPage = 2000;

/** Renews, checks and releases leases; `claim.ts` takes them. */
export class Leases {
  constructor(protected readonly database: Database) {}

  /** Extends leases. @returns the works whose lease is certainly held until then; a lost lease is not taken back */
  async renew(sink: RegisteredSink, works: readonly LaneWork[], until: number): Promise<LaneWork[]> {
    await this.database.readClock();
    // After a jump, or if our machine was suspended, the other processes would read `until` by another clock.
    if (this.database.time.jump !== 0) return [];
    return this.updateHeld(sink, works, sql`due_at = ${until}`);
  }

  /** Releases lanes that were not attempted, or whose attempts were cancelled and so may have arrived. */
  async giveBack(sink: RegisteredSink, works: readonly LaneWork[], now: number, were: 'waiting' | 'cancelled'): Promise<void> {
    await this.updateHeld(sink, works, sql`lease = null, due_at = ${now}, lost = lost + ${sql.lit(Number(were === 'cancelled'))}`);
    if (!works.some(work => work.probe)) return;
    const row = { next_probe_at: now, next_round_robin_probe_at: now };
    await this.database.kysely.updateTable('sink').set(row).where('id', '=', sink.id).execute();
  }

  /** Locks lanes. @returns the works whose lease is still the one they were claimed with */
  protected async stillHeld(trx: Trx, sink: RegisteredSink, works: readonly LaneWork[]): Promise<LaneWork[]> {
    const leases = new Map((await lockLanes(this.database, trx, sink.id, works)).map(lane => [lane.channel, lane.lease]));
    return works.filter(work => leases.get(work.channel) === work.lease);
  }

  private async updateHeld(sink: RegisteredSink, works: readonly LaneWork[], set: RawBuilder<unknown>): Promise<LaneWork[]> {
    const updated: LaneWork[] = [];
    for (const page of chunks(works, pageRows)) {
      await this.database.asyncCommit(async trx => {
        const held = await this.stillHeld(trx, sink, page);
        await sql`update lane set ${set} where sink = ${sink.id} and ${this.database.isAmong('channel', channelsOf(held))}`.execute(trx);
        updated.push(...held);
      });
    }
    return updated;
  }

  /**
   * Releases the leases of an earlier process; only with SQLite, where no other process can hold one. Expired leases are due anyway,
   * so only the others are updated.
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
 * Makes a page of a recovered sink's lanes due at once, skipping their back-off. Uses its own transaction: locking lanes a second time in
 * one could deadlock.
 */
export async function recoverPage(database: Database, { id }: RegisteredSink, now: number): Promise<void> {
  await database.asyncCommit(async trx => {
    const row = trx.selectFrom('sink').select('recovered_to').where('id', '=', id);
    const { recovered_to: from } = await row.$call(database.lock).executeTakeFirstOrThrow();
    if (from === null) return;
    const { rows: page } = await sql<Pick<Row<'lane'>, 'channel' | 'due_at' | 'lease'>>`
        select channel, due_at, lease from lane where sink = ${id} and channel > ${from}
        order by channel limit ${sql.lit(recoveredLanesPerPage)}`.execute(trx);
    const waiting = page.filter(lane => lane.lease === null && lane.due_at !== null && lane.due_at > now);
    await lockLanes(database, trx, id, waiting);
    await sql`
        update lane set due_at = ${now}
        where sink = ${id} and ${database.isAmong('channel', channelsOf(waiting))} and lease is null and due_at > ${now}`.execute(trx);
    const to = page.length === recoveredLanesPerPage ? page.at(-1)!.channel : null;
    await trx.updateTable('sink').set({ recovered_to: to }).where('id', '=', id).execute();
  });
}
