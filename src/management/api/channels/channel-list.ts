import { type SelectQueryBuilder, sql } from 'kysely';
import { folded } from '../../../channel/findable.js';
import { type ChannelState, existsIn, profileOf } from '../../../channel/merge.js';
import { type Profile, unknownProfile } from '../../../channel/profile.js';
import type { Database } from '../../../database/database.js';
import { fitting } from '../../../database/limits.js';
import type { Tables } from '../../../database/tables.js';
import type { Filters } from '../../../sinks/filters.js';
import { orElse } from '../or-else.js';
import { toDateOrNull } from '../times.js';
import { contains, matches } from './matching.js';
import type { ChannelsQuery, ListedChannelDto } from './channel.dto.js';

/** The position of a channel in the list, which is ordered by latest update. */
export interface ChannelPlace {
  updatedAt: number;
  channel: number;
}

type Selection = Pick<ChannelsQuery, 'sdkAppId' | 'query' | 'exists'> & Pick<Filters, 'channels' | 'sdkAppIds'> & { channelId?: string };
type Findable = SelectQueryBuilder<Tables, 'channel_findable', object>;

/** Maximum bytes of channel states in one answer; a single channel may exceed it. */
const maxPageBytes = 4 * 1024 * 1024;

function selectFindable(database: Database, { sdkAppId, channelId, query, exists, channels, sdkAppIds }: Selection): Findable {
  return database.kysely
    .selectFrom('channel_findable')
    .$if(sdkAppId !== undefined, found => found.where('sdk_app_id', '=', sdkAppId!))
    .$if(channelId !== undefined, found => found.where('channel_id', '=', channelId!))
    .$if(sdkAppIds !== undefined, found => found.where(database.isAmong('sdk_app_id', sdkAppIds!)))
    .$if(exists !== undefined, found => found.where('exist', '=', Number(exists)))
    .$if(channels !== undefined, found => found.where(matches(database, 'channel_id', channels!)))
    .$if(query !== undefined, found => found.where(contains(database, 'folded', folded(query!))));
}

/**
 * The channels that match, latest update first, starting after `after`.
 * @returns `next`: the last position of this page; `null` if there is no next page
 */
export async function findChannels(
  database: Database,
  selection: Selection,
  limit: number,
  after: ChannelPlace | null,
): Promise<{ items: ListedChannelDto[]; next: ChannelPlace | null }> {
  const places = await selectFindable(database, selection)
    .select(['channel', 'updated_at as updatedAt'])
    .$if(after !== null, found =>
      found.where(eb => eb(eb.refTuple('updated_at', 'channel'), '<', eb.tuple(after!.updatedAt, after!.channel))),
    )
    .orderBy('updated_at', 'desc')
    .orderBy('channel', 'desc')
    .limit(limit + 1)
    .execute();
  const ids = places.slice(0, limit).map(({ channel }) => channel);
  const sizes = await database.kysely
    .selectFrom('channel')
    .select(['id', sql<number>`octet_length(state)`.as('bytes')])
    .where(database.isAmong('id', ids))
    .execute();
  const bytes = new Map(sizes.map(row => [row.id, row.bytes]));
  const ordered = ids.map(id => bytes.get(id) ?? 0);
  const shown = ids.slice(0, fitting(ordered, maxPageBytes));
  return { items: await listedChannels(database, shown), next: places.length > shown.length ? places[shown.length - 1]! : null };
}

/** How many channels match. */
export async function countChannels(database: Database, selection: Selection): Promise<number> {
  const count = selectFindable(database, selection).select(({ fn }) => fn.countAll<number>().as('n'));
  return (await count.executeTakeFirstOrThrow()).n;
}

async function listedChannels(database: Database, ids: readonly number[]): Promise<ListedChannelDto[]> {
  const channels = await database.kysely
    .selectFrom('channel')
    .select(['id', 'sdk_app_id', 'channel_id', 'state', 'revision', 'updated_at', 'verified_at'])
    .where(database.isAmong('id', ids))
    .execute();
  const parked = await database.kysely
    .selectFrom('delivery')
    .select(({ fn }) => ['channel', fn.countAll<number>().as('n')])
    .where(database.isAmong('channel', ids))
    .where('state', '=', sql.lit('parked'))
    .groupBy('channel')
    .execute();
  const failed = new Map(parked.map(({ channel, n }) => [channel, n]));
  const byId = new Map(channels.map(row => [row.id, row]));
  return ids.flatMap(id => {
    const row = byId.get(id);
    if (!row) return [];
    const { exists, profile } = readState(row.state);
    const { sdk_app_id: sdkAppId, channel_id: channelId, revision } = row;
    const times = { updatedAt: toDateOrNull(row.updated_at), verifiedAt: toDateOrNull(row.verified_at) };
    return { sdkAppId, channelId, name: profile.name, exists, revision, ...times, failed: failed.get(id) ?? 0 };
  });
}

/** Parses a stored state; a damaged one yields an unknown profile that does not exist. */
export function readState(json: string): { exists: boolean; profile: Profile } {
  return orElse(
    () => {
      const state = JSON.parse(json) as ChannelState;
      return { exists: existsIn(state) === true, profile: profileOf(state) };
    },
    { exists: false, profile: unknownProfile },
  );
}
