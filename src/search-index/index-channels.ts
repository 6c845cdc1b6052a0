import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../database/database.js';
import { fitting } from '../database/limits.js';
import type { Trx } from '../database/tables.js';
import type { ChannelKey, Delivery } from '../sinks/sink.js';
import { filtersFrom, wants } from '../sinks/filters.js';
import { channelsOf, isThere, lockLanes } from '../database/locks.js';
import { blanks, deliveryOf, storedEvent } from '../delivery/work.js';

/** A channel's latest state, as it should be in an index. */
export interface WantedChannel extends ChannelKey {
  channel: number;
  changeId: string;
  position: number;
  /** True if a delivery is pending or the sink's filters exclude the latest revision, so that the index may legitimately differ. */
  unsettled: boolean;
  /** True if its row is damaged: the latest state is unknown, and the delivery is blank. */
  damaged: boolean;
  delivery: Delivery;
}

/** Limit for the states of a page; a single channel may exceed it. */
const maxPageBytes = 4 * 1024 * 1024;

/** Ordered by bytes, as in the index. */
const after = (key: ChannelKey): RawBuilder<boolean> => sql`(sdk_app_id, channel_id) > (${key.sdkAppId}, ${key.channelId})`;

/**
 * Reads a page of channels with a revision, ordered by key.
 * @param newVersions assigns each a new version, so that it replaces any document in the index
 * @returns the wanted ones, and the last key, whether wanted or not; that is `null` on the last page
 */
export async function channelPage(
  database: Database,
  sink: number,
  from: ChannelKey | null,
  size: number,
  newVersions: boolean,
): Promise<{ wanted: WantedChannel[]; last: ChannelKey | null }> {
  return database.kysely.transaction().execute(async trx => {
    const row = await trx.selectFrom('sink').select('filters').where('id', '=', sink).executeTakeFirstOrThrow();
    const filters = filtersFrom(row.filters);
    const page = trx
      .selectFrom('channel')
      .select(['id', 'sdk_app_id as sdkAppId', 'channel_id as channelId'])
      .select(
        sql<number>`coalesce((select octet_length(profile) from change
          where change.channel = channel.id and change.revision = channel.revision), 0)`.as('bytes'),
      )
      .where('revision', '>', 0)
      .$if(from !== null, found => found.where(after(from!)))
      .orderBy('sdk_app_id')
      .orderBy('channel_id')
      .limit(size);
    const all = await (newVersions ? page.$call(database.lock) : page).execute();
    const sizes = all.map(({ bytes }) => bytes);
    const keys = all.slice(0, fitting(sizes, maxPageBytes));
    const ids = keys.filter(key => wants(filters, { ...key, existenceChanged: true, fields: [] })).map(({ id }) => id);
    if (newVersions && ids.length > 0) await takeVersions(database, trx, ids, 0);
    const rows = ids.length === 0 ? [] : await latestOf(database, trx, sink, ids);
    const last = keys.at(-1);
    return {
      wanted: rows.map(row => wantedOf(row, sink, filters.fields !== undefined)),
      last: last && (keys.length < all.length || all.length === size) ? { sdkAppId: last.sdkAppId, channelId: last.channelId } : null,
    };
  });
}

/** Gives each channel a new version, greater than its last one and than `min`. */
async function takeVersions(database: Database, trx: Trx, ids: number[], min: number): Promise<void> {
  const next = sql<number>`case when version >= ${sql.lit(min)} then version + 1 else ${sql.lit(min + 1)} end`;
  await trx.updateTable('channel').set({ version: next }).where(database.isAmong('id', ids)).execute();
}

type Row = Awaited<ReturnType<typeof latestOf>>[number];

function latestOf(database: Database, db: Pick<Trx, 'selectFrom'>, sink: number, ids: number[]) {
  return db
    .selectFrom('channel')
    .innerJoin('change', join => join.onRef('change.channel', '=', 'channel.id').onRef('change.revision', '=', 'channel.revision'))
    .leftJoin('delivery', join => join.onRef('delivery.change_id', '=', 'change.id').on('delivery.sink', '=', sink))
    .select(['channel.id as channel', 'sdk_app_id', 'channel_id', 'version', 'channel.updated_at', 'change.id as change_id'])
    .select(['change.position', 'change.revision', 'type', 'source', 'operator', 'client_ip', 'platform', 'owner', 'event_time'])
    .select(['exist', 'profile', 'delivery.state'])
    .select(isThere(sql`from delivery d where d.sink = ${sink} and d.channel = channel.id and d.open = 1`).as('open'))
    .where(database.isAmong('channel.id', ids))
    .orderBy('channel.sdk_app_id')
    .orderBy('channel.channel_id')
    .execute();
}

function wantedOf(row: Row, sink: number, choosesFields: boolean): WantedChannel {
  const { channel, sdk_app_id: sdkAppId, channel_id: channelId, change_id: changeId, position } = row;
  const unsettled = Boolean(row.open) || (choosesFields && row.state === null);
  const keys = { channel, sdkAppId, channelId, changeId, position };
  // Documents are always complete, so `changes` is irrelevant.
  const delivery = (row: Row): Delivery => deliveryOf(row, sink, { event: storedEvent({ ...row, changes: '[]' }) });
  try {
    return { ...keys, unsettled, damaged: false, delivery: delivery(row) };
  } catch {
    return { ...keys, unsettled: true, damaged: true, delivery: delivery({ ...row, ...blanks }) };
  }
}

/** The channels without a newer change since they were read and without a pending delivery, so that a difference in the index is real. */
export async function stillCurrent(database: Database, sink: number, channels: readonly WantedChannel[]): Promise<WantedChannel[]> {
  const settled = channels.filter(({ unsettled }) => !unsettled);
  if (settled.length === 0) return [];
  const rows = await latestOf(database, database.kysely, sink, channelsOf(settled));
  const now = new Map(rows.map(row => [row.channel, row]));
  return settled.filter(({ channel, changeId }) => now.get(channel)?.change_id === changeId && !now.get(channel)!.open);
}

/** The engine remembers the version of a deleted document for a while, which may be higher than ours. */
const tombstoneMargin = 1000;

/** Enqueues these channels' latest states again, with versions higher than those in the index. */
export async function resend(
  database: Database,
  sink: number,
  channels: readonly (WantedChannel & { version: number | null })[],
  now: number,
): Promise<void> {
  if (channels.length === 0) return;
  await database.kysely.transaction().execute(async trx => {
    // Channels are always locked before lanes, to avoid deadlocks.
    const inOrder = channels.toSorted((a, b) => a.channel - b.channel);
    for (const { channel, version, delivery } of inOrder)
      await takeVersions(database, trx, [channel], version ?? delivery.version + tombstoneMargin);
    await lockLanes(database, trx, sink, channels);
    const lanes = inOrder.map(({ channel }) => ({ sink, channel, due_at: now }));
    const tail = 'on conflict (sink, channel) do update set due_at = excluded.due_at where lane.lease is null';
    await database.insert(trx, 'lane', lanes, tail);
    const columns = { sink, enqueued_at: now, updated_at: now };
    await database.insert(
      trx,
      'delivery',
      channels.map(({ changeId, channel, position }) => ({ change_id: changeId, channel, position, ...columns })),
      `on conflict (change_id, sink) do update set state = 'pending', open = 1, tries = 0, enqueued_at = excluded.enqueued_at, updated_at = excluded.updated_at,
         failing_since = null, stopped_ms = null, cause = null, reason = null, advice = null`,
    );
    await database.notify(trx, [sink]);
  });
}
