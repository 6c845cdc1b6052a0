import type { BulkSink, Delivery, Sink } from '../sinks/sink.js';
import { Refused, SinkError, TryAgain } from '../sinks/errors.js';
import type { Report, ReportSink } from '../sinks/report-sink.js';
import type { Answer } from './settlement.js';
import type { LaneWork } from './work.js';

/** One call of a sink. @param countCall told of each request beyond the first @throws whatever the sink throws */
export async function callSink(sink: Sink, works: readonly LaneWork[], signal: AbortSignal, countCall: () => void): Promise<Answer[]> {
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
export function damaged(): Refused {
  return new Refused(
    'the stored record of this change is damaged',
    'Look for what else wrote into the database, restore the row of the change or of its channel, then replay or discard the delivery.',
  );
}

/** Only our own errors promise that their text holds no secret. */
export function asSinkError(error: unknown): SinkError {
  if (error instanceof SinkError) return error;
  return new TryAgain(
    `unexpected ${error instanceof Error ? error.name : typeof error}`,
    'This is a bug of the sink; it is tried again by itself.',
  );
}
