import { sql } from 'kysely';
import { findableRow, ifNewer } from '../channel/findable.js';
import { type ChannelState, existsIn, profileOf } from '../channel/merge.js';
import type { Database } from '../database/database.js';
import { pageRows } from '../database/limits.js';
import type { Row } from '../database/tables.js';

/** Channels scanned per transaction; limits how long concurrent recordings have to wait. */
const scanSize = 5000;

/** Adds channels to the search table that an earlier release recorded. @returns a function that adds one page; false at the end */
export function fillFindables(database: Database): () => Promise<boolean> {
  let after = 0;
  return () =>
    database.asyncCommit(async trx => {
      const { rows } = await sql<Row<'channel'>>`
        select channel.* from channel left join channel_findable found on found.channel = channel.id
        where channel.id > ${after} and channel.id <= ${after + scanSize} and channel.revision > coalesce(found.revision, 0)
        order by channel.id limit ${sql.lit(pageRows)}`.execute(trx);
      await database.insert(trx, 'channel_findable', rows.map(rowOf), ifNewer);
      after = rows.length < pageRows ? after + scanSize : rows.at(-1)!.id;
      const rest = trx.selectFrom('channel').select('id').where('id', '>', after).limit(1);
      return (await rest.executeTakeFirst()) !== undefined;
    });
}

/** If the state is damaged, the channel can still be found by its id. */
function rowOf(row: Row<'channel'>): ReturnType<typeof findableRow> {
  try {
    const state = JSON.parse(row.state) as ChannelState;
    return findableRow(row, existsIn(state) === true, profileOf(state).name);
  } catch {
    return findableRow(row, false, null);
  }
}
