import { type RawBuilder, sql } from 'kysely';
import type { ChangeType } from '../channel/change.js';
import { diff, unknownProfile } from '../channel/profile.js';
import { readChanges, readFields, readProfile, readTime } from '../channel/stored.js';
import type { ChangeEvent, Delivery } from '../sinks/sink.js';
import type { Report } from '../sinks/report-sink.js';
import type { Session } from './session.js';
import { channelsOf } from '../database/locks.js';
import type { RegisteredSink } from './session.js';
import { type Known, knownOf, holdMsOf, waits } from '../reports/refresh-queue.js';
import { type Row, bytesEach, select } from './work-rows.js';

/** The delivery that a lane is to attempt. */
export interface Head {
  changeId: string;
  position: number;
  tries: number;
  failingSince: number | null;
  stoppedMs: number | null;
  /** 0, or that the end of one of its attempts is unknown: 1, and one more for each answer 409 since. */
  doubt: number;
  moved: number;
  state: 'pending' | 'delivered';
  delivery: Delivery | Report;
  /** True if its row is damaged: the delivery has blanks instead, and no sink is to see it. */
  damaged: boolean;
}

/** A claimed lane. */
export interface LaneWork {
  channel: number;
  lease: string;
  laneTries: number;
  /** The number of the configuration error that was this lane's first since its last success; `null` if there was none. */
  configErrorSeq: number | null;
  /** The number of the sink's latest configuration error when this was claimed. */
  sinkConfigErrorSeq: number;
  /** True if the sink is stopped and this finds out whether it is well again. */
  probe: boolean;
  /** About what it takes in memory, in bytes. */
  bytes: number;
  head: Head;
}

export type Lease = Pick<LaneWork, 'lease' | 'sinkConfigErrorSeq' | 'probe'>;

/** Whether a lane had not failed yet when it was claimed, since it was last well. */
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

/** The delivery that is attempted next in a lane. */
function headOf({ mode, report }: RegisteredSink, now: number): RawBuilder<string | null> {
  const open = sql`from delivery d where d.sink = lane.sink and d.channel = lane.channel and d.open = 1`;
  if (mode === 'log') return sql`select d.change_id ${open} order by d.position limit 1`;
  if (mode === 'state')
    return sql`select d.change_id ${open} and d.position >= coalesce(lane.superseded_before, 0) order by d.position desc limit 1`;
  // A change that was never shown goes before one that is to be shown again, once it has its results or its patience ends.
  return sql`select coalesce(
      (select first.id from (select d.change_id as id, d.enqueued_at ${open} and d.state = 'pending' order by d.position limit 1) first
       where first.enqueued_at <= ${now - holdMsOf(report)} or not ${waits(sql.ref('first.id'))}),
      (select d.change_id ${open} and d.state = 'delivered' order by d.position limit 1))`;
}

/** A claimed lane with nothing to attempt now, and when there will be something; `null` if nothing is open. */
export interface IdleLane {
  channel: number;
  dueAt: number | null;
}

/** Loads what claimed lanes are to attempt; what would be more than `bytes` is due again at once. */
export async function loadWork(
  session: Session,
  channels: number[],
  lease: Lease,
  bytes: number,
): Promise<{ work: LaneWork[]; idle: IdleLane[]; tooLarge: boolean }> {
  const { sink, now } = session;
  const which = sql`delivery.change_id = (${headOf(sink, now)})`;
  const { rows, tooLarge } = await select(session, { channels, which, count: channels.length, bytes });
  const busy = new Set(channelsOf(rows));
  const without = channels.filter(channel => !busy.has(channel) && !tooLarge.has(channel));
  const idle = await idleLanes(session, without);
  for (const channel of tooLarge) idle.push({ channel, dueAt: now });
  return { work: await workOf(session, rows, lease), idle, tooLarge: tooLarge.size > 0 };
}

/** Loads these changes of claimed lanes, for one message. */
export async function loadDigest(
  session: Session,
  channels: number[],
  changeIds: readonly string[],
  lease: Lease,
  bytes: number,
): Promise<LaneWork[]> {
  if (changeIds.length === 0) return [];
  const which = sql`delivery.state = 'pending' and ${session.database.isAmong('delivery.change_id', changeIds)}`;
  const { rows } = await select(session, { channels, which, count: changeIds.length, bytes });
  const inOrder = rows.toSorted((one, other) => (one.change_id < other.change_id ? -1 : 1));
  return workOf(session, inOrder, lease);
}

/** Lanes of report sinks may have changes that still wait for their results. */
async function idleLanes({ database, trx, sink }: Session, channels: number[]): Promise<IdleLane[]> {
  if (channels.length === 0) return [];
  const waiting =
    sink.mode === 'report'
      ? await trx
          .selectFrom('delivery')
          .select(eb => ['delivery.channel', eb.fn.min('delivery.enqueued_at').as('since')])
          .where('delivery.sink', '=', sink.id)
          .where(database.isAmong('delivery.channel', channels))
          .where('delivery.open', '=', sql.lit(1))
          .groupBy('delivery.channel')
          .execute()
      : [];
  const since = new Map(waiting.map(row => [row.channel, row.since]));
  return channels.map(channel => {
    const at = since.get(channel);
    return { channel, dueAt: at === undefined ? null : at + holdMsOf(sink.report) };
  });
}

async function workOf(session: Session, rows: readonly Row[], lease: Lease): Promise<LaneWork[]> {
  const { sink } = session;
  const newest = sink.mode === 'state' ? await newestChanges(session, rows) : new Map<string, Newest>();
  const changeIds = rows.map(row => row.change_id);
  const known = sink.mode === 'report' ? await knownOf(session, changeIds) : null;
  const laneWork = (row: Row, damaged: boolean): LaneWork => {
    const event =
      sink.mode === 'state' ? stateEvent(row, damaged ? undefined : newest.get(`${row.channel} ${row.newest_revision}`)) : eventOf(row);
    const delivery: Delivery = {
      id: deliveryId(row.change_id, sink.id),
      event,
      version: row.version,
      updatedAt: readTime(row.updated_at ?? row.event_time),
    };
    return {
      ...lease,
      channel: row.channel,
      laneTries: row.lane_tries,
      configErrorSeq: row.config_error_seq,
      bytes: bytesEach + row.changes.length + row.profile.length + (row.sent_profile?.length ?? 0),
      head: {
        changeId: row.change_id,
        position: row.position,
        tries: row.tries,
        failingSince: row.failing_since,
        stoppedMs: row.stopped_ms,
        doubt: row.doubt || Number(row.lost > 0),
        moved: row.moved,
        state: row.state as Head['state'],
        delivery: known ? reportOf(row, delivery, known) : delivery,
        damaged,
      },
    };
  };
  return rows.map(row => {
    try {
      return laneWork(row, false);
    } catch {
      return laneWork({ ...row, ...blanks }, true);
    }
  });
}

/** Stands in for what cannot be shown. */
const blanks = {
  event_time: 0,
  received_at: 0,
  updated_at: null,
  changes: '[]',
  profile: JSON.stringify(unknownProfile),
  stale: '[]',
  sent_profile: null,
} satisfies Partial<Row>;

function eventOf(row: Row): ChangeEvent {
  const profile = readProfile(row.profile);
  return {
    type: row.type as ChangeType,
    timestamp: readTime(row.event_time),
    data: {
      changeId: row.change_id,
      sdkAppId: row.sdk_app_id,
      channelId: row.channel_id,
      revision: row.revision,
      exists: row.exist === 1,
      operator: row.operator,
      changes: readChanges(row.changes, profile),
      profile,
    },
  };
}

type Newest = Pick<Row, 'exist' | 'profile'>;

/**
 * The newest revision of each channel, where it is not the owed change itself: filters may have left it out. Asked for by the number that was read
 * with the version that goes out with it: a newer one may have been committed since.
 */
async function newestChanges({ database, trx }: Session, rows: readonly Row[]): Promise<Map<string, Newest>> {
  const behind = rows.filter(row => row.revision !== row.newest_revision);
  if (behind.length === 0) return new Map();
  const revisions = behind.map(row => row.newest_revision);
  const found = await trx
    .selectFrom('change')
    .select(['channel', 'revision', 'exist', 'profile'])
    .where(database.isAmong('channel', channelsOf(behind)))
    .where(database.isAmong('revision', revisions))
    .execute();
  return new Map(found.map(row => [`${row.channel} ${row.revision}`, row]));
}

/** The channel as it is now, told as the difference to what the sink has. */
function stateEvent(row: Row, newest: Newest | undefined): ChangeEvent {
  const event = eventOf(row);
  if (newest) {
    const profile = readProfile(newest.profile);
    Object.assign(event.data, { revision: row.newest_revision, exists: newest.exist === 1, profile });
  }
  const sent = row.sent_profile === null ? unknownProfile : readProfile(row.sent_profile);
  event.data.changes = diff(sent, event.data.profile);
  return event;
}

function reportOf(row: Row, delivery: Delivery, { results, auditActions }: Known): Report {
  readTime(row.received_at);
  return {
    ...delivery,
    receivedAt: row.received_at,
    eventTimeEstimated: row.estimated === 1,
    tie: row.tie === 1,
    stale: readFields(row.stale),
    results: results.get(row.change_id) ?? [],
    auditActions: auditActions.get(row.change_id) ?? [],
    possiblyPostedSince: row.failing_since ?? (row.lost > 0 ? row.received_at : null),
    messageRef: row.message_ref,
  };
}
