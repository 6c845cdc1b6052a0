import { setImmediate as nextTurn } from 'node:timers/promises';
import type { LocalClock } from '../database/shared-time.js';
import { bounded } from '../outgoing/within.js';
import { Misconfigured, Refused, SinkError, TryAgain } from '../sinks/errors.js';
import type { Report, ReportSink } from '../sinks/report-sink.js';
import type { SinkSettings } from '../sinks/settings.js';
import type { BulkSink, Delivery } from '../sinks/sink.js';
import type { Sink } from '../sinks/sink-type.js';
import type { Answer, Ended } from './settlement.js';
import type { LaneWork } from './work.js';

/** How long a sink may overrun its own time limit before its attempt is ended for it. */
export const overrunMs = 2000;
/** How many attempts start before the event loop gets a turn: it accepts one connection each turn. */
const startsPerTurn = 4;
/** So many bytes a sink may have in its hands; of a single delivery any. */
const mostBytes = 8 * 1024 * 1024;
/** So many times CONCURRENCY attempts are taken: those under way, and those that start as soon as one of them ends. */
const aheadTimes = 4;

/** What became of one delivery of an attempt. */
export type AnswerOrNone = Answer | { cancelled: true };

/** The leased lanes that a worker holds: those that wait for their attempt, and those whose attempt is under way or not settled yet. */
export class Attempts {
  /** Attempts that have ended and are not settled yet. */
  readonly ended: Ended[] = [];
  readonly cancelled: LaneWork[] = [];
  inFlight = 0;
  /** What each of the next attempts carries. */
  private queue: LaneWork[][] = [];
  /** With the monotonic time until which the lease holds for sure. */
  private readonly leases = new Map<LaneWork, number>();
  private starting = false;
  /** An answer asked to leave the sink alone: nothing starts until a turn knows for how long. */
  private suspect = false;

  /**
   * @param onEnd called when an attempt has ended, and when works were let go whose lease may be over
   * @param stop cancels what is under way
   */
  constructor(
    private readonly sink: Sink,
    private readonly settings: SinkSettings,
    private readonly clock: LocalClock,
    private readonly onEnd: (cancelled: readonly LaneWork[], durationMs: number) => void,
    private readonly stop: AbortSignal,
  ) {}

  /** How many deliveries one attempt carries at most. */
  get batchSize(): number {
    return 'deliverMany' in this.sink ? this.sink.batchSize : 1;
  }

  /** How many more attempts would be taken, with `ahead` also some that wait here. Paced, bulk and report sinks take nothing ahead: it would wait for its turn, or show old results. */
  room(ahead: boolean): number {
    const { CONCURRENCY, RATE_PER_SECOND } = this.settings;
    const single = ahead && RATE_PER_SECOND === undefined && !('report' in this.sink || 'deliverMany' in this.sink);
    const most = single ? aheadTimes * CONCURRENCY : CONCURRENCY;
    return this.suspect || this.freeBytes <= 0 ? 0 : Math.max(0, most - this.inFlight - this.queue.length);
  }

  get freeBytes(): number {
    return mostBytes - [...this.leases.keys()].reduce((sum, work) => sum + work.bytes, 0);
  }

  get works(): LaneWork[] {
    return [...this.leases.keys()];
  }

  /** Takes what one attempt carries. */
  take(works: readonly LaneWork[], leasedUntil: number): void {
    for (const work of works) this.leases.set(work, leasedUntil);
    this.queue.push([...works]);
  }

  renewed(works: readonly LaneWork[], leasedUntil: number): void {
    for (const work of works) if (this.leases.has(work)) this.leases.set(work, leasedUntil);
  }

  forget(ended: readonly Ended[]): void {
    for (const { work } of ended.flatMap(({ answers }) => answers)) this.leases.delete(work);
    this.suspect &&= this.ended.some(isWarning);
  }

  /** Lets go of what has not started: all of it, or all but the probe that finds out whether the sink has recovered. */
  takeQueue(all: boolean): LaneWork[] {
    const kept = this.queue.filter(works => !all && works[0]!.probe);
    const taken = this.queue.filter(works => !kept.includes(works)).flat();
    this.queue = kept;
    for (const work of taken) this.leases.delete(work);
    return taken;
  }

  /** Starts what may be under way at once, a few each turn of the event loop. */
  async start(): Promise<void> {
    if (this.starting) return;
    this.starting = true;
    // What was recorded just now is answered first.
    await nextTurn();
    for (let started = 1; this.queue.length > 0 && this.inFlight < this.settings.CONCURRENCY && !this.suspect; started++) {
      const works = this.queue.shift()!;
      while (this.queue.length > 0 && works.length + this.queue[0]!.length <= this.batchSize) works.push(...this.queue.shift()!);
      // If this process stood still for long, others may have some of these lanes now.
      const [ours, expired] = [true, false].map(is => works.filter(work => this.clock.monotonic() < this.leases.get(work)! === is));
      for (const work of expired!) this.leases.delete(work);
      if (expired!.length > 0) this.onEnd([], 0);
      if (ours!.length > 0) void this.attempt(ours!);
      if (started % startsPerTurn === 0) await nextTurn();
    }
    this.starting = false;
  }

  private async attempt(works: readonly LaneWork[]): Promise<void> {
    this.inFlight += 1;
    const at = this.clock.monotonic();
    let extraCalls = 0;
    const all = await this.answers(works, () => (extraCalls += 1));
    const durationMs = Math.round(this.clock.monotonic() - at);
    this.inFlight -= 1;
    const answers = works.flatMap((work, index) => (all === null ? [] : { work, answer: all[index]! }));
    // What was not sent gives back what pacing took for it.
    extraCalls -= answers.filter(({ answer }) => 'skipped' in answer).length;
    const end = { at, durationMs, extraCalls, answers };
    if (all) this.ended.push(end);
    else this.cancelled.push(...works.filter(work => this.leases.delete(work)));
    this.suspect ||= isWarning(end);
    this.onEnd(all ? [] : works, durationMs);
    void this.start();
  }

  /** @returns `null` if it was cancelled; what is damaged never reaches the sink */
  private async answers(works: readonly LaneWork[], countCall: () => void): Promise<Answer[] | null> {
    try {
      const whole = works.filter(({ damaged }) => !damaged);
      const call = (signal: AbortSignal): Promise<Answer[]> => callSink(this.sink, whole, signal, countCall);
      const answers = whole.length === 0 ? [] : await bounded(call, this.settings.TIMEOUT_MS + overrunMs, this.stop);
      return works.map(work => (work.damaged ? { failure: damaged() } : answers.shift()!));
    } catch (error) {
      if (this.stop.aborted) return null;
      return works.map(() => ({ failure: asSinkError(error) }));
    }
  }
}

/** Whether an answer is about the sink as a whole. */
function isWarning({ answers }: Ended): boolean {
  return answers.some(({ answer }) => {
    const failure = 'failure' in answer ? answer.failure : null;
    return failure instanceof Misconfigured || (failure instanceof TryAgain && failure.retryAfterMs > 0);
  });
}

/** One call of a sink. @param countCall called for each request beyond the first @throws whatever the sink throws */
async function callSink(sink: Sink, works: readonly LaneWork[], signal: AbortSignal, countCall: () => void): Promise<Answer[]> {
  const deliveries = works.map(work => work.delivery);
  if ('deliverMany' in sink) return (await bulk(sink, deliveries, signal)).map(failure => (failure ? { failure } : { messageRef: null }));
  if ('report' in sink) return report(sink, deliveries as Report[], signal, countCall);
  return [(await sink.deliver(deliveries[0]!, signal)) === 'skipped' ? { skipped: true } : { messageRef: null }];
}

async function bulk(sink: BulkSink, deliveries: readonly Delivery[], signal: AbortSignal): Promise<(SinkError | null)[]> {
  const failures = await sink.deliverMany(deliveries, signal);
  if (failures.length !== deliveries.length) throw new TryAgain(['unanswered'], ['bug']);
  return failures;
}

async function report(sink: ReportSink, reports: readonly Report[], signal: AbortSignal, countCall: () => void): Promise<Answer[]> {
  if (reports.length === 1) return [{ messageRef: await sink.report(reports[0]!, signal, countCall) }];
  try {
    const messageRef = await sink.digest(reports, signal, countCall);
    return reports.map(() => ({ messageRef }));
  } catch (error) {
    // Whichever of them it is about: they are sent one by one soon.
    throw error instanceof Refused ? error.as(TryAgain, error.advice) : error;
  }
}

/** What cannot be shown waits for a person, and keeps nothing else of its sink waiting. */
function damaged(): Refused {
  return new Refused(['damaged'], ['fix_record']);
}

/** Only our own errors promise that their text holds no secret. */
export function asSinkError(error: unknown): SinkError {
  if (error instanceof SinkError) return error;
  return new TryAgain(['unexpected', error instanceof Error ? error.name : typeof error], ['bug']);
}
