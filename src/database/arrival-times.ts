import { type Kysely, sql } from 'kysely';
import type { Tables } from './tables.js';

const lastChanges = 100;

/**
 * The latest arrival among recent changes that the vendor's clock confirms, being within a day of its EventTime. `null` if there is none.
 * @param otherwise the fallback if no arrival is confirmed: unconfirmed arrivals, EventTimes (which a fast clock of ours cannot affect),
 *   or nothing
 * @param until ignores later arrivals, which were stamped by a clock that was ahead
 */
export async function latestArrival(
  kysely: Kysely<Tables>,
  otherwise: 'received_at' | 'event_time' | null,
  until = Number.MAX_SAFE_INTEGER,
): Promise<number | null> {
  // Readings of the vendor's API carry our time and are no arrivals. If they fill the latest changes, `app` still has the last webhook.
  const arrival = sql`coalesce(max(case when source = 'webhook' then received_at end), (select max(webhook_at) from app where webhook_at <= ${until}))`;
  const latest = otherwise === 'event_time' ? sql`max(event_time)` : otherwise === null ? sql`null` : arrival;
  const { rows } = await sql<{ confirmed: number | null; latest: number | null }>`
      select max(case when estimated = 0 and source = 'webhook' and abs(received_at - event_time) <= 86400000 then received_at end) as confirmed, ${latest} as latest
      from (select received_at, event_time, estimated, source from change order by id desc limit ${sql.lit(lastChanges)}) last
      where received_at <= ${until}`.execute(kysely);
  return rows[0]!.confirmed ?? rows[0]!.latest;
}

/**
 * The time to store with a record that is subject to RETENTION_DAYS: now, or the latest confirmed arrival if our clock is behind it.
 * Otherwise records written while the clock is years behind would be deleted as too old once it is corrected.
 */
export async function recordedAt(kysely: Kysely<Tables>, now: number): Promise<number> {
  return Math.max(now, (await latestArrival(kysely, null)) ?? 0);
}

/** The arrival time in a webhook's id, in milliseconds. */
export function arrivalOf(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** The lowest possible id for this arrival time: ids are version 7 UUIDs, which start with their time. */
export function idFrom(ms: number): string {
  const hex = Math.max(0, ms).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
