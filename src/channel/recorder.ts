import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Database } from '../database/database.js';
import { faultOf } from '../database/errors.js';
import { groupLimits } from '../database/limits.js';
import { newestArrival } from '../database/arrival-times.js';
import type { Row, Trx } from '../database/tables.js';
import { enqueueDeliveries, sinksToFeed } from '../delivery/enqueue.js';
import { Arrivals } from './arrivals.js';
import { apply } from './change.js';
import { keyOf, nextGroup } from './group.js';
import { type ChannelState, type Told, emptyState } from './merge.js';
import { type FieldName, fieldNames } from './profile.js';

/** A webhook that passed every check, ready to be kept. */
export interface InboundWebhook extends Told {
  /** Given on arrival; becomes the change's id. */
  id: string;
  sdkAppId: string;
  channelId: string;
  operator: string | null;
  eventTimeEstimated: boolean;
  receivedAt: number;
  /** The body as it arrived, inflated. */
  body: Uint8Array;
}

export type Recorded = 'recorded' | 'repeat';

/** Nothing could keep the webhook in time. */
export class Unavailable extends Error {}

/** The database takes others, but not this one. */
export class Unstorable extends Unavailable {}

/** How often a transaction that lost against another one is tried again. */
const conflictsBorne = 3;

/** How many sinks may be registered before a transaction has told. */
const unknownSinks = 100;

/** The longest time that a group waits for others to join. */
const gatherMs = 5;

const notSince = 'the database has not answered since the start';

interface Waiting extends PromiseWithResolvers<Recorded> {
  webhook: InboundWebhook;
  /** Nobody waits for it any more. */
  late: boolean;
}

/**
 * Keeps webhooks: those that arrive while a transaction is in flight go together into the next one (group commit). A promise that
 * resolves means that the change, and what every sink must still get, are on disk.
 */
export class Recorder {
  private waiting: Waiting[] = [];
  private busy = false;
  private arrivals: Arrivals | null = null;
  private sinks = unknownSinks;

  /**
   * @param onEnqueued told after each commit which sinks have something to do
   * @param onFailure told when a whole group failed
   */
  constructor(
    private readonly database: Database,
    private readonly now: () => number,
    private readonly onEnqueued: (sinks: Set<number>) => void,
    private readonly onFailure: (error: Error) => void,
  ) {}

  /** @throws Unavailable if the webhook was not kept within `timeoutMs`; it may still be kept afterwards if its group was in flight */
  record(webhook: InboundWebhook, timeoutMs: number): Promise<Recorded> {
    const one: Waiting = { webhook, late: false, ...Promise.withResolvers<Recorded>() };
    const timer = setTimeout(() => {
      one.late = true;
      one.reject(new Unavailable('the database did not answer in time'));
    }, timeoutMs);
    this.waiting.push(one);
    if (!this.busy) void this.work();
    return one.promise.finally(() => clearTimeout(timer));
  }

  private async work(): Promise<void> {
    this.busy = true;
    while (this.waiting.length > 0) {
      await this.gather();
      const wanted = this.waiting.filter(one => !one.late);
      const { group, rest } = nextGroup(wanted, this.sinks);
      this.waiting = rest;
      if (group.length > 0) await this.keep(group);
    }
    this.busy = false;
  }

  /** Waits as long as each turn of the event loop brings more, since one fsync serves them all; a lone webhook waits for one empty turn. */
  private async gather(): Promise<void> {
    const until = performance.now() + gatherMs;
    for (let had = 0; had < this.waiting.length && this.waiting.length < groupLimits.webhooks && performance.now() < until;) {
      had = this.waiting.length;
      await nextTurn();
    }
  }

  private async keep(group: Waiting[]): Promise<void> {
    try {
      const results = await this.commit(group.map(({ webhook }) => webhook));
      for (const [index, one] of group.entries()) {
        const result = results[index]!;
        if (result instanceof Error) this.onFailure(result);
        if (result instanceof Error) one.reject(new Unstorable('the database refuses this webhook'));
        else one.resolve(result);
      }
    } catch (error) {
      this.onFailure(error as Error);
      for (const one of group) one.reject(new Unavailable(this.database.ready ? 'the database failed' : notSince));
    }
  }

  /**
   * Records webhooks that were kept elsewhere until now, a group a transaction; none only asks whether the database takes any.
   * @param onGroup awaited after each group
   * @returns those that the database will never take
   * @throws whatever the database says
   */
  async take(messageRefs: readonly InboundWebhook[], onGroup: () => Promise<void> = async () => undefined): Promise<InboundWebhook[]> {
    if (messageRefs.length === 0) await this.commit([]);
    const refused: InboundWebhook[] = [];
    for (let left = messageRefs.map(webhook => ({ webhook })); left.length > 0; await onGroup()) {
      const { group, rest } = nextGroup(left, this.sinks);
      const results = await this.commit(group.map(({ webhook }) => webhook));
      for (const [index, { webhook }] of group.entries()) if (results[index] instanceof Error) refused.push(webhook);
      left = rest;
    }
    return refused;
  }

  /** One transaction; where it is the data that the database refuses, one for each half, so that the others are kept. */
  private async commit(messageRefs: readonly InboundWebhook[], conflictsLeft = conflictsBorne): Promise<(Recorded | Error)[]> {
    if (!this.database.ready) throw new Unavailable(notSince);
    try {
      if (messageRefs.length === 0) return (await this.database.ping(), []);
      const { results, owed, sinks } = await this.database.kysely
        .transaction()
        .execute(async trx => recordGroup(this.database, trx, await this.timed(trx, messageRefs), this.now()));
      this.sinks = Math.max(1, sinks);
      if (owed.size > 0) this.onEnqueued(owed);
      return results;
    } catch (error) {
      const fault = faultOf(error);
      if (fault === 'conflict' && conflictsLeft > 0) return this.commit(messageRefs, conflictsLeft - 1);
      // A bug of ours, too, is met by some webhooks and not by others.
      if (fault !== 'data' && fault !== 'bug') throw error;
      if (messageRefs.length === 1) return [error as Error];
      const middle = messageRefs.length >> 1;
      return [...(await this.commit(messageRefs.slice(0, middle))), ...(await this.commit(messageRefs.slice(middle)))];
    }
  }

  /** An arrival that stands in for an EventTime is no later than the database's clock, or as near as it must be to what arrived before: ours may be wrong. */
  private async timed(trx: Trx, messageRefs: readonly InboundWebhook[]): Promise<InboundWebhook[]> {
    const { embedded } = this.database;
    const sure = embedded && !this.arrivals ? await newestArrival(trx, null) : null;
    this.arrivals ??= new Arrivals(
      embedded ? (sure ?? (await newestArrival(trx, 'received_at'))) : null,
      () => performance.now(),
      sure !== null,
    );
    const now = this.now();
    return messageRefs.map((webhook, index) => {
      const { receivedAt, eventTimeEstimated: estimated } = webhook;
      const believed = embedded ? this.arrivals!.believed(receivedAt, estimated ? null : webhook.eventTime) : Math.min(receivedAt, now);
      if (!estimated || receivedAt === believed) return webhook;
      return { ...webhook, eventTime: embedded ? believed : now - messageRefs.length + index };
    });
  }
}

/** One transaction's work; neither the number of its statements nor that of its two round trips grows with the group. */
async function recordGroup(
  database: Database,
  trx: Trx,
  messageRefs: readonly InboundWebhook[],
  now: number,
): Promise<{ results: Recorded[]; owed: Set<number>; sinks: number }> {
  const locked = await lockChannels(database, trx, messageRefs);
  const fingerprints = messageRefs.map(fingerprint);
  const known = trx.selectFrom('change').select('fingerprint').where(database.isAmong('fingerprint', fingerprints));
  const kept = await database.send(trx, known.compile());
  const asked = await sinksToFeed(database, trx);
  const channels = await locked();
  const seen = new Set((await kept()).map(row => row.fingerprint));
  const feeding = await asked();

  const results: Recorded[] = [];
  const changes: ReturnType<typeof applyTo>[] = [];
  messageRefs.forEach((webhook, index) => {
    const mark = fingerprints[index]!;
    results.push(seen.has(mark) ? 'repeat' : 'recorded');
    if (seen.has(mark)) return;
    seen.add(mark);
    changes.push(applyTo(channels.get(keyOf(webhook))!, webhook, mark));
  });
  if (changes.length === 0) return { results, owed: new Set(), sinks: feeding.length };

  const rows = changes.map(({ row }) => row);
  await database.insert(trx, 'change', rows);
  await updateChannels(database, trx, [...channels.values()]);
  const owed = await enqueueDeliveries(database, trx, feeding, changes, now);
  if (owed.size > 0) await database.notify(trx, owed);
  return { results, owed, sinks: feeding.length };
}

interface LockedChannel extends Omit<Row<'channel'>, 'state'> {
  known: ChannelState;
  touched: boolean;
}

/** Makes the rows that are missing and locks all, in one order for everybody. @returns waits for them */
async function lockChannels(
  database: Database,
  trx: Trx,
  messageRefs: readonly InboundWebhook[],
): Promise<() => Promise<Map<string, LockedChannel>>> {
  const keys = [...new Map(messageRefs.map(webhook => [keyOf(webhook), webhook]))].sort(([one], [other]) => (one < other ? -1 : 1));
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
      (await rows()).map(({ state, ...row }) => [
        `${row.sdk_app_id} ${row.channel_id}`,
        { ...row, known: JSON.parse(state) as ChannelState, touched: false },
      ]),
    );
}

/** Moves the locked channel on by one webhook and gives the change that this makes, with its row. */
function applyTo(channel: LockedChannel, webhook: InboundWebhook, fingerprint: string) {
  const effect = apply(channel.known, webhook);
  channel.known = effect.state;
  channel.position += 1;
  channel.touched = true;
  if (effect.altered) {
    channel.revision += 1;
    channel.updated_at = Math.max(channel.updated_at ?? 0, webhook.eventTime);
    channel.version = Math.max(channel.version + 1, channel.updated_at);
  }
  const revision = effect.altered ? channel.revision : null;
  const named = fieldNames.filter(field => webhook.command !== 'destroyed' && webhook.fields[field] !== undefined);
  const at = { id: webhook.id, channel: channel.id, position: channel.position, revision };
  return {
    ...at,
    sdkAppId: webhook.sdkAppId,
    channelId: webhook.channelId,
    existenceChanged: effect.existenceChanged,
    fields: effect.altered ? effect.changes.map(({ field }) => field) : named,
    row: {
      ...at,
      fingerprint,
      type: effect.type,
      operator: webhook.operator,
      event_time: webhook.eventTime,
      estimated: Number(webhook.eventTimeEstimated),
      tie: Number(effect.tie),
      received_at: webhook.receivedAt,
      exist: Number(effect.exists),
      // What each field is now stands in the profile: of texts of a megabyte every copy counts.
      changes: JSON.stringify(effect.changes.map(({ field, from }) => ({ field, from }))),
      profile: JSON.stringify(effect.profile),
      stale: JSON.stringify(effect.stale),
      body: webhook.body,
    },
  };
}

async function updateChannels(database: Database, trx: Trx, channels: readonly LockedChannel[]): Promise<void> {
  const rows = channels.flatMap(channel => {
    const { id: _, touched, known, ...row } = channel;
    return touched ? [{ ...row, state: JSON.stringify(known) }] : [];
  });
  await database.insert(
    trx,
    'channel',
    rows,
    `on conflict (sdk_app_id, channel_id) do update set state = excluded.state, revision = excluded.revision,
       position = excluded.position, version = excluded.version, updated_at = excluded.updated_at`,
  );
}

/**
 * What an exact repeat shares (contract, section 2): app, command, channel, EventTime, operator and profile fields. A webhook whose
 * time was estimated is never a repeat of another, so its own id stands in.
 */
export function fingerprint(webhook: InboundWebhook): string {
  if (webhook.eventTimeEstimated) return webhook.id;
  const { sdkAppId, command, channelId, eventTime, operator, fields } = webhook;
  const told = [sdkAppId, command, channelId, eventTime, operator, ...fieldNames.map((field: FieldName) => fields[field] ?? null)];
  // The time in front keeps the index's new entries together on few pages.
  return `${eventTime}-${createHash('sha256').update(JSON.stringify(told)).digest('base64url')}`;
}
