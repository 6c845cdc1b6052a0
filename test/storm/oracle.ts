import { commands } from '../support/vendor.ts';
import type { Look } from './look.ts';
import type { StormWebhook } from './webhooks.ts';

/** What a log sink is told (contract, section 3), as far as it is checked. */
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
   */
  async check(tables: Look, logSinks: readonly string[], documents: Documents): Promise<string[]> {
    await this.checkAccounts(tables, [...logSinks, 'search']);
    const rows = await tables.ask<{ body: Uint8Array; revision: number | null; channel_id: string; newest: number }>(
      `select change.body, change.revision, channel.channel_id, channel.revision as newest from change join channel on channel.id = change.channel`,
    );
    const kept = rows.map(({ body, revision, newest, channel_id: channelId }) => ({
      channelId,
      newest: Number(newest),
      revision: revision === null ? null : Number(revision),
      webhook: JSON.parse(Buffer.from(body).toString()) as StormWebhook,
    }));
    const markers = new Set(kept.map(({ webhook }) => webhook.Operator_Account));
    const lost = [...this.acked].filter(marker => !markers.has(marker));
    if (lost.length > 0) this.breaches.push(`${lost.length} webhooks were answered 200 and are not there: ${lost.slice(0, 5).join(', ')}`);
    if (markers.size < kept.length) this.breaches.push(`${kept.length - markers.size} webhooks were recorded twice`);
    const surplus = documents.size - new Set(kept.map(({ channelId }) => channelId)).size;
    if (surplus > 0) this.breaches.push(`the search index has ${surplus} documents too many`);
    for (const [channelId, own] of Map.groupBy(kept, row => row.channelId)) this.#checkChannel(channelId, own, logSinks, documents);
    const open = await tables.ask<{ name: string; state: string; n: number }>(
      `select name, delivery.state, count(*) as n from delivery join sink on sink.id = delivery.sink
       where delivery.state not in ('delivered', 'superseded') group by name, delivery.state`,
    );
    for (const { name, state, n } of open) this.breaches.push(`${n} deliveries of ${name} are ${state}`);
    return this.breaches;
  }

  #checkChannel(
    channelId: string,
    own: readonly { revision: number | null; newest: number; webhook: StormWebhook }[],
    logSinks: readonly string[],
    documents: Documents,
  ): void {
    const { profile, exists } = expectedProfile(own.map(({ webhook }) => webhook));
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
