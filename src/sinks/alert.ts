import type { RejectionCause } from '../webhook/rejections.js';

/** What waits for a sink or is parked at it is counted no further: a greater count stands for any. */
export const countedMost = 10_000;

/**
 * What a report sink is told of the service itself. Each is one message, shown anew while it lasts; `until` is when it was over, `null` before. Times in
 * milliseconds.
 */
export type Alert = { since: number; until: number | null } & (
  | {
      kind: 'incident';
      /** A sink that stands still. */
      sink: string;
      state: 'misconfigured' | 'down' | /** Well, for all we know. */ 'paused';
      /** Both empty if it is only paused. */
      reason: string;
      advice: string;
      /** How many changes wait for it, up to `countedMost` and one. */
      waiting: number;
      /** Its newest failed attempts, the newest first; a few. */
      failures: { at: number; error: string }[];
      /** True while a person has paused it, and who did so last, or resumed it. */
      paused: boolean;
      by: string | null;
      /** It is over since the sink is no longer configured: what waits for it stays. */
      removed: boolean;
    }
  | {
      kind: 'silence';
      /** When the last webhook was kept, or we started. */
      since: number;
      afterMs: number;
      /** True if webhooks came since then that were rejected. */
      rejected: boolean;
    }
  | {
      kind: 'rejected';
      /** How many webhooks were lost, by cause, and when the last of them came. */
      counts: Partial<Record<RejectionCause, number>>;
      last: number;
    }
  | {
      kind: 'parked';
      sink: string;
      /** Up to `countedMost` and one. */
      count: number;
      /** Of the newest of them. */
      reason: string;
      advice: string;
      /** It is over since the sink is no longer configured: what is parked stays so. */
      removed: boolean;
    }
  | {
      kind: 'differences';
      /** A search sink whose index is not what the store says, as the newest comparison that has ended found it and did not mend it. */
      sink: string;
      missing: number;
      older: number;
      newer: number;
      surplus: number;
      /** It is over since the sink is no longer configured. */
      removed: boolean;
    }
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
        /** The messageRefs of the notices that tell of what is parked and of why it waits, while they are not over. */
        messageRefs: { parked: string | null; waiting: string | null };
      }[];
    }
);
