import type { ColumnType, Generated, GeneratedAlways } from 'kysely';

/** One official channel with all that is known of it. */
interface ChannelTable {
  id: GeneratedAlways<number>;
  sdk_app_id: string;
  channel_id: string;
  /** JSON of a ChannelState. */
  state: string;
  /** The last revision given; 0 before the first. */
  revision: number;
  /** The last position given: every change gets one, also those without a revision. */
  position: number;
  /** The external version of the channel's search document. */
  version: number;
  /** The newest EventTime of a change that got a revision. Milliseconds, as every time here. */
  updated_at: number | null;
}

/** What one kept webhook did to its channel, and the webhook itself. */
interface ChangeTable {
  /** The receipt's id, given on arrival. */
  id: string;
  /** The hash that an exact repeat shares; the id where the time was estimated. */
  fingerprint: string;
  channel: number;
  position: number;
  revision: number | null;
  type: string;
  operator: string | null;
  event_time: number;
  estimated: number;
  tie: number;
  received_at: number;
  exist: number;
  /** JSON: FieldChange[], Profile, FieldName[]. */
  changes: string;
  profile: string;
  stale: string;
  /** The body as it arrived, inflated. */
  body: ColumnType<Uint8Array, Uint8Array, never>;
}

/** One sink, registered by name, type and mode. */
interface SinkTable {
  id: GeneratedAlways<number>;
  name: string;
  type: string;
  mode: string;
  /** JSON of Filters. */
  filters: string;
  registered_at: number;
  removed_at: number | null;
  paused_at: number | null;
  /** Until when a Retry-After holds the sink back. */
  held_until: number | null;
}

/** The line of one channel towards one sink. */
interface LaneTable {
  sink: number;
  channel: number;
  /** When to look at it again: now, at the next try, or when the lease ends; `null` if nothing is open. */
  due_at: number | null;
  /** The fencing token of whoever works on it. */
  lease: string | null;
  /** Failures in a row. */
  tries: Generated<number>;
  /** What a state sink has. */
  sent_revision: number | null;
  sent_profile: string | null;
}

/** What becomes of one change at one sink. */
interface DeliveryTable {
  change_id: string;
  sink: number;
  channel: number;
  position: number;
  state: Generated<string>;
  /** 1 while the lane has something to do for it: it is pending, or a report has moved since it was shown. */
  open: Generated<number>;
  tries: Generated<number>;
  failing_since: number | null;
  /** Parked: `refused` or `expired`. */
  cause: string | null;
  reason: string | null;
  advice: string | null;
  /** When it became pending. */
  owed_at: number;
  updated_at: number;
  duration_ms: number | null;
  /** Of a report: how often its results moved. */
  moved: Generated<number>;
  /** Of a report: what the sink returned when it first showed it. */
  receipt: string | null;
}

/** One try, for people. */
interface AttemptTable {
  change_id: string;
  sink: number;
  at: number;
  duration_ms: number;
  outcome: string;
  status: number | null;
  error: string | null;
}

export interface Tables {
  channel: ChannelTable;
  change: ChangeTable;
  sink: SinkTable;
  lane: LaneTable;
  delivery: DeliveryTable;
  attempt: AttemptTable;
}
