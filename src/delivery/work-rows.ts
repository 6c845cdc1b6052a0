import { type RawBuilder, type SelectType, sql } from 'kysely';
import type { Tables } from '../database/tables.js';
import type { Session } from './session.js';

/** What is read of each table. */
const columns = {
  lane: ['channel', 'config_error_seq', 'sent_profile', 'lost'],
  delivery: ['change_id', 'position', 'tries', 'failing_since', 'stopped_ms', 'doubt', 'moved', 'state', 'message_ref'],
  change: ['revision', 'type', 'operator', 'event_time', 'estimated', 'tie', 'received_at', 'exist', 'changes', 'profile', 'stale'],
  channel: ['sdk_app_id', 'channel_id', 'version', 'updated_at'],
} as const satisfies { [Table in keyof Tables]?: readonly (keyof Tables[Table])[] };
type Read<Table extends keyof typeof columns> = {
  [Column in (typeof columns)[Table][number] & keyof Tables[Table]]: SelectType<Tables[Table][Column]>;
};
export type Row = Read<'lane'> & Read<'delivery'> & Read<'change'> & Read<'channel'> & { lane_tries: number; newest_revision: number };
const selected = sql.raw(
  Object.entries(columns)
    .flatMap(([table, names]) => names.map(name => `${table}.${name}`))
    .join(', '),
);

/** So few are loaded without a look at their sizes. */
const fewRows = 4;
/** What a delivery takes in memory beside its texts, in bytes. */
export const bytesEach = 1000;

/** Deliveries of claimed lanes, by their primary key: by their lane, PostgreSQL read all that the sink has open where its statistics were older than a backlog. */
interface Chosen {
  channels: readonly number[];
  which: RawBuilder<unknown>;
  /** How many there are at most. */
  count: number;
  /** How much of their texts is loaded; of a single one any. */
  bytes: number;
}

/**
 * As text: what every attempt needs is asked for so often that building the query would cost more than its answer.
 * @returns with the rows, the channels of those that are too much for now
 */
export async function select(
  { database, trx, sink }: Session,
  { channels, which, count, bytes }: Chosen,
): Promise<{ rows: Row[]; tooLarge: Set<number> }> {
  const from = (chosen: RawBuilder<unknown>): RawBuilder<unknown> => sql`
      from lane
      join delivery on delivery.sink = lane.sink and delivery.channel = lane.channel and ${chosen}
      join change on change.id = delivery.change_id
      join channel on channel.id = lane.channel
      where lane.sink = ${sink.id} and ${database.isAmong('lane.channel', channels)}`;
  const tooLarge = new Set<number>();
  let fitting = which;
  if (count > fewRows) {
    const { rows: sizes } = await sql<{ id: string; channel: number; bytes: number }>`
        select change.id, lane.channel,
          octet_length(change.changes) + octet_length(change.profile) + coalesce(octet_length(lane.sent_profile), 0) as bytes
        ${from(which)} order by change.id`.execute(trx);
    let left = bytes;
    const ids = sizes.flatMap((one, index) => {
      left -= bytesEach + one.bytes;
      if (left >= 0 || index === 0) return one.id;
      tooLarge.add(one.channel);
      return [];
    });
    fitting = database.isAmong('delivery.change_id', ids);
  }
  const { rows } = await sql<Row>`
      select ${selected}, lane.tries as lane_tries, channel.revision as newest_revision ${from(fitting)}`.execute(trx);
  return { rows, tooLarge };
}
