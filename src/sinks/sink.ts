import { ArrayNotEmpty, IsIn, IsNumber, IsOptional, IsPositive, Matches, Min } from 'class-validator';
import { type FieldChange, type FieldName, type Profile, fieldNames } from '../channel/profile.js';
import type { Proxies } from '../outgoing/proxies.js';
import { Setting, type SettingsClass, Whole, decimal, duration, list, wholeNumber } from '../settings/setting.js';
import { type RejectionCause, rejectionCauses } from '../webhook/rejection-cause.js';

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

/** What became of a change at one other sink so far; for report sinks. */
export interface SinkResult {
  sink: string;
  type: string;
  /** `retrying` is pending after a failed try. */
  state: 'pending' | 'retrying' | 'delivered' | 'superseded' | 'parked' | 'discarded';
  /** Why, in plain words, when it failed, was parked or discarded. */
  reason: string | null;
  /** How long the last attempt took, in milliseconds. */
  durationMs: number | null;
  /** When it is tried next, in milliseconds; `null` if it has ended, is under way, or its sink stands still. */
  nextAttemptAt: number | null;
  /** Why it is not tried at all for now: a person paused its sink, or that is no longer configured. */
  held: 'paused' | 'removed' | null;
}

/** What a person did to the deliveries of a change. */
export interface Deed {
  at: number;
  action: 'replay' | 'discard';
  /** Who: `api`, or `slack:` and the id of a Slack user. */
  actor: string;
}

/** What a report sink shows: a change together with its results so far. */
export interface Report extends Delivery {
  /** When the webhook arrived, in milliseconds. */
  receivedAt: number;
  eventTimeEstimated: boolean;
  tie: boolean;
  /** Fields of the webhook that were older than what we had and were not applied. */
  stale: FieldName[];
  /** Every sink that reports no results itself, in the order of their names. */
  results: SinkResult[];
  /** What people did to its deliveries, the oldest first. */
  deeds: Deed[];
  /** Since when an attempt to show it may have arrived without our knowing (ms): it failed, or its process ended. `null` if there was none. */
  mayStandSince: number | null;
  /** What this sink returned when it last showed this change; `null` before. */
  receipt: string | null;
}

/** What waits for a sink or is parked at it is counted no further: a greater count stands for any. */
export const countedMost = 10_000;

/**
 * What a report sink is told of the service itself. Each is one message, shown anew while it lasts; `until` is when it was over, `null` before. Times in
 * milliseconds.
 */
export type Notice = { since: number; until: number | null } & (
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
        /** The receipts of the notices that tell of what is parked and of why it waits, while they are not over. */
        receipts: { parked: string | null; waiting: string | null };
      }[];
    }
);

/** What people may do by a sink's buttons. `actor` goes on record. Each does nothing, and says 0 or false, where there is nothing (left) to do; `null` if no sink has this name. */
export interface Actions {
  /** Sends once more what is parked of a change, at all sinks. @returns how many deliveries */
  retry(changeId: string, actor: string): Promise<number>;
  /** Gives up what is parked of a change, at all sinks. @returns how many deliveries */
  discard(changeId: string, actor: string): Promise<number>;
  pause(sink: string, actor: string): Promise<boolean | null>;
  resume(sink: string, actor: string): Promise<boolean | null>;
  /** Compares the index of a search sink with the store once more and mends what differs; false while it is compared already. */
  repair(sink: string, actor: string): Promise<boolean | null>;
}

/**
 * The outcome of an attempt that did not deliver. A sink throws one of these; anything else that it throws is tried again and
 * recorded without its text, since only these promise that their texts hold no secret.
 */
export abstract class SinkError extends Error {
  abstract readonly outcome: 'retry' | 'refused' | 'misconfigured';
  /**
   * @param message why, in plain words, without any secret or profile text
   * @param advice what a person can do about it
   * @param status the HTTP status, if there was one
   */
  constructor(
    message: string,
    readonly advice: string,
    readonly status: number | null = null,
  ) {
    super(message);
    this.name = new.target.name;
  }
}

/** It may work later: network trouble, overload, time-outs. */
export class TryAgain extends SinkError {
  readonly outcome = 'retry';
  /** @param retryAfterMs how long the whole sink asked to be left alone, 0 if it did not */
  constructor(
    message: string,
    advice: string,
    status: number | null = null,
    readonly retryAfterMs = 0,
  ) {
    super(message, advice, status);
  }
}

/** It did not even reach the target. */
export class NotSent extends TryAgain {}

/** The sink will never take this delivery; it is parked for a person to decide. */
export class Refused extends SinkError {
  readonly outcome = 'refused';
}

/** No delivery can work until somebody mends the set-up: credentials, URL, certificate, channel. */
export class Misconfigured extends SinkError {
  readonly outcome = 'misconfigured';
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

/** What names a channel; in this order (code points) everybody goes through them. */
export interface ChannelKey {
  sdkAppId: string;
  channelId: string;
}

/** A document of an index that is not what the store says. */
export interface Difference extends ChannelKey {
  /** `older`: it is behind, or has other texts at the same revision. `surplus`: the sink does not want this channel, or the store does not know it. */
  kind: 'missing' | 'older' | 'newer' | 'surplus';
  /** The version that the index has; `null` if it has none. A repair must take a greater one. */
  version: number | null;
}

/**
 * A state sink whose target is an index of ours: it can be compared with the store, and built anew beside the one that is used. All of this may be asked by
 * several processes, again after a kill, and while deliveries go on.
 */
export interface SearchSink extends BulkSink {
  /** The index that is used now, made if there is none, and whether this release would make another one (a mapping of another time): then it is to be rebuilt. */
  current(signal: AbortSignal): Promise<{ index: string; outdated: boolean }>;
  /**
   * Compares what the index has after `after` (`null`: from the start) and up to `until` (`null`: to the end) with all that it should have there.
   * @param wanted the newest state of each channel in between, in the order of their keys
   */
  compare(
    wanted: readonly Delivery[],
    range: { after: ChannelKey | null; until: ChannelKey | null },
    signal: AbortSignal,
  ): Promise<Difference[]>;
  /** Takes out what is surplus, unless it has another version by now. */
  remove(surplus: readonly Difference[], signal: AbortSignal): Promise<void>;
  /**
   * Makes the next index, empty, unless it is there already; from a moment later on (`settleMs`) all processes write what they deliver into both.
   * @returns its name
   */
  prepare(signal: AbortSignal): Promise<string>;
  /** How long after `prepare` another process may still write into the old index alone. */
  readonly settleMs: number;
  /** Writes into the next index alone. As `deliverMany` it answers for each. */
  fill(index: string, deliveries: readonly Delivery[], signal: AbortSignal): Promise<(SinkError | null)[]>;
  /** In one step the next index is the one that is used; the old one goes. Does nothing if that has happened already. */
  swap(index: string, signal: AbortSignal): Promise<void>;
}

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** What a report sink makes of requests to the path for clicks. */
export interface Door {
  /** Whether a request may be read, by its headers alone. */
  admits(headers: Headers): boolean;
  /** Takes a request: what is done is done after the answer. @returns that answer; `null` if it is not signed for this sink */
  take(body: Buffer, headers: Headers): string | null;
}

/** A sink that shows changes with what became of them at the other sinks, and shows them again when that moves. */
export interface ReportSink {
  /** How long the first report of a change waits for the results of the other sinks, in milliseconds after its webhook arrived. */
  readonly patienceMs: number;
  /** Whether it can show a change anew once it was shown. */
  readonly edits: boolean;
  /**
   * Returns the receipt that the next report of this change will carry.
   * @param spend to be told of each call beyond the first: the sink's rate is one of calls
   */
  report(report: Report, signal: AbortSignal, spend?: () => void): Promise<string>;
  /** Shows many changes at once that all other sinks have. Returns the receipt of each of them. */
  digest(reports: readonly Report[], signal: AbortSignal, spend?: () => void): Promise<string>;
  /** @param receipt what this returned for the notice before, `null` for a new one */
  notice(notice: Notice, receipt: string | null, signal: AbortSignal, spend?: () => void): Promise<string>;
  /** When it wants the summary of a day; `null` for never. */
  readonly summary: { hour: number; minute: number; timeZone: string } | null;
  /** Begins to listen for what people click, where that needs a connection of its own. */
  listen?(): void;
  /** Takes clicks over HTTP. */
  readonly door?: Door;
  /**
   * Does what was clicked on messages of its own, and nothing else of this payload, if it came by a credential that this sink has.
   * @param isNew whether it comes for the first time; rejected where that cannot be known
   */
  clicked?(payload: unknown, credential: string, isNew: Promise<boolean>): void;
  close?(): Promise<void>;
}

export type Sink = SingleSink | BulkSink | SearchSink | ReportSink;

/**
 * How a sink is fed. `log`: every owed change of a channel in revision order. `state`: the newest profile, skipping what it supersedes.
 * `report`: each change with its results.
 */
export type Mode = 'log' | 'state' | 'report';

/** What every sink can be told. Defaults that differ by type are set in the type's own class by declaring the property again. */
export class SinkSettings {
  @Setting({
    meaning:
      'Only changes that touch one of these fields (name, avatarUrl, introduction, organization); a created or destroyed channel always counts',
    parse: list,
    example: 'name,avatarUrl',
  })
  @IsOptional()
  @ArrayNotEmpty()
  @IsIn(fieldNames, { each: true, message: `$property must list fields out of ${fieldNames.join(', ')}` })
  FIELDS?: FieldName[];

  @Setting({
    meaning: 'Only channels whose id matches one of these patterns (`*` any characters, `?` one)',
    parse: list,
    example: '@TOA#_shop_*',
  })
  @IsOptional()
  @ArrayNotEmpty()
  CHANNELS?: string[];

  @Setting({ meaning: 'Only these apps', parse: list, example: '1400000001' })
  @IsOptional()
  @ArrayNotEmpty()
  @Matches(/^\d{1,20}$/, { each: true, message: '$property must list ids made of digits, separated by commas' })
  SDK_APP_IDS?: string[];

  @Setting({ meaning: "One attempt's total time in milliseconds", default: '10000', parse: wholeNumber })
  @Whole(1, 300_000)
  TIMEOUT_MS!: number;

  @Setting({ meaning: 'Attempts at once, per process', default: '16', parse: wholeNumber })
  @Whole(1, 1000)
  CONCURRENCY!: number;

  @Setting({
    meaning: 'At most this many attempts per second, over all processes together; may be a fraction',
    parse: decimal,
    example: '50',
  })
  @IsOptional()
  @IsNumber({}, { message: '$property must be a number such as 50 or 0.5, 0.001 at least' })
  @Min(0.001, { message: '$property must be a number such as 50 or 0.5, 0.001 at least' })
  RATE_PER_SECOND?: number;

  @Setting({
    meaning: 'A delivery that keeps failing for this long is parked: a whole number and s, m, h or d',
    default: '24h',
    parse: duration,
  })
  @IsPositive({ message: '$property must be a whole number and s, m, h or d, such as 24h' })
  RETRY_MAX_AGE!: number;
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
  alone?: { setting: string; on: (settings: S) => string | null };
  /** Makes the sink; it connects to nothing yet, so that a dead target cannot stop the service from starting. */
  open(settings: S, context: SinkContext): Promise<Sink>;
}

/** Identity, for inference: checks a type's parts against each other and hides its settings class from the list. */
export function defineSink<S extends SinkSettings>(type: SinkType<S>): SinkType {
  return type as unknown as SinkType;
}
