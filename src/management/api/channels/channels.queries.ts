import { type ExpressionBuilder, sql } from 'kysely';
import { wellFormed } from '../../../channel/origin.js';
import type { Database } from '../../../database/database.js';
import type { Tables } from '../../../database/tables.js';
import type { ChannelDto, ChannelSinkDto } from './channel.dto.js';
import { readState } from './channel-list.js';
import { nextAttemptAt, nextAttemptColumns } from '../../../delivery/retry.js';
import { toDateOrNull } from '../times.js';

/** A channel and its state at every sink, with each `lastError` as stored; `null` if the channel is unknown. */
export async function findChannel(database: Database, sdkAppId: string, channelId: string): Promise<ChannelDto | null> {
  const row = await database.kysely
    .selectFrom('channel')
    .select(['id', 'sdk_app_id', 'channel_id', 'state', 'revision', 'updated_at', 'verified_at'])
    .where('sdk_app_id', '=', wellFormed(sdkAppId))
    .where('channel_id', '=', wellFormed(channelId))
    .executeTakeFirst();
  if (!row) return null;
  const { exists, profile } = readState(row.state);
  const sinks = await selectSinks(database, row.id);
  return {
    sdkAppId: row.sdk_app_id,
    channelId: row.channel_id,
    exists,
    revision: row.revision,
    updatedAt: toDateOrNull(row.updated_at),
    verifiedAt: toDateOrNull(row.verified_at),
    profile,
    sinks: sinks.filter(sink => sink.removed_at === null || sink.pending > 0).map(showSink),
  };
}

type Row = Awaited<ReturnType<typeof selectSinks>>[number];

/** Every sink with its lane of this channel. Each subquery reads only the end of an index, because channels may have very many changes. */
function selectSinks(database: Database, channel: number) {
  return database.kysely
    .selectFrom('sink')
    .leftJoin('lane', join => join.onRef('lane.sink', '=', 'sink.id').on('lane.channel', '=', channel))
    .select(nextAttemptColumns)
    .select(['sink.name', 'sink.mode', 'lane.tries', 'lane.sent_revision'])
    .$narrowType<Pick<ChannelSinkDto, 'mode'>>()
    .select(eb => [
      pendingOf(eb, channel)
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .$asScalar()
        .$notNull()
        .as('pending'),
      pendingOf(eb, channel)
        .select('delivery.reason')
        .where('delivery.reason', 'is not', null)
        .orderBy('delivery.updated_at', 'desc')
        .limit(1)
        .as('failure'),
      parkedOf(eb, channel).select('delivery.change_id').orderBy('delivery.change_id', 'desc').limit(1).as('parked'),
      parkedOf(eb, channel).select('delivery.reason').orderBy('delivery.change_id', 'desc').limit(1).as('refusal'),
      eb
        .selectFrom('change')
        .innerJoin('delivery', 'delivery.change_id', 'change.id')
        .select('change.revision')
        .where('change.channel', '=', channel)
        .whereRef('delivery.sink', '=', 'sink.id')
        .where('change.revision', 'is not', null)
        .where('delivery.state', '=', 'delivered')
        .orderBy('change.position', 'desc')
        .limit(1)
        .as('delivered'),
    ])
    .orderBy('sink.name')
    .orderBy('sink.id')
    .execute();
}

function pendingOf(eb: ExpressionBuilder<Tables, 'sink'>, channel: number) {
  // `open` is implied by `pending`, and lets the database use its partial index.
  return deliveriesOf(eb, channel).where('delivery.open', '=', sql.lit(1)).where('delivery.state', '=', 'pending');
}

function parkedOf(eb: ExpressionBuilder<Tables, 'sink'>, channel: number) {
  return deliveriesOf(eb, channel).where('delivery.state', '=', sql.lit('parked'));
}

function deliveriesOf(eb: ExpressionBuilder<Tables, 'sink'>, channel: number) {
  return eb.selectFrom('delivery').where('delivery.sink', '=', sql.ref<number>('sink.id')).where('delivery.channel', '=', channel);
}

function showSink(row: Row): ChannelSinkDto {
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

function stateOf(row: Row): ChannelSinkDto['state'] {
  if (row.pending > 0) return (row.tries ?? 0) > 0 ? 'retrying' : 'pending';
  return row.parked === null ? 'in_sync' : 'parked';
}
