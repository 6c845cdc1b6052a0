import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { arrivalOf } from '../database/arrival-times.js';
import { fitting, pageRows } from '../database/limits.js';
import type { SharedClock } from '../process/clock.js';
import type { EngineEvents, SinkHealth } from '../process/engine-events.js';
import type { TurnBudget } from '../process/turn-budget.js';
import type { RegisteredSink } from '../sinks/registry.js';
import type { SinkSettings } from '../sinks/settings.js';
import type { Sink } from '../sinks/sink-type.js';
import { type AnswerOrNone, Attempts, overrunMs } from './attempts.js';
import type { LocalWorker } from './enqueue.js';
import { ClockJumped, type Lanes, type Turn } from './lanes.js';
import { leaseMs, renewIntervalMs } from './retry.js';
import type { Ended } from './settlement.js';
import type { LaneWork } from './work.js';

/** What a worker needs from its process. */
export interface WorkerHost {
  /** Bounds the attempts that start per turn of the event loop. */
  readonly starts: TurnBudget;
  /** Resolves when the process has capacity for deliveries. */
  giveWay(): Promise<void>;
  /** Reports a database error of a sink's worker, which keeps trying; `null` after each successful turn. */
  reportFailure(sink: string, error: Error | null): void;
}

const databasePauseMs = 1000;
const maxClaimBytes = 4 * 1024 * 1024;
/** How long a report sink's refreshes are gathered. */
const gatherMs = 50;
/** Maximum time between two turns: checking an idle sink is cheap. */
const maxSleepMs = 60_000;

/** Attempts and settles the deliveries of one sink. Sinks share no state here, so that a failing one does not delay others. */
export class Worker implements LocalWorker {
  private readonly attempts: Attempts;
  private readonly stop = new AbortController();
  private state: SinkHealth['state'] = 'ok';
  /** Whether the sink may be sent deliveries, as of the last turn. */
  private mayDeliver = true;
  private draining = false;
  private awake = false;
  private renewing = false;
  /** Nothing can be claimed before this monotonic time, so wake-ups are ignored. */
  private closedUntil = 0;
  private notify: (() => void) | null = null;
  private finished: Promise<void> = Promise.resolve();

  constructor(
    readonly registered: RegisteredSink,
    private readonly sink: Sink,
    private readonly settings: SinkSettings,
    private readonly lanes: Lanes,
    private readonly events: EngineEvents,
    /** `now` for times in the database, `monotonic` for waits and durations, `wall` to notice that the machine was suspended. */
    private readonly clock: Pick<SharedClock, 'now' | 'monotonic' | 'wall'>,
    private readonly host: WorkerHost,
  ) {
    const onEnd = (cancelled: readonly LaneWork[], durationMs: number): void => {
      for (const work of cancelled) this.meter(work, { cancelled: true }, this.clock.monotonic() - durationMs, durationMs);
      this.notify?.();
    };
    this.attempts = new Attempts(sink, settings, clock, onEnd, this.stop.signal, host.starts);
  }

  start(): void {
    const renewal = setInterval(() => void this.renew(), renewIntervalMs);
    this.finished = this.loop().finally(() => clearInterval(renewal));
  }

  private readonly databaseFailed = (error: Error): void => this.host.reportFailure(this.registered.name, error);

  private async renew(): Promise<void> {
    const { works } = this.attempts;
    // Two at once could end in either order, and the earlier one would shorten the leases.
    if (works.length === 0 || this.renewing) return;
    this.renewing = true;
    const leasedUntil = this.clock.monotonic() + leaseMs;
    const ours = await this.lanes.renew(this.registered, works, this.clock.now() + leaseMs).catch(this.databaseFailed);
    this.renewing = false;
    this.attempts.renewed(ours ?? [], leasedUntil);
  }

  /** Signals that there may be work. */
  wake(): void {
    this.awake = true;
    this.notify?.();
  }

  /** Stops claiming, gives attempts in progress `graceMs` to finish, then cancels them and releases their lanes. */
  async drain(graceMs: number): Promise<void> {
    this.draining = true;
    this.wake();
    const timer = setTimeout(() => this.stop.abort(), graceMs);
    await Promise.all([this.releaseQueue(), this.finished]);
    clearTimeout(timer);
    await this.sink.close?.();
  }

  room(): number {
    const { batchSize } = this.attempts;
    const mayNot = this.draining || !this.mayDeliver || this.settings.RATE_PER_SECOND !== undefined;
    return mayNot ? 0 : Math.min(this.attempts.room(true) * batchSize, pageRows);
  }

  accept(works: readonly LaneWork[], leasedUntil: number): void {
    for (const work of works) this.attempts.take([work], leasedUntil);
    // The sink may have stopped while these were being recorded: release them, so that claiming follows its new state.
    if (this.draining || !this.mayDeliver) void this.releaseQueue().then(() => this.wake());
    else void this.attempts.start();
  }

  private async loop(): Promise<void> {
    while (!this.draining || this.attempts.inFlight > 0 || this.attempts.ended.length > 0) {
      this.awake = false;
      const ended = this.takeEnded();
      let nextDueAt: number | null;
      try {
        nextDueAt = await this.turn(ended);
      } catch (error) {
        this.attempts.ended.unshift(...ended);
        if (!(error instanceof ClockJumped)) this.databaseFailed(error as Error);
        if (this.draining && this.attempts.inFlight === 0) break;
        nextDueAt = this.clock.monotonic() + databasePauseMs;
        // A wake-up must not turn a failing database into a hot loop.
        await pause(databasePauseMs);
      }
      await this.sleep(nextDueAt);
    }
    await this.lanes.giveBack(this.registered, this.attempts.cancelled, this.clock.now(), 'cancelled').catch(this.databaseFailed);
  }

  /** Takes as many finished attempts as one transaction settles. */
  private takeEnded(): Ended[] {
    const { ended } = this.attempts;
    const sizes = ended.map(({ answers }) => answers.length);
    return ended.splice(0, fitting(sizes, pageRows));
  }

  /** Settles finished attempts and claims new work. @returns when to run the next turn; `null` to wait for a wake-up */
  private async turn(ended: readonly Ended[]): Promise<number | null> {
    const startedAt = this.clock.monotonic();
    const now = this.clock.now();
    const { RATE_PER_SECOND, RETRY_MAX_AGE, TIMEOUT_MS } = this.settings;
    const { batchSize, freeBytes } = this.attempts;
    const attempts = this.draining ? 0 : this.attempts.room(this.state === 'ok');
    if (attempts === 0 && ended.length === 0) return null;
    const limits = { attempts, batchSize, bytes: Math.min(maxClaimBytes, freeBytes), perSecond: RATE_PER_SECOND ?? null };
    const claim = { ...limits, leaseMs, probeMs: TIMEOUT_MS + overrunMs + 1000 };
    // Converted to shared time only now: the shared clock may have been set since the attempts started.
    const shared = ended.map(attempt => ({ ...attempt, at: Math.round(now - startedAt + attempt.at) }));
    const turn = await this.lanes.turn(this.registered, shared, RETRY_MAX_AGE, claim, now);
    this.host.reportFailure(this.registered.name, turn.failure);
    this.closedUntil = startedAt + turn.closedUntil - now;
    this.attempts.forget(ended);
    // If the lease was lost, the new holder tries again, so the result counts as cancelled.
    for (const { answers, at, durationMs } of ended)
      for (const { work, answer } of answers) this.meter(work, turn.unleased.has(work) ? { cancelled: true } : answer, at, durationMs);
    this.emitEvents(turn);
    const freed = !turn.mayDeliver && (await this.releaseQueue());
    for (const works of turn.claimed) this.attempts.take(works, startedAt + leaseMs);
    if (this.draining) await this.releaseQueue();
    void this.attempts.start();
    if (turn.failure) await pause(databasePauseMs);
    // The released lanes are due, which the turn could not know.
    if (freed) return startedAt;
    return turn.nextDueAt === null ? null : startedAt + turn.nextDueAt - now;
  }

  private meter(work: LaneWork, answer: AnswerOrNone, at: number, durationMs: number): void {
    const failure = 'failure' in answer ? answer.failure : null;
    const outcome = failure?.outcome ?? ('cancelled' in answer ? ('cancelled' as const) : ('delivered' as const));
    const end = { sink: this.registered.name, deliveryId: work.delivery.id, changeId: work.change_id, outcome, durationMs };
    const more = { startedMsAgo: Math.round(this.clock.monotonic() - at), tries: work.tries + 1, reason: failure?.message ?? null };
    if (!('skipped' in answer)) this.events.emit('attempt', { ...end, ...more });
    const isFirst = outcome === 'delivered' && work.state === 'pending';
    if (isFirst) this.events.emit('delivered', this.registered.name, Math.max(0, this.clock.now() - arrivalOf(work.change_id)));
  }

  private emitEvents({ over, wakes, health, mayDeliver, checkCleared }: Turn): void {
    for (const outcome of ['delivered', 'parked', 'superseded'] as const)
      if (over[outcome] > 0) this.events.emit('ended', this.registered.name, outcome, over[outcome]);
    if (wakes.length > 0) this.events.emit('due', wakes);
    if (health.state !== this.state || checkCleared) this.events.emit('state', this.registered.name, health);
    this.state = health.state;
    this.mayDeliver = mayDeliver;
  }

  private async sleep(until: number | null): Promise<void> {
    const over = this.draining && this.attempts.inFlight === 0;
    if (!this.awake && !over && this.attempts.ended.length === 0) await this.rest(until);
    // A sink with a rate limit is woken far more often than it may send; skipping those turns saves CPU.
    while (!this.draining && this.attempts.ended.length === 0 && this.clock.monotonic() < this.closedUntil)
      await this.rest(this.closedUntil);
    // Wake-ups of a report sink come in bursts and are not urgent, so several share a turn.
    if ('report' in this.sink && !this.draining && this.attempts.ended.length === 0) await pause(gatherMs);
    // Attempts that finish in the next turns of the event loop join the same transaction.
    for (let before = -1; before < this.attempts.ended.length;) {
      before = this.attempts.ended.length;
      await nextTurn();
    }
    await this.host.giveWay();
  }

  private async rest(until: number | null): Promise<void> {
    const ms = until === null ? maxSleepMs : Math.min(Math.max(0, until - this.clock.monotonic()), maxSleepMs);
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.notify = resolve;
    await promise;
    clearTimeout(timer);
    this.notify = null;
  }

  /** Releases the lanes whose attempts have not started. @returns whether there were any */
  private async releaseQueue(): Promise<boolean> {
    const works = this.attempts.takeQueue(this.draining);
    if (works.length > 0) await this.lanes.giveBack(this.registered, works, this.clock.now(), 'waiting').catch(this.databaseFailed);
    return works.length > 0;
  }
}
