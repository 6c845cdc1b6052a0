import type { FieldName } from '../channel/profile.js';
import type { Alert } from './alert.js';
import type { Delivery } from './sink.js';

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
export interface AuditAction {
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
  auditActions: AuditAction[];
  /** Since when an attempt to show it may have arrived without our knowing (ms): it failed, or its process ended. `null` if there was none. */
  possiblyPostedSince: number | null;
  /** What this sink returned when it last showed this change; `null` before. */
  messageRef: string | null;
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
  readonly holdMs: number;
  /** Whether it can show a change anew once it was shown. */
  readonly edits: boolean;
  /**
   * Returns the messageRef that the next report of this change will carry.
   * @param countCall to be told of each call beyond the first: the sink's rate is one of calls
   */
  report(report: Report, signal: AbortSignal, countCall?: () => void): Promise<string>;
  /** Shows many changes at once that all other sinks have. Returns the messageRef of each of them. */
  digest(reports: readonly Report[], signal: AbortSignal, countCall?: () => void): Promise<string>;
  /** @param messageRef what this returned for the notice before, `null` for a new one */
  alert(notice: Alert, messageRef: string | null, signal: AbortSignal, countCall?: () => void): Promise<string>;
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
