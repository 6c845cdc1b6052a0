import type { FieldName } from '../channel/profile.js';
import type { Alert } from './alert.js';
import type { Delivery } from './sink.js';

/** The result of a change at one other sink so far. */
export interface SinkResult {
  sink: string;
  /** `retrying` is pending after a failed try. */
  state: 'pending' | 'retrying' | 'delivered' | 'superseded' | 'parked' | 'discarded';
  /** Why, in plain words, when it failed, was parked or discarded. */
  reason: string | null;
  /** How long the last attempt took, in milliseconds. */
  durationMs: number | null;
  /** When it is tried next, in milliseconds; `null` if it has ended, is under way, or its sink is stopped. */
  nextAttemptAt: number | null;
  /** When it got its end result, in milliseconds; `null` before. */
  endedAt: number | null;
  /** Why it is not tried at all for now: a person paused its sink, or that is no longer configured. */
  held: 'paused' | 'removed' | null;
  /** What its target answered to the last attempt, cleaned of secrets, if that failed. */
  response: string | null;
  /** Delivered without being sent: its template said so. */
  skipped: boolean;
}

/** What a person did with the deliveries of a change. */
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

/** What an interaction is answered: empty, a text, or an object to be sent as JSON. */
export type InteractionAnswer = string | object;

/** How a report sink takes requests to the path for interactions: clicks, slash commands and events. */
export interface InteractionHandler {
  /** Whether a request may be read, by its headers alone. */
  admits(headers: Headers): boolean;
  /** Takes a request; what was clicked is done after the answer. @returns the answer, within 2.5 s; `null` if it is not signed for this sink */
  take(body: Buffer, headers: Headers): Promise<InteractionAnswer> | null;
}

/** A sink that shows changes with their results at the other sinks, and shows them again when those change. */
export interface ReportSink {
  /**
   * How long the first report of a change waits for the results of the other sinks, in milliseconds after its webhook arrived; `null` until they are known,
   * or, for a sink that edits, one of them is a failure.
   */
  readonly holdMs: number | null;
  /** Whether it can show a change anew once it was shown. */
  readonly edits: boolean;
  /**
   * Returns the messageRef that the next report of this change will carry.
   * @param countCall to be called for each request to the target beyond the first: the sink's rate counts requests
   */
  report(report: Report, signal: AbortSignal, countCall?: () => void): Promise<string>;
  /** Shows many changes at once that all other sinks have. Returns the messageRef of each of them. */
  digest(reports: readonly Report[], signal: AbortSignal, countCall?: () => void): Promise<string>;
  /** @param messageRef what this returned when it last showed this alert, `null` for a new one */
  alert(alert: Alert, messageRef: string | null, signal: AbortSignal, countCall?: () => void): Promise<string>;
  /** Whether it shows alerts; the daily summary is none. */
  readonly alerts: boolean;
  /** When it shows the daily summary; `null` for never. */
  readonly summary: { hour: number; minute: number; timeZone: string } | null;
  /** Begins to listen for interactions, where that needs a connection of its own. */
  listen?(): void;
  /** Takes interactions over HTTP. */
  readonly interactionHandler?: InteractionHandler;
  /**
   * Takes an interaction that came with a credential of this sink: a click on a message of its own, or what concerns the app as a whole.
   * @param isNew whether it comes for the first time; rejected where that cannot be known
   * @returns the answer, within 2.5 s whatever happens; `null` if it is not for this sink
   */
  interaction?(payload: unknown, credential: string, isNew: Promise<boolean>): Promise<InteractionAnswer> | null;
  close?(): Promise<void>;
}
