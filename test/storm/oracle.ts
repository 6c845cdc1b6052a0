import { commands } from '../support/vendor.ts';
import type { VendorChannel } from '../support/fake-vendor.ts';
import type { Look } from './look.ts';
import type { VendorWorld } from './vendor-world.ts';
import type { StormWebhook } from './webhooks.ts';

/** What a log sink is told (docs/crm.md), as far as it is checked. */
export interface ToldEvent {
  data: { changeId: string; channelId: string; revision: number; exists: boolean; profile: Record<string, string | null> };
}

/** What the API says of a rebuild or a verify. */
export interface JobState {
  state: 'idle' | 'running' | 'done' | 'failed';
  startedAt: string | null;
  [more: string]: unknown;
}

export const fieldOf = { Name: 'name', FaceUrl: 'avatarUrl', Introduction: 'introduction', Organization: 'organization' } as const;
type Field = (typeof fieldOf)[keyof typeof fieldOf];

/** What a channel must be, told from the set of webhooks that were kept, by an other way than the service's own. */
export function expectedProfile(webhooks: readonly StormWebhook[]): { profile: Record<Field, string | null>; exists: boolean } {
  const profile = { name: null, avatarUrl: null, introduction: null, organization: null } as Record<Field, string | null>;
  for (const [told, field] of Object.entries(fieldOf)) {
    const values = webhooks.flatMap<{ at: number; value: string | null }>(({ CallbackCommand, EventTime, [told]: value }) => {
      if (CallbackCommand === commands.destroyed) return [{ at: EventTime, value: null }];
      return typeof value === 'string' ? [{ at: EventTime, value }] : [];
    });
    values.sort((one, other) => one.at - other.at || rank(one.value, other.value));
    profile[field] = values.at(-1)?.value ?? null;
  }
  const newest = (destroyed: boolean): number =>
    Math.max(-1, ...webhooks.filter(one => (one.CallbackCommand === commands.destroyed) === destroyed).map(one => one.EventTime));
  return { profile, exists: newest(false) > newest(true) };
}

function rank(one: string | null, other: string | null): number {
  if (one === null || other === null) return Number(one === null) - Number(other === null);
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}

/** What a channel must be once it was compared with the vendor, and nothing happened since. */
function trueProfile(channel: VendorChannel | null): ReturnType<typeof expectedProfile> {
  const profile = Object.entries(fieldOf).map(([name, field]) => [field, channel?.[name] ?? null]);
  return { profile: Object.fromEntries(profile) as Record<Field, string | null>, exists: channel !== null };
}

/** A change that was kept. */
interface Kept {
  revision: number | null;
  newest: number;
  eventTime: number;
  receivedAt: number;
  exist: number;
  profile: string;
  /** JSON of what it altered. */
  changes: string;
  source: string;
  /** `null` if a reading of the vendor amounted to it. */
  webhook: StormWebhook | null;
}

type Documents = ReadonlyMap<string, { source: Record<string, unknown> }>;

/** Knows what was answered 200 and what the sinks got, and holds the service to its promises. */
export class Oracle {
  readonly acked = new Set<string>();
  /** Breaches that were seen on the way. */
  readonly breaches: string[] = [];
  /** Documents that there were when a rebuild began. */
  readonly #settled = new Set<string>();
  /** The newest revision that was seen of each document, by index. */
  readonly #found = new WeakMap<Documents, Map<string, number>>();
  readonly #told = new Map<string, Map<string, { newest: number; bodies: Map<number, string> }>>();

  rebuilds(documents: Documents): void {
    for (const id of documents.keys()) this.#settled.add(id);
  }

  /** What a search finds at any moment: all that there was when a rebuild began, and no document of an index goes back. */
  finds(documents: Documents): void {
    const missing = [...this.#settled].filter(id => !documents.has(id));
    if (missing.length > 0) this.breaches.push(`a search missed ${missing.length} of ${this.#settled.size} channels`);
    const found = this.#found.get(documents) ?? new Map<string, number>();
    this.#found.set(documents, found);
    for (const [id, { source }] of documents) {
      const revision = Number(source['revision']);
      if (revision < (found.get(id) ?? 0)) this.breaches.push(`the search index went back to revision ${revision} of ${id}`);
      found.set(id, revision);
    }
  }

  /** A log sink took an event: in revision order, no gap, the same id and body for the same revision. */
  took(sink: string, id: string, event: ToldEvent): void {
    const { channelId, revision } = event.data;
    const channels = this.#told.get(sink) ?? new Map<string, { newest: number; bodies: Map<number, string> }>();
    this.#told.set(sink, channels);
    const told = channels.get(channelId) ?? { newest: 0, bodies: new Map<number, string>() };
    channels.set(channelId, told);
    const body = `${id} ${JSON.stringify(event)}`;
    const before = told.bodies.get(revision);
    if (before !== undefined && before !== body)
      this.breaches.push(`${sink}: revision ${revision} of ${channelId} was told twice with different ids or bodies`);
    if (before === undefined && revision !== told.newest + 1)
      this.breaches.push(`${sink}: revision ${revision} of ${channelId} was told after ${told.newest}`);
    told.bodies.set(revision, body);
    told.newest = Math.max(told.newest, revision);
  }

  /** There is one delivery for every change with a revision at every sink, and each is in one of the five states; in one statement, so at one moment. */
  async checkAccounts(tables: Look, sinks: readonly string[]): Promise<void> {
    const rows = await tables.ask<{ name: string; owed: number; accounted: number; revisions: number }>(
      `select name, (select count(*) from delivery where sink = sink.id) as owed,
         (select count(*) from delivery where sink = sink.id and state in ('pending', 'delivered', 'superseded', 'parked', 'discarded')) as accounted,
         (select count(*) from change where revision is not null) as revisions from sink`,
    );
    for (const { name, ...counts } of rows) {
      const [owed, accounted, revisions] = [counts.owed, counts.accounted, counts.revisions].map(Number);
      if (sinks.includes(name) && (owed !== revisions || accounted !== owed))
        this.breaches.push(`${name} is owed ${owed} of ${revisions} revisions, ${accounted} are accounted for`);
    }
  }

  /** What the service itself says of its index, once nothing is pending. Whether it is right is checked without it. */
  checkJobs({ rebuild, verify }: { rebuild: JobState; verify: JobState }, documents: Documents): void {
    const { state, compared, missing, older, newer, surplus } = verify;
    if (JSON.stringify([state, compared, missing, older, newer, surplus]) !== JSON.stringify(['done', documents.size, 0, 0, 0, 0]))
      this.breaches.push(`verify says ${JSON.stringify(verify)}`);
    if (!['done', 'idle'].includes(rebuild.state)) this.breaches.push(`the rebuild ended as ${JSON.stringify(rebuild)}`);
  }

  /**
   * Everything, once nothing is pending any more.
   * @param logSinks those that report what they took
   * @param documents of the search sink, by id
   * @param world where the channels are compared with the vendor: then what it has is the truth
   */
  async check(tables: Look, logSinks: readonly string[], documents: Documents, world: VendorWorld | null = null): Promise<string[]> {
    await this.checkAccounts(tables, [...logSinks, 'search']);
    const rows = await tables.ask<Kept & { channel_id: string; body: Uint8Array }>(
      `select change.body, change.revision, change.event_time as "eventTime", change.received_at as "receivedAt", change.exist,
         change.changes, change.profile, source, channel.channel_id, channel.revision as newest
       from change join channel on channel.id = change.channel order by channel.id, change.position`,
    );
    const kept = rows.map(({ body, channel_id: channelId, ...row }) => ({
      ...row,
      channelId,
      newest: Number(row.newest),
      revision: row.revision === null ? null : Number(row.revision),
      eventTime: Number(row.eventTime),
      receivedAt: Number(row.receivedAt),
      webhook: row.source === 'webhook' ? (JSON.parse(Buffer.from(body).toString()) as StormWebhook) : null,
    }));
    const webhooks = kept.flatMap(({ webhook }) => webhook ?? []);
    const markers = new Set(webhooks.map(webhook => webhook.Operator_Account));
    const lost = [...this.acked].filter(marker => !markers.has(marker));
    if (lost.length > 0) this.breaches.push(`${lost.length} webhooks were answered 200 and are not there: ${lost.slice(0, 5).join(', ')}`);
    if (markers.size < webhooks.length) this.breaches.push(`${webhooks.length - markers.size} webhooks were recorded twice`);
    const channels = Map.groupBy(kept, row => row.channelId);
    if (documents.size > channels.size) this.breaches.push(`the search index has ${documents.size - channels.size} documents too many`);
    for (const id of world?.channelIds ?? [])
      if (world?.channelAt(id) && !channels.has(id)) this.breaches.push(`${id} is at the vendor and was never found`);
    for (const [channelId, own] of channels) {
      this.#checkOrder(channelId, own);
      if (world) this.#checkReadings(channelId, own, world);
      const truth = world ? trueProfile(world.channelAt(channelId)) : expectedProfile(own.flatMap(({ webhook }) => webhook ?? []));
      this.#checkChannel(channelId, own, truth, logSinks, documents);
    }
    const open = await tables.ask<{ name: string; state: string; n: number }>(
      `select name, delivery.state, count(*) as n from delivery join sink on sink.id = delivery.sink
       where delivery.state not in ('delivered', 'superseded') group by name, delivery.state`,
    );
    for (const { name, state, n } of open) this.breaches.push(`${n} deliveries of ${name} are ${state}`);
    return this.breaches;
  }

  /** No change altered a field, or the existence, that was known to be newer: whatever told of it, a webhook or a reading of the vendor. */
  #checkOrder(channelId: string, own: readonly Kept[]): void {
    const newest = new Map<string, number>();
    let [alive, destroyed] = [0, -1];
    let existed = 0;
    for (const { eventTime, changes, exist, source, webhook } of own) {
      const altered = (JSON.parse(changes) as { field: string }[]).map(({ field }) => field);
      const undone = altered.filter(field => eventTime < (newest.get(field) ?? 0));
      if (exist !== existed && eventTime < (exist === 1 ? destroyed : alive)) undone.push('existence');
      for (const field of undone) this.breaches.push(`a ${source} as of ${eventTime} undid something newer: the ${field} of ${channelId}`);
      const ends = webhook ? webhook.CallbackCommand === commands.destroyed : exist === 0;
      if (ends) destroyed = Math.max(destroyed, eventTime);
      else alive = Math.max(alive, eventTime);
      const named = Object.entries(fieldOf).flatMap(([name, field]) => (ends || typeof webhook?.[name] === 'string' ? [field] : []));
      for (const field of [...named, ...altered]) newest.set(field, Math.max(newest.get(field) ?? 0, eventTime));
      existed = exist;
    }
  }

  /** What a reading altered it made what the channel was like at the vendor, at some moment since that as of which it counts. */
  #checkReadings(channelId: string, own: readonly Kept[], world: VendorWorld): void {
    for (const { eventTime, receivedAt, changes, exist, profile, webhook } of own) {
      if (webhook) continue;
      const altered = (JSON.parse(changes) as { field: Field }[]).map(({ field }) => field);
      const moments = world.channelBetween(channelId, eventTime, receivedAt).map(trueProfile);
      const is = JSON.parse(profile) as Record<Field, string | null>;
      const fits = moments.some(was => was.exists === (exist === 1) && altered.every(field => was.profile[field] === is[field]));
      if (!fits) this.breaches.push(`a reading as of ${eventTime} made ${channelId} what it was not at the vendor: ${altered.join(', ')}`);
    }
  }

  #checkChannel(
    channelId: string,
    own: readonly Kept[],
    { profile, exists }: { profile: Record<Field, string | null>; exists: boolean },
    logSinks: readonly string[],
    documents: Documents,
  ): void {
    const newest = own[0]!.newest;
    const revisions = own.flatMap(({ revision }) => revision ?? []).sort((one, other) => one - other);
    if (revisions.some((revision, index) => revision !== index + 1) || revisions.length !== newest)
      this.breaches.push(`the revisions of ${channelId} have gaps`);
    for (const sink of logSinks) {
      const told = this.#told.get(sink)?.get(channelId);
      const last = told && (JSON.parse(told.bodies.get(told.newest)!.replace(/^\S+ /, '')) as ToldEvent).data;
      if (told?.newest !== newest || told.bodies.size !== newest)
        this.breaches.push(`${sink} was told ${told?.bodies.size ?? 0} of ${newest} revisions of ${channelId}`);
      else if (JSON.stringify([last!.profile, last!.exists]) !== JSON.stringify([profile, exists]))
        this.breaches.push(`${sink} has a wrong profile of ${channelId}`);
    }
    const document = [...documents].find(([id]) => id.endsWith(`:${channelId}`))?.[1].source;
    const fields = Object.keys(profile).map(field => document?.[field] ?? null);
    if (
      JSON.stringify([fields, document?.['deleted'], document?.['revision']]) !== JSON.stringify([Object.values(profile), !exists, newest])
    )
      this.breaches.push(`the search index has a wrong document of ${channelId}`);
  }
}
