import type { ChangeTexts } from '../explanations/changes.js';
import { stored } from '../explanations/explanation.js';
import type { Filters } from './filters.js';
import type { Report, SinkResult } from './report-sink.js';
import type { Profile } from './sink.js';

export type ListedChange = Pick<Report, 'event' | 'origin' | 'receivedAt' | 'eventTimeEstimated' | 'tie' | 'stale'>;

export interface SinkOverview {
  sink: string;
  state: 'ok' | 'retrying' | 'misconfigured' | 'down' | 'paused';
  /** Why, and how to fix it; `null` if `ok`. */
  reason: string | null;
  advice: string | null;
  /** Age of the oldest queued change. */
  lagMs: number;
  /** Numbers of queued and failed changes, each counted up to `maxCounted` plus one. */
  queued: number;
  failed: number;
}

/** A change that could not be delivered to some sinks. */
export interface FailedChange extends ListedChange {
  failures: { sink: string; reason: string }[];
}

export interface FoundChannel {
  sdkAppId: string;
  channelId: string;
  name: string | null;
  exists: boolean;
  /** The latest EventTime of a change that altered it, in milliseconds. */
  updatedAt: number | null;
}

/** A channel, its state at each sink, and its latest changes. */
export interface ChannelOverview extends FoundChannel {
  revision: number;
  profile: Profile;
  sinks: { sink: string; state: 'in_sync' | 'pending' | 'retrying' | 'parked'; error: string | null }[];
  latest: ListedChange[];
}

export interface AttemptDetails {
  at: number;
  durationMs: number;
  outcome: string;
  status: number | null;
  error: string | null;
  /** The target's response, with secrets removed; `null` if unknown. */
  response: string | null;
}

export interface ChangeDetails extends ListedChange {
  /** The body of its webhook as text; `null` if there was none. */
  webhook: string | null;
  deliveries: (SinkResult & { attempts: AttemptDetails[] })[];
  /** Neighbouring changes of the same channel, nearest first. */
  before: ListedChange[];
  after: ListedChange[];
}

/** Queries for users of a sink, limited to what the sink's filters select. */
export interface Lookup {
  /** All configured sinks, those that need attention first. */
  sinks(): Promise<SinkOverview[]>;
  /** Latest arrivals first. */
  latestChanges(max: number): Promise<ListedChange[]>;
  failedChanges(max: number): Promise<FailedChange[]>;
  /** Channels whose name or id contains the text, most recently altered first; `more` counts those beyond `max`. */
  findChannels(text: string, max: number): Promise<{ channels: FoundChannel[]; more: number }>;
  /** The channel in every app that has it. */
  channel(channelId: string): Promise<ChannelOverview[]>;
  change(changeId: string): Promise<ChangeDetails | null>;
  /** A link to a change's page, valid for an hour, audited as created for `actor`; `null` if there is no such page. @param language of the page */
  link(changeId: string, language: string, actor: string): Promise<string | null>;
}

export abstract class Lookups {
  abstract within(filters: Filters): Lookup;
}

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

/** Further remarks on a change, one sentence each. */
export function notesOf({ event, stale, tie, eventTimeEstimated }: ListedChange, { change: texts }: ChangeTexts): string[] {
  const altered = event.data.revision !== null;
  return [
    ...(altered && stale.length > 0 ? [texts.notApplied(stale, tie)] : []),
    ...(altered && tie ? [texts.tieNote] : []),
    ...(eventTimeEstimated ? [texts.estimated] : []),
  ];
}

/** The channel's name, or the last known name of a destroyed channel. */
export function lastNameOf({ event }: ListedChange): string | null {
  return event.data.profile.name ?? event.data.changes.find(({ field }) => field === 'name')?.from ?? null;
}

/** The default reason of a discard. Not shown: the line about who discarded it says more. */
const noReasonGiven = stored(['discarded']);

/** A change's status at a sink, why it was not delivered (may be empty), and when the next attempt is due. */
export function statusOf(
  { state, reason, held, skipped, nextAttemptAt }: SinkResult,
  { results: texts, explain }: ChangeTexts,
  now: number,
): { status: string; why: string; next: { text: string; at: number } | null } {
  if (skipped) return { status: texts.skipped, why: '', next: null };
  const status = texts.state[state];
  const explained = reason === null ? '' : explain(reason);
  if (state !== 'pending' && state !== 'retrying') {
    const needsNoReason = state === 'delivered' || state === 'superseded' || reason === noReasonGiven;
    return { status, why: needsNoReason ? '' : explained, next: null };
  }
  const why = held === null ? explained : texts.held[held];
  return { status, why, next: nextAttemptAt !== null && nextAttemptAt > now ? { text: texts.next[state], at: nextAttemptAt } : null };
}
