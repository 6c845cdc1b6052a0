import { type FieldName, type Profile, fieldNames, unknownProfile } from './profile.js';

/** The vendor's three kinds of event. */
export type Command = 'created' | 'changed' | 'destroyed';

/** What the vendor reported about a channel, by webhook or through the REST API. */
export interface VendorEvent {
  command: Command;
  /** The vendor's EventTime in milliseconds, or the arrival time if there was none. */
  eventTime: number;
  /** Only the fields that the event names; `""` means cleared. Ignored for `destroyed`. */
  fields: Partial<Record<FieldName, string>>;
}

/** The value of a field and the time it was set; `null` means unknown, because the channel was destroyed at that time. */
interface Register {
  value: string | null;
  at: number;
}

/**
 * The merged state of a channel. States form a join semilattice under `join`: the same webhooks end in the same state, however they
 * are ordered, repeated or grouped.
 */
export interface ChannelState {
  fields: Partial<Record<FieldName, Register>>;
  /** The latest EventTime of a created or changed event. */
  aliveAt: number | null;
  destroyedAt: number | null;
}

export const emptyState: ChannelState = { fields: {}, aliveAt: null, destroyedAt: null };

/** The state after a single event. */
export function stateOf({ command, eventTime, fields }: VendorEvent): ChannelState {
  const registers: ChannelState['fields'] = {};
  for (const field of fieldNames) {
    if (command === 'destroyed') registers[field] = { value: null, at: eventTime };
    else if (fields[field] !== undefined) registers[field] = { value: fields[field], at: eventTime };
  }
  return command === 'destroyed'
    ? { fields: registers, aliveAt: null, destroyedAt: eventTime }
    : { fields: registers, aliveAt: eventTime, destroyedAt: null };
}

/** The least upper bound of two states; commutative, associative and idempotent. */
export function join(a: ChannelState, b: ChannelState): ChannelState {
  const fields: ChannelState['fields'] = {};
  for (const field of fieldNames) {
    const register = newer(a.fields[field], b.fields[field]);
    if (register) fields[field] = register;
  }
  return { fields, aliveAt: later(a.aliveAt, b.aliveAt), destroyedAt: later(a.destroyedAt, b.destroyedAt) };
}

function later(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null || a > b ? a : b;
}

function newer(a: Register | undefined, b: Register | undefined): Register | undefined {
  if (!a || !b) return a ?? b;
  if (a.at !== b.at) return a.at > b.at ? a : b;
  return greater(a.value, b.value) ? a : b;
}

/** Breaks a tie: a destruction beats any value; otherwise the greater value in code-point order wins, which is also UTF-8 byte order. */
function greater(a: string | null, b: string | null): boolean {
  if (a === null || b === null) return a === null;
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) >= 0;
}

/** The profile of a channel in this state. */
export function profileOf(state: ChannelState): Profile {
  const profile = { ...unknownProfile };
  for (const field of fieldNames) profile[field] = state.fields[field]?.value ?? null;
  return profile;
}

/** Whether the channel exists; `null` for one that was never reported. */
export function existsIn({ aliveAt, destroyedAt }: ChannelState): boolean | null {
  if (aliveAt === null && destroyedAt === null) return null;
  return aliveAt !== null && (destroyedAt === null || aliveAt > destroyedAt);
}
