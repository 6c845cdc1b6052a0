import { type Kysely, sql } from 'kysely';
import type { Database } from '../database/database.js';
import { pageRows } from '../database/limits.js';
import type { Tables, Trx } from '../database/tables.js';

/** How many changes are looked at in one transaction. */
const pageSize = 200;

/**
 * Deletes a page of what arrived before `before` (ms): changes with their webhook, deliveries and attempts. What is pending or parked anywhere stays as a
 * whole, and so do each channel's newest change and newest revision.
 * @param after where the page before ended
 * @returns where this one ended; `null` at the end, or if another process is at it
 */
export async function deletePage(database: Database, before: number, after: string): Promise<string | null> {
  return database.asyncCommit(async trx => {
    if (!(await database.tryAdvisoryLock(trx, 'retention'))) return null;
    const page = await trx
      .selectFrom('change')
      .innerJoin('channel', 'channel.id', 'change.channel')
      .select(eb => [
        'change.id',
        eb
          .or([eb('change.position', '=', eb.ref('channel.position')), eb('change.revision', '=', eb.ref('channel.revision'))])
          .as('newest'),
      ])
      .where('change.id', '>', after)
      .where('change.id', '<', idFrom(before))
      // An arrival that our clock told too early is no reason.
      .where('change.event_time', '<', before)
      .orderBy('change.id')
      .limit(pageSize)
      .execute();
    const old = page.filter(({ newest }) => !newest).map(({ id }) => id);
    if (old.length > 0) await deleteChanges(database, trx, old);
    return page.length < pageSize ? null : page.at(-1)!.id;
  });
}

/** How many of the last changes are asked for the time. */
const lastChanges = 100;

/**
 * The newest arrival that is kept: of the last changes those that arrived within a day of their EventTime, which the vendor's clock confirms. `null` if
 * there is nothing.
 * @param otherwise what counts where there are none: the arrivals as our clock told them, the EventTimes, which no clock of ours can be ahead of, or nothing
 * @param until what arrived later, by a clock that was ahead, does not count
 */
export async function newestArrival(
  kysely: Kysely<Tables>,
  otherwise: 'received_at' | 'event_time' | null,
  until = Number.MAX_SAFE_INTEGER,
): Promise<number | null> {
  const { rows } = await sql<{ confirmed: number | null; newest: number | null }>`
      select max(case when estimated = 0 and abs(received_at - event_time) <= 86400000 then received_at end) as confirmed, max(${otherwise ? sql.ref(otherwise) : sql.lit(null)}) as newest
      from (select received_at, event_time, estimated from change order by id desc limit ${sql.lit(lastChanges)}) last
      where received_at <= ${until}`.execute(kysely);
  return rows[0]!.confirmed ?? rows[0]!.newest;
}

async function deleteChanges(database: Database, trx: Trx, ids: string[]): Promise<void> {
  const owed = await trx
    .selectFrom('delivery')
    .select('change_id')
    .where(database.isAmong('change_id', ids))
    .where('state', 'in', ['pending', 'parked'])
    .execute();
  const kept = new Set(owed.map(row => row.change_id));
  const over = ids.filter(id => !kept.has(id));
  if (over.length === 0) return;
  // A replay may have been faster just now: what it made pending stays, with its change.
  await trx.deleteFrom('delivery').where(database.isAmong('change_id', over)).where('state', 'not in', ['pending', 'parked']).execute();
  const still = trx.selectFrom('delivery').select('change_id').where(database.isAmong('change_id', over));
  await trx.deleteFrom('attempt').where(database.isAmong('change_id', over)).where('change_id', 'not in', still).execute();
  await trx.deleteFrom('change').where(database.isAmong('id', over)).where('id', 'not in', still).execute();
}

/**
 * Deletes a page of what people did, and of the notices that were over, before `before` (ms).
 * @returns false once there are no more
 */
export async function deleteRecords({ kysely }: Database, before: number): Promise<boolean> {
  const audit = kysely.selectFrom('audit').select('id').where('at', '<', before).limit(pageRows);
  const notices = kysely.selectFrom('alert').select('id').where('resolved_at', '<', before).limit(pageRows);
  const { numDeletedRows: auditActions } = await kysely.deleteFrom('audit').where('id', 'in', audit).executeTakeFirst();
  const { numDeletedRows: over } = await kysely.deleteFrom('alert').where('id', 'in', notices).executeTakeFirst();
  return auditActions === BigInt(pageRows) || over === BigInt(pageRows);
}

/** The least id of what arrived at this time: ids are UUIDs of version 7, which begin with their time. */
export function idFrom(ms: number): string {
  const hex = Math.max(0, ms).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
