import { type RawBuilder, sql } from 'kysely';
import { folded } from '../../../channel/findable.js';
import { type ChannelState, existsIn, profileOf } from '../../../channel/merge.js';
import { wellFormed } from '../../../channel/origin.js';
import { unknownProfile } from '../../../channel/profile.js';
import type { Database } from '../../../database/database.js';
import { fitting } from '../../../database/limits.js';
import type { Row } from '../../../database/tables.js';
import { nextAttemptAt, nextAttemptColumns } from '../../../delivery/retry.js';
import type { Filters } from '../../../sinks/filters.js';
import { maxPageBytes, orElse, toDateOrNull } from '../values.js';
import type { ChannelDto, ChannelSinkDto, ChannelsQuery, ListedChannelDto } from './channel.dto.js';

/** The place of a channel in the list, which is ordered by latest update. */
export interface ChannelPlace {
  updatedAt: number;
  channel: number;
}

type Selection = Pick<ChannelsQuery, 'sdkAppId' | 'query' | 'exists'> & Pick<Filters, 'channels' | 'sdkAppIds'> & { channelId?: string };

function selectFindable(database: Database, { sdkAppId, channelId, query, exists, channels, sdkAppIds }: Selection) {
  const contained = database.embedded ? 'instr' : 'strpos';
  return database.kysely
    .selectFrom('channel_findable')
    .$if(sdkAppId !== undefined, found => found.where('sdk_app_id', '=', sdkAppId!))
    .$if(channelId !== undefined, found => found.where('channel_id', '=', channelId!))
    .$if(sdkAppIds !== undefined, found => found.where(database.isAmong('sdk_app_id', sdkAppIds!)))
    .$if(exists !== undefined, found => found.where('exist', '=', Number(exists)))
    .$if(channels !== undefined, found => found.where(matches(database, 'channel_id', channels!)))
    .$if(query !== undefined, found => found.where(eb => eb(eb.fn<number>(contained, [eb.ref('folded'), eb.val(folded(query!))]), '>', 0)));
}

/** Whether a column matches one of these patterns, where `*` stands for any characters and `?` for one. */
export function matches({ embedded }: Database, column: string, patterns: readonly string[]): RawBuilder<boolean> {
  const name = sql.ref(column);
  if (!embedded)
    return sql`${name} like any(${patterns.map(pattern =>
      pattern
        .replace(/[\\%_]/g, '\\$&')
        .replaceAll('*', '%')
        .replaceAll('?', '_'),
    )})`;
  const globs = JSON.stringify(patterns.map(pattern => pattern.replaceAll('[', '[[]')));
  return sql`exists (select 1 from json_each(${globs}) one where ${name} glob one.value)`;
}

/** The matching channels after `after`, latest update first; `next` is the last place of this page, `null` if there is no next one. */
export async function findChannels(database: Database, selection: Selection, limit: number, after: ChannelPlace | null) {
  const page = selectFindable(database, selection)
    .select(['channel', 'updated_at'])
    .$if(after !== null, found =>
      found.where(eb => eb(eb.refTuple('updated_at', 'channel'), '<', eb.tuple(after!.updatedAt, after!.channel))),
    )
    .orderBy('updated_at', 'desc')
    .orderBy('channel', 'desc')
    .limit(limit + 1);
  const found = await database.kysely
    .selectFrom(page.as('page'))
    .leftJoin('channel', 'channel.id', 'page.channel')
    .select(['page.channel', 'page.updated_at as updatedAt', sql<number>`coalesce(octet_length(channel.state), 0)`.as('bytes')])
    .orderBy('page.updated_at', 'desc')
    .orderBy('page.channel', 'desc')
    .execute();
  const sizes = found.map(({ bytes }) => bytes);
  const shown = found.slice(0, Math.min(limit, fitting(sizes, maxPageBytes)));
  const ids = shown.map(({ channel }) => channel);
  return { items: await listedChannels(database, ids), next: found.length > shown.length ? shown.at(-1)! : null };
}

export async function countChannels(database: Database, selection: Selection): Promise<number> {
  const count = selectFindable(database, selection).select(({ fn }) => fn.countAll<number>().as('n'));
  return (await count.executeTakeFirstOrThrow()).n;
}

const columns = ['id', 'sdk_app_id', 'channel_id', 'state', 'revision', 'updated_at', 'verified_at'] as const;

/** What lists and single channels have in common, and the profile. A damaged state is shown as an unknown profile that does not exist. */
function known(row: Pick<Row<'channel'>, (typeof columns)[number]>) {
  const { exists, profile } = orElse(
    () => {
      const state = JSON.parse(row.state) as ChannelState;
      return { exists: existsIn(state) === true, profile: profileOf(state) };
    },
    { exists: false, profile: unknownProfile },
  );
  const { sdk_app_id: sdkAppId, channel_id: channelId, revision } = row;
  const times = { updatedAt: toDateOrNull(row.updated_at), verifiedAt: toDateOrNull(row.verified_at) };
  return { channel: { sdkAppId, channelId, exists, revision, ...times }, profile };
}

async function listedChannels(database: Database, ids: readonly number[]): Promise<ListedChannelDto[]> {
  const rows = await database.kysely
    .selectFrom('channel')
    .select(columns)
    .select(eb =>
      eb
        .selectFrom('delivery')
        .select(({ fn }) => fn.countAll<number>().as('n'))
        .whereRef('delivery.channel', '=', 'channel.id')
        .where('delivery.state', '=', sql.lit('parked'))
        .$asScalar()
        .$notNull()
        .as('failed'),
    )
    .where(database.isAmong('id', ids))
    .execute();
  const byId = new Map(rows.map(row => [row.id, row]));
  return ids.flatMap(id => {
    const row = byId.get(id);
    if (!row) return [];
    const { channel, profile } = known(row);
    const { sdkAppId, channelId, ...others } = channel;
    return { sdkAppId, channelId, name: profile.name, ...others, failed: row.failed };
  });
}

/** A channel and its state at every sink, with each `lastError` as stored; `null` if the channel is unknown. */
export async function findChannel(database: Database, sdkAppId: string, channelId: string): Promise<ChannelDto | null> {
  const row = await database.kysely
    .selectFrom('channel')
    .select(columns)
    .where('sdk_app_id', '=', wellFormed(sdkAppId))
    .where('channel_id', '=', wellFormed(channelId))
    .executeTakeFirst();
  if (!row) return null;
  const { channel, profile } = known(row);
  const sinks = await selectSinks(database, row.id);
  return { ...channel, profile, sinks: sinks.filter(sink => sink.removed_at === null || sink.pending > 0).map(showSink) };
}

type SinkRow = Awaited<ReturnType<typeof selectSinks>>[number];

/** Every sink with its lane of this channel. Each subquery reads only the end of an index, because channels may have very many changes. */
function selectSinks(database: Database, channel: number) {
  return database.kysely
    .selectFrom('sink')
    .leftJoin('lane', join => join.onRef('lane.sink', '=', 'sink.id').on('lane.channel', '=', channel))
    .select(nextAttemptColumns)
    .select(['sink.name', 'sink.mode', 'lane.tries', 'lane.sent_revision'])
    .$narrowType<Pick<ChannelSinkDto, 'mode'>>()
    .select(eb => {
      const deliveries = eb
        .selectFrom('delivery')
        .where('delivery.sink', '=', sql.ref<number>('sink.id'))
        .where('delivery.channel', '=', channel);
      // `open` is implied by `pending`, and lets the database use its partial index.
      const pending = deliveries.where('delivery.open', '=', sql.lit(1)).where('delivery.state', '=', 'pending');
      const failed = pending.where('delivery.reason', 'is not', null).orderBy('delivery.updated_at', 'desc').limit(1);
      const parked = deliveries.where('delivery.state', '=', sql.lit('parked')).orderBy('delivery.change_id', 'desc').limit(1);
      const delivered = eb
        .selectFrom('change')
        .innerJoin('delivery', 'delivery.change_id', 'change.id')
        .where('change.channel', '=', channel)
        .whereRef('delivery.sink', '=', 'sink.id')
        .where('change.revision', 'is not', null)
        .where('delivery.state', '=', 'delivered')
        .orderBy('change.position', 'desc')
        .limit(1);
      return [
        pending
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .$asScalar()
          .$notNull()
          .as('pending'),
        failed.select('delivery.reason').as('failure'),
        parked.select('delivery.change_id').as('parked'),
        parked.select('delivery.reason').as('refusal'),
        delivered.select('change.revision').as('delivered'),
      ];
    })
    .orderBy('sink.name')
    .orderBy('sink.id')
    .execute();
}

function showSink(row: SinkRow): ChannelSinkDto {
  return {
    sink: row.name,
    mode: row.mode,
    // A state sink gets the latest state, which may be newer than the revision of the delivered change.
    revision: row.sent_revision ?? row.delivered,
    pending: row.pending,
    state: stateOf(row),
    nextAttemptAt: row.pending > 0 ? toDateOrNull(nextAttemptAt(row)) : null,
    lastError: row.failure ?? row.refusal,
  };
}

function stateOf(row: SinkRow): ChannelSinkDto['state'] {
  if (row.pending > 0) return (row.tries ?? 0) > 0 ? 'retrying' : 'pending';
  return row.parked === null ? 'in_sync' : 'parked';
}
