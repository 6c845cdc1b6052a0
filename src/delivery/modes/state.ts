import { sql } from 'kysely';
import { readProfile } from '../../channel/stored.js';
import { pageRows } from '../../database/limits.js';
import { channelsOf, isOneOf, isThere, skipLocked } from '../../database/locks.js';
import type { Row } from '../../database/tables.js';
import { type DeliveryRow, stateEvent, storedEvent } from '../work.js';
import type { ModeRules, Moved, Session } from './mode.js';

const lanesPerPage = 100;

/** Sends only the latest state of a channel. Superseded deliveries are not attempted, even before they are marked as such. */
export const state: ModeRules = {
  next: () =>
    sql`select d.change_id from delivery d where d.sink = lane.sink and d.channel = lane.channel and d.open = 1
      and d.position >= coalesce(lane.superseded_before, 0) order by d.position desc limit 1`,
  async show(session, rows) {
    const found = await latestChanges(session, rows);
    return row => {
      const event = storedEvent(row);
      const latest = found.get(`${row.channel} ${row.latest_revision}`);
      const state = latest && { ...latest, exists: latest.exist === 1, profile: readProfile(latest.profile) };
      return { event: stateEvent(event, state ?? event.data, readProfile(row.sent_profile)) };
    };
  },
  firstOf: changes => changes.at(-1)!,
  supersedes: true,
  reopens: false,
};

type LatestChange = Pick<Row<'change'>, 'channel' | 'revision' | 'exist' | 'profile'>;

/**
 * The latest change of each channel whose delivery is not for its latest revision, which filters may have excluded. Looked up by the
 * revision number loaded with the delivery, so that state and version match even if a later revision was committed since.
 */
async function latestChanges({ database, trx }: Session, rows: readonly DeliveryRow[]): Promise<Map<string, LatestChange>> {
  const behind = rows.filter(row => row.revision !== row.latest_revision);
  if (behind.length === 0) return new Map();
  const revisions = behind.map(row => row.latest_revision);
  const { rows: found } = await sql<LatestChange>`
      select channel, revision, exist, profile from change
      where ${database.isAmong('channel', channelsOf(behind))} and ${database.isAmong('revision', revisions)}`.execute(trx);
  return new Map(found.map(change => [`${change.channel} ${change.revision}`, change]));
}

/** Marks a page of superseded deliveries; also after a refusal, since an older state is never sent instead. */
export async function supersedePage({ database, trx, sink: { id }, now }: Session): Promise<{ superseded: Moved[]; more: boolean }> {
  const { rows: lanes } = await sql<{ channel: number }>`
      select channel from lane where sink = ${id} and superseded_before is not null
      order by channel limit ${sql.lit(lanesPerPage)} ${skipLocked(database)}`.execute(trx);
  const chosen = database.isAmong('lane.channel', channelsOf(lanes));
  const older = sql`older.sink = lane.sink and older.channel = lane.channel and older.open = 1 and older.position < lane.superseded_before`;
  // A cross join makes SQLite start with the lanes.
  const { rows: superseded } = await sql<Moved>`
      with page as materialized (
        select older.change_id from lane cross join delivery older
        where lane.sink = ${id} and ${chosen} and ${older} limit ${sql.lit(pageRows)})
      update delivery set state = 'superseded', open = 0, updated_at = ${now}
      where sink = ${id} and ${isOneOf(database, 'change_id', sql`page`)}
      returning change_id as "changeId", channel`.execute(trx);
  await sql`
      update lane set superseded_before = null
      where sink = ${id} and ${chosen} and not ${isThere(sql`from delivery older where ${older}`)}`.execute(trx);
  return { superseded, more: superseded.length === pageRows || lanes.length === lanesPerPage };
}
