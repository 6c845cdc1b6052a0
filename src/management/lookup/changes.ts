import { originOf } from '../../channel/origin.js';
import type { Database } from '../../database/database.js';
import { changeColumns, storedChange } from '../../delivery/work.js';
import { type Filters, wants } from '../../sinks/filters.js';
import type { ListedChange } from '../../sinks/lookup.js';
import { matches } from '../api/channels/channels.queries.js';
import { orElse } from '../api/values.js';

/** How many of the latest changes are searched for those of the wanted channels, and how many of these for the wanted fields. */
const maxSearched = { changes: 5000, fields: 1000 };
/** How many changes are loaded at once. */
const pageSize = 50;

/** The latest changes that pass the filters. */
export async function latestChanges(database: Database, filters: Filters, limit: number): Promise<ListedChange[]> {
  const latest = database.kysely.selectFrom('change').select(['id', 'channel']).orderBy('id', 'desc').limit(maxSearched.changes);
  const { sdkAppIds, channels } = filters;
  const found = await database.kysely
    .selectFrom(latest.as('latest'))
    .innerJoin('channel', 'channel.id', 'latest.channel')
    .select('latest.id')
    .$if(sdkAppIds !== undefined, all => all.where(database.isAmong('sdk_app_id', sdkAppIds!)))
    .$if(channels !== undefined, all => all.where(matches(database, 'channel_id', channels!)))
    .orderBy('latest.id', 'desc')
    .limit(filters.fields ? maxSearched.fields : 2 * limit)
    .execute();
  return wantedChanges(database, found, filters, limit);
}

/** The first of these changes that pass the filters, in the given order. */
export async function wantedChanges(
  database: Database,
  changes: readonly { id: string }[],
  filters: Filters,
  limit: number,
): Promise<ListedChange[]> {
  const wanted: ListedChange[] = [];
  for (let from = 0; from < changes.length && wanted.length < limit; from += pageSize) {
    const loaded = await loadChanges(database, changes.slice(from, from + pageSize));
    wanted.push(...loaded.filter(change => isWanted(change, filters)));
  }
  return wanted.slice(0, limit);
}

/** The changes of the same channel before and after a change, nearest first. */
export async function neighbours(database: Database, changeId: string, filters: Filters, limit: number) {
  const on = async (side: '<' | '>'): Promise<ListedChange[]> => {
    const found = await database.kysely
      .selectFrom('change as this')
      .innerJoin('change', 'change.channel', 'this.channel')
      .select('change.id')
      .where('this.id', '=', changeId)
      .whereRef('change.position', side, 'this.position')
      .orderBy('change.position', side === '<' ? 'desc' : 'asc')
      .limit(filters.fields ? pageSize : limit)
      .execute();
    return wantedChanges(database, found, filters, limit);
  };
  return { before: await on('<'), after: await on('>') };
}

/** An approximation for a change that altered nothing: which fields its webhook named is not stored. */
function isWanted({ event, stale }: ListedChange, filters: Filters): boolean {
  const { sdkAppId, channelId, revision, changes } = event.data;
  const fields = revision === null ? stale : changes.map(({ field }) => field);
  const existenceChanged = revision !== null && event.type !== 'channel.profile.updated';
  return wants(filters, { sdkAppId, channelId, existenceChanged, fields });
}

/** Loads changes in the given order, without deleted and damaged ones. */
async function loadChanges(database: Database, changes: readonly { id: string }[]): Promise<ListedChange[]> {
  const ids = changes.map(({ id }) => id);
  const rows = await database.kysely
    .selectFrom('change')
    .innerJoin('channel', 'channel.id', 'change.channel')
    .select(changeColumns)
    .select(['change.id as change_id', 'sdk_app_id', 'channel_id'])
    .where(database.isAmong('change.id', ids))
    .execute();
  rows.sort((one, other) => ids.indexOf(one.change_id) - ids.indexOf(other.change_id));
  return rows.flatMap(row => orElse(() => [{ ...storedChange(row), origin: originOf(row) }], []));
}
