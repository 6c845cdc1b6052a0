import { type ChannelState, type Command, type VendorEvent, existsIn, join, profileOf, stateOf } from './merge.js';
import { diff, fieldNames } from './profile.js';

export type ChangeType = 'channel.created' | 'channel.profile.updated' | 'channel.destroyed';

const typeOfCommand: Record<Command, ChangeType> = {
  created: 'channel.created',
  changed: 'channel.profile.updated',
  destroyed: 'channel.destroyed',
};

/** Merges one webhook into the state of its channel. */
export function apply(before: ChannelState, webhook: VendorEvent) {
  const { command, eventTime, fields } = webhook;
  const state = join(before, stateOf(webhook));
  const profile = profileOf(state);
  const changes = diff(profileOf(before), profile);
  const existed = existsIn(before);
  const exists = existsIn(state) === true;
  const existenceChanged = existed !== exists;
  const altered = existenceChanged || changes.length > 0;
  const named = fieldNames.filter(field => command !== 'destroyed' && fields[field] !== undefined);
  return {
    state,
    profile,
    exists,
    type: altered ? typeByEffect(existed, exists, command) : typeOfCommand[command],
    changes,
    /** True if the channel now exists and did not before, or the reverse; always true for its first webhook. */
    existenceChanged,
    /** True if the profile or the existence changed, so that the change gets the next revision. */
    altered,
    /** Fields that the webhook names; none if it is a destroyed one. */
    named,
    /** Fields whose value in this webhook lost to the known one. */
    stale: named.filter(field => state.fields[field]!.at > eventTime || state.fields[field]!.value !== fields[field]),
    /** True if a field already had a different value with the same EventTime. */
    tie: named.some(field => {
      const known = before.fields[field];
      return known?.at === eventTime && known.value !== null && known.value !== fields[field];
    }),
  };
}

/** @param existed `null` for an unknown channel, false for one known to be destroyed */
function typeByEffect(existed: boolean | null, exists: boolean, command: Command): ChangeType {
  if (!exists && existed !== false) return 'channel.destroyed';
  if (exists && (existed === false || (existed === null && command === 'created'))) return 'channel.created';
  return 'channel.profile.updated';
}
