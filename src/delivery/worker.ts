import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type BulkSink,
  type Delivery,
  type Postponed,
  type Report,
  type ReportSink,
  type Sink,
  SinkError,
  type SinkSettings,
  TryAgain,
} from '../sinks/sink.js';
import type { Lanes, RegisteredSink, Settlement } from './lanes.js';
import { Pace, backOffMs } from './retry.js';
import type { LaneWork } from './work.js';

/** What became of one attempt. */
export type Answer = { receipt: string | null } | Postponed | { failure: SinkError } | { cancelled: true };

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
  /** The database failed; the worker goes on trying. */
  trouble(error: Error): void;
}

export interface WorkerClock {
  now(): number;
  random(): number;
}

/** A lane whose worker is gone waits this long; a living worker renews in time. */
const leaseMs = 10_000;
const renewEveryMs = 3000;
/** How long a sink may overrun its own time limit before its attempt is ended for it. */
const overrunMs = 2000;
/** How many attempts start before the event loop gets a turn. */
const startsPerTurn = 4;
const databasePauseMs = 1000;
/** Timers beyond this are cut: a look at an idle lane costs little. */
const longestSleepMs = 60_000;

/** The loop of one sink: claim what is due, attempt, settle. Everything here is this sink's own, so that a dead one delays nobody. */
export class Worker {
  private readonly ended: Settlement[] = [];
  private readonly cancelled: LaneWork[] = [];
  private inFlight = 0;
  /** Claimed and not settled yet. */
  private readonly held = new Set<LaneWork>();
  private draining = false;
  private awake = false;
  private notify: (() => void) | null = null;
  private finished: Promise<void> = Promise.resolve();
  private readonly stop = new AbortController();
  private readonly pace: Pace | null;

  constructor(
    readonly registered: RegisteredSink,
    private readonly sink: Sink,
    private readonly settings: SinkSettings,
    private readonly lanes: Lanes,
    private readonly events: WorkerEvents,
    private readonly clock: WorkerClock,
  ) {
    this.pace = settings.RATE_PER_SECOND === undefined ? null : new Pace(settings.RATE_PER_SECOND, clock.now());
  }

  start(): void {
    const renewal = setInterval(() => void this.renew(), renewEveryMs);
    this.finished = this.loop().finally(() => clearInterval(renewal));
  }

  private async renew(): Promise<void> {
    if (this.held.size === 0) return;
    await this.lanes.renew(this.registered, [...this.held], this.clock.now() + leaseMs).catch((error: Error) => this.events.trouble(error));
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
      const settlements = this.ended.splice(0);
      let nextDueAt: number | null;
      try {
        nextDueAt = await this.turn(settlements);
      } catch (error) {
        this.ended.unshift(...settlements);
        this.events.trouble(error as Error);
        if (this.draining && this.inFlight === 0) break;
        nextDueAt = this.clock.now() + databasePauseMs;
        // A wake-up must not turn a failing database into a hot loop.
        await new Promise(resolve => setTimeout(resolve, databasePauseMs));
      }
      await this.sleep(nextDueAt);
    }
    await this.lanes.release(this.registered, this.cancelled, this.clock.now()).catch((error: Error) => this.events.trouble(error));
  }

  /** @returns when to look again without a wake-up, `null` for only then */
  private async turn(settlements: readonly Settlement[]): Promise<number | null> {
    const now = this.clock.now();
    const slots = this.draining ? 0 : Math.min(this.settings.CONCURRENCY - this.inFlight, this.pace?.free(now) ?? Infinity);
    if (slots === 0 && settlements.length === 0) return this.pace ? now + this.pace.waitMs(now) : null;
    const batchSize = 'deliverMany' in this.sink ? this.sink.batchSize : 1;
    const { claimed, superseded, nextDueAt, wakes } = await this.lanes.turn(
      this.registered,
      settlements,
      { limit: Math.max(0, slots) * batchSize, leaseMs },
      now,
    );
    for (const { work } of settlements) this.held.delete(work);
    for (const work of claimed) this.held.add(work);
    this.tellEnds(settlements, superseded);
    if (wakes.length > 0) this.events.wake(wakes);
    for (let from = 0; from < claimed.length; from += batchSize) {
      this.pace?.take(1);
      void this.attempt(claimed.slice(from, from + batchSize));
      // Starting many at once would keep webhooks waiting: the event loop accepts one connection each turn.
      if ((from / batchSize) % startsPerTurn === startsPerTurn - 1) await nextTurn();
    }
    if (this.pace && claimed.length > 0) return now + this.pace.waitMs(now);
    return nextDueAt;
  }

  private async sleep(until: number | null): Promise<void> {
    const over = this.draining && this.inFlight === 0;
    if (!this.awake && !over && this.ended.length === 0) {
      const ms = until === null ? longestSleepMs : Math.min(Math.max(0, until - this.clock.now()), longestSleepMs);
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, ms);
        this.notify = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.notify = null;
    }
    // What else the next turns of the event loop bring joins the same transaction.
    for (let had = -1; had < this.ended.length;) {
      had = this.ended.length;
      await nextTurn();
    }
    await this.events.giveWay();
  }

  private async attempt(works: readonly LaneWork[]): Promise<void> {
    this.inFlight += 1;
    const at = this.clock.now();
    const answers = await this.answers(works);
    const durationMs = this.clock.now() - at;
    this.inFlight -= 1;
    works.forEach((work, index) => {
      const answer = answers[index]!;
      if ('cancelled' in answer) this.cancelled.push(work);
      else this.ended.push(settlementOf(work, answer, { at, durationMs }, this.clock, this.settings.RETRY_MAX_AGE));
      if (!('postponedUntil' in answer)) this.events.attempt(endOf(this.registered.name, work, answer, durationMs));
    });
    this.notify?.();
  }

  private async answers(works: readonly LaneWork[]): Promise<Answer[]> {
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), this.settings.TIMEOUT_MS + overrunMs);
    const signal = AbortSignal.any([this.stop.signal, deadline.signal]);
    const ended = new Promise<never>((_, reject) =>
      signal.addEventListener('abort', () => reject(new TryAgain('timed out', 'Check that the target answers.')), { once: true }),
    );
    // Without a listener of its own an abort after the end would be an unhandled rejection.
    ended.catch(() => undefined);
    try {
      return await Promise.race([callSink(this.sink, works, signal), ended]);
    } catch (error) {
      if (this.stop.signal.aborted) return works.map(() => ({ cancelled: true }));
      return works.map(() => ({ failure: asSinkError(error) }));
    } finally {
      clearTimeout(timer);
    }
  }

  private tellEnds(settlements: readonly Settlement[], superseded: number): void {
    const count = (state: Settlement['state']): number =>
      settlements.filter(one => one.state === state && one.work.head.state === 'pending').length;
    for (const [outcome, many] of [
      ['delivered', count('delivered')],
      ['parked', count('parked')],
      ['superseded', superseded],
    ] as const) {
      if (many > 0) this.events.deliveries(this.registered.name, outcome, many);
    }
  }
}

async function callSink(sink: Sink, works: readonly LaneWork[], signal: AbortSignal): Promise<Answer[]> {
  const deliveries = works.map(work => work.head.delivery);
  if ('deliverMany' in sink) return (await bulk(sink, deliveries, signal)).map(failure => (failure ? { failure } : { receipt: null }));
  if ('report' in sink) return [await report(sink, deliveries[0] as Report, signal)];
  await sink.deliver(deliveries[0]!, signal);
  return [{ receipt: null }];
}

async function bulk(sink: BulkSink, deliveries: readonly Delivery[], signal: AbortSignal): Promise<(SinkError | null)[]> {
  const failures = await sink.deliverMany(deliveries, signal);
  if (failures.length !== deliveries.length) throw new TryAgain('the sink did not answer for every delivery', 'This is a bug of the sink.');
  return failures;
}

async function report(sink: ReportSink, one: Report, signal: AbortSignal): Promise<Answer> {
  const shown = await sink.report(one, signal);
  return typeof shown === 'string' ? { receipt: shown } : shown;
}

/** Only our own errors promise that their text holds no secret. */
function asSinkError(error: unknown): SinkError {
  if (error instanceof SinkError) return error;
  return new TryAgain(
    `unexpected ${error instanceof Error ? error.name : typeof error}`,
    'This is a bug of the sink; it is tried again by itself.',
  );
}

/** What an answer means for the delivery and its lane: a function of the answer, the time and the dice. */
export function settlementOf(
  work: LaneWork,
  answer: Exclude<Answer, { cancelled: true }>,
  { at, durationMs }: { at: number; durationMs: number },
  clock: WorkerClock,
  retryMaxAgeMs: number,
): Settlement {
  const { head } = work;
  const calm = { laneTries: 0, failingSince: null, cause: null, reason: null, advice: null, holdUntil: null } as const;
  const receipt = 'receipt' in head.delivery ? head.delivery.receipt : null;
  if ('postponedUntil' in answer) {
    return { ...calm, work, state: head.state, tryAgainAt: answer.postponedUntil, tries: head.tries, receipt, attempt: null, tell: false };
  }
  if (!('failure' in answer)) {
    const attempt = { at, durationMs, outcome: 'delivered', status: null, error: null };
    return {
      ...calm,
      work,
      state: 'delivered',
      tryAgainAt: null,
      tries: head.tries + 1,
      receipt: answer.receipt,
      attempt,
      tell: !isReport(work),
    };
  }
  const { failure } = answer;
  const now = clock.now();
  const failingSince = head.failingSince ?? at;
  const expired = failure.outcome !== 'refused' && now - failingSince >= retryMaxAgeMs;
  const over = failure.outcome === 'refused' || expired;
  // An edit that is refused or expired is given up: the card itself was posted.
  const state = head.state === 'delivered' ? 'delivered' : over ? 'parked' : 'pending';
  const hold = failure instanceof TryAgain && failure.retryAfterMs > 0 ? now + failure.retryAfterMs : null;
  const laneTries = over ? 0 : work.laneTries + 1;
  return {
    work,
    state,
    tryAgainAt: over ? null : Math.max(hold ?? 0, now + backOffMs(laneTries, clock.random())),
    laneTries,
    tries: head.tries + 1,
    failingSince,
    cause: state === 'parked' ? (expired ? 'expired' : 'refused') : null,
    reason: expired ? `gave up: ${failure.message}` : failure.message,
    advice: failure.advice,
    receipt,
    attempt: { at, durationMs, outcome: failure.outcome, status: failure.status, error: failure.message },
    tell: !isReport(work) && (over || head.tries === 0),
    holdUntil: hold,
  };
}

function isReport(work: LaneWork): boolean {
  return 'results' in work.head.delivery;
}

function endOf(sink: string, work: LaneWork, answer: Answer, durationMs: number): AttemptEnd {
  const outcome = 'failure' in answer ? answer.failure.outcome : 'cancelled' in answer ? 'cancelled' : 'delivered';
  return {
    sink,
    deliveryId: work.head.delivery.id,
    outcome,
    durationMs,
    tries: work.head.tries + 1,
    reason: 'failure' in answer ? answer.failure.message : null,
  };
}
