import { v7 as uuid } from 'uuid';
import { asSinkError, overrunMs } from '../delivery/attempts.js';
import { deliveryId } from '../delivery/work.js';
import { type Explanation, inEnglish } from '../explanations/explanation.js';
import { bounded } from '../outgoing/within.js';
import type { SinkError } from '../sinks/errors.js';
import type { Report } from '../sinks/report-sink.js';
import type { ServedSink } from '../sinks/served-sinks.js';
import type { Sink } from '../sinks/sink-type.js';

const testChannel = '@TOA#_channel-sync-test';

/**
 * Sends a sample change to a sink at once. Nothing of it is stored, and a test document in an index is removed.
 * @returns also why it failed without the target's answer, for the log
 */
export async function testSink({ id, sink, settings }: ServedSink, sdkAppId: string, now: number, stop: AbortSignal) {
  const startedAt = performance.now();
  const sample = sampleFor(id, sdkAppId, now);
  let isSent = false;
  let sent: 'skipped' | number | void = undefined;
  let error: SinkError | null = null;
  try {
    sent = await bounded(signal => send(sink, sample, signal), settings.TIMEOUT_MS + overrunMs, stop);
    isSent = true;
    const document = { sdkAppId, channelId: testChannel, kind: 'surplus', version: sample.version } as const;
    if ('compare' in sink) await bounded(signal => sink.remove([document], signal), null, stop);
  } catch (thrown) {
    error = stop.aborted ? null : asSinkError(thrown);
  }
  const outcome: SinkError['outcome'] | 'delivered' | 'cancelled' = stop.aborted ? 'cancelled' : (error?.outcome ?? 'delivered');
  const failure: Explanation | null = error && (isSent ? ['test_document_left', error.reason] : error.reason);
  const reason: Explanation | null = sent === 'skipped' ? ['not_sent'] : failure;
  const result = {
    outcome,
    status: outcome === 'delivered' && typeof sent === 'number' ? sent : (error?.status ?? null),
    durationMs: Math.round(performance.now() - startedAt),
    reason: reason && inEnglish(reason),
    advice: error && inEnglish(error.advice),
    response: error?.response ?? null,
  };
  return { result, why: error && error.message };
}

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

async function send(sink: Sink, sample: Report, signal: AbortSignal): Promise<'skipped' | number | void> {
  if ('deliverMany' in sink) {
    const [failure] = await sink.deliverMany([sample], signal);
    if (failure) throw failure;
  } else if ('report' in sink) await sink.report(sample, signal);
  else return sink.deliver(sample, signal);
}
