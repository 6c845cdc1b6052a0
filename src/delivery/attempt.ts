import { within } from '../outgoing/within.js';
import { Refused, SinkError, TryAgain } from '../sinks/errors.js';
import type { Report, ReportSink } from '../sinks/report-sink.js';
import type { BulkSink, Delivery, Sink } from '../sinks/sink.js';
import type { Answer } from './settlement.js';
import type { LaneWork } from './work.js';

/** How long a sink may overrun its own time limit before its attempt is ended for it. */
export const overrunMs = 2000;

/** What became of one delivery of an attempt. */
export type AnswerOrNone = Answer | { cancelled: true };

/**
 * One attempt at these deliveries; what is damaged never reaches the sink.
 * @param countCall called for each request beyond the first
 * @param stop cancels it
 */
export async function attempt(
  sink: Sink,
  works: readonly LaneWork[],
  timeoutMs: number,
  stop: AbortSignal,
  countCall: () => void,
): Promise<AnswerOrNone[]> {
  try {
    const whole = works.filter(({ head }) => !head.damaged);
    const call = (signal: AbortSignal): Promise<Answer[]> => callSink(sink, whole, signal, countCall);
    const answers = whole.length === 0 ? [] : await bounded(call, timeoutMs + overrunMs, stop);
    return works.map(({ head }) => (head.damaged ? { failure: damaged() } : answers.shift()!));
  } catch (error) {
    if (stop.aborted) return works.map(() => ({ cancelled: true }));
    return works.map(() => ({ failure: asSinkError(error) }));
  }
}

/** One call of a sink. @param countCall told of each request beyond the first @throws whatever the sink throws */
async function callSink(sink: Sink, works: readonly LaneWork[], signal: AbortSignal, countCall: () => void): Promise<Answer[]> {
  const deliveries = works.map(work => work.head.delivery);
  if ('deliverMany' in sink) return (await bulk(sink, deliveries, signal)).map(failure => (failure ? { failure } : { messageRef: null }));
  if ('report' in sink) return report(sink, deliveries as Report[], signal, countCall);
  await sink.deliver(deliveries[0]!, signal);
  return [{ messageRef: null }];
}

async function bulk(sink: BulkSink, deliveries: readonly Delivery[], signal: AbortSignal): Promise<(SinkError | null)[]> {
  const failures = await sink.deliverMany(deliveries, signal);
  if (failures.length !== deliveries.length) throw new TryAgain('the sink did not answer for every delivery', 'This is a bug of the sink.');
  return failures;
}

async function report(sink: ReportSink, reports: readonly Report[], signal: AbortSignal, countCall: () => void): Promise<Answer[]> {
  if (reports.length === 1) return [{ messageRef: await sink.report(reports[0]!, signal, countCall) }];
  try {
    const messageRef = await sink.digest(reports, signal, countCall);
    return reports.map(() => ({ messageRef }));
  } catch (error) {
    // Whichever of them it is about: they are told one by one soon.
    throw error instanceof Refused ? new TryAgain(error.message, error.advice, error.status) : error;
  }
}

/** What cannot be shown waits for a person, and keeps nothing else of its sink waiting. */
function damaged(): Refused {
  return new Refused(
    'the stored record of this change is damaged',
    'Look for what else wrote into the database, restore the row of the change or of its channel, then replay or discard the delivery.',
  );
}

/** Only our own errors promise that their text holds no secret. */
function asSinkError(error: unknown): SinkError {
  if (error instanceof SinkError) return error;
  return new TryAgain(
    `unexpected ${error instanceof Error ? error.name : typeof error}`,
    'This is a bug of the sink; it is tried again by itself.',
  );
}

/**
 * Calls a sink, which has to obey the signal, and does without its obedience: the call is over when its time is, or when `stop` is aborted. Not by
 * AbortSignal.any: what listens to a signal that follows another one is held for as long as that one lives.
 * @param timeoutMs `null` where the sink bounds its requests itself
 * @throws TryAgain when the time is over, whatever the sink throws, and anything once `stop` is aborted
 */
export function bounded<T>(call: (signal: AbortSignal) => Promise<T>, timeoutMs: number | null, stop: AbortSignal): Promise<T> {
  const orOver = (signal: AbortSignal): Promise<T> => {
    const over = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }));
    return Promise.race([call(signal), over]);
  };
  return within(timeoutMs, stop, orOver, () => new TryAgain('timed out', 'Check that the target answers.'));
}
