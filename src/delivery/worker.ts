import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import type { Sink } from '../sinks/sink.js';
import type { SinkError } from '../sinks/errors.js';
import type { SinkSettings } from '../sinks/settings.js';
import { pageRows } from '../database/limits.js';
import type { LocalClock } from '../database/shared-time.js';
import { bounded } from './bounded.js';
import { asSinkError, callSink, damaged } from './call.js';
import { ClockMoves, type Lanes, type Turn } from './lanes.js';
import type { RegisteredSink } from './session.js';
import type { Health } from './breaker.js';
import { furthest } from './retry.js';
import type { Answer, Ended } from './settlement.js';
import type { LaneWork } from './work.js';

type AnswerOrNone = Answer | { cancelled: true };

/** One ended attempt, told to metrics and log. */
export interface AttemptEnd {
  sink: string;
  deliveryId: string;
  outcome: 'delivered' | SinkError['outcome'] | 'cancelled';
  durationMs: number;
  tries: number;
  reason: string | null;
}

/** What a worker tells the rest of the process. */
export interface WorkerEvents {
  attempt(end: AttemptEnd): void;
  deliveries(sink: string, outcome: 'delivered' | 'superseded' | 'parked', count: number): void;
  /** Other sinks that have something to do. */
  wake(sinks: number[]): void;
  /** Resolves when the process has time for deliveries. */
  giveWay(): Promise<void>;
  /** The sink is in another state than before. */
  state(sink: string, health: Health): void;
  /** The database failed, and the worker goes on trying; `null` after each turn that it served. */
  trouble(sink: string, error: Error | null): void;
}

/** A lane whose worker is gone waits for the end of its lease; a living worker renews it this often. */
const renewEveryMs = 3000;
const { leaseMs } = furthest;
/** How long a sink may overrun its own time limit before its attempt is ended for it. */
const overrunMs = 2000;
/** How many attempts start before the event loop gets a turn. */
const startsPerTurn = 4;
const databasePauseMs = 1000;
/** So many bytes a sink may have in its hands; of a single delivery any. */
const heldBytes = 8 * 1024 * 1024;
/** What one claim takes of them. */
const claimBytes = 4 * 1024 * 1024;
/** How long news gather for a report sink. */
const gatherMs = 50;
/** Timers beyond this are cut: a look at an idle lane costs little. */
const longestSleepMs = 60_000;

/** The loop of one sink: claim what is due, attempt, settle. Everything here is this sink's own, so that a dead one delays nobody. */
export class Worker {
  /** Attempts that are not settled yet, with when they started. */
  private readonly ended: Ended[] = [];
  private readonly cancelled: LaneWork[] = [];
  private inFlight = 0;
  /** Claimed and not settled yet. */
  private readonly held = new Set<LaneWork>();
  private state: Health['state'] = 'ok';
  private draining = false;
  private awake = false;
  /** Before this a wake-up can bring nothing; monotonic, as all times of a worker. */
  private closedUntil = 0;
  private notify: (() => void) | null = null;
  private finished: Promise<void> = Promise.resolve();
  private readonly stop = new AbortController();

  constructor(
    readonly registered: RegisteredSink,
    private readonly sink: Sink,
    private readonly settings: SinkSettings,
    private readonly lanes: Lanes,
    private readonly events: WorkerEvents,
    /** It waits and measures by monotonic time alone; what processes share goes by theirs. */
    private readonly clock: LocalClock,
  ) {}

  start(): void {
    const renewal = setInterval(() => void this.renew(), renewEveryMs);
    this.finished = this.loop().finally(() => clearInterval(renewal));
  }

  private readonly troubled = (error: Error): void => this.events.trouble(this.registered.name, error);

  private async renew(): Promise<void> {
    if (this.held.size === 0) return;
    await this.lanes.renew(this.registered, [...this.held], this.clock.now() + leaseMs).catch(this.troubled);
  }

  /** There may be something to do. */
  wake(): void {
    this.awake = true;
    this.notify?.();
  }

  /** Claims nothing more, lets attempts under way end for `graceMs`, then cancels them and gives their lanes back. */
  async drain(graceMs: number): Promise<void> {
    this.draining = true;
    this.wake();
    const timer = setTimeout(() => this.stop.abort(), graceMs);
    await this.finished;
    clearTimeout(timer);
    await this.sink.close?.();
  }

  private async loop(): Promise<void> {
    while (!this.draining || this.inFlight > 0 || this.ended.length > 0) {
      this.awake = false;
      const ended = this.takeEnded();
      let nextDueAt: number | null;
      try {
        nextDueAt = await this.turn(ended);
        this.events.trouble(this.registered.name, null);
      } catch (error) {
        this.ended.unshift(...ended);
        if (!(error instanceof ClockMoves)) this.troubled(error as Error);
        if (this.draining && this.inFlight === 0) break;
        nextDueAt = this.clock.monotonic() + databasePauseMs;
        // A wake-up must not turn a failing database into a hot loop.
        await pause(databasePauseMs);
      }
      await this.sleep(nextDueAt);
    }
    await this.lanes.release(this.registered, this.cancelled, this.clock.now()).catch(this.troubled);
  }

  /** What one transaction settles; the rest comes with the next. */
  private takeEnded(): Ended[] {
    let count = 0;
    const last = this.ended.findIndex(({ answers }) => (count += answers.length) >= pageRows);
    return this.ended.splice(0, last < 0 ? this.ended.length : last + 1);
  }

  /** @returns when to look again without a wake-up, `null` for only then */
  private async turn(ended: readonly Ended[]): Promise<number | null> {
    const startedAt = this.clock.monotonic();
    const now = this.clock.now();
    const { CONCURRENCY, RATE_PER_SECOND, RETRY_MAX_AGE, TIMEOUT_MS } = this.settings;
    const bytes = Math.min(claimBytes, heldBytes - [...this.held].reduce((sum, work) => sum + work.bytes, 0));
    const attempts = this.draining || bytes <= 0 ? 0 : Math.max(0, CONCURRENCY - this.inFlight);
    if (attempts === 0 && ended.length === 0) return null;
    const batchSize = 'deliverMany' in this.sink ? this.sink.batchSize : 1;
    const claim = { attempts, batchSize, bytes, leaseMs, probeMs: TIMEOUT_MS + overrunMs + 1000, perSecond: RATE_PER_SECOND ?? null };
    // Told in the shared time as it is now: that may have been set since they started.
    const told = ended.map(one => ({ ...one, at: Math.round(now - startedAt + one.at) }));
    const turn = await this.lanes.turn(this.registered, told, RETRY_MAX_AGE, claim, now);
    const { claimed } = turn;
    this.closedUntil = startedAt + turn.closedUntil - now;
    this.meter(ended, turn.lost);
    for (const { work } of ended.flatMap(({ answers }) => answers)) this.held.delete(work);
    for (const work of claimed.flat()) this.held.add(work);
    this.tell(turn);
    for (const [index, works] of claimed.entries()) {
      // Starting many at once would keep webhooks waiting: the event loop accepts one connection each turn.
      if (index % startsPerTurn === 0 && index > 0) await nextTurn();
      if (this.clock.monotonic() < startedAt + leaseMs) void this.attempt(works);
      // This process stood still for so long that others may have this lane now.
      else for (const work of works) this.held.delete(work);
    }
    return turn.nextDueAt === null ? null : startedAt + turn.nextDueAt - now;
  }

  /** Tells how attempts ended, now that it is known which of them counted: a lane that was lost meanwhile is somebody else's to try. */
  private meter(ended: readonly Ended[], lost: ReadonlySet<LaneWork>): void {
    for (const { answers, durationMs } of ended)
      for (const { work, answer } of answers) this.meterOne(work, lost.has(work) ? { cancelled: true } : answer, durationMs);
  }

  private meterOne({ head }: LaneWork, answer: AnswerOrNone, durationMs: number): void {
    const failure = 'failure' in answer ? answer.failure : null;
    const outcome: AttemptEnd['outcome'] = failure?.outcome ?? ('cancelled' in answer ? 'cancelled' : 'delivered');
    const told = { sink: this.registered.name, deliveryId: head.delivery.id, outcome, durationMs, tries: head.tries + 1 };
    this.events.attempt({ ...told, reason: failure?.message ?? null });
  }

  private tell({ over, wakes, health }: Turn): void {
    for (const outcome of ['delivered', 'parked', 'superseded'] as const)
      if (over[outcome] > 0) this.events.deliveries(this.registered.name, outcome, over[outcome]);
    if (wakes.length > 0) this.events.wake(wakes);
    if (health.state !== this.state) this.events.state(this.registered.name, health);
    this.state = health.state;
  }

  private async sleep(until: number | null): Promise<void> {
    const over = this.draining && this.inFlight === 0;
    if (!this.awake && !over && this.ended.length === 0) await this.rest(until);
    // What wakes a sink that is paced is much more than it may send: each turn of it would cost others.
    while (!this.draining && this.ended.length === 0 && this.clock.monotonic() < this.closedUntil) await this.rest(this.closedUntil);
    // What wakes a report sink comes in crowds, and can wait: each turn of it would cost the others.
    if ('report' in this.sink && !this.draining && this.ended.length === 0) await pause(gatherMs);
    // What else the next turns of the event loop bring joins the same transaction.
    for (let had = -1; had < this.ended.length;) {
      had = this.ended.length;
      await nextTurn();
    }
    await this.events.giveWay();
  }

  /** Until then, or until something happens. */
  private async rest(until: number | null): Promise<void> {
    const ms = until === null ? longestSleepMs : Math.min(Math.max(0, until - this.clock.monotonic()), longestSleepMs);
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.notify = resolve;
    await promise;
    clearTimeout(timer);
    this.notify = null;
  }

  private async attempt(works: readonly LaneWork[]): Promise<void> {
    this.inFlight += 1;
    const at = this.clock.monotonic();
    let extraCalls = 0;
    const answers = await this.answers(works, () => (extraCalls += 1));
    const durationMs = Math.round(this.clock.monotonic() - at);
    this.inFlight -= 1;
    const answered = works.flatMap((work, index) => {
      const answer = answers[index]!;
      if (!('cancelled' in answer)) return [{ work, answer }];
      this.meterOne(work, answer, durationMs);
      this.cancelled.push(work);
      return [];
    });
    if (answered.length > 0) this.ended.push({ at, durationMs, extraCalls, answers: answered });
    this.notify?.();
  }

  private async answers(works: readonly LaneWork[], countCall: () => void): Promise<AnswerOrNone[]> {
    const timeoutMs = this.settings.TIMEOUT_MS + overrunMs;
    try {
      const whole = works.filter(({ head }) => !head.damaged);
      const attempt = (signal: AbortSignal): Promise<Answer[]> => callSink(this.sink, whole, signal, countCall);
      const answers = whole.length === 0 ? [] : await bounded(attempt, timeoutMs, this.stop.signal);
      return works.map(({ head }) => (head.damaged ? { failure: damaged() } : answers.shift()!));
    } catch (error) {
      if (this.stop.signal.aborted) return works.map(() => ({ cancelled: true }));
      return works.map(() => ({ failure: asSinkError(error) }));
    }
  }
}
