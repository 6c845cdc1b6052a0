import { originOf } from '../../channel/origin.js';
import type { Database } from '../../database/database.js';
import { changeColumns, storedChange } from '../../delivery/work.js';
import { type Filters, wants } from '../../sinks/filters.js';
import type { ListedChange } from '../../sinks/lookup.js';
import { matches } from '../api/channels/matching.js';
import { orElse } from '../api/or-else.js';

/** How many of the latest changes are searched for those that pass a sink's filters. */
const maxSearched = 5000;
/** Limits where changes have to be loaded before the filters can be applied. */
const filtered = { max: 1000, page: 200 };
/** How many are loaded at once without filters. */
const pageSize = 20;

/** Changes of channels that pass the filters, latest first. */
export function latestChanges(database: Database, filters: Filters): Promise<{ id: string }[]> {
  const latest = database.kysely.selectFrom('change').select(['id', 'channel']).orderBy('id', 'desc').limit(maxSearched);
  const { sdkAppIds, channels } = filters;
  return database.kysely
    .selectFrom(latest.as('latest'))
    .innerJoin('channel', 'channel.id', 'latest.channel')
    .select('latest.id')
    .$if(sdkAppIds !== undefined, found => found.where(database.isAmong('sdk_app_id', sdkAppIds!)))
    .$if(channels !== undefined, found => found.where(matches(database, 'channel_id', channels!)))
    .orderBy('latest.id', 'desc')
    .limit(filters.fields ? filtered.max : pageSize)
    .execute();
}

/** The first of these changes that pass the filters, in the given order. */
export async function wantedChanges(
  database: Database,
  changes: readonly { id: string }[],
  filters: Filters,
  limit: number,
): Promise<ListedChange[]> {
  const ids = changes.map(({ id }) => id);
  const wanted: ListedChange[] = [];
  const size = filters.fields || filters.channels || filters.sdkAppIds ? filtered.page : pageSize;
  for (let from = 0; from < ids.length && wanted.length < limit; from += size)
    for (const change of await loadChanges(database, ids.slice(from, from + size))) if (isWanted(change, filters)) wanted.push(change);
  return wanted.slice(0, limit);
}

/** The changes of the same channel before or after a change, nearest first. */
export async function neighbours(
  database: Database,
  changeId: string,
  side: 'before' | 'after',
  filters: Filters,
  limit: number,
): Promise<ListedChange[]> {
  const order = side === 'before' ? 'desc' : 'asc';
  const rows = await database.kysely
    .selectFrom('change as this')
    .innerJoin('change', 'change.channel', 'this.channel')
    .select('change.id')
    .where('this.id', '=', changeId)
    .whereRef('change.position', side === 'before' ? '<' : '>', 'this.position')
    .orderBy('change.position', order)
    .limit(filters.fields ? pageSize : limit)
    .execute();
  return wantedChanges(database, rows, filters, limit);
}

/** An approximation for a change that altered nothing: which fields its webhook named is not stored. */
function isWanted({ event, stale }: ListedChange, filters: Filters): boolean {
  const { sdkAppId, channelId, revision, changes } = event.data;
  const fields = revision === null ? stale : changes.map(({ field }) => field);
  const existenceChanged = revision !== null && event.type !== 'channel.profile.updated';
  return wants(filters, { sdkAppId, channelId, existenceChanged, fields });
}

/** Loads changes in the given order, without deleted and damaged ones. */
async function loadChanges(database: Database, ids: readonly string[]): Promise<ListedChange[]> {
  const rows = await database.kysely
    .selectFrom('change')
    .innerJoin('channel', 'channel.id', 'change.channel')
    .select(changeColumns)
    .select(['change.id as change_id', 'sdk_app_id', 'channel_id'])
    .where(database.isAmong('change.id', ids))
    .execute();
  const byId = new Map(rows.map(row => [row.change_id, row]));
  return ids.flatMap(id => {
    const row = byId.get(id);
    return row ? orElse(() => [{ ...storedChange(row), origin: originOf(row) }], []) : [];
  });
}
