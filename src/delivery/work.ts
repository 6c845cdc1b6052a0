import { sql } from 'kysely';
import type { ChangeType } from '../channel/change.js';
import { type Source, originOf } from '../channel/origin.js';
import { type Profile, diff, unknownProfile } from '../channel/profile.js';
import { readChanges, readFields, readProfile, readTime } from '../channel/stored.js';
import type { Row, Tables } from '../database/tables.js';
import type { Report } from '../sinks/report-sink.js';
import type { ChangeEvent, Delivery } from '../sinks/sink.js';

export interface Lease {
  lease: string;
  /** The sequence number of the sink's latest configuration error at the time of the lease. */
  sinkConfigErrorSeq: number;
  /** True if the sink is stopped and this attempt checks whether it has recovered. */
  probe: boolean;
}

type DeliveryColumns = 'change_id' | 'position' | 'tries' | 'failing_since' | 'stopped_ms' | 'doubt' | 'moved';

/** A leased lane with the delivery to attempt next, as column values. */
export interface LaneWork extends Lease, Pick<Row<'lane'>, 'channel' | 'config_error_seq'>, Pick<Row<'delivery'>, DeliveryColumns> {
  /** Consecutive failures of the lane. */
  lane_tries: number;
  state: 'pending' | 'delivered';
  delivery: Delivery | Report;
  /** Approximate memory use in bytes. */
  bytes: number;
  /** True if its row is damaged: the delivery then has placeholder values and must not be sent. */
  damaged: boolean;
}

/** Memory use of a delivery besides its texts, in bytes. */
export const overheadBytes = 1000;

/** Whether the lane had no failure since its last success when it was leased. */
export function isFresh(work: LaneWork): boolean {
  return work.lane_tries === 0 && work.config_error_seq === null;
}

/** The public id of a delivery, the same for all its attempts and unique across sinks. */
export function deliveryId(changeId: string, sink: number): string {
  return `${changeId}_${sink}`;
}

/** Splits a delivery id into change and sink; `null` if it is malformed. */
export function parseDeliveryId(id: string): { changeId: string; sink: number } | null {
  const match = /^([0-9a-f-]{36})_(\d{1,9})$/.exec(id);
  return match ? { changeId: match[1]!, sink: Number(match[2]) } : null;
}

/** The state of a channel after its latest revision. */
export type LatestState = Pick<ChangeEvent['data'], 'revision' | 'exists' | 'profile'>;

/** The event for a state sink: the current state of the channel, and the difference to the profile last sent. */
export function stateEvent({ data, ...event }: ChangeEvent, { revision, exists, profile }: LatestState, sent: Profile): ChangeEvent {
  return { ...event, data: { ...data, revision, exists, profile, changes: diff(sent, profile) } };
}

const columns = {
  lane: ['channel', 'config_error_seq', 'sent_profile', 'lost'],
  delivery: ['change_id', 'position', 'tries', 'failing_since', 'stopped_ms', 'doubt', 'moved', 'state', 'message_ref'],
  change: [
    ...(['revision', 'type', 'source', 'operator', 'client_ip', 'platform', 'owner', 'event_time', 'estimated', 'tie'] as const),
    ...(['received_at', 'exist', 'changes', 'profile', 'stale'] as const),
  ],
  channel: ['sdk_app_id', 'channel_id', 'version', 'updated_at'],
} as const satisfies { [Table in keyof Tables]?: readonly (keyof Tables[Table])[] };
export const changeColumns = columns.change.map(column => `change.${column}` as const);
type Read<Table extends keyof typeof columns> = Pick<Row<Table>, (typeof columns)[Table][number] & keyof Row<Table>>;
/** A leased lane's next delivery, with its change and channel. */
export type DeliveryRow = Read<'lane'> &
  Read<'delivery'> &
  Read<'change'> &
  Read<'channel'> & { lane_tries: number; latest_revision: number };
export const selected = sql.raw(
  Object.entries(columns)
    .flatMap(([table, names]) => names.map(name => `${table}.${name}`))
    .join(', '),
);

/** Placeholder values for damaged columns. */
export const blanks = {
  event_time: 0,
  received_at: 0,
  updated_at: null,
  changes: '[]',
  profile: JSON.stringify(unknownProfile),
  stale: '[]',
  sent_profile: null,
} satisfies Partial<DeliveryRow>;

/** The event of a stored change. @throws if its row is damaged */
export function storedEvent(row: Omit<Read<'change'>, 'estimated' | 'tie' | 'received_at' | 'stale'> & ChangeKeys): ChangeEvent {
  const profile = readProfile(row.profile);
  const data = {
    changeId: row.change_id,
    sdkAppId: row.sdk_app_id,
    channelId: row.channel_id,
    revision: row.revision,
    exists: row.exist === 1,
    operator: row.operator,
    source: row.source as Source,
    changes: readChanges(row.changes, profile),
    profile,
  };
  return { type: row.type as ChangeType, timestamp: readTime(row.event_time), data };
}

/** The event of a stored change, with its arrival time and merge result. @throws if its row is damaged */
export function storedChange(row: Read<'change'> & ChangeKeys) {
  readTime(row.received_at);
  return {
    event: storedEvent(row),
    receivedAt: row.received_at,
    eventTimeEstimated: row.estimated === 1,
    tie: row.tie === 1,
    stale: readFields(row.stale),
  };
}

type ChangeKeys = Pick<DeliveryRow, 'change_id' | 'sdk_app_id' | 'channel_id'>;

/** Builds a delivery from its row and the mode's own part. */
export function deliveryOf<Shown extends { event: ChangeEvent }>(
  row: Pick<DeliveryRow, 'change_id' | 'client_ip' | 'platform' | 'owner' | 'version' | 'updated_at' | 'event_time'>,
  sink: number,
  shown: Shown,
): Shown & Omit<Delivery, 'event'> {
  const updatedAt = readTime(row.updated_at ?? row.event_time);
  return { id: deliveryId(row.change_id, sink), ...shown, origin: originOf(row), version: row.version, updatedAt };
}

export const newDelivery = { tries: 0, failing_since: null, stopped_ms: null, doubt: 0, lost: 0, moved: 0, state: 'pending' };

/** @param bytes the size of the texts */
export function laneWork(
  lease: Lease,
  row: Pick<DeliveryRow, keyof typeof newDelivery | 'channel' | 'lane_tries' | 'config_error_seq' | 'change_id' | 'position'>,
  delivery: Delivery | Report,
  bytes: number,
  damaged = false,
): LaneWork {
  const { channel, lane_tries, config_error_seq, change_id, position, tries, failing_since, stopped_ms, lost, moved } = row;
  const lane = { ...lease, channel, lane_tries, config_error_seq, change_id, position };
  const progress = { tries, failing_since, stopped_ms, doubt: row.doubt || Number(lost > 0), moved, state: row.state as LaneWork['state'] };
  return { ...lane, ...progress, delivery, bytes: overheadBytes + bytes, damaged };
}
