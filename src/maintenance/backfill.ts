import type { Database } from '../database/database.js';
import { filtersFrom, wants } from '../sinks/filters.js';
import { writeEnqueued } from '../delivery/enqueue.js';

const pageSize = 200;
/** No transaction that records takes longer than this. */
const recordingMs = 60_000;

/**
 * Owes a page of what was before it to a new state sink: the newest revision of every channel that its filters want.
 * @returns false once it has all
 */
export async function backfillPage(database: Database, sink: number, now: number): Promise<boolean> {
  return database.kysely.transaction().execute(async trx => {
    const row = trx
      .selectFrom('sink')
      .select(['backfilled_to', 'filters', 'registered_at'])
      .where('id', '=', sink)
      .where('removed_at', 'is', null);
    const found = await row.$call(database.lock).executeTakeFirst();
    if (!found || found.backfilled_to === null) return false;
    // Locked: who records to one of them at this moment may not know the sink yet, and is waited for.
    const channels = await trx
      .selectFrom('channel')
      .select(['id', 'sdk_app_id as sdkAppId', 'channel_id as channelId'])
      .where('id', '>', found.backfilled_to)
      .orderBy('id')
      .limit(pageSize)
      .$call(database.lock)
      .execute();
    const filters = filtersFrom(found.filters);
    const wanted = channels.filter(one => wants(filters, { ...one, existenceChanged: true, fields: [] })).map(({ id }) => id);
    const changes = await trx
      .selectFrom('change')
      .innerJoin('channel', join => join.onRef('channel.id', '=', 'change.channel').onRef('channel.revision', '=', 'change.revision'))
      .select(['change.id', 'change.channel', 'change.position'])
      .where(database.isAmong('channel.id', wanted))
      .orderBy('channel.id')
      .execute();
    const owed = changes.map(change => ({ sink: { id: sink, mode: 'state' as const }, change }));
    await writeEnqueued(database, trx, owed, now);
    if (owed.length > 0) await database.notify(trx, [sink]);
    const more = channels.length === pageSize;
    // A new channel that is being recorded by somebody who does not know the sink yet cannot be seen: a later run looks once more.
    const isSure = database.embedded || now - found.registered_at > recordingMs;
    await trx
      .updateTable('sink')
      .set({ backfilled_to: more || !isSure ? (channels.at(-1)?.id ?? found.backfilled_to) : null })
      .where('id', '=', sink)
      .execute();
    return more;
  });
}
