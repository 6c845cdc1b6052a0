import { type ChannelState, type Command, type Told, existsIn, join, profileOf, stateOf } from './merge.js';
import { type FieldChange, type FieldName, type Profile, diff, fieldNames } from './profile.js';

export type ChangeType = 'channel.created' | 'channel.profile.updated' | 'channel.destroyed';

/** What one webhook did to its channel. */
export interface Effect {
  state: ChannelState;
  profile: Profile;
  exists: boolean;
  type: ChangeType;
  changes: FieldChange[];
  /** True if the channel's existence is another one than before; the first webhook of a channel always changes it. */
  existenceChanged: boolean;
  /** True if the profile or the existence was altered: the change gets the next revision. */
  altered: boolean;
  /** Fields of this webhook whose value lost against what was known. */
  stale: FieldName[];
  /** True if a field had another value of the very same time. */
  tie: boolean;
}

const typeOfCommand: Record<Command, ChangeType> = {
  created: 'channel.created',
  changed: 'channel.profile.updated',
  destroyed: 'channel.destroyed',
};

/** Applies one webhook to what is known of its channel. */
export function apply(before: ChannelState, webhook: Told): Effect {
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
    existenceChanged,
    altered,
    ...losses(before, webhook),
  };
}

/** `existed` is `null` for a channel never heard of, false for one known to be destroyed. */
function typeByEffect(existed: boolean | null, exists: boolean, command: Command): ChangeType {
  if (!exists && existed !== false) return 'channel.destroyed';
  if (exists && (existed === false || (existed === null && command === 'created'))) return 'channel.created';
  return 'channel.profile.updated';
}

function losses(before: ChannelState, { command, eventTime, fields }: Told): { stale: FieldName[]; tie: boolean } {
  if (command === 'destroyed') return { stale: [], tie: false };
  const stale: FieldName[] = [];
  let tie = false;
  for (const field of fieldNames) {
    const [value, known] = [fields[field], before.fields[field]];
    if (value === undefined || !known) continue;
    const sameTime = known.at === eventTime;
    if (sameTime && known.value !== null && known.value !== value) tie = true;
    if (known.at > eventTime || (sameTime && join(before, stateOf({ command, eventTime, fields })).fields[field]?.value !== value))
      stale.push(field);
  }
  return { stale, tie };
}
