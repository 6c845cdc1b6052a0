import { type Kysely, sql } from 'kysely';
import type { Tables } from './tables.js';

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
  // A reading of the vendor's API has a time of ours, and is no webhook: after many of them the apps know when the last one came.
  const arrival = sql`coalesce(max(case when source = 'webhook' then received_at end), (select max(webhook_at) from app where webhook_at <= ${until}))`;
  const newest = otherwise === 'event_time' ? sql`max(event_time)` : otherwise === null ? sql`null` : arrival;
  const { rows } = await sql<{ confirmed: number | null; newest: number | null }>`
      select max(case when estimated = 0 and source = 'webhook' and abs(received_at - event_time) <= 86400000 then received_at end) as confirmed, ${newest} as newest
      from (select received_at, event_time, estimated, source from change order by id desc limit ${sql.lit(lastChanges)}) last
      where received_at <= ${until}`.execute(kysely);
  return rows[0]!.confirmed ?? rows[0]!.newest;
}

/**
 * The time of a record that RETENTION_DAYS hold: now, or the newest arrival that the vendor's clock confirms where ours is behind that. By a clock that is
 * years behind it would count as old, and be deleted, once the clock is right.
 */
export async function recordedAt(kysely: Kysely<Tables>, now: number): Promise<number> {
  return Math.max(now, (await newestArrival(kysely, null)) ?? 0);
}

/** When a webhook arrived, from its id, in milliseconds. */
export function arrivalOf(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** The least id of what arrived at this time: ids are UUIDs of version 7, which begin with their time. */
export function idFrom(ms: number): string {
  const hex = Math.max(0, ms).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
