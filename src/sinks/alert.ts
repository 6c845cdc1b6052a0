import type { RejectionCause } from '../webhook/rejections.js';
import type { Difference } from './search-sink.js';

/** Changes that are queued for a sink, or parked at it, are counted up to this and one more: a greater count is shown as "more than". */
export const countedMost = 10_000;

interface OfSink {
  sink: string;
  /** It ended because the sink is no longer configured: what is queued or parked stays, and its index stays as it is. */
  removed: boolean;
}

/**
 * What a report sink shows of the service itself. Each is one message, updated while it lasts; `until` is when it was over, `null` before. Times in
 * milliseconds.
 */
export type Alert = { since: number; until: number | null } & (
  | ({
      /** A sink that is stopped. */
      kind: 'incident';
      /** `paused`: without any other trouble. `retrying`: it is not stopped, but a check of it failed. */
      state: 'misconfigured' | 'down' | 'paused' | 'retrying';
      /** Both empty if it is only paused. */
      reason: string;
      advice: string;
      /** How many changes are queued for it. */
      waiting: number;
      /** A few of its failed attempts, the latest first. */
      failures: { at: number; error: string }[];
      /** Whether it had recovered since then, and stopped again soon. */
      again?: boolean;
      /** True while a person has paused it, and who did so last, or resumed it. */
      paused: boolean;
      by: string | null;
    } & OfSink)
  | ({ kind: 'parked'; count: number; /** Of the latest of them. */ reason: string; advice: string } & OfSink)
  /** A search index that differs from our store, as the latest comparison that has ended found it and did not repair it. */
  | ({ kind: 'differences' } & Record<Difference['kind'], number> & OfSink)
  /** No webhook since the last one was kept, or since we started; `rejected` if some came meanwhile and were rejected. */
  | { kind: 'silence'; afterMs: number; rejected: boolean }
  /** How many webhooks were lost, by cause, and when the last of them came. */
  | { kind: 'rejected'; counts: Partial<Record<RejectionCause, number>>; last: number }
  /** Tencent's REST API does not work for an app; webhooks and sinks are not affected. */
  | { kind: 'vendor'; app: string; state: 'misconfigured' | 'retrying'; reason: string; advice: string }
  /** A comparison with Tencent has ended, which changed something or failed, or was an import. */
  | ({
      kind: 'compared';
      app: string;
      cause: string;
      /** Why it failed, and what to do; `null` if it did not. */
      reason: string | null;
      advice: string | null;
      /** The first difference. */
      example: { channelId: string; field: string | null; ours: string | null; theirs: string | null; reason: string | null } | null;
    } & Record<'total' | 'compared' | 'corrected' | 'destroyed' | 'imported' | 'failed', number>)
  | {
      kind: 'summary';
      until: number;
      changes: number;
      channels: number;
      sinks: {
        sink: string;
        delivered: number;
        slowestMs: number | null;
        parked: number;
        waiting: number;
        /** The messageRefs of the alerts about what is parked and about why it is stopped, while they are not over. */
        messageRefs: { parked: string | null; waiting: string | null };
      }[];
    }
);
