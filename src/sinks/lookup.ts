import type { ChangeTexts } from '../explanations/changes.js';
import { stored } from '../explanations/explanation.js';
import type { Filters } from './filters.js';
import type { Report, SinkResult } from './report-sink.js';
import type { Profile } from './sink.js';

/** A change as lists show it. */
export type ListedChange = Pick<Report, 'event' | 'origin' | 'receivedAt' | 'eventTimeEstimated' | 'tie' | 'stale'>;

/** How a configured sink is. */
export interface SinkOverview {
  sink: string;
  state: 'ok' | 'retrying' | 'misconfigured' | 'down' | 'paused';
  /** Since when, in milliseconds, why, and what to do; `null` if it is `ok`. */
  since: number | null;
  reason: string | null;
  advice: string | null;
  /** Age of its oldest queued change. */
  lagMs: number;
  /** How many changes are queued and how many failed; counted up to `countedMost` and one more. */
  queued: number;
  failed: number;
}

/** A change that some sinks did not take. */
export interface FailedChange extends ListedChange {
  failures: { sink: string; reason: string }[];
}

export interface FoundChannel {
  sdkAppId: string;
  channelId: string;
  /** `null` is unknown. */
  name: string | null;
  exists: boolean;
  /** The newest time of a change that altered it, in milliseconds. */
  updatedAt: number | null;
}

/** One channel, how each sink stands to it, and its latest changes. */
export interface ChannelOverview extends FoundChannel {
  revision: number;
  profile: Profile;
  sinks: { sink: string; state: 'in_sync' | 'pending' | 'retrying' | 'parked'; error: string | null }[];
  latest: ListedChange[];
}

/** One try of a delivery. */
export interface ShownAttempt {
  at: number;
  durationMs: number;
  outcome: string;
  status: number | null;
  error: string | null;
  /** What the target answered, cleaned; `null` if nothing is known of it. */
  response: string | null;
}

/** All that is known of a change. */
export interface ChangeDetails extends ListedChange {
  /** The body of its webhook as text; `null` if there was none. */
  webhook: string | null;
  deliveries: (SinkResult & { attempts: ShownAttempt[] })[];
  /** Changes of the same channel, those next to it first. */
  before: ListedChange[];
  after: ListedChange[];
}

/** What people look up by way of a sink: never more than the sink's filters want. */
export interface Lookup {
  /** Every configured sink, what needs attention first. */
  sinks(): Promise<SinkOverview[]>;
  /** The latest arrivals first. */
  latestChanges(most: number): Promise<ListedChange[]>;
  failedChanges(most: number): Promise<FailedChange[]>;
  /** Channels with this in their name or id, the one that was altered last first, and how many there are beyond the most. */
  findChannels(text: string, most: number): Promise<{ channels: FoundChannel[]; more: number }>;
  /** In every app that has it. */
  channel(channelId: string): Promise<ChannelOverview[]>;
  change(changeId: string): Promise<ChangeDetails | null>;
  /** A link to the page of a change that is good for an hour, on record as made for `actor`; `null` if there is no such page. @param language of the page */
  link(changeId: string, language: string, actor: string): Promise<string | null>;
}

/** Makes what people may look up by way of a sink. */
export abstract class Lookups {
  abstract within(filters: Filters): Lookup;
}

/** What a change did, in a few words. */
export function effectOf({ event, stale, tie }: ListedChange, { change: texts }: ChangeTexts): string {
  const { exists, revision } = event.data;
  const destroyed = event.type === 'channel.destroyed';
  if (revision === null) {
    if (tie) return texts.tie(stale);
    if (stale.length > 0 || (destroyed && exists)) return texts.older(stale);
    return destroyed ? texts.destroyedAlready : texts.equal;
  }
  if (destroyed) return texts.destroyed;
  if (event.type === 'channel.profile.updated') return texts.updated([]);
  // A channel's first revision cannot come after it was destroyed.
  return revision === 1 ? texts.created : texts.reCreated;
}

/** What else there is to know of a change, a sentence each. */
export function notesOf({ event, stale, tie, eventTimeEstimated }: ListedChange, { change: texts }: ChangeTexts): string[] {
  const altered = event.data.revision !== null;
  return [
    ...(altered && stale.length > 0 ? [texts.notApplied(stale, tie)] : []),
    ...(altered && tie ? [texts.tieNote] : []),
    ...(eventTimeEstimated ? [texts.estimated] : []),
  ];
}

/** The channel's name; of a destroyed one the last that was known. */
export function lastNameOf({ event }: ListedChange): string | null {
  return event.data.profile.name ?? event.data.changes.find(({ field }) => field === 'name')?.from ?? null;
}

/** The reason of a discard for which a person gave none. The line that says who did it says more. */
const noReasonGiven = stored(['discarded']);

/** How a sink stands to a change, why if it does not have it, and when it is tried next; `why` is empty if there is nothing to say. */
export function standingOf(
  { state, reason, held, skipped, nextAttemptAt }: SinkResult,
  { results: texts, explain }: ChangeTexts,
  now: number,
): { standing: string; why: string; next: { text: string; at: number } | null } {
  if (skipped) return { standing: texts.skipped, why: '', next: null };
  const standing = texts.state[state];
  if (state !== 'pending' && state !== 'retrying') {
    const has = state === 'delivered' || state === 'superseded' || reason === null || reason === noReasonGiven;
    return { standing, why: has ? '' : explain(reason), next: null };
  }
  const why = held !== null ? texts.held[held] : reason === null ? '' : explain(reason);
  return { standing, why, next: nextAttemptAt !== null && nextAttemptAt > now ? { text: texts.next[state], at: nextAttemptAt } : null };
}
