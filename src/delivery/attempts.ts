import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../process/clock.js';
import type { TurnBudget } from '../process/turn-budget.js';
import { bounded } from '../outgoing/within.js';
import { Misconfigured, Refused, SinkError, TryAgain } from '../sinks/errors.js';
import type { Report, ReportSink } from '../sinks/report-sink.js';
import type { SinkSettings } from '../sinks/settings.js';
import type { Sink } from '../sinks/sink-type.js';
import { renewIntervalMs } from './retry.js';
import type { Answer, Ended } from './settlement.js';
import type { LaneWork } from './work.js';

/** How long after its own timeout a sink's attempt is aborted from outside. */
export const overrunMs = 2000;
/** How late a renewal may come, as on a machine that has just woken up. */
const lateRenewalMs = 1000;
/** Maximum size of the deliveries held for a sink; a single delivery may exceed it. */
const maxHeldBytes = 8 * 1024 * 1024;
/** Up to this many times CONCURRENCY attempts are held, so that the next one can start as soon as one ends. */
const prefetchFactor = 4;

export type AnswerOrNone = Answer | { cancelled: true };

/** The leased lanes that a worker holds, from waiting for their attempt until it is settled. */
export class Attempts {
  /** Finished attempts that are not settled yet. */
  readonly ended: Ended[] = [];
  readonly cancelled: LaneWork[] = [];
  inFlight = 0;
  /** The work of each of the next attempts. */
  private queue: LaneWork[][] = [];
  /** Held work, with the times until which its lease is certainly valid. */
  private readonly leases = new Map<LaneWork, Record<'monotonic' | 'wall', number>>();
  private starting = false;
  /** True after a misconfigured answer or a Retry-After: nothing starts until a turn has settled it. */
  private suspect = false;

  /**
   * @param onEnd called when an attempt has ended, and when work was dropped because its lease ends too soon
   * @param stop cancels the attempts in progress
   * @param starts what all sinks of the process may start per turn of the event loop
   */
  constructor(
    private readonly sink: Sink,
    private readonly settings: SinkSettings,
    private readonly clock: Pick<Clock, 'monotonic' | 'wall'>,
    private readonly onEnd: (cancelled: readonly LaneWork[], durationMs: number) => void,
    private readonly stop: AbortSignal,
    private readonly starts: TurnBudget,
  ) {}

  get batchSize(): number {
    return 'deliverMany' in this.sink ? this.sink.batchSize : 1;
  }

  /**
   * How many more attempts can be taken.
   * @param ahead whether to prefetch; never for rate-limited, bulk and report sinks, whose work would wait too long or show old results
   */
  room(ahead: boolean): number {
    const { CONCURRENCY, RATE_PER_SECOND } = this.settings;
    const single = ahead && RATE_PER_SECOND === undefined && !('report' in this.sink || 'deliverMany' in this.sink);
    const max = single ? prefetchFactor * CONCURRENCY : CONCURRENCY;
    return this.suspect || this.freeBytes <= 0 ? 0 : Math.max(0, max - this.inFlight - this.queue.length);
  }

  get freeBytes(): number {
    return maxHeldBytes - [...this.leases.keys()].reduce((sum, work) => sum + work.bytes, 0);
  }

  get works(): LaneWork[] {
    return [...this.leases.keys()];
  }

  take(works: readonly LaneWork[], leasedUntil: number): void {
    this.hold(works, leasedUntil);
    this.queue.push([...works]);
  }

  renewed(works: readonly LaneWork[], leasedUntil: number): void {
    this.hold(
      works.filter(work => this.leases.has(work)),
      leasedUntil,
    );
  }

  private hold(works: readonly LaneWork[], monotonic: number): void {
    // If the machine was suspended, only the wall clock shows it; if that is set forward, some work waits for its lease to expire.
    const until = { monotonic, wall: monotonic - this.clock.monotonic() + this.clock.wall() };
    for (const work of works) this.leases.set(work, until);
  }

  /** Whether its lease will be renewed before it ends, even by a late renewal: otherwise it could end during the attempt. */
  private mayAttempt(work: LaneWork): boolean {
    const { monotonic, wall } = this.leases.get(work)!;
    return Math.min(monotonic - this.clock.monotonic(), wall - this.clock.wall()) > renewIntervalMs + lateRenewalMs;
  }

  forget(ended: readonly Ended[]): void {
    for (const { work } of ended.flatMap(({ answers }) => answers)) this.leases.delete(work);
    this.suspect &&= this.ended.some(isWarning);
  }

  /** Removes work that has not started. @param all false to keep a probe */
  takeQueue(all: boolean): LaneWork[] {
    const kept = this.queue.filter(works => !all && works[0]!.probe);
    const taken = this.queue.filter(works => !kept.includes(works)).flat();
    this.queue = kept;
    for (const work of taken) this.leases.delete(work);
    return taken;
  }

  /** Starts queued attempts as concurrency allows, a few per turn of the event loop. */
  async start(): Promise<void> {
    if (this.starting) return;
    this.starting = true;
    // Let the webhooks just recorded be answered first.
    await nextTurn();
    while (this.mayStart()) await this.starts.run(() => this.startNext());
    this.starting = false;
  }

  private startNext(): void {
    // Meanwhile the queue may have been released, or the sink may have stopped.
    if (!this.mayStart()) return;
    const works = this.queue.shift()!;
    while (this.queue.length > 0 && works.length + this.queue[0]!.length <= this.batchSize) works.push(...this.queue.shift()!);
    // If this process was blocked for long, other processes have some of these lanes, or will have them during the attempt.
    const ending = works.filter(work => !this.mayAttempt(work));
    for (const work of ending) this.leases.delete(work);
    if (ending.length > 0) this.onEnd([], 0);
    const ours = works.filter(work => this.leases.has(work));
    if (ours.length > 0) void this.attempt(ours);
  }

  private mayStart(): boolean {
    return this.queue.length > 0 && this.inFlight < this.settings.CONCURRENCY && !this.suspect;
  }

  private async attempt(works: readonly LaneWork[]): Promise<void> {
    this.inFlight += 1;
    const at = this.clock.monotonic();
    let extraCalls = 0;
    const all = await this.answers(works, () => (extraCalls += 1));
    const durationMs = Math.round(this.clock.monotonic() - at);
    this.inFlight -= 1;
    const answers = works.flatMap((work, index) => (all === null ? [] : { work, answer: all[index]! }));
    // A skipped delivery returns its share of the rate.
    extraCalls -= answers.filter(({ answer }) => 'skipped' in answer).length;
    const end = { at, durationMs, extraCalls, answers };
    if (all) this.ended.push(end);
    else this.cancelled.push(...works.filter(work => this.leases.delete(work)));
    this.suspect ||= isWarning(end);
    this.onEnd(all ? [] : works, durationMs);
    void this.start();
  }

  /** Damaged deliveries are refused without calling the sink, so that they do not block it. @returns `null` if cancelled */
  private async answers(works: readonly LaneWork[], countCall: () => void): Promise<Answer[] | null> {
    try {
      const whole = works.filter(({ damaged }) => !damaged);
      const call = (signal: AbortSignal): Promise<Answer[]> => callSink(this.sink, whole, signal, countCall);
      const answers = whole.length === 0 ? [] : await bounded(call, this.settings.TIMEOUT_MS + overrunMs, this.stop);
      return works.map(work => (work.damaged ? { failure: new Refused(['damaged'], ['fix_record']) } : answers.shift()!));
    } catch (error) {
      if (this.stop.aborted) return null;
      return works.map(() => ({ failure: asSinkError(error) }));
    }
  }
}

/** Whether an answer holds back the sink as a whole. */
function isWarning({ answers }: Ended): boolean {
  return answers.some(({ answer }) => {
    const failure = 'failure' in answer ? answer.failure : null;
    return failure instanceof Misconfigured || (failure instanceof TryAgain && failure.retryAfterMs > 0);
  });
}

/** Calls the sink once. @param countCall called for each request beyond the first @throws the sink's error */
async function callSink(sink: Sink, works: readonly LaneWork[], signal: AbortSignal, countCall: () => void): Promise<Answer[]> {
  const deliveries = works.map(work => work.delivery);
  if ('deliverMany' in sink) {
    const failures = await sink.deliverMany(deliveries, signal);
    if (failures.length !== deliveries.length) throw new TryAgain(['unanswered'], ['bug']);
    return failures.map(failure => (failure ? { failure } : { messageRef: null }));
  }
  if ('report' in sink) return report(sink, deliveries as Report[], signal, countCall);
  return [(await sink.deliver(deliveries[0]!, signal)) === 'skipped' ? { skipped: true } : { messageRef: null }];
}

async function report(sink: ReportSink, reports: readonly Report[], signal: AbortSignal, countCall: () => void): Promise<Answer[]> {
  if (reports.length === 1) return [{ messageRef: await sink.report(reports[0]!, signal, countCall) }];
  try {
    const messageRef = await sink.digest(reports, signal, countCall);
    return reports.map(() => ({ messageRef }));
  } catch (error) {
    // It is unknown which report was refused: retry them one by one.
    throw error instanceof Refused ? error.as(TryAgain, error.advice) : error;
  }
}

/** Replaces foreign errors, whose text might contain a secret. */
export function asSinkError(error: unknown): SinkError {
  if (error instanceof SinkError) return error;
  return new TryAgain(['unexpected', error instanceof Error ? error.name : typeof error], ['bug']);
}
