import { type RawBuilder, sql } from 'kysely';
import { fitting } from '../../database/limits.js';
import type { Session } from './mode.js';
import { type DeliveryRow, type LaneWork, type Lease, blanks, deliveryOf, laneWork, overheadBytes, selected } from '../work.js';

/** Up to this many deliveries are loaded without checking their sizes first. */
const uncheckedRows = 4;

/**
 * Which deliveries of leased lanes to load. Selected by primary key: when selected by lane, PostgreSQL read all open deliveries of the
 * sink if its statistics were older than the backlog.
 */
interface Chosen {
  channels: readonly number[];
  which: RawBuilder<unknown>;
  /** Maximum number of rows. */
  count: number;
  /** Maximum size of the texts; a single delivery may exceed it. */
  bytes: number;
}

/** Loads the next delivery of each leased lane. @returns `tooLarge`: the channels left out because of `bytes` */
export function loadNext(
  session: Session,
  channels: number[],
  lease: Lease,
  bytes: number,
): Promise<{ work: LaneWork[]; tooLarge: Set<number> }> {
  const which = sql`delivery.change_id = (${session.mode.next(session)})`;
  return load(session, { channels, which, count: channels.length, bytes }, lease);
}

/** Loads the deliveries of these changes in leased lanes, in order of arrival. */
export async function loadChanges(
  session: Session,
  channels: number[],
  changeIds: readonly string[],
  lease: Lease,
  bytes: number,
): Promise<LaneWork[]> {
  if (changeIds.length === 0) return [];
  const which = sql`delivery.state = 'pending' and ${session.database.isAmong('delivery.change_id', changeIds)}`;
  return (await load(session, { channels, which, count: changeIds.length, bytes }, lease)).work;
}

/** Uses raw SQL: this runs for every attempt, and building it with Kysely would cost more than the query itself. */
async function load(
  session: Session,
  { channels, which, count, bytes }: Chosen,
  lease: Lease,
): Promise<{ work: LaneWork[]; tooLarge: Set<number> }> {
  const { database, trx, sink } = session;
  const from = (deliveries: RawBuilder<unknown>, chosen: RawBuilder<unknown>): RawBuilder<unknown> => sql`
      from lane
      join ${deliveries} delivery on delivery.sink = lane.sink and delivery.channel = lane.channel and ${chosen}
      join change on change.id = delivery.change_id
      join channel on channel.id = lane.channel
      where lane.sink = ${sink.id} and ${database.isAmong('lane.channel', channels)} order by change.id`;
  const tooLarge = new Set<number>();
  let [before, loaded] = [sql``, from(sql`delivery`, which)];
  if (count > uncheckedRows) {
    const { rows: sizes } = await sql<{ id: string; channel: number; bytes: number }>`
        select change.id, lane.channel,
          octet_length(change.changes) + octet_length(change.profile) + coalesce(octet_length(lane.sent_profile), 0) as bytes
        ${loaded}`.execute(trx);
    const rowBytes = sizes.map(row => overheadBytes + row.bytes);
    const fits = fitting(rowBytes, bytes);
    for (const { channel } of sizes.slice(fits)) tooLarge.add(channel);
    const ids = sizes.slice(0, fits).map(({ id }) => id);
    // Loaded before the join, in which PostgreSQL looked for each of them in each lane.
    before = sql`with chosen as materialized (select * from delivery where sink = ${sink.id} and ${database.isAmong('change_id', ids)})`;
    loaded = from(sql`chosen`, sql`true`);
  }
  const { rows } = await sql<DeliveryRow>`
      ${before} select ${selected}, lane.tries as lane_tries, channel.revision as latest_revision ${loaded}`.execute(trx);
  return { work: await workOf(session, rows, lease), tooLarge };
}

async function workOf(session: Session, rows: readonly DeliveryRow[], lease: Lease): Promise<LaneWork[]> {
  const show = await session.mode.show(session, rows);
  const work = (row: DeliveryRow, damaged: boolean): LaneWork => {
    const bytes = row.changes.length + row.profile.length + (row.sent_profile?.length ?? 0);
    return laneWork(lease, row, deliveryOf(row, session.sink.id, show(row)), bytes, damaged);
  };
  return rows.map(row => {
    try {
      return work(row, false);
    } catch {
      return work({ ...row, ...blanks, latest_revision: row.revision ?? 0 }, true);
    }
  });
}
