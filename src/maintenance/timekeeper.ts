import { type RawBuilder, sql } from 'kysely';
import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { Clock } from '../process/clock.js';
import { EngineEvents } from '../process/engine-events.js';
import { Log } from '../process/log.js';
import { SharedTime } from '../database/shared-time.js';
import { pageRows } from '../database/limits.js';
import { isOneOf, skipLocked } from '../database/locks.js';
import type { RepeatedTask } from '../process/repeatedly.js';
import { maxAhead } from '../delivery/retry.js';

const lookEveryMs = 1000;
/** How often the newest time is remembered. */
const rememberEveryMs = 20_000;
/** By then every process has noticed that the shared clock was put back. */
const noticedAfterMs = 3000;
/** Replicas agree on the time much better than this. */
const toleratedMs = 2000;
/** After the clock was put back nothing waits longer than this because of it. A gap in the remembered times that is longer is a jump, or a standstill. */
const graceMs = 30_000;
const gapMs = 60_000;

/**
 * Looks for jumps of the clocks, and moves the stored waiting times along with them: whatever a clock did, nothing waits longer than a minute for it to
 * come true, and nothing is given up as too old. A row remembers the newest time, so that one process of all does it, and a start finds out what happened before.
 */
@Injectable()
export class Timekeeper {
  readonly part = 'clock';
  private rememberAt = -Infinity;
  /** What is written by whoever looked at the clock before it was put back comes a little later. */
  private sweepAll = false;
  private readonly wall: SharedTime;

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly events: EngineEvents,
  ) {
    this.wall = new SharedTime(clock);
  }

  private jumped(whose: 'this machine' | 'PostgreSQL', byMs: number): void {
    this.log.warn(`the clock of ${whose} was set ${byMs < 0 ? 'back' : 'forward'}: what waits goes by the new time`, { byMs });
  }

  works(): RepeatedTask[] {
    return [{ work: () => this.once(), delayMs: lookEveryMs }];
  }

  /** One look, and what there is to do after it; before the workers start, too. */
  async once(): Promise<void> {
    this.wall.readLocal();
    if (this.wall.jump !== 0) this.jumped('this machine', this.wall.jump);
    this.wall.adopt(this.wall.jump);
    const { time } = this.database;
    await this.database.readClock();
    if (time.jump === 0 && this.clock.monotonic() < this.rememberAt) return;
    // Until all know it, those who do not would write what waits for the old time to come.
    if (time.jump < 0 && time.jumpedWithin(noticedAfterMs)) return;
    await this.remember();
  }

  private async remember(): Promise<void> {
    const { time } = this.database;
    const { jump } = time;
    const now = this.database.now() + jump;
    const moved = await this.database.kysely.transaction().execute(async trx => {
      const row = trx.selectFrom('heartbeat').select('at');
      const { at } = await row.$call(this.database.lock).executeTakeFirstOrThrow();
      const back = now < at - toleratedMs ? Math.min(jump, 0) || now - at : 0;
      const by = jump > gapMs && now > at + gapMs ? jump : back;
      if (by !== 0) {
        // More time that does not count, or less, lets what is failing be as old as it is.
        await sql`
            update sink set held_until = held_until + ${by}, paced_at = paced_at + ${by}, next_probe_at = next_probe_at + ${by},
              next_round_robin_probe_at = next_round_robin_probe_at + ${by}, stopped_since = stopped_since + ${by}, stopped_ms = stopped_ms + ${by},
              state_since = case when state_since > ${now} then ${now} else state_since end,
              paused_at = case when paused_at > ${now} then ${now} else paused_at end`.execute(trx);
      }
      await trx.updateTable('heartbeat').set({ at: now }).execute();
      time.adopt(jump);
      return by;
    });
    if (jump !== 0 && !this.database.embedded) this.jumped('PostgreSQL', jump);
    const late = this.sweepAll || moved < 0;
    await this.sweep(now, late ? graceMs : maxAhead.laneMs);
    this.sweepAll = moved < 0;
    if (late) this.events.emit('due', null);
    this.rememberAt = this.clock.monotonic() + rememberEveryMs;
  }

  /** Lets go on what waits for longer than it can have been told to, and sees to it that nothing is owed since a time to come. */
  private async sweep(now: number, mostMs: number): Promise<void> {
    const { kysely } = this.database;
    const due = sql<number>`case when lease is null then cast(${now} as bigint) else cast(${now + graceMs} as bigint) end`;
    for (const { id } of await kysely.selectFrom('sink').select('id').execute()) {
      await this.pages(id, 'lane', 'channel', sql`due_at = ${due}`, sql`due_at > ${now + mostMs}`);
      await this.pages(id, 'delivery', 'change_id', sql`enqueued_at = ${now}`, sql`state = 'pending' and enqueued_at > ${now + graceMs}`);
    }
    await sql`update index_job set due_at = ${due}, failing_since = null where due_at > ${now + mostMs}`.execute(kysely);
    await sql`update alert set due_at = ${due} where due_at > ${now + mostMs}`.execute(kysely);
  }

  /** What somebody else has locked is left to the next time: nobody waits in a circle. */
  private async pages(
    sink: number,
    table: 'lane' | 'delivery',
    key: 'channel' | 'change_id',
    set: RawBuilder<unknown>,
    which: RawBuilder<unknown>,
  ): Promise<void> {
    const { database } = this;
    const page = sql`
      with chosen as materialized (
        select ${sql.ref(key)} from ${sql.table(table)} where sink = ${sink} and ${which} limit ${sql.lit(pageRows)} ${skipLocked(database)})
      update ${sql.table(table)} set ${set} where sink = ${sink} and ${isOneOf(database, key, sql`chosen`)}`;
    while ((await page.execute(database.kysely)).numAffectedRows === BigInt(pageRows));
  }
}
