import { originOf } from '../../channel/origin.js';
import type { Database } from '../../database/database.js';
import { changeColumns, storedChange } from '../../delivery/work.js';
import { type Filters, wants } from '../../sinks/filters.js';
import type { ListedChange } from '../../sinks/lookup.js';
import { fits } from '../api/channels/matching.js';
import { orElse } from '../api/changes/changes.queries.js';

/** So many of the latest changes are gone through for those that a sink's filters want. */
const lookedAt = 5000;
/** Whether a change touches a field shows only in itself: so many are loaded for that, and so many at once. */
const loaded = { most: 1000, page: 200 };
/** So many where every one is wanted. */
const page = 20;

/** The latest changes of channels that the filters want, the latest first. */
export function latestChanges(database: Database, filters: Filters): Promise<{ id: string }[]> {
  const latest = database.kysely.selectFrom('change').select(['id', 'channel']).orderBy('id', 'desc').limit(lookedAt);
  const { sdkAppIds, channels } = filters;
  return database.kysely
    .selectFrom(latest.as('latest'))
    .innerJoin('channel', 'channel.id', 'latest.channel')
    .select('latest.id')
    .$if(sdkAppIds !== undefined, found => found.where(database.isAmong('sdk_app_id', sdkAppIds!)))
    .$if(channels !== undefined, found => found.where(fits(database, 'channel_id', channels!)))
    .orderBy('latest.id', 'desc')
    .limit(filters.fields ? loaded.most : page)
    .execute();
}

/** The first of these changes that the filters want, in this order. */
export async function wantedChanges(
  database: Database,
  changes: readonly { id: string }[],
  filters: Filters,
  most: number,
): Promise<ListedChange[]> {
  const ids = changes.map(({ id }) => id);
  const wanted: ListedChange[] = [];
  const size = filters.fields || filters.channels || filters.sdkAppIds ? loaded.page : page;
  for (let from = 0; from < ids.length && wanted.length < most; from += size)
    for (const change of await loadChanges(database, ids.slice(from, from + size))) if (isWanted(change, filters)) wanted.push(change);
  return wanted.slice(0, most);
}

/** The changes next to one of its channel, those nearest to it first. */
export async function neighbours(
  database: Database,
  changeId: string,
  side: 'before' | 'after',
  filters: Filters,
  most: number,
): Promise<ListedChange[]> {
  const order = side === 'before' ? 'desc' : 'asc';
  const rows = await database.kysely
    .selectFrom('change as this')
    .innerJoin('change', 'change.channel', 'this.channel')
    .select('change.id')
    .where('this.id', '=', changeId)
    .whereRef('change.position', side === 'before' ? '<' : '>', 'this.position')
    .orderBy('change.position', order)
    .limit(filters.fields ? page : most)
    .execute();
  return wantedChanges(database, rows, filters, most);
}

/** As far as it can be known later: what a change named that altered nothing is not kept. */
function isWanted({ event, stale }: ListedChange, filters: Filters): boolean {
  const { sdkAppId, channelId, revision, changes } = event.data;
  const fields = revision === null ? stale : changes.map(({ field }) => field);
  const existenceChanged = revision !== null && event.type !== 'channel.profile.updated';
  return wants(filters, { sdkAppId, channelId, existenceChanged, fields });
}

/** These changes in this order; those that are gone or damaged are left out. */
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
