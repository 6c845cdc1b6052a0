import { type SelectType, type Transaction, sql } from 'kysely';
import type { ChangeType } from '../channel/change.js';
import { type FieldName, type Profile, diff, unknownProfile } from '../channel/profile.js';
import type { Tables } from '../database/tables.js';
import type { ChangeEvent, Delivery, Mode, Report, SinkResult } from '../sinks/sink.js';

/** The delivery that a lane is to attempt. */
export interface Head {
  changeId: string;
  position: number;
  tries: number;
  failingSince: number | null;
  stoppedMs: number | null;
  moved: number;
  state: 'pending' | 'delivered';
  delivery: Delivery | Report;
}

/** A claimed lane. */
export interface LaneWork {
  channel: number;
  lease: string;
  laneTries: number;
  /** Which of the sink's complaints was the first to this lane since its last success. */
  complaint: number | null;
  /** How many complaints of the sink were known when this was claimed. */
  complaints: number;
  /** True if the sink is stopped and this finds out whether it is well again. */
  probe: boolean;
  head: Head;
}

/** Whether a lane had not failed yet when it was claimed, since it was last well. */
export function isFresh({ laneTries, complaint }: LaneWork): boolean {
  return laneTries === 0 && complaint === null;
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

/** Which of a lane's open deliveries goes first. */
const headFirst: Record<Mode, ReturnType<typeof sql>> = {
  log: sql`d.position`,
  state: sql`d.position desc`,
  // A change that was never shown goes before one that is to be shown again.
  report: sql`(d.state = 'pending') desc, d.position`,
};

/** What is read of each table. */
const columns = {
  lane: ['channel', 'complaint', 'sent_profile'],
  delivery: ['change_id', 'position', 'tries', 'failing_since', 'stopped_ms', 'moved', 'state', 'receipt'],
  change: ['revision', 'type', 'operator', 'event_time', 'estimated', 'tie', 'received_at', 'exist', 'changes', 'profile', 'stale'],
  channel: ['sdk_app_id', 'channel_id', 'version', 'updated_at'],
} as const satisfies { [Table in keyof Tables]?: readonly (keyof Tables[Table])[] };
type Read<Table extends keyof typeof columns> = {
  [Column in (typeof columns)[Table][number] & keyof Tables[Table]]: SelectType<Tables[Table][Column]>;
};
type Row = Read<'lane'> & Read<'delivery'> & Read<'change'> & Read<'channel'> & { lane_tries: number; newest_revision: number };
const selected = sql.raw(
  Object.entries(columns)
    .flatMap(([table, names]) => names.map(name => `${table}.${name}`))
    .join(', '),
);

/**
 * As text: what every attempt needs is asked for so often that building the query would cost more than its answer. The head is joined by its primary
 * key: by its lane, PostgreSQL read all that the sink has open where its statistics were older than a backlog.
 */
async function selectHeads(trx: Transaction<Tables>, sink: { id: number; mode: Mode }, channels: number[]): Promise<Row[]> {
  const { rows } = await sql<Row>`
      select ${selected}, lane.tries as lane_tries, channel.revision as newest_revision
      from lane
      join delivery on delivery.sink = lane.sink and delivery.change_id =
        (select d.change_id from delivery d where d.sink = lane.sink and d.channel = lane.channel and d.open = 1 order by ${headFirst[sink.mode]} limit 1)
      join change on change.id = delivery.change_id
      join channel on channel.id = lane.channel
      where lane.sink = ${sink.id} and lane.channel in (${sql.join(channels)})`.execute(trx);
  return rows;
}

/** Loads what claimed lanes are to attempt; `idle` are those that have nothing open. */
export async function loadWork(
  trx: Transaction<Tables>,
  sink: { id: number; mode: Mode },
  channels: number[],
  claimed: Pick<LaneWork, 'lease' | 'complaints' | 'probe'>,
): Promise<{ work: LaneWork[]; idle: number[] }> {
  const rows = await selectHeads(trx, sink, channels);
  const newest = sink.mode === 'state' ? await newestChanges(trx, rows) : new Map<string, Newest>();
  const results =
    sink.mode === 'report'
      ? await resultsOf(
          trx,
          rows.map(row => row.change_id),
        )
      : new Map<string, SinkResult[]>();
  const work = rows.map((row): LaneWork => {
    const event = sink.mode === 'state' ? stateEvent(row, newest.get(`${row.channel} ${row.newest_revision}`)) : eventOf(row);
    const delivery: Delivery = {
      id: deliveryId(row.change_id, sink.id),
      event,
      version: row.version,
      updatedAt: new Date(row.updated_at ?? row.event_time).toISOString(),
    };
    return {
      ...claimed,
      channel: row.channel,
      laneTries: row.lane_tries,
      complaint: row.complaint,
      head: {
        changeId: row.change_id,
        position: row.position,
        tries: row.tries,
        failingSince: row.failing_since,
        stoppedMs: row.stopped_ms,
        moved: row.moved,
        state: row.state as Head['state'],
        delivery: sink.mode === 'report' ? reportOf(row, delivery, results.get(row.change_id) ?? []) : delivery,
      },
    };
  });
  const busy = new Set(rows.map(row => row.channel));
  return { work, idle: channels.filter(channel => !busy.has(channel)) };
}

function eventOf(row: Row): ChangeEvent {
  return {
    type: row.type as ChangeType,
    timestamp: new Date(row.event_time).toISOString(),
    data: {
      changeId: row.change_id,
      sdkAppId: row.sdk_app_id,
      channelId: row.channel_id,
      revision: row.revision,
      exists: row.exist === 1,
      operator: row.operator,
      changes: JSON.parse(row.changes) as ChangeEvent['data']['changes'],
      profile: JSON.parse(row.profile) as Profile,
    },
  };
}

interface Newest {
  exist: number;
  profile: string;
}

/** The newest revision of each channel, where it is not the owed change itself: filters may have left it out. */
async function newestChanges(trx: Transaction<Tables>, rows: readonly Row[]): Promise<Map<string, Newest>> {
  const behind = rows.filter(row => row.revision !== row.newest_revision);
  if (behind.length === 0) return new Map();
  const found = await trx
    .selectFrom('change')
    .innerJoin('channel', join => join.onRef('channel.id', '=', 'change.channel').onRef('channel.revision', '=', 'change.revision'))
    .select(['change.channel', 'change.revision', 'change.exist', 'change.profile'])
    .where(
      'change.channel',
      'in',
      behind.map(row => row.channel),
    )
    .execute();
  return new Map(found.map(row => [`${row.channel} ${row.revision}`, row]));
}

/** The channel as it is now, told as the difference to what the sink has. */
function stateEvent(row: Row, newest: Newest | undefined): ChangeEvent {
  const event = eventOf(row);
  if (newest)
    Object.assign(event.data, {
      revision: row.newest_revision,
      exists: newest.exist === 1,
      profile: JSON.parse(newest.profile) as Profile,
    });
  const sent = row.sent_profile === null ? unknownProfile : (JSON.parse(row.sent_profile) as Profile);
  event.data.changes = diff(sent, event.data.profile);
  return event;
}

function reportOf(row: Row, delivery: Delivery, results: SinkResult[]): Report {
  return {
    ...delivery,
    receivedAt: row.received_at,
    eventTimeEstimated: row.estimated === 1,
    tie: row.tie === 1,
    stale: JSON.parse(row.stale) as FieldName[],
    results,
    receipt: row.receipt,
  };
}

async function resultsOf(trx: Transaction<Tables>, changeIds: readonly string[]): Promise<Map<string, SinkResult[]>> {
  if (changeIds.length === 0) return new Map();
  const rows = await trx
    .selectFrom('delivery')
    .innerJoin('sink', 'sink.id', 'delivery.sink')
    .select(['change_id', 'sink.name', 'sink.type', 'delivery.state', 'delivery.tries', 'delivery.reason', 'delivery.duration_ms'])
    .where('change_id', 'in', changeIds)
    .where('sink.mode', '<>', 'report')
    .orderBy('sink.name')
    .execute();
  const results = new Map<string, SinkResult[]>();
  for (const { change_id, name, type, state, tries, reason, duration_ms } of rows) {
    const shown = (state === 'pending' && tries > 0 ? 'retrying' : state) as SinkResult['state'];
    results.set(change_id, [...(results.get(change_id) ?? []), { sink: name, type, state: shown, reason, durationMs: duration_ms }]);
  }
  return results;
}
