import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { pageRows } from '../database/limits.js';
import type { LocalClock } from '../database/shared-time.js';
import type { EngineEvents, SinkHealth } from '../process/engine-events.js';
import { Misconfigured, TryAgain } from '../sinks/errors.js';
import type { SinkSettings } from '../sinks/settings.js';
import type { Sink } from '../sinks/sink.js';
import { type AnswerOrNone, attempt, overrunMs } from './attempt.js';
import type { LocalWorker } from './enqueue.js';
import { ClockMoves, type Lanes, type Turn } from './lanes.js';
import type { RegisteredSink } from './modes/mode.js';
import { furthest } from './retry.js';
import type { Ended } from './settlement.js';
import type { LaneWork } from './work.js';

/** What a worker asks of the process around it. */
export interface WorkerHost {
  /** Resolves when the process has time for deliveries. */
  giveWay(): Promise<void>;
  /** The database failed the worker of a sink, which goes on trying; `null` after each turn that it served. */
  trouble(sink: string, error: Error | null): void;
}

/** A lane whose worker is gone waits for the end of its lease; a living worker renews it this often. */
const renewEveryMs = 3000;
const { leaseMs } = furthest;
/** How many attempts start before the event loop gets a turn: it accepts one connection each turn. */
const startsPerTurn = 4;
const databasePauseMs = 1000;
/** So many bytes a sink may have in its hands; of a single delivery any. */
const heldBytes = 8 * 1024 * 1024;
/** What one claim takes of them. */
const claimBytes = 4 * 1024 * 1024;
/** How long refreshes gather for a report sink. */
const gatherMs = 50;
/** Timers beyond this are cut: a look at an idle lane costs little. */
const longestSleepMs = 60_000;
/** So many times CONCURRENCY attempts are held: those under way, and those that start as soon as one of them ends. */
const holdTimes = 4;

/** Attempts what its sink is owed, and settles it. Everything here is this sink's own, so that a dead one delays nobody. */
export class Worker implements LocalWorker {
  /** Attempts that have ended and are not settled yet. */
  private readonly ended: Ended[] = [];
  private readonly cancelled: LaneWork[] = [];
  /** What each of the next attempts carries. */
  private readonly queue: LaneWork[][] = [];
  /** Leased and not settled yet, with the monotonic time until which the lease holds for sure. */
  private readonly held = new Map<LaneWork, number>();
  private inFlight = 0;
  private starting = false;
  /** An answer told that the sink is to be left alone: nothing starts until the next turn knows for how long. */
  private suspect = false;
  private state: SinkHealth['state'] = 'ok';
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
    private readonly events: EngineEvents,
    /** It waits and measures by monotonic time alone; what processes share goes by theirs. */
    private readonly clock: LocalClock,
    private readonly host: WorkerHost,
  ) {}

  start(): void {
    const renewal = setInterval(() => void this.renew(), renewEveryMs);
    this.finished = this.loop().finally(() => clearInterval(renewal));
  }

  private readonly troubled = (error: Error): void => this.host.trouble(this.registered.name, error);

  private async renew(): Promise<void> {
    if (this.held.size === 0) return;
    const leasedUntil = this.clock.monotonic() + leaseMs;
    const works = [...this.held.keys()];
    const ours = await this.lanes.renew(this.registered, works, this.clock.now() + leaseMs).catch(this.troubled);
    for (const work of ours ?? []) if (this.held.has(work)) this.held.set(work, leasedUntil);
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

  room(): number {
    const mayNot =
      this.draining || this.suspect || this.state !== 'ok' || this.settings.RATE_PER_SECOND !== undefined || this.freeBytes() <= 0;
    return mayNot ? 0 : Math.max(0, Math.min(this.mostAttempts * this.batchSize, pageRows) - this.held.size);
  }

  accept(works: readonly LaneWork[], leasedUntil: number): void {
    for (const work of works) {
      this.held.set(work, leasedUntil);
      this.queue.push([work]);
    }
    if (this.draining) void this.giveBackQueue();
    else void this.startQueued();
  }

  private get batchSize(): number {
    return 'deliverMany' in this.sink ? this.sink.batchSize : 1;
  }

  /** What is paced is not claimed ahead, since it would wait here for its turn; a report shows what is known when it starts. */
  private get mostAttempts(): number {
    const { CONCURRENCY, RATE_PER_SECOND } = this.settings;
    return RATE_PER_SECOND !== undefined || 'report' in this.sink || 'deliverMany' in this.sink ? CONCURRENCY : holdTimes * CONCURRENCY;
  }

  private freeBytes(): number {
    return heldBytes - [...this.held.keys()].reduce((sum, work) => sum + work.bytes, 0);
  }

  private async loop(): Promise<void> {
    while (!this.draining || this.inFlight > 0 || this.ended.length > 0) {
      this.awake = false;
      if (this.draining) await this.giveBackQueue();
      const ended = this.takeEnded();
      let nextDueAt: number | null;
      try {
        nextDueAt = await this.turn(ended);
        this.host.trouble(this.registered.name, null);
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
    await this.giveBackQueue();
    await this.lanes.release(this.registered, this.cancelled, this.clock.now()).catch(this.troubled);
  }

  /** What one transaction settles; the rest comes with the next. */
  private takeEnded(): Ended[] {
    let count = 0;
    const last = this.ended.findIndex(({ answers }) => (count += answers.length) >= pageRows);
    return this.ended.splice(0, last < 0 ? this.ended.length : last + 1);
  }

  /** Settles what has ended and claims what there is room for. @returns when to look again without a wake-up, `null` for only then */
  private async turn(ended: readonly Ended[]): Promise<number | null> {
    const startedAt = this.clock.monotonic();
    const now = this.clock.now();
    const { RATE_PER_SECOND, RETRY_MAX_AGE, TIMEOUT_MS } = this.settings;
    const bytes = Math.min(claimBytes, this.freeBytes());
    const attempts = this.draining || bytes <= 0 ? 0 : Math.max(0, this.mostAttempts - this.inFlight - this.queue.length);
    if (attempts === 0 && ended.length === 0) return null;
    const perSecond = RATE_PER_SECOND ?? null;
    const claim = { attempts, batchSize: this.batchSize, bytes, leaseMs, probeMs: TIMEOUT_MS + overrunMs + 1000, perSecond };
    // In the shared time as it is now: that may have been set since they started.
    const shared = ended.map(one => ({ ...one, at: Math.round(now - startedAt + one.at) }));
    const turn = await this.lanes.turn(this.registered, shared, RETRY_MAX_AGE, claim, now);
    this.closedUntil = startedAt + turn.closedUntil - now;
    for (const { answers, durationMs } of ended) {
      for (const { work, answer } of answers) {
        this.held.delete(work);
        // A lane that was lost meanwhile is somebody else's to try.
        this.meter(work, turn.lost.has(work) ? { cancelled: true } : answer, durationMs);
      }
    }
    this.tell(turn);
    this.suspect &&= this.ended.some(isWarning);
    if (!turn.open) await this.giveBackQueue();
    for (const works of turn.claimed) {
      for (const work of works) this.held.set(work, startedAt + leaseMs);
      this.queue.push(works);
    }
    void this.startQueued();
    return turn.nextDueAt === null ? null : startedAt + turn.nextDueAt - now;
  }

  private meter({ head }: LaneWork, answer: AnswerOrNone, durationMs: number): void {
    const failure = 'failure' in answer ? answer.failure : null;
    const outcome = failure?.outcome ?? ('cancelled' in answer ? ('cancelled' as const) : ('delivered' as const));
    const end = { sink: this.registered.name, deliveryId: head.delivery.id, outcome, durationMs, tries: head.tries + 1 };
    this.events.emit('attempt', { ...end, reason: failure?.message ?? null });
  }

  private tell({ over, wakes, health }: Turn): void {
    for (const outcome of ['delivered', 'parked', 'superseded'] as const)
      if (over[outcome] > 0) this.events.emit('ended', this.registered.name, outcome, over[outcome]);
    if (wakes.length > 0) this.events.emit('due', wakes);
    if (health.state !== this.state) this.events.emit('state', this.registered.name, health);
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
    await this.host.giveWay();
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

  /** Starts what may be under way at once, a few each turn of the event loop. */
  private async startQueued(): Promise<void> {
    if (this.starting) return;
    this.starting = true;
    // What was recorded just now is answered first.
    await nextTurn();
    for (
      let started = 1;
      this.queue.length > 0 && this.inFlight < this.settings.CONCURRENCY && !this.draining && !this.suspect;
      started++
    ) {
      const works = this.queue.shift()!;
      while (this.queue.length > 0 && works.length + this.queue[0]!.length <= this.batchSize) works.push(...this.queue.shift()!);
      const ours = works.filter(work => this.clock.monotonic() < this.held.get(work)!);
      // This process stood still for so long that others may have these lanes now.
      for (const work of works) if (!ours.includes(work)) this.held.delete(work);
      if (ours.length > 0) void this.attempt(ours);
      if (started % startsPerTurn === 0) await nextTurn();
    }
    this.starting = false;
  }

  /** The lanes whose attempts have not started are for others, or for later. */
  private async giveBackQueue(): Promise<void> {
    const works = this.queue.splice(0).flat();
    for (const work of works) this.held.delete(work);
    if (works.length > 0) await this.lanes.giveBack(this.registered, works, this.clock.now()).catch(this.troubled);
  }

  private async attempt(works: readonly LaneWork[]): Promise<void> {
    this.inFlight += 1;
    const at = this.clock.monotonic();
    let extraCalls = 0;
    const answers = await attempt(this.sink, works, this.settings.TIMEOUT_MS, this.stop.signal, () => (extraCalls += 1));
    const durationMs = Math.round(this.clock.monotonic() - at);
    this.inFlight -= 1;
    const answered = works.flatMap((work, index) => {
      const answer = answers[index]!;
      if (!('cancelled' in answer)) return [{ work, answer }];
      this.held.delete(work);
      this.meter(work, answer, durationMs);
      this.cancelled.push(work);
      return [];
    });
    const end = { at, durationMs, extraCalls, answers: answered };
    if (answered.length > 0) this.ended.push(end);
    this.suspect ||= isWarning(end);
    this.notify?.();
    void this.startQueued();
  }
}

/** Whether an attempt was told something that is true of the whole sink. */
function isWarning({ answers }: Ended): boolean {
  return answers.some(({ answer }) => {
    const failure = 'failure' in answer ? answer.failure : null;
    return failure instanceof Misconfigured || (failure instanceof TryAgain && failure.retryAfterMs > 0);
  });
}
