import type { IncomingHttpHeaders } from 'node:http';
import type { FieldName } from '../channel/profile.js';
import type { Alert } from './alert.js';
import type { Delivery } from './sink.js';

/** The current result of a change at another sink. */
export interface SinkResult {
  sink: string;
  /** `retrying`: pending after a failed attempt. */
  state: 'pending' | 'retrying' | 'delivered' | 'superseded' | 'parked' | 'discarded';
  reason: string | null;
  /** Duration of the latest attempt in milliseconds. */
  durationMs: number | null;
  /** When the next attempt is due, in milliseconds; `null` if finished, in progress, or its sink is stopped. */
  nextAttemptAt: number | null;
  /** When it reached its final state, in milliseconds; `null` before. */
  endedAt: number | null;
  /** Why no attempts are made for now: its sink is paused, or no longer configured. */
  held: 'paused' | 'removed' | null;
  /** Counts as delivered but was not sent, because of its template. */
  skipped: boolean;
}

/** A user's action on the deliveries of a change. */
export interface AuditAction {
  at: number;
  action: 'replay' | 'discard';
  /** `api`, or `slack:` and the Slack user's id. */
  actor: string;
}

/** What a report sink shows: a change with its current results. */
export interface Report extends Delivery {
  /** When the webhook arrived, in milliseconds. */
  receivedAt: number;
  eventTimeEstimated: boolean;
  tie: boolean;
  /** Fields of the webhook that were not applied, because the current value is newer. */
  stale: FieldName[];
  /** The results at all sinks except report sinks, ordered by name. */
  results: SinkResult[];
  /** Users' actions on its deliveries, oldest first. */
  auditActions: AuditAction[];
  /** Earliest time (ms) at which an attempt that failed, or whose process ended, may have posted it; `null` if there is none. */
  possiblyPostedSince: number | null;
  /** The value this sink returned when it last showed the change; `null` before. */
  messageRef: string | null;
}

/** The answer to an interaction: empty, a text, or an object to be sent as JSON. */
export type InteractionAnswer = string | object;

/** Handles a report sink's HTTP requests from Slack: clicks, slash commands and events. */
export interface InteractionHandler {
  /** Whether the headers allow reading the body. */
  accepts(headers: IncomingHttpHeaders): boolean;
  /** Handles a request; actions run after the answer. @returns the answer, within 2.5 s; `null` if it is not signed for this sink */
  handle(body: Buffer, headers: IncomingHttpHeaders): Promise<InteractionAnswer> | null;
}

/** A sink that shows each change with its results at the other sinks, and updates it when they change. */
export interface ReportSink {
  /**
   * How long after the arrival of a webhook its first report waits for results, in milliseconds; `null`: until all results are final or,
   * if the sink `edits`, one has failed.
   */
  readonly holdMs: number | null;
  readonly edits: boolean;
  /**
   * @param countCall call it for each request after the first, for the sink's rate limit
   * @returns the messageRef for the next report of this change
   */
  report(report: Report, signal: AbortSignal, countCall?: () => void): Promise<string>;
  /** Shows many changes at once, all of which every other sink has. @returns the messageRef they share */
  digest(reports: readonly Report[], signal: AbortSignal, countCall?: () => void): Promise<string>;
  /** @param messageRef what the last call for this alert returned; `null` for a new alert */
  alert(alert: Alert, messageRef: string | null, signal: AbortSignal, countCall?: () => void): Promise<string>;
  /** Whether it shows alerts; this does not include the daily summary. */
  readonly alerts: boolean;
  /** When it shows the daily summary; `null`: never. */
  readonly summary: { hour: number; minute: number; timeZone: string } | null;
  /** Starts listening for interactions, if that takes a connection of its own. */
  listen?(): void;
  /** Set if the sink takes interactions over HTTP. */
  readonly interactionHandler?: InteractionHandler;
  /**
   * Handles an interaction authenticated by one of this sink's credentials: one on its own messages, or one about the app as a whole.
   * @param isNew false for a repeated request; rejects if that cannot be determined
   * @returns the answer, always within 2.5 s; `null` if it is not for this sink
   */
  interaction?(payload: unknown, credential: string, isNew: Promise<boolean>): Promise<InteractionAnswer> | null;
  close?(): Promise<void>;
}
