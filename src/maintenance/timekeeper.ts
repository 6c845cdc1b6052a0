import { setTimeout as sleep } from 'node:timers/promises';
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
import { leaseMs, maxAhead } from '../delivery/retry.js';

const checkIntervalMs = 1000;
const heartbeatIntervalMs = 20_000;
/** After this time, every process has noticed a jump of the shared clock. */
const noticedAfterMs = 3000;
/** Replicas' estimates of the time differ by far less than this. */
const toleratedMs = 2000;
/** After a clock was set back, anything that waits longer than this becomes due, and leases end after it. */
const graceMs = 30_000;
/** Only a larger gap between stored times counts as a jump forward. */
const gapMs = 60_000;

/**
 * Detects jumps of the clocks and shifts stored times accordingly, so that a jump delays nothing by more than a minute and lets nothing
 * expire. The latest time and that of the latest jump are stored in a row, so that only one process makes the shift, and a start detects
 * earlier jumps.
 */
@Injectable()
export class Timekeeper {
  readonly part = 'clock';
  private nextHeartbeatAt = -Infinity;
  /** True after a clock was set back: processes may still write times from before, so the next run sweeps again. */
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
    this.log.warn(`the clock of ${whose} was set ${byMs < 0 ? 'back' : 'forward'}: waiting times follow the new time`, { byMs });
  }

  works(): RepeatedTask[] {
    return [{ work: () => this.once(), delayMs: checkIntervalMs }];
  }

  /**
   * Call before the first check where other processes may be running. If no heartbeat seems to have been written for long, the shared clock
   * may just have jumped instead: our own heartbeat would hide that from the others, which notice it within this wait.
   */
  async letOthersNotice(stop: AbortSignal): Promise<void> {
    const { at } = await this.database.kysely.selectFrom('heartbeat').select('at').executeTakeFirstOrThrow();
    if (at === 0 || this.database.now() - at <= heartbeatIntervalMs + toleratedMs) return;
    await sleep(noticedAfterMs, undefined, { signal: stop }).catch(() => undefined);
  }

  /** Checks the clocks once and handles a jump. Also called before the workers start. */
  async once(): Promise<void> {
    this.wall.readLocal();
    if (this.wall.jump !== 0) this.jumped('this machine', this.wall.jump);
    this.wall.adopt(this.wall.jump);
    const { time } = this.database;
    await this.database.readClock();
    if (time.jump === 0 && this.clock.monotonic() < this.nextHeartbeatAt) return;
    // Wait until all processes have noticed: until then, they may still write times of the old clock.
    if (time.jump < 0 && time.jumpedWithin(noticedAfterMs)) return;
    await this.remember();
  }

  private async remember(): Promise<void> {
    const { time } = this.database;
    const { jump } = time;
    const now = this.database.now() + jump;
    const moved = await this.database.kysely.transaction().execute(async trx => {
      const row = trx.selectFrom('heartbeat').select(['at', 'jumped_at']);
      const { at, jumped_at: jumpedAt } = await row.$call(this.database.lock).executeTakeFirstOrThrow();
      const back = now < at - toleratedMs ? Math.min(jump, 0) || now - at : 0;
      const by = jump > gapMs && now > at + gapMs ? jump : back;
      if (by !== 0) {
        // Shifting `stopped_ms` too keeps the age of failing deliveries unchanged.
        await sql`
            update sink set held_until = held_until + ${by}, paced_at = paced_at + ${by}, next_probe_at = next_probe_at + ${by},
              next_round_robin_probe_at = next_round_robin_probe_at + ${by}, stopped_since = stopped_since + ${by}, stopped_ms = stopped_ms + ${by},
              state_since = case when state_since > ${now} then ${now} else state_since end,
              paused_at = case when paused_at > ${now} then ${now} else paused_at end`.execute(trx);
      }
      // A process that has just started cannot have noticed the jump itself; the others' leases look expired until they are renewed.
      if (jumpedAt !== null && Math.abs(now - jumpedAt) < leaseMs) time.jumpedBefore();
      await trx
        .updateTable('heartbeat')
        .set({ at: now, ...(jump !== 0 && { jumped_at: now }) })
        .execute();
      time.adopt(jump);
      return by;
    });
    if (jump !== 0 && !this.database.embedded) this.jumped('PostgreSQL', jump);
    const late = this.sweepAll || moved < 0;
    await this.sweep(now, late ? graceMs : maxAhead.laneMs);
    this.sweepAll = moved < 0;
    if (late) this.events.emit('due', null);
    this.nextHeartbeatAt = this.clock.monotonic() + heartbeatIntervalMs;
  }

  /** Makes everything due that waits longer than any regular delay, and corrects enqueue times in the future. */
  private async sweep(now: number, maxMs: number): Promise<void> {
    const { kysely } = this.database;
    const due = sql<number>`case when lease is null then cast(${now} as bigint) else cast(${now + graceMs} as bigint) end`;
    for (const { id } of await kysely.selectFrom('sink').select('id').execute()) {
      await this.pages(id, 'lane', 'channel', sql`due_at = ${due}`, sql`due_at > ${now + maxMs}`);
      await this.pages(id, 'delivery', 'change_id', sql`enqueued_at = ${now}`, sql`state = 'pending' and enqueued_at > ${now + graceMs}`);
    }
    await sql`update index_job set due_at = ${due}, failing_since = null where due_at > ${now + maxMs}`.execute(kysely);
    await sql`update alert set due_at = ${due} where due_at > ${now + maxMs}`.execute(kysely);
  }

  /** Updates page by page. Skips rows locked by others, to avoid deadlocks; they are handled next time. */
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
