import type { SelectQueryBuilder } from 'kysely';
import { unknownProfile } from '../../../channel/profile.js';
import { readChanges, readFields, readProfile } from '../../../channel/stored.js';
import type { Database } from '../../../database/database.js';
import type { Tables } from '../../../database/tables.js';
import type { ChangeDto, ProfileDto } from './change.dto.js';
import type { ChangesQuery } from '../list.dto.js';
import { toIso } from '../times.js';

type Row = Awaited<ReturnType<ReturnType<typeof selectChanges>['execute']>>[number];

function selectChanges(database: Database) {
  return database.kysely
    .selectFrom('change')
    .innerJoin('channel', 'channel.id', 'change.channel')
    .select([
      'change.id',
      'change.type',
      'change.revision',
      'change.operator',
      'change.event_time',
      'change.estimated',
      'change.tie',
      'change.received_at',
    ])
    .select(['change.changes', 'change.profile', 'change.stale', 'channel.sdk_app_id', 'channel.channel_id']);
}

function showChange(row: Row): ChangeDto {
  return {
    id: row.id,
    sdkAppId: row.sdk_app_id,
    channelId: row.channel_id,
    type: row.type,
    revision: row.revision,
    operator: row.operator,
    eventTime: toIso(row.event_time),
    eventTimeEstimated: row.estimated === 1,
    tie: row.tie === 1,
    receivedAt: toIso(row.received_at),
    changes: orElse(() => readChanges(row.changes, readProfile(row.profile)), []),
    stale: orElse(() => readFields(row.stale), []),
  };
}

/** A damaged row is shown as far as it can be: one must not fail a list. */
export function orElse<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

/** The changes that fit, the newest arrival first, after the one with the id `after`; one more than the limit if there are more. */
export async function findChanges(database: Database, query: ChangesQuery, after: string | null): Promise<ChangeDto[]> {
  const selected = selectedChanges(database, query);
  const rows = await selectChanges(database)
    .$if(selected !== null, found => found.where('change.id', 'in', selected!))
    .$if(after !== null, found => found.where('change.id', '<', after!))
    .orderBy('change.id', 'desc')
    .limit(query.limit + 1)
    .execute();
  return rows.map(showChange);
}

/** One change with the profile that it made; `null` if there is none of this id. */
export async function findChange(database: Database, id: string): Promise<(ChangeDto & { profile: ProfileDto }) | null> {
  const row = await selectChanges(database).where('change.id', '=', id).executeTakeFirst();
  return row ? { ...showChange(row), profile: orElse(() => readProfile(row.profile), unknownProfile) } : null;
}

/** The ids of the changes that the query selects, for use inside another query; `null` if it selects all. */
export function selectedChanges(
  database: Database,
  { sdkAppId, channelId, since, until }: Omit<ChangesQuery, 'limit' | 'cursor'>,
): SelectQueryBuilder<Tables, 'change', { id: string }> | null {
  if ([sdkAppId, channelId, since, until].every(one => one === undefined)) return null;
  const channels = database.kysely
    .selectFrom('channel')
    .select('channel.id')
    .$if(sdkAppId !== undefined, found => found.where('sdk_app_id', '=', sdkAppId!))
    .$if(channelId !== undefined, found => found.where('channel_id', '=', channelId!));
  return database.kysely
    .selectFrom('change')
    .select('change.id')
    .$if(sdkAppId !== undefined || channelId !== undefined, found => found.where('change.channel', 'in', channels))
    .$if(since !== undefined, found => found.where('change.received_at', '>=', since!))
    .$if(until !== undefined, found => found.where('change.received_at', '<', until!));
}
