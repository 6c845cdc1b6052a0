import type { RejectionCause } from '../webhook/rejections.js';
import type { Difference } from './sink.js';

/** A sink's queued or parked changes are counted up to this plus one; more are shown as "more than". */
export const maxCounted = 10_000;

interface OfSink {
  sink: string;
  /** Resolved only because the sink is no longer configured: its queued and parked changes and its index are left as they are. */
  removed: boolean;
  /** Set if it was removed: for how many days they are kept. */
  keptDays?: number;
}

/** An alert of the service in a report sink: one message, updated until it is resolved at `until`. Times are in milliseconds. */
export type Alert = { since: number; until: number | null } & (
  | ({
      /** A sink that is stopped. */
      kind: 'incident';
      /** `paused`: there is no other problem. `retrying`: not stopped, but a check failed. */
      state: 'misconfigured' | 'down' | 'paused' | 'retrying';
      /** `reason` and `advice` are empty if it is only paused. */
      reason: string;
      advice: string;
      waiting: number;
      /** Some failed attempts, latest first. */
      failures: { at: number; error: string }[];
      /** It had recovered since, but soon stopped again. */
      again?: boolean;
      /** Whether it is paused, and who last paused or resumed it since it stopped. */
      paused: boolean;
      by: string | null;
    } & OfSink)
  | ({ kind: 'parked'; count: number; /** `reason` and `advice` of the latest one. */ reason: string; advice: string } & OfSink)
  /** A search index differs from our store, according to the latest finished comparison, which did not repair it. */
  | ({ kind: 'differences' } & Record<Difference['kind'], number> & OfSink)
  /** No webhook was stored for `afterMs`; `rejected` if some arrived but were rejected. */
  | { kind: 'silence'; afterMs: number; rejected: boolean }
  /** Rejected webhooks by cause, and when the last one arrived. */
  | { kind: 'rejected'; counts: Partial<Record<RejectionCause, number>>; last: number }
  /** Tencent's REST API does not work for an app; webhooks and sinks are not affected. */
  | { kind: 'vendor'; app: string; state: 'misconfigured' | 'retrying'; reason: string; advice: string }
  /** A comparison with Tencent changed something or failed, or an import has finished. */
  | ({
      kind: 'compared';
      app: string;
      cause: string;
      /** `reason` and `advice` are `null` unless it failed. */
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
        /** The messageRefs of unresolved alerts about parked changes and about the stopped sink. */
        messageRefs: { parked: string | null; waiting: string | null };
      }[];
    }
);

export type AlertOf<Kind extends Alert['kind']> = Extract<Alert, { kind: Kind }>;
