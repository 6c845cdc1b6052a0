import { type RawBuilder, sql } from 'kysely';
import { fitting } from '../../database/limits.js';
import type { Session } from './mode.js';
import { type DeliveryRow, type LaneWork, type Lease, blanks, deliveryOf, laneWork, overheadBytes, selected } from '../work.js';

/** Up to this many deliveries are loaded without checking their sizes first. */
const uncheckedRows = 4;

/**
 * Loads deliveries of leased lanes, in order of arrival: those of `changeIds`, or the next one of each lane. In raw SQL: this runs for
 * every attempt, and building it with Kysely would cost more than the query itself.
 * @param bytes maximum size of the texts; a single delivery may exceed it
 * @returns `tooLarge`: the channels left out because of `bytes`
 */
export async function loadDeliveries(
  session: Session,
  lease: Lease,
  channels: number[],
  bytes: number,
  changeIds?: readonly string[],
): Promise<{ work: LaneWork[]; tooLarge: Set<number> }> {
  const { database, trx, sink, mode } = session;
  // By primary key: when selected by lane, PostgreSQL read all open deliveries of the sink if its statistics were older than the backlog.
  const chosen = changeIds
    ? sql`delivery.state = 'pending' and ${database.isAmong('delivery.change_id', changeIds)}`
    : sql`delivery.change_id = (${mode.next(session)})`;
  const from = (deliveries: RawBuilder<unknown>, which: RawBuilder<unknown>): RawBuilder<unknown> => sql`
      from lane
      join ${deliveries} delivery on delivery.sink = lane.sink and delivery.channel = lane.channel and ${which}
      join change on change.id = delivery.change_id
      join channel on channel.id = lane.channel
      where lane.sink = ${sink.id} and ${database.isAmong('lane.channel', channels)} order by change.id`;
  const tooLarge = new Set<number>();
  let [before, loaded] = [sql``, from(sql`delivery`, chosen)];
  if ((changeIds ?? channels).length > uncheckedRows) {
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
  const show = await mode.show(session, rows);
  const workOf = (row: DeliveryRow, damaged = false): LaneWork => {
    const size = row.changes.length + row.profile.length + (row.sent_profile?.length ?? 0);
    return laneWork(lease, row, deliveryOf(row, sink.id, show(row)), size, damaged);
  };
  const work = rows.map(row => {
    try {
      return workOf(row);
    } catch {
      return workOf({ ...row, ...blanks, latest_revision: row.revision ?? 0 }, true);
    }
  });
  return { work, tooLarge };
}
