import type { ColumnType, Generated, GeneratedAlways, Selectable, Transaction } from 'kysely';
import type { AppTable, ComparedChannel, ComparisonChannelTable, ComparisonTable } from './tables/comparisons.js';

interface ChannelTable extends ComparedChannel {
  id: GeneratedAlways<number>;
  sdk_app_id: string;
  channel_id: string;
  /** A ChannelState as JSON. */
  state: string;
  /** The latest revision; 0 before the first. */
  revision: number;
  /** The latest position. Every change gets one, even without a revision. */
  position: number;
  /** External version of the channel's search document. */
  version: number;
  /** The latest EventTime of a change with a revision, in milliseconds like all times here. */
  updated_at: number | null;
}

/** For searching channels. Rows are small, since a substring search scans the whole table. */
interface ChannelFindableTable extends Pick<ChannelTable, 'sdk_app_id' | 'channel_id' | 'revision'> {
  channel: number;
  exist: number;
  updated_at: number;
  /** Name and id, normalized for comparison. */
  folded: string;
}

/** A recorded webhook and what it changed in its channel. */
interface ChangeTable {
  /** Assigned when the webhook arrives. */
  id: string;
  /** A hash that exact repeats share, or the id if EventTime was estimated. */
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
  /** `changes`, `profile` and `stale` are JSON: FieldChange[] without values that the profile holds, Profile, FieldName[]. */
  changes: string;
  profile: string;
  stale: string;
  /** The original body, decompressed; empty unless `source` is `webhook`. */
  body: ColumnType<Uint8Array, Uint8Array, never>;
}

/** A registered sink, identified by name, type and mode. */
interface SinkTable {
  id: GeneratedAlways<number>;
  name: string;
  type: string;
  mode: string;
  /** Filters as JSON. */
  filters: string;
  registered_at: number;
  removed_at: number | null;
  paused_at: number | null;
  /** No attempts before this time, because of a Retry-After. */
  held_until: number | null;
  /** A sink that is not `ok` is probed until it recovers. */
  state: Generated<'ok' | 'misconfigured' | 'down'>;
  state_since: number | null;
  reason: string | null;
  advice: string | null;
  /** Consecutive "try again" answers, across all lanes. */
  failures: Generated<number>;
  /** Sequence number of the latest configuration error, and its value when the latest successful attempt was leased. */
  config_error_seq: Generated<number>;
  cleared_up_to: Generated<number>;
  /** While not `ok`: when the next probe may start (during a probe: its deadline), and when the round-robin probes the next lane. */
  next_probe_at: number | null;
  next_round_robin_probe_at: number | null;
  /** Since when it has been misconfigured, down or paused, and the total duration of earlier stops. */
  stopped_since: number | null;
  stopped_ms: Generated<number>;
  /** Rate limit: when the attempts started so far are used up at the sink's rate. */
  paced_at: number | null;
  /** After a recovery, lanes become due page by page: the last channel done. `null` when all are, or when stopped again. */
  recovered_to: number | null;
  /** Backfill of a new state sink: the last channel done; `null` when complete. */
  backfilled_to: number | null;
  /** Result of the latest check, `misconfigured` or `retrying`; `null` if fine or disproved by an attempt. Does not stop deliveries. */
  check_state: string | null;
  check_reason: string | null;
  check_advice: string | null;
  check_since: number | null;
  /** When the next check is due if the sink is idle; during a check, its deadline. */
  next_check_at: number | null;
  /** When the latest check started whose result is reported at once: at a start of the service, or on a user's request. */
  start_check_at: number | null;
}

interface LaneTable {
  sink: number;
  channel: number;
  /** When it is next due: now, at the next retry, or when its lease expires; `null` if nothing is open. */
  due_at: number | null;
  /** Fencing token of the worker that holds it. */
  lease: string | null;
  /** Consecutive failures. */
  tries: Generated<number>;
  /** Leases since the last settlement that expired, with or without an attempt, or whose attempt was cancelled. */
  lost: Generated<number>;
  /** The sink's config_error_seq at this lane's first configuration error since its last success. */
  config_error_seq: number | null;
  /** State sinks: pending deliveries before this position are superseded but not marked yet; `null` if all are marked. */
  superseded_before: number | null;
  /** State sinks: the revision and profile that the target has. */
  sent_revision: number | null;
  sent_profile: string | null;
}

interface DeliveryTable {
  change_id: string;
  sink: number;
  channel: number;
  position: number;
  state: Generated<string>;
  /** 1 while the lane has work: the delivery is pending, or a report has changed since it was shown. */
  open: Generated<number>;
  tries: Generated<number>;
  failing_since: number | null;
  /** The sink's total stopped time when this delivery began to fail, to exclude later stops from its retry age. */
  stopped_ms: number | null;
  /** 0: the outcome of every attempt is known. 1: one may have arrived unnoticed; plus 1 for each answer 409 since. */
  doubt: Generated<number>;
  /** Why it was parked: `refused` or `expired`; `skipped` if it was delivered without being sent. */
  cause: string | null;
  reason: string | null;
  advice: string | null;
  /** When it became pending. */
  enqueued_at: number;
  updated_at: number;
  duration_ms: number | null;
  /** Reports: how often the results have changed. */
  moved: Generated<number>;
  /** Reports: the sink's reference to the message, returned when it was first shown. */
  message_ref: string | null;
}

/** Queue entry: a report sink must show a change, or update it because a result has changed. */
interface ReportRefreshTable {
  id: GeneratedAlways<number>;
  sink: number;
  change_id: string;
  channel: number;
}

/** History of attempts, for display. */
interface AttemptTable {
  change_id: string;
  sink: number;
  at: number;
  duration_ms: number;
  outcome: string;
  status: number | null;
  error: string | null;
  /** The target's response, with secrets removed, truncated. */
  response: string | null;
}

interface AuditTable {
  id: GeneratedAlways<number>;
  at: number;
  /** `api`, or the Slack user. */
  actor: string;
  action: string;
  change_id: string | null;
  /** JSON. */
  details: string;
}

/** Requests that must be processed only once across processes, by a hash of their signature or id. */
type SeenTable = { key: string; at: number };

/** The latest verification and the latest rebuild of a search sink's index. */
interface IndexJobTable {
  sink: number;
  /** `verify` or `rebuild`. */
  kind: string;
  /** `running`, `done` or `failed`. */
  state: string;
  started_at: number;
  finished_at: number | null;
  /** Progress as JSON. */
  progress: string;
  /** Why it failed, or what it is currently waiting for. */
  error: string | null;
  failing_since: number | null;
  /** When it is next due, or when its lease expires. */
  due_at: number;
  lease: string | null;
}

/** An alert of the service in a report sink: one message, updated until it is resolved. */
interface AlertTable {
  id: GeneratedAlways<number>;
  sink: number;
  /** Identifies the problem; at most one alert per sink and key is unresolved. */
  key: string;
  opened_at: number;
  resolved_at: number | null;
  /** The Alert as JSON: its current content, and the content shown last. */
  payload: string;
  sent_payload: string | null;
  message_ref: string | null;
  /** When it may be shown next, or when its lease expires. */
  due_at: number;
  lease: string | null;
  tries: Generated<number>;
}

/** A single row: the latest time seen by any process, to notice a clock that was set back, and when one last noticed a jump. */
type HeartbeatTable = { at: number; jumped_at: number | null };

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
