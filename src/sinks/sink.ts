import { type FieldChange, type FieldName, type Profile, fieldNames } from '../channel/profile.js';
import type { ChangeType } from '../channel/change.js';
import type { Origin, Source } from '../channel/origin.js';
import type { SinkError } from './errors.js';

export { type RejectionCause, rejectionCauses } from '../webhook/rejections.js';
export { type ChangeType, type FieldChange, type FieldName, type Profile, fieldNames };

/** A change as sinks receive it: the JSON body that the `webhook` sink sends. */
export interface ChangeEvent {
  type: ChangeType;
  /** The vendor's EventTime, ISO 8601. */
  timestamp: string;
  data: {
    changeId: string;
    sdkAppId: string;
    channelId: string;
    /** `null` if the change altered nothing; only report sinks receive such changes. */
    revision: number | null;
    exists: boolean;
    /** Who made the change; `null` if unknown. */
    operator: string | null;
    source: Source;
    changes: FieldChange[];
    profile: Profile;
    /** Set only on the sample change of a test. */
    test?: true;
  };
}

/** A delivery as passed to a sink. */
export interface Delivery {
  /** Unique across all sinks, and the same on every retry and replay. */
  id: string;
  event: ChangeEvent;
  origin: Origin;
  /** Increases with every revision of the channel, even after our database was lost. Used as the external version of search documents. */
  version: number;
  /** The latest EventTime of a change of the channel that has a revision, ISO 8601. */
  updatedAt: string;
}

/** A log or state sink that takes one delivery at a time. Returning means delivered, a number with this HTTP status; `skipped`: there was nothing to send. */
export interface SingleSink {
  deliver(delivery: Delivery, signal: AbortSignal): Promise<'skipped' | number | void>;
  close?(): Promise<void>;
}

/** A sink that takes deliveries of many channels per attempt. Returns a result for each (`null`: delivered), or throws for all of them. */
export interface BulkSink {
  readonly batchSize: number;
  deliverMany(deliveries: readonly Delivery[], signal: AbortSignal): Promise<(SinkError | null)[]>;
  close?(): Promise<void>;
}

/** Identifies a channel. Pages are ordered by app, then by channel, by code points. */
export interface ChannelKey {
  sdkAppId: string;
  channelId: string;
}

/** A channel's key as one text, for maps and as the id of its document; unambiguous, since app ids contain no colon. */
export function keyOf({ sdkAppId, channelId }: ChannelKey): string {
  return `${sdkAppId}:${channelId}`;
}

/** A document that differs from our store. */
export interface Difference extends ChannelKey {
  /** `older`: outdated, or different at the same revision. `surplus`: excluded by the sink's filters, or unknown to our store. */
  kind: 'missing' | 'older' | 'newer' | 'surplus';
  /** The version in the index, which a repair must exceed; `null` if it has none. */
  version: number | null;
}

/**
 * A state sink that owns a search index, which can be compared with our store and rebuilt beside the one in use. Several processes may call
 * these methods, again after a crash, and during deliveries.
 */
export interface SearchSink extends BulkSink {
  /** The index in use, created if there is none. `outdated`: this release would create it differently, so it must be rebuilt. */
  current(signal: AbortSignal): Promise<{ index: string; outdated: boolean }>;
  /**
   * Compares the documents after `after` (`null`: from the start) up to `until` (`null`: to the end) with those it should have.
   * @param wanted the latest state of each channel in this range, ordered by key
   */
  compare(
    wanted: readonly Delivery[],
    range: { after: ChannelKey | null; until: ChannelKey | null },
    signal: AbortSignal,
  ): Promise<Difference[]>;
  /** Deletes surplus documents, unless their version has changed. */
  remove(surplus: readonly Difference[], signal: AbortSignal): Promise<void>;
  /** Creates the next index, empty, unless it exists, and returns its name. After `settleMs`, all processes write to both indices. */
  prepare(signal: AbortSignal): Promise<string>;
  /** How long after `prepare` other processes may still write to the old index only. */
  readonly settleMs: number;
  /** Writes to the next index only. Returns a result per delivery, like `deliverMany`. */
  fill(index: string, deliveries: readonly Delivery[], signal: AbortSignal): Promise<(SinkError | null)[]>;
  /** Atomically switches to the next index and deletes the old one. Does nothing if already done. */
  swap(index: string, signal: AbortSignal): Promise<void>;
}

export interface CheckResult {
  problems: readonly SinkError[];
  /** What was checked, and what cannot be known without a delivery: `reachable; its path is not tried until the first delivery`. */
  summary: string;
}

export interface Checkable {
  /** Checks whether deliveries would work, without sending or writing anything. An error it throws counts as a problem. */
  check(signal: AbortSignal): Promise<CheckResult>;
}

/**
 * How a sink is fed. `log`: every change of a channel, in revision order. `state`: the latest profile; older deliveries are superseded.
 * `report`: each change with its results at the other sinks.
 */
export type Mode = 'log' | 'state' | 'report';

/** Actions behind a sink's buttons; `actor` is audited. They return 0 or false if there is nothing to do, `null` for an unknown sink. */
export abstract class Actions {
  /** Retries a change's parked deliveries at all sinks. @returns their number */
  abstract retry(changeId: string, actor: string): Promise<number>;
  /** Discards a change's parked deliveries at all sinks. @returns their number */
  abstract discard(changeId: string, actor: string): Promise<number>;
  /** Retries all parked deliveries of a sink. @returns their number */
  abstract retryAll(sink: string, actor: string): Promise<number>;
  abstract probe(sink: string, actor: string): Promise<boolean | null>;
  abstract pause(sink: string, actor: string): Promise<boolean | null>;
  abstract resume(sink: string, actor: string): Promise<boolean | null>;
  /** Compares a search sink's index with the store and repairs it; false if it is already being compared. */
  abstract repair(sink: string, actor: string): Promise<boolean | null>;
  /** Compares all channels of an app with Tencent's data. */
  abstract compareNow(sdkAppId: string, actor: string): Promise<boolean>;
}
