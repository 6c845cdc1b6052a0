import type { Database } from '../database/database.js';
import { enqueueRefreshes } from '../reports/refresh-queue.js';
import { type Health, nextProbe } from './breaker.js';
import { type SinkRow, claimWork, closedUntil, mayDeliver, nextDue, nothingClaimed, plausible, readForTurn } from './claim.js';
import type { Claim, Moved, Session } from './modes/mode.js';
import type { RegisteredSink } from '../sinks/registry.js';
import { modes } from './modes/modes.js';
import { Leases, recoverPage } from './leases.js';
import { supersedePage } from './modes/state.js';
import { paceTake } from './retry.js';
import { type Freed, writeSettlements } from './settle.js';
import { type Ended, type Settlement, settle } from './settlement.js';
import { type LaneWork, isFresh } from './work.js';

/** What one turn of a worker brought. */
export interface Turn {
  /** What each attempt is to carry. */
  claimed: LaneWork[][];
  /** How many deliveries ended, and how: older ones that were superseded, too. */
  over: { delivered: number; parked: number; superseded: number };
  /** When to look again; `null` if only a wake-up can bring work. */
  nextDueAt: number | null;
  /** Before this nothing can be claimed, whatever wakes the worker. */
  closedUntil: number;
  /** Report sinks that have something to do because of what was settled. */
  wakes: number[];
  /** How the sink is after it, and whether deliveries may go there. */
  health: Health;
  mayDeliver: boolean;
  /** What ended without its lease: it changes neither its delivery nor its lane. */
  unleased: ReadonlySet<LaneWork>;
  /** True if a success disproved what a check had found. */
  disproved: boolean;
}

/** What the ended attempts of a turn brought. */
interface Settled extends Freed, Pick<Turn, 'unleased'> {
  over: Omit<Turn['over'], 'superseded'>;
  /** What reports have to tell of. */
  moved: Moved[];
}

/** The shared clock jumped, and what is stored has not been moved along yet: that takes seconds. */
export class ClockMoves extends Error {}

/** A worker's protocol with the database: settle what ended, claim what is due. Each settle is fenced by the lease's token. */
export class Lanes extends Leases {
  constructor(
    database: Database,
    private readonly newToken: () => string,
    private readonly random: () => number,
  ) {
    super(database);
  }

  /** Settles and claims in one transaction. What ended without its lease is dropped: whoever has the lane now tries again. */
  async turn(sink: RegisteredSink, ended: readonly Ended[], retryMaxAgeMs: number, claim: Claim, now: number): Promise<Turn> {
    const mode = modes[sink.mode];
    await mode.prepare?.(this.database, sink, now);
    const { recovering, ...turn } = await this.database.asyncCommit(async trx => {
      const session = { database: this.database, trx, sink, mode, now, claim };
      const read = await readForTurn(session, ended);
      // What it would write by the time before could be held against that of processes that go by the time after.
      if (this.database.time.jump !== 0) throw new ClockMoves('the shared clock was set');
      const before = plausible(read.row, claim, now);
      const row = { ...before };
      const settled = ended.length > 0 ? await this.settleAll(session, row, ended, retryMaxAgeMs) : nothingSettled;
      // Most turns only settle. What becomes due meanwhile wakes the worker once more.
      const mayClaim = row.state !== 'ok' || [read.due, ...settled.dues].some(at => at !== null && at <= now);
      const claimed = claim.attempts > 0 && mayClaim ? await claimWork(session, row, this.newToken()) : nothingClaimed;
      const { works, more } = claimed;
      await writeSink(session, before, row);
      const page = read.superseding || settled.superseding ? await supersedePage(session) : nothingSuperseded;
      const recovering = row.recovered_to !== null;
      // Then the next end of an attempt brings the worker here again; one without room has to know when to look.
      const roomUsedUp = claim.attempts > 0 && works.length >= claim.attempts;
      // When the first lane is due now, where that is known without asking once more: of what was not due, and of what was settled.
      const tookAll = works.length > 0 && row.state === 'ok' && claim.perSecond === null && !mode.prepare;
      const known = !mayClaim ? earliest([read.due, ...settled.dues]) : tookAll ? earliest([read.later, ...settled.dues], now) : undefined;
      return {
        over: { ...settled.over, superseded: page.superseded.length },
        wakes: read.reported ? await enqueueRefreshes(trx, settled.moved.concat(page.superseded)) : [],
        claimed: works,
        nextDueAt: more || page.more || recovering ? now : roomUsedUp ? null : this.polled(await nextDue(session, row, known), now),
        closedUntil: closedUntil(row, claim.perSecond),
        health: row,
        mayDeliver: mayDeliver(row, now),
        recovering,
        unleased: settled.unleased,
        disproved: before.check_state !== row.check_state,
      };
    });
    if (recovering) await recoverPage(this.database, sink, now);
    return turn;
  }

  private polled(due: number | null, now: number): number | null {
    return this.database.embedded ? due : Math.min(due ?? Infinity, now + this.database.pollMs);
  }

  /** Moves `row` on, for the end of the turn to write. */
  private async settleAll(session: Session, row: SinkRow, ended: readonly Ended[], retryMaxAgeMs: number): Promise<Settled> {
    const { trx, sink, now, claim } = session;
    let healed = false;
    const settlements = ended.flatMap(one => {
      const outcome = settle(row, one, { random: this.random, retryMaxAgeMs });
      const { health } = outcome;
      const stoppedNow = row.state === 'ok' && health.state !== 'ok';
      const probe = one.answers.find(({ work }) => work.probe)?.work;
      const probed = health.state !== 'ok' && probe !== undefined;
      const fresh = !stoppedNow && probed && isFresh(probe);
      Object.assign(row, health, (stoppedNow || probed) && nextProbe(now, this.random(), fresh));
      healed = health.state === 'ok' && (healed || outcome.healed);
      return outcome.settlements;
    });
    row.held_until = settlements.reduce((until, one) => Math.max(until, one.holdUntil ?? 0), row.held_until ?? 0) || null;
    if (healed || row.state !== 'ok') row.recovered_to = healed ? 0 : null;
    const extraCalls = ended.reduce((sum, one) => sum + (one.extraCalls ?? 0), 0);
    if (claim.perSecond !== null && extraCalls !== 0) row.paced_at = paceTake(row.paced_at, claim.perSecond, now, extraCalls);
    if (ended.some(({ answers }) => answers.some(({ answer }) => 'messageRef' in answer))) row.check_state = null;
    const works = settlements.map(({ work }) => work);
    const held = new Set(await this.stillHeld(trx, sink, works));
    const unleased = new Set(works.filter(work => !held.has(work)));
    const ours = settlements.filter(({ work }) => held.has(work));
    const written = await writeSettlements(session, ours);
    const count = (state: Settlement['delivery']['state']): number =>
      ours.filter(one => one.delivery.state === state && one.work.state === 'pending').length;
    const moved = ours.filter(one => one.tell).map(({ work }) => ({ changeId: work.change_id, channel: work.channel }));
    return { over: { delivered: count('delivered'), parked: count('parked') }, moved, unleased, ...written };
  }
}

/** The first of these times that is later than `after`. */
function earliest(times: readonly (number | null)[], after = -Infinity): number | null {
  const found = Math.min(...times.map(at => (at !== null && at > after ? at : Infinity)));
  return found === Infinity ? null : found;
}

const nothingSettled: Settled = { over: { delivered: 0, parked: 0 }, moved: [], superseding: false, dues: [], unleased: new Set() };
const nothingSuperseded: Awaited<ReturnType<typeof supersedePage>> = { superseded: [], more: false };

async function writeSink({ trx, sink }: Session, before: SinkRow, after: SinkRow): Promise<void> {
  const changed = Object.entries(after).filter(([column, value]) => before[column as keyof SinkRow] !== value);
  if (changed.length > 0) await trx.updateTable('sink').set(Object.fromEntries(changed)).where('id', '=', sink.id).execute();
}
