import { diff, fieldNames } from '../channel/profile.js';
import { type ChannelState, type VendorEvent, existsIn, join, profileOf, stateOf } from '../channel/merge.js';

/** The fields that the vendor returned for a channel; `null` if the channel does not exist. */
export type Read = VendorEvent['fields'] | null;

/** The effect of a reading on the known state of its channel. */
export interface Judgement {
  /** The event to record as a change; `null` if the reading alters nothing. */
  event: VendorEvent | null;
  /** The new state if no event is recorded. */
  state: ChannelState;
  /** The time of a newer value that differs from the reading; only a reading valid after it is conclusive. */
  hiddenBy: number | null;
}

/**
 * Converts a reading to an event (docs/tencent-api.md): *changed* if the channel exists, *created* if it was unknown before,
 * *destroyed* if it is gone; an unknown channel that does not exist has no event.
 * @param at the time as of which the reading is valid (ms)
 */
export function judge(known: ChannelState, read: Read, at: number): Judgement {
  const existed = existsIn(known);
  if (read === null) {
    const event: VendorEvent = { command: 'destroyed', eventTime: at, fields: {} };
    if (existed !== true) return { event: null, state: known, hiddenBy: null };
    const ends = existsIn(join(known, stateOf(event))) !== true;
    return { event: ends ? event : null, state: known, hiddenBy: ends ? null : known.aliveAt };
  }
  const event: VendorEvent = { command: existed === null ? 'created' : 'changed', eventTime: at, fields: read };
  const state = join(known, stateOf(event));
  const hiding = fieldNames.filter(field => read[field] !== undefined && state.fields[field]!.value !== read[field]);
  const times = [...hiding.map(field => state.fields[field]!.at), ...(existsIn(state) === true ? [] : [state.destroyedAt!])];
  const hiddenBy = times.length === 0 ? null : Math.max(...times);
  const alters = existed !== existsIn(state) || diff(profileOf(known), profileOf(state)).length > 0;
  if (!alters) return { event: null, state, hiddenBy };
  // Leave out fields whose known value is newer and equal.
  const relevant = fieldNames.filter(field => hiding.includes(field) || (state.fields[field]?.at ?? at) <= at);
  const fields = Object.fromEntries(relevant.flatMap(field => (read[field] === undefined ? [] : [[field, read[field]]])));
  return { event: { ...event, fields }, state, hiddenBy };
}
