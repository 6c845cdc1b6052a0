import { type FieldChange, type FieldName, type Profile, fieldNames } from '../channel/profile.js';
import type { Proxies } from '../outgoing/proxies.js';
import type { SettingsClass } from '../settings/setting.js';
import { type RejectionCause, rejectionCauses } from '../webhook/rejections.js';
import type { SinkError } from './errors.js';
import type { ReportSink } from './report-sink.js';
import type { SearchSink } from './search-sink.js';
import type { SinkSettings } from './settings.js';

export { type RejectionCause, rejectionCauses };
export { type FieldChange, type FieldName, type Profile, fieldNames };

export type ChangeType = 'channel.created' | 'channel.profile.updated' | 'channel.destroyed';

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
    changes: FieldChange[];
    profile: Profile;
  };
}

/** One delivery on its way to a sink. */
export interface Delivery {
  /** The same on every try and replay, and different from any other delivery's at any sink. */
  id: string;
  event: ChangeEvent;
  /** Grows with every revision of the channel, also across the loss of our database: the external version of a search document. */
  version: number;
  /** The newest EventTime of a change of the channel that got a revision, ISO 8601. */
  updatedAt: string;
}

/** A log or state sink that takes one delivery at a time. Returning means delivered. */
export interface SingleSink {
  deliver(delivery: Delivery, signal: AbortSignal): Promise<void>;
  close?(): Promise<void>;
}

/** A sink that takes many deliveries of different channels in one attempt. It answers for each: `null` is delivered. A throw is the answer for all. */
export interface BulkSink {
  /** The most deliveries of one attempt. */
  readonly batchSize: number;
  deliverMany(deliveries: readonly Delivery[], signal: AbortSignal): Promise<(SinkError | null)[]>;
  close?(): Promise<void>;
}

export type Sink = SingleSink | BulkSink | SearchSink | ReportSink;

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
  abstract pause(sink: string, actor: string): Promise<boolean | null>;
  abstract resume(sink: string, actor: string): Promise<boolean | null>;
  /** Compares the index of a search sink with the store once more and mends what differs; false while it is compared already. */
  abstract repair(sink: string, actor: string): Promise<boolean | null>;
}

/** What a sink may use of the process: handed in, so that tests can hand in their own. */
export interface SinkContext {
  /** The sink's name, lower case. */
  name: string;
  now: () => number;
  warn: (message: string) => void;
  /** What the environment says of proxies: every connection is made by `outgoing`, which obeys it. */
  proxies: Proxies;
  actions: Actions;
  /**
   * Hands what was clicked to every report sink of this process: those of one app share its clicks, each of which reaches any of them.
   * @param credential what it came by: it is for the sinks that have the same
   * @param keys what it is called, here and at all replicas: it counts once by each of them
   */
  clicked: (payload: unknown, credential: string, keys: readonly string[]) => void;
}

/** One type of sink: its folder exports one of these, and `sinks.ts` lists it. */
export interface SinkType<S extends SinkSettings = SinkSettings> {
  /** The word in `SINK_<NAME>_TYPE`. */
  type: string;
  /** One sentence for the README. */
  summary: string;
  settings: SettingsClass<S>;
  mode(settings: S): Mode;
  /** What two sinks would spoil for each other: the setting that names it, and what it comes to, in one spelling; `null` if that cannot be read. */
  exclusiveTarget?: { setting: string; on: (settings: S) => string | null };
  /** Makes the sink; it connects to nothing yet, so that a dead target cannot stop the service from starting. */
  open(settings: S, context: SinkContext): Promise<Sink>;
}

/** Identity, for inference: checks a type's parts against each other and hides its settings class from the list. */
export function defineSink<S extends SinkSettings>(type: SinkType<S>): SinkType {
  return type as unknown as SinkType;
}
