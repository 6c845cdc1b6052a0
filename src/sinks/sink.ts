import { type FieldChange, type FieldName, type Profile, fieldNames } from '../channel/profile.js';
import type { ChangeType } from '../channel/change.js';
import type { Origin, Source } from '../channel/origin.js';
import { type RejectionCause, rejectionCauses } from '../webhook/rejections.js';
import type { SinkError } from './errors.js';

export { type RejectionCause, rejectionCauses };
export { type FieldChange, type FieldName, type Profile, fieldNames };

export type { ChangeType };

/** What sinks are told of a change: the body of a CRM webhook (contract, section 3). */
export interface ChangeEvent {
  type: ChangeType;
  /** The vendor's EventTime, ISO 8601. */
  timestamp: string;
  data: {
    changeId: string;
    sdkAppId: string;
    channelId: string;
    /** `null` if the change altered nothing; only report sinks meet that. */
    revision: number | null;
    exists: boolean;
    /** Who did it; `null` if the vendor did not tell. */
    operator: string | null;
    source: Source;
    changes: FieldChange[];
    profile: Profile;
    /** On the sample that a person sends to try a sink, and nowhere else. */
    test?: true;
  };
}

/** One delivery on its way to a sink. */
export interface Delivery {
  /** The same on every try and replay, and different from any other delivery's at any sink. */
  id: string;
  event: ChangeEvent;
  origin: Origin;
  /** Grows with every revision of the channel, also across the loss of our database: the external version of a search document. */
  version: number;
  /** The newest EventTime of a change of the channel that got a revision, ISO 8601. */
  updatedAt: string;
}

/** A log or state sink that takes one delivery at a time. Returning means delivered, or that nothing was to be sent. */
export interface SingleSink {
  deliver(delivery: Delivery, signal: AbortSignal): Promise<'skipped' | void>;
  close?(): Promise<void>;
}

/** A sink that takes many deliveries of different channels in one attempt. It answers for each: `null` is delivered. A throw is the answer for all. */
export interface BulkSink {
  /** The most deliveries of one attempt. */
  readonly batchSize: number;
  deliverMany(deliveries: readonly Delivery[], signal: AbortSignal): Promise<(SinkError | null)[]>;
  close?(): Promise<void>;
}

/** What a check found. */
export interface CheckResult {
  /** What is wrong; empty if all that could be asked is well. */
  problems: readonly SinkError[];
  /** What was looked at, and what cannot be known without sending, in plain words: `reachable; its path is not tried until the first delivery`. */
  summary: string;
}

/** What every sink can be asked. */
export interface Checkable {
  /** Whether deliveries would work, as far as that can be known: sends no delivery and writes nothing. A throw is a problem, too. */
  check(signal: AbortSignal): Promise<CheckResult>;
}

/**
 * How a sink is fed. `log`: every owed change of a channel in revision order. `state`: the newest profile, skipping what it supersedes.
 * `report`: each change with its results.
 */
export type Mode = 'log' | 'state' | 'report';

/** What people may do by a sink's buttons. `actor` goes on record. Each does nothing, and says 0 or false, where there is nothing (left) to do; `null` if no sink has this name. */
export abstract class Actions {
  /** Sends once more what is parked of a change, at all sinks. @returns how many deliveries */
  abstract retry(changeId: string, actor: string): Promise<number>;
  /** Gives up what is parked of a change, at all sinks. @returns how many deliveries */
  abstract discard(changeId: string, actor: string): Promise<number>;
  /** Sends once more all that is parked at a sink. @returns how many deliveries */
  abstract retryAll(sink: string, actor: string): Promise<number>;
  /** Tries a stopped sink at once. */
  abstract probe(sink: string, actor: string): Promise<boolean | null>;
  abstract pause(sink: string, actor: string): Promise<boolean | null>;
  abstract resume(sink: string, actor: string): Promise<boolean | null>;
  /** Compares the index of a search sink with the store once more and mends what differs; false while it is compared already. */
  abstract repair(sink: string, actor: string): Promise<boolean | null>;
  /** Compares all channels of an app with Tencent. */
  abstract compareNow(sdkAppId: string, actor: string): Promise<boolean>;
}
