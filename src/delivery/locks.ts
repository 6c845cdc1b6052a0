import { type RawBuilder, type Transaction, sql } from 'kysely';
import type { Database } from '../database/database.js';
import type { Tables } from '../database/tables.js';

/** Locks lanes of a sink in the order in which everybody does; with `waitingAt` also those that wait for a later try. */
export async function lockLanes(
  database: Database,
  trx: Transaction<Tables>,
  sink: number,
  channels: number[],
  waitingAt: number | null = null,
): Promise<{ channel: number; lease: string | null }[]> {
  const waiting = waitingAt === null ? sql`` : sql`or (due_at > ${waitingAt} and lease is null)`;
  const { rows } = await sql<{ channel: number; lease: string | null }>`
      select channel, lease from lane where sink = ${sink} and (channel in (${sql.join(channels)}) ${waiting})
      order by channel ${database.embedded ? sql`` : sql`for update`}`.execute(trx);
  return rows;
}

/** Locks what is selected, and leaves out what somebody else has locked. */
export function skipLocked(database: Database): RawBuilder<unknown> {
  return database.embedded ? sql`` : sql`for update skip locked`;
}

/** As an array, PostgreSQL looks each up by its key; joined, it went through all lanes for each where its statistics were older than a backlog. */
export function isOneOf(database: Database, column: 'channel' | 'id', chosen: RawBuilder<unknown>): RawBuilder<unknown> {
  const name = sql.ref(column);
  return database.embedded ? sql`${name} in (select ${name} from ${chosen})` : sql`${name} = any(array(select ${name} from ${chosen}))`;
}
