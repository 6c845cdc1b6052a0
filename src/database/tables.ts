import type { ColumnType, Generated, GeneratedAlways, Selectable, Transaction } from 'kysely';
import type { CheckColumns } from './tables/checks.js';
import type { AppTable, ComparedChannel, ComparisonChannelTable, ComparisonTable } from './tables/comparisons.js';

/** One official channel with all that is known of it. */
interface ChannelTable extends ComparedChannel {
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

/** What channels are found by: small, since a part of a text can stand anywhere in it and all rows are looked at. */
interface ChannelFindableTable extends Pick<ChannelTable, 'sdk_app_id' | 'channel_id' | 'revision'> {
  channel: number;
  exist: number;
  updated_at: number;
  /** The name and the id as they are compared. */
  folded: string;
}

/** What one kept webhook did to its channel, and the webhook itself. */
interface ChangeTable {
  /** Given to the webhook on arrival. */
  id: string;
  /** The hash that an exact repeat shares; the id where the time was estimated. */
  fingerprint: string;
  channel: number;
  position: number;
  revision: number | null;
  type: string;
  source: Generated<string>;
  operator: string | null;
  client_ip: string | null;
  platform: string | null;
  owner: string | null;
  event_time: number;
  estimated: number;
  tie: number;
  received_at: number;
  exist: number;
  /** JSON: FieldChange[] without what the profile has, Profile, FieldName[]. */
  changes: string;
  profile: string;
  stale: string;
  /** The body as it arrived, inflated; empty if the source is no webhook. */
  body: ColumnType<Uint8Array, Uint8Array, never>;
}

/** One sink, registered by name, type and mode. */
interface SinkTable extends CheckColumns {
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
  /** `ok`, `misconfigured` or `down`; what is not `ok` is probed until it heals. */
  state: Generated<string>;
  state_since: number | null;
  /** Why it is not `ok`, and what a person can do. */
  reason: string | null;
  advice: string | null;
  /** Answers "try again" in a row, whatever the lanes. */
  failures: Generated<number>;
  /** The number of its latest configuration error, and which one was the latest when the newest successful attempt was leased. */
  config_error_seq: Generated<number>;
  cleared_up_to: Generated<number>;
  /** While it is not `ok`: when the next probe may start (while one is under way: when that is over at the latest), and when the next lane of the round is to be probed. */
  next_probe_at: number | null;
  next_round_robin_probe_at: number | null;
  /** Since when it is misconfigured, down or paused, and for how long in all it was so before. */
  stopped_since: number | null;
  stopped_ms: Generated<number>;
  /** Pacing: when the attempts that were started so far are used up at the sink's rate. */
  paced_at: number | null;
  /** It has recovered, and its lanes become due page by page: the key of the last channel done; `null` when all are, or it is stopped again. */
  recovered_to: number | null;
  /** A new state sink is being owed what was before it: the key of the last channel done; `null` when it has all. */
  backfilled_to: number | null;
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
  /** Attempts since the last that ended whose end nobody knows: their process was gone, or ended them. */
  lost: Generated<number>;
  /** Which of the sink's config_error_seq was the first to this lane since its last success. */
  config_error_seq: number | null;
  /** What is pending at a state sink and lies before this position has been superseded, and is yet to be marked so; `null` when all is. */
  superseded_before: number | null;
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
  /** How long the sink had been stopped in all when it began to fail: that time does not count. */
  stopped_ms: number | null;
  /** 0: every attempt is accounted for. 1: one may have arrived unnoticed; one more for each answer 409 since. */
  doubt: Generated<number>;
  /** Parked: `refused` or `expired`. */
  cause: string | null;
  reason: string | null;
  advice: string | null;
  /** When it became pending. */
  enqueued_at: number;
  updated_at: number;
  duration_ms: number | null;
  /** Of a report: how often its results moved. */
  moved: Generated<number>;
  /** Of a report: what the sink returned when it first showed it. */
  message_ref: string | null;
}

/** That a report sink is owed a change, or that a result of it moved, until the sink takes it in. */
interface ReportRefreshTable {
  id: GeneratedAlways<number>;
  /** The report sink. */
  sink: number;
  change_id: string;
  channel: number;
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
  /** What the target answered, cleaned of secrets and cut. */
  response: string | null;
}

/** What a person did, and who. */
interface AuditTable {
  id: GeneratedAlways<number>;
  at: number;
  /** `api`, or who clicked in Slack. */
  actor: string;
  action: string;
  /** If it was about one change. */
  change_id: string | null;
  /** JSON. */
  details: string;
}

/** A request that counts once, whichever process it comes to: by the hash of its signature, or of an id in it. */
type SeenTable = { key: string; at: number };

/** A comparison or a new building of a search sink's index: the newest of each kind. */
interface IndexJobTable {
  sink: number;
  /** `verify` or `rebuild`. */
  kind: string;
  /** `running`, `done` or `failed`. */
  state: string;
  started_at: number;
  finished_at: number | null;
  /** JSON of its Progress. */
  progress: string;
  /** Why it failed, or why it is not further. */
  error: string | null;
  /** Since when that has held it up. */
  failing_since: number | null;
  /** When it goes on, or when the lease of whoever works on it ends. */
  due_at: number;
  lease: string | null;
}

/** Something that a report sink tells of the service itself: one message, shown anew until it is over. */
interface AlertTable {
  id: GeneratedAlways<number>;
  /** The report sink. */
  sink: number;
  /** What it is about; of the same sink and key one at most is not over. */
  key: string;
  opened_at: number;
  /** When it was over; `null` before. */
  resolved_at: number | null;
  /** JSON of the Notice: as it is, and as it was shown last. */
  payload: string;
  sent_payload: string | null;
  message_ref: string | null;
  /** When it may be shown next, or when the lease of whoever shows it ends. */
  due_at: number;
  lease: string | null;
  tries: Generated<number>;
}

/** One row: the newest time that any process has known, so that a clock that was put back is noticed. */
type HeartbeatTable = { at: number };

export interface Tables {
  heartbeat: HeartbeatTable;
  channel: ChannelTable;
  channel_findable: ChannelFindableTable;
  change: ChangeTable;
  sink: SinkTable;
  lane: LaneTable;
  delivery: DeliveryTable;
  report_refresh: ReportRefreshTable;
  attempt: AttemptTable;
  audit: AuditTable;
  seen: SeenTable;
  alert: AlertTable;
  index_job: IndexJobTable;
  app: AppTable;
  comparison: ComparisonTable;
  comparison_channel: ComparisonChannelTable;
}

export type Row<Table extends keyof Tables> = Selectable<Tables[Table]>;
export type Trx = Transaction<Tables>;
