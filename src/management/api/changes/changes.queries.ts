import { sql } from 'kysely';
import { unknownProfile } from '../../../channel/profile.js';
import { readChanges, readFields, readProfile } from '../../../channel/stored.js';
import type { Database } from '../../../database/database.js';
import { fitting } from '../../../database/limits.js';
import type { ChangeDto, ProfileDto } from './change.dto.js';
import type { ChangesQuery } from '../list.dto.js';
import { maxPageBytes, orElse, toDate } from '../values.js';

type Row = Awaited<ReturnType<ReturnType<typeof selectChanges>['execute']>>[number];

function selectChanges(database: Database) {
  return database.kysely
    .selectFrom('change')
    .innerJoin('channel', 'channel.id', 'change.channel')
    .select(['change.id', 'sdk_app_id as sdkAppId', 'channel_id as channelId', 'type', 'change.revision', 'source', 'operator'])
    .select(['client_ip as clientIp', 'platform', 'owner'])
    .select(['event_time', 'estimated', 'tie', 'received_at', 'changes', 'profile', 'stale'])
    .$narrowType<Pick<ChangeDto, 'type' | 'source'>>();
}

function showChange({ event_time, estimated, tie, received_at, changes, profile, stale, ...row }: Row): ChangeDto {
  return {
    ...row,
    eventTime: toDate(event_time),
    eventTimeEstimated: estimated === 1,
    tie: tie === 1,
    receivedAt: toDate(received_at),
    changes: orElse(() => readChanges(changes, readProfile(profile)), []),
    stale: orElse(() => readFields(stale), []),
  };
}

/** The matching changes after the id `after`, latest arrival first; those beyond `limit` mean that there is a next page. */
export async function findChanges(database: Database, query: ChangesQuery, after: string | null) {
  const selected = selectedChanges(database, query);
  const found = await database.kysely
    .selectFrom('change')
    .select(['change.id', sql<number>`octet_length(change.changes) + octet_length(change.profile)`.as('bytes')])
    .$if(selected !== null, found => found.where('change.id', 'in', selected!))
    .$if(after !== null, found => found.where('change.id', '<', after!))
    .orderBy('change.id', 'desc')
    .limit(query.limit + 1)
    .execute();
  const sizes = found.map(({ bytes }) => bytes);
  const limit = Math.min(query.limit, fitting(sizes, maxPageBytes));
  const ids = found.slice(0, limit + 1).map(({ id }) => id);
  const rows = await selectChanges(database).where(database.isAmong('change.id', ids)).orderBy('change.id', 'desc').execute();
  return { changes: rows.map(showChange), limit };
}

/** The decompressed body of a change's webhook; `null` if there is no such change or it came from no webhook. */
export async function findWebhook(database: Database, id: string): Promise<Uint8Array | null> {
  const change = database.kysely.selectFrom('change').select('body').where('id', '=', id).where('source', '=', 'webhook');
  return (await change.executeTakeFirst())?.body ?? null;
}

/** A change with its resulting profile; `null` if the id is unknown. */
export async function findChange(database: Database, id: string): Promise<(ChangeDto & { profile: ProfileDto }) | null> {
  const row = await selectChanges(database).where('change.id', '=', id).executeTakeFirst();
  return row ? { ...showChange(row), profile: orElse(() => readProfile(row.profile), unknownProfile) } : null;
}

/** A subquery for the ids of the matching changes; `null` if the query has no filter. */
export function selectedChanges({ kysely }: Database, query: Omit<ChangesQuery, 'limit' | 'cursor'>) {
  const { sdkAppId, channelId, source, since, until } = query;
  if ([sdkAppId, channelId, source, since, until].every(filter => filter === undefined)) return null;
  const channels = kysely
    .selectFrom('channel')
    .select('channel.id')
    .$if(sdkAppId !== undefined, found => found.where('sdk_app_id', '=', sdkAppId!))
    .$if(channelId !== undefined, found => found.where('channel_id', '=', channelId!));
  return (
    kysely
      .selectFrom('change')
      .select('change.id')
      .$if(sdkAppId !== undefined || channelId !== undefined, found => found.where('change.channel', 'in', channels))
      .$if(source !== undefined, found => found.where('change.source', '=', sql.lit(source!)))
      // Lets the database use a partial index, which leaves out webhooks because nearly all changes come from them.
      .$if(source !== undefined && source !== 'webhook', found => found.where('change.source', '<>', sql.lit('webhook')))
      .$if(since !== undefined, found => found.where('change.received_at', '>=', since!))
      .$if(until !== undefined, found => found.where('change.received_at', '<', until!))
  );
}
