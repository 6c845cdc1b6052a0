import { type SelectType, sql } from 'kysely';
import type { ChangeType } from '../channel/change.js';
import { type Origin, type Source, originOf } from '../channel/origin.js';
import { type FieldChange, type Profile, diff } from '../channel/profile.js';
import { readChanges, readProfile, readTime } from '../channel/stored.js';
import type { Tables } from '../database/tables.js';
import type { Report } from '../sinks/report-sink.js';
import type { ChangeEvent, Delivery } from '../sinks/sink.js';

/** The delivery that a lane is to attempt. */
export interface Head {
  changeId: string;
  position: number;
  tries: number;
  failingSince: number | null;
  stoppedMs: number | null;
  /** 0: every attempt is accounted for. 1: one may have arrived unnoticed; one more for each answer 409 since. */
  doubt: number;
  /** Of a report: how often its results had moved when it was loaded. */
  moved: number;
  state: 'pending' | 'delivered';
  delivery: Delivery | Report;
  /** True if its row is damaged: the delivery has blanks instead, and no sink is to see it. */
  damaged: boolean;
}

/** A lane that a worker holds. */
export interface LaneWork {
  channel: number;
  lease: string;
  laneTries: number;
  /** The number of the configuration error that was this lane's first since its last success; `null` if there was none. */
  configErrorSeq: number | null;
  /** The number of the sink's latest configuration error when this was leased. */
  sinkConfigErrorSeq: number;
  /** True if the sink is stopped and this finds out whether it has recovered. */
  probe: boolean;
  /** About what it takes in memory, in bytes. */
  bytes: number;
  head: Head;
}

export type Lease = Pick<LaneWork, 'lease' | 'sinkConfigErrorSeq' | 'probe'>;

/** What a delivery takes in memory beside its texts, in bytes. */
export const bytesEach = 1000;

/** Whether a lane had not failed yet when it was leased, since its last success. */
export function isFresh({ laneTries, configErrorSeq }: LaneWork): boolean {
  return laneTries === 0 && configErrorSeq === null;
}

/** A delivery's public id: the same on every try, different from any other's at any sink. */
export function deliveryId(changeId: string, sink: number): string {
  return `${changeId}_${sink}`;
}

/** The change and the sink of a delivery's id; `null` if it is none. */
export function parseDeliveryId(id: string): { changeId: string; sink: number } | null {
  const match = /^([0-9a-f-]{36})_(\d{1,9})$/.exec(id);
  return match ? { changeId: match[1]!, sink: Number(match[2]) } : null;
}

/** A change as it was recorded, whether it has just been or is read again. */
export interface StoredChange {
  id: string;
  type: ChangeType;
  /** The vendor's EventTime in milliseconds. */
  eventTime: number;
  sdkAppId: string;
  channelId: string;
  revision: number | null;
  exists: boolean;
  source: Source;
  operator: string | null;
  origin: Origin;
  changes: FieldChange[];
  profile: Profile;
}

/** What sinks are told of a change. @throws RangeError for a time that no calendar has */
export function changeEvent({ id, type, eventTime, sdkAppId, channelId, ...rest }: StoredChange): ChangeEvent {
  const { revision, exists, operator, source, changes, profile } = rest;
  const data = { changeId: id, sdkAppId, channelId, revision, exists, operator, source, changes, profile };
  return { type, timestamp: readTime(eventTime), data };
}

/** How a channel is after its latest revision. */
export type LatestState = Pick<StoredChange, 'revision' | 'exists' | 'profile'>;

/** What a state sink is told of a change: the channel as it is now, as the difference to the profile that the sink has. */
export function stateEvent(change: StoredChange, latest: LatestState, sent: Profile): ChangeEvent {
  const { revision, exists, profile } = latest;
  return changeEvent({ ...change, revision, exists, profile, changes: diff(sent, profile) });
}

/** What is read of each table. */
const columns = {
  lane: ['channel', 'config_error_seq', 'sent_profile', 'lost'],
  delivery: ['change_id', 'position', 'tries', 'failing_since', 'stopped_ms', 'doubt', 'moved', 'state', 'message_ref'],
  change: [
    ...(['revision', 'type', 'source', 'operator', 'client_ip', 'platform', 'owner', 'event_time', 'estimated', 'tie'] as const),
    ...(['received_at', 'exist', 'changes', 'profile', 'stale'] as const),
  ],
  channel: ['sdk_app_id', 'channel_id', 'version', 'updated_at'],
} as const satisfies { [Table in keyof Tables]?: readonly (keyof Tables[Table])[] };
type Read<Table extends keyof typeof columns> = {
  [Column in (typeof columns)[Table][number] & keyof Tables[Table]]: SelectType<Tables[Table][Column]>;
};
/** A leased lane's next delivery, with its change and channel. */
export type DeliveryRow = Read<'lane'> &
  Read<'delivery'> &
  Read<'change'> &
  Read<'channel'> & { lane_tries: number; latest_revision: number };
/** The same, in a query. */
export const selected = sql.raw(
  Object.entries(columns)
    .flatMap(([table, names]) => names.map(name => `${table}.${name}`))
    .join(', '),
);

/** @throws if the row is damaged */
export function storedChange(row: DeliveryRow): StoredChange {
  const profile = readProfile(row.profile);
  return {
    id: row.change_id,
    type: row.type as ChangeType,
    eventTime: row.event_time,
    sdkAppId: row.sdk_app_id,
    channelId: row.channel_id,
    revision: row.revision,
    exists: row.exist === 1,
    source: row.source as Source,
    operator: row.operator,
    origin: originOf(row),
    changes: readChanges(row.changes, profile),
    profile,
  };
}
