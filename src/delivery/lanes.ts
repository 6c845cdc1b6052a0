import type { Database } from '../database/database.js';
import { enqueueRefreshes } from '../reports/refresh-queue.js';
import { type Health, nextProbe } from './breaker.js';
import { type SinkRow, claimWork, closedUntil, mayDeliver, nextDue, nothingClaimed, readForTurn, withPlausibleTimes } from './claim.js';
import type { ClaimLimits, Moved, Session } from './modes/mode.js';
import type { RegisteredSink } from '../sinks/registry.js';
import { modes } from './modes/modes.js';
import { Leases, recoverPage } from './leases.js';
import { supersedePage } from './modes/state.js';
import { paceTake } from './retry.js';
import { type WrittenLanes, writeSettlements } from './write-settlements.js';
import { type Ended, type Settlement, settle } from './settlement.js';
import { type LaneWork, isFresh } from './work.js';

/** How often to look for work of other processes: a notification may be lost, or not come through a pooler. */
const pollMs = 2000;

export interface Turn {
  /** The work of each attempt. */
  claimed: LaneWork[][];
  /** How many deliveries ended in each state. */
  over: { delivered: number; parked: number; superseded: number };
  /** When to look again; `null` if only a wake-up can bring work, or an attempt must end before there is room for more. */
  nextDueAt: number | null;
  /** Nothing can be claimed before this, even after a wake-up. */
  closedUntil: number;
  /** Report sinks that have work because of these settlements. */
  wakes: number[];
  /** The sink's health after the turn, and whether it may be sent deliveries. */
  health: Health;
  mayDeliver: boolean;
  /** Finished work whose lease was lost; its result is left to the new holder. */
  unleased: ReadonlySet<LaneWork>;
  /** True if a success cleared a problem found by a check. */
  checkCleared: boolean;
  /** Why the work after the commit failed, which the next turn repeats. */
  failure: Error | null;
}

interface Settled extends WrittenLanes, Pick<Turn, 'unleased'> {
  over: Omit<Turn['over'], 'superseded'>;
  /** Deliveries to update in reports. */
  moved: Moved[];
}

/** The shared clock jumped, and the stored times have not been adjusted yet, which takes seconds. */
export class ClockJumped extends Error {}

/** A worker's protocol with the database: settle finished attempts, claim due lanes. Each settlement is fenced by the lease token. */
export class Lanes extends Leases {
  constructor(
    database: Database,
    private readonly newToken: () => string,
    private readonly random: () => number,
  ) {
    super(database);
  }

  /** Settles and claims in one transaction. A result whose lease was lost counts for the sink only: the new holder of the lane tries again. */
  async turn(sink: RegisteredSink, ended: readonly Ended[], retryMaxAgeMs: number, claim: ClaimLimits, now: number): Promise<Turn> {
    const mode = modes[sink.mode];
    await mode.prepare?.(this.database, sink, now);
    const { recovering, ...turn } = await this.database.asyncCommit(async trx => {
      const session = { database: this.database, trx, sink, mode, now, claim };
      const read = await readForTurn(session, ended);
      // Times of the old clock must not be written: other processes would compare them with the new one.
      if (this.database.time.jump !== 0) throw new ClockJumped('the shared clock was set');
      const before = withPlausibleTimes(read.row, claim, now);
      const row = { ...before };
      const settled = ended.length > 0 ? await this.settleAll(session, row, ended, retryMaxAgeMs) : nothingSettled;
      // Most turns only settle. Lanes that become due meanwhile wake the worker again, or are found by its next look.
      const mayClaim = row.state !== 'ok' || [read.due, ...settled.dues].some(at => at !== null && at <= now);
      const { works, more } = claim.attempts > 0 && mayClaim ? await claimWork(session, row, this.newToken()) : nothingClaimed;
      await writeSink(session, before, row);
      const page = read.superseding || settled.superseding ? await supersedePage(session) : nothingSuperseded;
      const recovering = row.recovered_to !== null;
      // With all room used, the next finished attempt starts another turn; a worker that had no room needs a time to look again.
      const roomUsedUp = claim.attempts > 0 && works.length >= claim.attempts;
      // Derive the first due time from the reading and the settlements where possible, to save a query.
      const tookAll = works.length > 0 && row.state === 'ok' && claim.perSecond === null && !mode.prepare;
      const known = !mayClaim ? earliest([read.due, ...settled.dues]) : tookAll ? earliest([read.later, ...settled.dues], now) : undefined;
      return {
        over: { ...settled.over, superseded: page.superseded.length },
        wakes: read.reported ? await enqueueRefreshes(this.database, trx, settled.moved.concat(page.superseded)) : [],
        claimed: works,
        nextDueAt: more || page.more || recovering ? now : roomUsedUp ? null : this.polled(await nextDue(session, row, known), now),
        closedUntil: closedUntil(row, claim.perSecond),
        health: row,
        mayDeliver: mayDeliver(row, now),
        recovering,
        unleased: settled.unleased,
        checkCleared: before.check_state !== row.check_state,
      };
    });
    // Not thrown: this turn has committed, and its result must not be lost.
    const failure = (recovering && (await recoverPage(this.database, sink, now).catch((error: Error) => error))) || null;
    return { ...turn, failure };
  }

  private polled(due: number | null, now: number): number | null {
    return this.database.embedded ? due : Math.min(due ?? Infinity, now + pollMs);
  }

  /** Writes the settlements. Updates `row`, which the caller writes at the end of the turn. */
  private async settleAll(session: Session, row: SinkRow, ended: readonly Ended[], retryMaxAgeMs: number): Promise<Settled> {
    const { trx, sink, now, claim } = session;
    let healed = false;
    const settlements = ended.flatMap(attempt => {
      const outcome = settle(row, attempt, { random: this.random, retryMaxAgeMs });
      const { health } = outcome;
      // The sink's probes follow a schedule from when it stops; each probe that fails sets the time of the next of its kind.
      const stoppedNow = row.state === 'ok' && health.state !== 'ok';
      const probe = attempt.answers.find(({ work }) => work.probe)?.work;
      const probed = health.state !== 'ok' && probe !== undefined;
      const fresh = !stoppedNow && probed && isFresh(probe);
      Object.assign(row, health, (stoppedNow || probed) && nextProbe(now, this.random(), fresh));
      healed = health.state === 'ok' && (healed || outcome.healed);
      return outcome.settlements;
    });
    row.held_until = settlements.reduce((until, { holdUntil }) => Math.max(until, holdUntil ?? 0), row.held_until ?? 0) || null;
    if (healed || row.state !== 'ok') row.recovered_to = healed ? 0 : null;
    const extraCalls = ended.reduce((sum, attempt) => sum + (attempt.extraCalls ?? 0), 0);
    if (claim.perSecond !== null && extraCalls !== 0) row.paced_at = paceTake(row.paced_at, claim.perSecond, now, extraCalls);
    if (ended.some(({ answers }) => answers.some(({ answer }) => 'messageRef' in answer))) row.check_state = null;
    const works = settlements.map(({ work }) => work);
    const held = new Set(await this.stillHeld(trx, sink, works));
    const unleased = new Set(works.filter(work => !held.has(work)));
    const valid = settlements.filter(({ work }) => held.has(work));
    const written = await writeSettlements(session, valid);
    const count = (state: Settlement['delivery']['state']): number =>
      valid.filter(({ delivery, work }) => delivery.state === state && work.state === 'pending').length;
    // A report that arrives after its lease was lost may replace a newer one of the new holder, so it is shown once more.
    const toShow = valid
      .filter(({ notifyReports }) => notifyReports)
      .map(({ work }) => work)
      .concat(sink.mode === 'report' ? [...unleased] : []);
    const moved = toShow.map(work => ({ changeId: work.change_id, channel: work.channel }));
    return { over: { delivered: count('delivered'), parked: count('parked') }, moved, unleased, ...written };
  }
}

function earliest(times: readonly (number | null)[], after = -Infinity): number | null {
  const first = Math.min(...times.map(at => (at !== null && at > after ? at : Infinity)));
  return first === Infinity ? null : first;
}

const nothingSettled: Settled = { over: { delivered: 0, parked: 0 }, moved: [], superseding: false, dues: [], unleased: new Set() };
const nothingSuperseded: Awaited<ReturnType<typeof supersedePage>> = { superseded: [], more: false };

async function writeSink({ trx, sink }: Session, before: SinkRow, after: SinkRow): Promise<void> {
  const changed = Object.entries(after).filter(([column, value]) => before[column as keyof SinkRow] !== value);
  if (changed.length > 0) await trx.updateTable('sink').set(Object.fromEntries(changed)).where('id', '=', sink.id).execute();
}
