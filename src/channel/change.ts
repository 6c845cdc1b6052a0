import { type ChannelState, type Command, type VendorEvent, existsIn, join, profileOf, stateOf } from './merge.js';
import { type FieldName, diff, fieldNames } from './profile.js';

export type ChangeType = 'channel.created' | 'channel.profile.updated' | 'channel.destroyed';

const typeOfCommand: Record<Command, ChangeType> = {
  created: 'channel.created',
  changed: 'channel.profile.updated',
  destroyed: 'channel.destroyed',
};

/** Merges one webhook into the state of its channel. */
export function apply(before: ChannelState, webhook: VendorEvent) {
  const state = join(before, stateOf(webhook));
  const profile = profileOf(state);
  const changes = diff(profileOf(before), profile);
  const existed = existsIn(before);
  const exists = existsIn(state) === true;
  const existenceChanged = existed !== exists;
  const altered = existenceChanged || changes.length > 0;
  return {
    state,
    profile,
    exists,
    type: altered ? typeByEffect(existed, exists, webhook.command) : typeOfCommand[webhook.command],
    changes,
    /** True if the channel now exists and did not before, or the reverse; always true for its first webhook. */
    existenceChanged,
    /** True if the profile or the existence changed, so that the change gets the next revision. */
    altered,
    ...losses(before, state, webhook),
  };
}

/** @param existed `null` for an unknown channel, false for one known to be destroyed */
function typeByEffect(existed: boolean | null, exists: boolean, command: Command): ChangeType {
  if (!exists && existed !== false) return 'channel.destroyed';
  if (exists && (existed === false || (existed === null && command === 'created'))) return 'channel.created';
  return 'channel.profile.updated';
}

/**
 * @returns `stale`: the fields whose value in this webhook lost to the known one; `tie`: whether a field already had a different value with
 *   the same EventTime
 */
function losses(
  before: ChannelState,
  after: ChannelState,
  { command, eventTime, fields }: VendorEvent,
): { stale: FieldName[]; tie: boolean } {
  if (command === 'destroyed') return { stale: [], tie: false };
  const stale: FieldName[] = [];
  let tie = false;
  for (const field of fieldNames) {
    const [value, known] = [fields[field], before.fields[field]];
    if (value === undefined || !known) continue;
    const sameTime = known.at === eventTime;
    if (sameTime && known.value !== null && known.value !== value) tie = true;
    if (known.at > eventTime || (sameTime && after.fields[field]?.value !== value)) stale.push(field);
  }
  return { stale, tie };
}
