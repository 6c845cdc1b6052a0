import { type RawBuilder, sql } from 'kysely';
import type { Database } from './database.js';
import type { Trx } from './tables.js';

type LockedLane = { channel: number; lease: string | null };

/** The channels of whatever has one. */
export function channelsOf(rows: readonly { channel: number }[]): number[] {
  return rows.map(row => row.channel);
}

/** Locks lanes of a sink in the order in which everybody does. */
export async function lockLanes(database: Database, trx: Trx, sink: number, lanes: readonly { channel: number }[]): Promise<LockedLane[]> {
  const { rows } = await sql<LockedLane>`
      select channel, lease from lane where sink = ${sink} and ${database.isAmong('channel', channelsOf(lanes))}
      order by channel ${database.embedded ? sql`` : sql`for update`}`.execute(trx);
  return rows;
}

/** Locks what is selected, and leaves out what somebody else has locked. */
export function skipLocked(database: Database): RawBuilder<unknown> {
  return database.embedded ? sql`` : sql`for update skip locked`;
}

/** As an array, PostgreSQL looks each up by its key; joined, it went through all lanes for each where its statistics were older than a backlog. */
export function isOneOf(database: Database, column: 'channel' | 'id' | 'change_id', chosen: RawBuilder<unknown>): RawBuilder<unknown> {
  const name = sql.ref(column);
  return database.embedded ? sql`${name} in (select ${name} from ${chosen})` : sql`${name} = any(array(select ${name} from ${chosen}))`;
}
