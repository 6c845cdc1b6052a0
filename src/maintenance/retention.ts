import { sql } from 'kysely';
import { idFrom } from '../database/arrival-times.js';
import type { Database } from '../database/database.js';
import { pageRows } from '../database/limits.js';
import { isThere } from '../database/locks.js';

const pageSize = 200;

/**
 * Deletes changes that arrived before `before` (ms), with their webhook, deliveries and attempts. Keeps changes with a pending or parked
 * delivery, and each channel's latest change and latest revision.
 * @returns a function that deletes one page; false at the end, or if another process is doing it
 */
export function changesBefore(database: Database, before: number): () => Promise<boolean> {
  let after = '';
  return () =>
    database.asyncCommit(async trx => {
      if (!(await database.tryAdvisoryLock(trx, 'retention'))) return false;
      // Also compares EventTime, since a slow clock of ours may have stamped an arrival too early.
      const { rows } = await sql<{ id: string; kept: boolean | number | null }>`
        select change.id, change.position = channel.position or change.revision = channel.revision
          or ${isThere(sql`from delivery where change_id = change.id and state in ('pending', 'parked')`)} as kept
        from change join channel on channel.id = change.channel
        where change.id > ${after} and change.id < ${idFrom(before)} and change.event_time < ${before}
        order by change.id limit ${sql.lit(pageSize)}`.execute(trx);
      after = rows.at(-1)?.id ?? after;
      const old = rows.filter(({ kept }) => !kept).map(({ id }) => id);
      if (old.length === 0) return rows.length === pageSize;
      const isOld = database.isAmong('change_id', old);
      await sql`delete from delivery where ${isOld} and state not in ('pending', 'parked')`.execute(trx);
      // A concurrent replay may have made a delivery pending again: it stays, with its change.
      const still = sql`select change_id from delivery where ${isOld}`;
      await sql`delete from attempt where ${isOld} and change_id not in (${still})`.execute(trx);
      await sql`delete from change where ${database.isAmong('id', old)} and id not in (${still})`.execute(trx);
      return rows.length === pageSize;
    });
}

/** Which rows are old, by table. Channels that a comparison lists are not needed once it has ended. */
const oldRows = {
  audit: (before: number) => sql`at < ${before}`,
  alert: (before: number) => sql`resolved_at < ${before}`,
  comparison: (before: number) => sql`finished_at < ${before}`,
  comparison_channel: () => sql`comparison not in (select id from comparison where finished_at is null or resumes = 1)`,
};
type Table = keyof typeof oldRows;
export const tablesWithOldRows = Object.keys(oldRows) as Table[];

/** Deletes a page of old rows; `before` in milliseconds. @returns false at the end */
export async function deleteOld({ kysely }: Database, table: Table, before: number): Promise<boolean> {
  const old = sql`select id from ${sql.table(table)} where ${oldRows[table](before)} limit ${sql.lit(pageRows)}`;
  const { numAffectedRows } = await sql`delete from ${sql.table(table)} where id in (${old})`.execute(kysely);
  return numAffectedRows === BigInt(pageRows);
}
