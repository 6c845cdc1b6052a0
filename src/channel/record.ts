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
import { sooner, readMarkAfter } from './readings/to-read.js';
import { unknownProfile } from './profile.js';
import { readTime } from './stored.js';

export type Recorded = 'recorded' | 'repeat';

/**
 * Records a group in one transaction, with a number of statements and round trips that does not depend on the group's size.
 * @returns `afterCommit` must be called once the transaction has committed
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
  const repeats = trx.selectFrom('change').select('fingerprint').where(database.isAmong('fingerprint', fingerprints));
  const repeatRows = await database.send(trx, repeats.compile());
  const sinkRows = await enqueuer.sinks(trx);
  const channels = await locked();
  const seen = new Set((await repeatRows()).map(row => row.fingerprint));
  const sinks = await sinkRows();

  const results: Recorded[] = [];
  const changes: Applied[] = [];
  webhooks.forEach((webhook, index) => {
    const print = fingerprints[index]!;
    results.push(seen.has(print) ? 'repeat' : 'recorded');
    if (seen.has(print)) return;
    seen.add(print);
    const channel = channels.get(keyOf(webhook))!;
    changes.push(applyTo(channel, webhook, print));
    Object.assign(channel, sooner(channel, readMarkAfter(webhook, changes.at(-1)!.row.tie === 1, now)));
  });
  await updateChannels(database, trx, [...channels.values()], changes);
  const recorded = changes.map(({ change }) => change);
  return { results, afterCommit: await enqueuer.enqueue(trx, sinks, recorded, now) };
}

export type Applied = { change: RecordedChange; row: Insertable<Tables['change']> };

export interface LockedChannel extends Omit<Row<'channel'>, 'state'> {
  known: ChannelState;
  touched: boolean;
  /** Shared by all changes of the channel in this transaction, so that each carries the final state. */
  latest: RecordedChange['latest'];
}

/**
 * Creates missing channel rows, then locks all of them without writing to them. Each step has a fixed order, which avoids deadlocks.
 * @returns a function that awaits them
 */
export async function lockChannels(
  database: Database,
  trx: Trx,
  webhooks: readonly Pick<InboundWebhook, 'sdkAppId' | 'channelId'>[],
): Promise<() => Promise<Map<string, LockedChannel>>> {
  const keys = [...new Map(webhooks.map(webhook => [keyOf(webhook), webhook]))].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, key]) => key);
  const unknown = { state: JSON.stringify(emptyState), revision: 0, position: 0, version: 0 };
  const missing = keys.map(({ sdkAppId, channelId }) => ({ sdk_app_id: sdkAppId, channel_id: channelId, ...unknown }));
  await database.insert(trx, 'channel', missing, 'on conflict (sdk_app_id, channel_id) do nothing');
  const rows: (() => Promise<Row<'channel'>[]>)[] = [];
  for (const [sdkAppId, ofApp] of Map.groupBy(keys, key => key.sdkAppId)) {
    const ids = ofApp.map(({ channelId }) => channelId);
    const known = trx.selectFrom('channel').selectAll().where('sdk_app_id', '=', sdkAppId).where(database.isAmong('channel_id', ids));
    rows.push(await database.send(trx, known.orderBy('channel_id').$call(database.lock).compile()));
  }
  return async () =>
    new Map(
      (await Promise.all(rows.map(ofApp => ofApp()))).flat().map(({ state, ...row }) => {
        const latest = { revision: null, exists: false, profile: unknownProfile, version: row.version, updatedAt: row.updated_at };
        const key = keyOf({ sdkAppId: row.sdk_app_id, channelId: row.channel_id });
        return [key, { ...row, known: JSON.parse(state) as ChannelState, touched: false, latest }];
      }),
    );
}

/** Applies one webhook to a locked channel. @returns the resulting change */
export function applyTo(channel: LockedChannel, webhook: InboundWebhook, fingerprint: string): Applied {
  const { state, altered, exists, type, changes, profile, tie, named, stale, existenceChanged } = apply(channel.known, webhook);
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
  const key = { id, channel: channel.id, position: channel.position };
  const revision = altered ? channel.revision : null;
  const row = {
    ...key,
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
    // The new values are already in `profile`; texts can be a megabyte long, so they are not stored twice.
    changes: JSON.stringify(changes.map(({ field, from }) => ({ field, from }))),
    profile: JSON.stringify(profile),
    stale: JSON.stringify(stale),
    body: webhook.body,
  };
  const data = { changeId: id, sdkAppId, channelId, revision, exists, operator, source, changes, profile };
  const event = { type, timestamp: readTime(eventTime), data };
  const fields = altered ? changes.map(({ field }) => field) : named;
  const bytes = row.changes.length + row.profile.length;
  return { change: { ...key, event, origin, sdkAppId, channelId, existenceChanged, fields, bytes, latest: channel.latest }, row };
}

/** Writes the changes and the locked channels that they touched. */
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
