import type { Database } from '../database/database.js';
import { filtersFrom, wants } from '../sinks/filters.js';
import { writeEnqueued } from '../delivery/enqueue.js';

const pageSize = 200;
/** Upper limit for the duration of a recording transaction. */
const maxRecordingMs = 60_000;

/**
 * Backfills a new state sink with a page of channels: enqueues the latest revision of each one that its filters select.
 * @returns false once complete
 */
export async function backfillPage(database: Database, sink: number, now: number): Promise<boolean> {
  return database.kysely.transaction().execute(async trx => {
    const row = trx
      .selectFrom('sink')
      .select(['backfilled_to', 'filters', 'registered_at'])
      .where('id', '=', sink)
      .where('removed_at', 'is', null);
    const sinkRow = await row.$call(database.lock).executeTakeFirst();
    if (!sinkRow || sinkRow.backfilled_to === null) return false;
    // Locks the channels, to wait for concurrent recordings that may not know the sink yet.
    const channels = await trx
      .selectFrom('channel')
      .select(['id', 'sdk_app_id as sdkAppId', 'channel_id as channelId'])
      .where('id', '>', sinkRow.backfilled_to)
      .orderBy('id')
      .limit(pageSize)
      .$call(database.lock)
      .execute();
    const filters = filtersFrom(sinkRow.filters);
    const wanted = channels.filter(channel => wants(filters, { ...channel, existenceChanged: true, fields: [] })).map(({ id }) => id);
    const changes = await trx
      .selectFrom('change')
      .innerJoin('channel', join => join.onRef('channel.id', '=', 'change.channel').onRef('channel.revision', '=', 'change.revision'))
      .select(['change.id', 'change.channel', 'change.position'])
      .where(database.isAmong('channel.id', wanted))
      .orderBy('channel.id')
      .execute();
    const deliveries = changes.map(change => ({ sink: { id: sink, mode: 'state' as const }, change }));
    await writeEnqueued(database, trx, deliveries, now);
    if (deliveries.length > 0) await database.notify(trx, [sink]);
    const more = channels.length === pageSize;
    // New channels in uncommitted recordings that do not know the sink yet are invisible here: a later run looks again.
    const isSure = database.embedded || now - sinkRow.registered_at > maxRecordingMs;
    await trx
      .updateTable('sink')
      .set({ backfilled_to: more || !isSure ? (channels.at(-1)?.id ?? sinkRow.backfilled_to) : null })
      .where('id', '=', sink)
      .execute();
    return more;
  });
}
