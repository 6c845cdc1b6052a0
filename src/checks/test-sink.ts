import { v7 as uuid } from 'uuid';
import { asSinkError, overrunMs } from '../delivery/attempts.js';
import { deliveryId } from '../delivery/work.js';
import { type Explanation, inEnglish } from '../explanations/explanation.js';
import { bounded } from '../outgoing/within.js';
import { SinkError } from '../sinks/errors.js';
import type { Report } from '../sinks/report-sink.js';
import type { ServedSink } from '../sinks/served-sinks.js';
import type { Sink } from '../sinks/sink-type.js';

/** The result of a test. */
export interface TestResult {
  outcome: 'delivered' | SinkError['outcome'] | 'cancelled';
  /** The HTTP status of a failed attempt, if any. */
  status: number | null;
  durationMs: number;
  reason: string | null;
  advice: string | null;
  /** The target's answer to a failed attempt, without secrets. */
  response: string | null;
}

const testChannel = '@TOA#_channel-sync-test';

/** Sends a sample change to a sink at once. Nothing of it is stored, and a test document in an index is removed. */
export async function testSink(served: ServedSink, sdkAppId: string, now: number, stop: AbortSignal): Promise<TestResult> {
  const startedAt = performance.now();
  const sample = sampleFor(served.id, sdkAppId, now);
  let skipped = false;
  let failure: SinkError | null = null;
  try {
    skipped = await bounded(signal => send(served.sink, sample, signal), served.settings.TIMEOUT_MS + overrunMs, stop);
  } catch (error) {
    failure = stop.aborted ? null : asSinkError(error);
  }
  const leftover = failure || stop.aborted ? null : await removeDocument(served.sink, sample, stop);
  const durationMs = Math.round(performance.now() - startedAt);
  const error = failure ?? leftover;
  const outcome = stop.aborted ? 'cancelled' : (error?.outcome ?? 'delivered');
  const why = skipped ? inEnglish(['not_sent']) : null;
  if (!error) return { outcome, status: null, durationMs, reason: why, advice: null, response: null };
  const reason: Explanation = leftover ? ['test_document_left', leftover.reason] : error.reason;
  return {
    outcome,
    status: error.status,
    durationMs,
    reason: inEnglish(reason),
    advice: inEnglish(error.advice),
    response: error.response,
  };
}

/** A sample with the data that sinks of any mode need. */
function sampleFor(sink: number, sdkAppId: string, now: number): Report {
  const changeId = uuid();
  const timestamp = new Date(now).toISOString();
  const profile = { name: 'New name', avatarUrl: null, introduction: 'A test of channel-sync', organization: 'channel-sync' };
  const changes = [{ field: 'name' as const, from: 'Old name', to: profile.name }];
  const channel = { sdkAppId, channelId: testChannel, revision: 1, exists: true };
  return {
    id: deliveryId(changeId, sink),
    event: {
      type: 'channel.profile.updated',
      timestamp,
      data: { changeId, ...channel, operator: 'channel-sync', source: 'webhook', changes, profile, test: true },
    },
    origin: { clientIp: null, platform: null, owner: null },
    version: now,
    updatedAt: timestamp,
    receivedAt: now,
    eventTimeEstimated: false,
    tie: false,
    stale: [],
    results: [],
    auditActions: [],
    possiblyPostedSince: null,
    messageRef: null,
  };
}

/** @returns true if the sink's template skips it */
async function send(sink: Sink, sample: Report, signal: AbortSignal): Promise<boolean> {
  if ('deliverMany' in sink) {
    const [failure] = await sink.deliverMany([sample], signal);
    if (failure) throw failure;
  } else if ('report' in sink) await sink.report(sample, signal);
  else return (await sink.deliver(sample, signal)) === 'skipped';
  return false;
}

/** Removes the test document from a search index. @returns the error if it could not be removed */
async function removeDocument(sink: Sink, { event, version }: Report, stop: AbortSignal): Promise<SinkError | null> {
  if (!('compare' in sink)) return null;
  const { sdkAppId, channelId } = event.data;
  return bounded(signal => sink.remove([{ sdkAppId, channelId, kind: 'surplus', version }], signal), null, stop).then(
    () => null,
    asSinkError,
  );
}
