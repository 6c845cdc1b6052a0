import { type RawBuilder, sql } from 'kysely';
import type { Database } from './database.js';
import type { Trx } from './tables.js';

type LockedLane = { channel: number; lease: string | null };

export function channelsOf(rows: readonly { channel: number }[]): number[] {
  return rows.map(row => row.channel);
}

/** Locks lanes of a sink, always in the same order to avoid deadlocks. */
export async function lockLanes(database: Database, trx: Trx, sink: number, lanes: readonly { channel: number }[]): Promise<LockedLane[]> {
  const { rows } = await sql<LockedLane>`
      select channel, lease from lane where sink = ${sink} and ${database.isAmong('channel', channelsOf(lanes))}
      order by channel ${database.embedded ? sql`` : sql`for update`}`.execute(trx);
  return rows;
}

/** Clause that locks the selected rows and skips those locked by others. */
export function skipLocked(database: Database): RawBuilder<unknown> {
  return database.embedded ? sql`` : sql`for update skip locked`;
}

/** Condition on a subquery. Given an array, PostgreSQL uses the index; with a join and outdated statistics it scanned all lanes per row. */
export function isOneOf(database: Database, column: 'channel' | 'id' | 'change_id', chosen: RawBuilder<unknown>): RawBuilder<unknown> {
  const name = sql.ref(column);
  return database.embedded ? sql`${name} in (select ${name} from ${chosen})` : sql`${name} = any(array(select ${name} from ${chosen}))`;
}

/** Whether such a row exists, found by index. For `exists`, PostgreSQL with outdated statistics first read all rows that could match. */
export function isThere(rows: RawBuilder<unknown>): RawBuilder<boolean> {
  return sql`((select 1 ${rows} limit 1) is not null)`;
}
