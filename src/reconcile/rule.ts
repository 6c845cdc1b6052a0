import { diff, fieldNames } from '../channel/profile.js';
import { type ChannelState, type VendorEvent, existsIn, join, profileOf, stateOf } from '../channel/merge.js';

/** What a reading says: the fields that the vendor carries of a channel, or `null` if it does not exist. */
export type Read = VendorEvent['fields'] | null;

/** What a reading means for what is known of its channel. */
export interface Judgement {
  /** What is to be recorded as a change; `null` if the reading alters nothing. */
  event: VendorEvent | null;
  /** What is known afterwards where nothing is recorded. */
  state: ChannelState;
  /** If the reading differs from something that is newer: the time of that. A reading as of later can judge it. */
  hiddenBy: number | null;
}

/**
 * The rule of readings (contract, section 9): one of a channel that exists is a *changed* webhook of the time as of which it holds, one of a channel that
 * is gone a *destroyed* one; of a channel never heard of the first is a *created* one, and the second is nothing.
 * @param at as of when the reading holds, in milliseconds
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
  // What is newer and the same is no news.
  const news = fieldNames.filter(field => hiding.includes(field) || (state.fields[field]?.at ?? at) <= at);
  const fields = Object.fromEntries(news.flatMap(field => (read[field] === undefined ? [] : [[field, read[field]]])));
  return { event: { ...event, fields }, state, hiddenBy };
}
