import type { Insertable } from 'kysely';
import type { Database } from '../database/database.js';
import type { Row, Tables, Trx } from '../database/tables.js';
import type { Enqueuer, RecordedChange } from '../delivery/enqueue.js';
import { apply } from './change.js';
import { makeFindable } from './findable.js';
import { keyOf } from './group.js';
import { type InboundWebhook, fingerprint } from './inbound-webhook.js';
import { type ChannelState, emptyState } from './merge.js';
import { originColumns } from './origin.js';
import { sooner, toRead } from './readings/to-read.js';
import { fieldNames, unknownProfile } from './profile.js';
import { readTime } from './stored.js';

export type Recorded = 'recorded' | 'repeat';

/**
 * One transaction's work; neither the number of its statements nor that of its two round trips grows with the group.
 * @returns also what is to be done after the commit
 */
export async function recordGroup(
  database: Database,
  enqueuer: Enqueuer,
  trx: Trx,
  webhooks: readonly InboundWebhook[],
  now: number,
): Promise<{ results: Recorded[]; afterCommit: () => Promise<void> }> {
  const locked = await lockChannels(database, trx, webhooks);
  const fingerprints = webhooks.map(fingerprint);
  const known = trx.selectFrom('change').select('fingerprint').where(database.isAmong('fingerprint', fingerprints));
  const kept = await database.send(trx, known.compile());
  const asked = await enqueuer.sinks(trx);
  const channels = await locked();
  const seen = new Set((await kept()).map(row => row.fingerprint));
  const fed = await asked();

  const results: Recorded[] = [];
  const changes: Applied[] = [];
  webhooks.forEach((webhook, index) => {
    const mark = fingerprints[index]!;
    results.push(seen.has(mark) ? 'repeat' : 'recorded');
    if (seen.has(mark)) return;
    seen.add(mark);
    const channel = channels.get(keyOf(webhook))!;
    changes.push(applyTo(channel, webhook, mark));
    Object.assign(channel, sooner(channel, toRead(webhook, changes.at(-1)!.row.tie === 1, now)));
  });
  await updateChannels(database, trx, [...channels.values()], changes);
  const recorded = changes.map(({ change }) => change);
  return { results, afterCommit: await enqueuer.enqueue(trx, fed, recorded, now) };
}

/** What a channel became, and its row. */
export type Applied = { change: RecordedChange; row: Insertable<Tables['change']> };

export interface LockedChannel extends Omit<Row<'channel'>, 'state'> {
  known: ChannelState;
  touched: boolean;
  /** Shared by all its changes, which are told of the last of them. */
  latest: RecordedChange['latest'];
}

/** Makes the rows that are missing and locks all, in one order for everybody. @returns waits for them */
export async function lockChannels(
  database: Database,
  trx: Trx,
  webhooks: readonly Pick<InboundWebhook, 'sdkAppId' | 'channelId'>[],
): Promise<() => Promise<Map<string, LockedChannel>>> {
  const keys = [...new Map(webhooks.map(webhook => [keyOf(webhook), webhook]))].sort(([one], [other]) => (one < other ? -1 : 1));
  const unknown = { state: JSON.stringify(emptyState), revision: 0, position: 0, version: 0 };
  const rows = await database.insert<'channel', Row<'channel'>>(
    trx,
    'channel',
    keys.map(([, { sdkAppId, channelId }]) => ({ sdk_app_id: sdkAppId, channel_id: channelId, ...unknown })),
    // An update that changes nothing, for the sake of its lock and of the row that it returns.
    'on conflict (sdk_app_id, channel_id) do update set channel_id = excluded.channel_id returning *',
  );
  return async () =>
    new Map(
      (await rows()).map(({ state, ...row }) => {
        const latest = { revision: null, exists: false, profile: unknownProfile, version: row.version, updatedAt: row.updated_at };
        return [`${row.sdk_app_id} ${row.channel_id}`, { ...row, known: JSON.parse(state) as ChannelState, touched: false, latest }];
      }),
    );
}

/** Moves the locked channel on by one webhook and gives the change that this makes, with its row. */
export function applyTo(channel: LockedChannel, webhook: InboundWebhook, fingerprint: string): Applied {
  const { state, altered, exists, type, changes, profile, tie, stale, existenceChanged } = apply(channel.known, webhook);
  channel.known = state;
  channel.position += 1;
  channel.touched = true;
  if (altered) {
    channel.revision += 1;
    channel.updated_at = Math.max(channel.updated_at ?? 0, webhook.eventTime);
    channel.version = Math.max(channel.version + 1, channel.updated_at);
  }
  const { version, updated_at: updatedAt } = channel;
  Object.assign(channel.latest, { revision: channel.revision, exists, profile, version, updatedAt });
  const { id, sdkAppId, channelId, source, operator, origin, eventTime } = webhook;
  const at = { id, channel: channel.id, position: channel.position };
  const revision = altered ? channel.revision : null;
  const row = {
    ...at,
    revision,
    fingerprint,
    type,
    source,
    operator,
    ...originColumns(origin),
    event_time: eventTime,
    estimated: Number(webhook.eventTimeEstimated),
    tie: Number(tie),
    received_at: webhook.receivedAt,
    exist: Number(exists),
    // What each field is now stands in the profile: of texts of a megabyte every copy counts.
    changes: JSON.stringify(changes.map(({ field, from }) => ({ field, from }))),
    profile: JSON.stringify(profile),
    stale: JSON.stringify(stale),
    body: webhook.body,
  };
  const data = { changeId: id, sdkAppId, channelId, revision, exists, operator, source, changes, profile };
  const event = { type, timestamp: readTime(eventTime), data };
  const named = fieldNames.filter(field => webhook.command !== 'destroyed' && webhook.fields[field] !== undefined);
  const fields = altered ? changes.map(({ field }) => field) : named;
  const bytes = row.changes.length + row.profile.length;
  return { change: { ...at, event, origin, sdkAppId, channelId, existenceChanged, fields, bytes, latest: channel.latest }, row };
}

/** Writes locked channels, and the changes that made them what they are. */
export async function updateChannels(database: Database, trx: Trx, channels: readonly LockedChannel[], changes: readonly Applied[]) {
  const changed = changes.map(({ row }) => row);
  await database.insert(trx, 'change', changed);
  const rows = channels.flatMap(channel => {
    const { id: _, touched, known, latest: __, ...row } = channel;
    return touched ? [{ ...row, state: JSON.stringify(known) }] : [];
  });
  await database.insert(
    trx,
    'channel',
    rows,
    `on conflict (sdk_app_id, channel_id) do update set state = excluded.state, revision = excluded.revision,
       position = excluded.position, version = excluded.version, updated_at = excluded.updated_at,
       verified_at = excluded.verified_at, read_at = excluded.read_at, read_cause = excluded.read_cause, read_tries = excluded.read_tries`,
  );
  const altered = new Set(changed.filter(row => row.revision !== null).map(row => row.channel));
  await makeFindable(
    database,
    trx,
    channels.filter(({ id }) => altered.has(id)),
  );
}
