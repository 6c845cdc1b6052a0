import { type FieldName, type Profile, fieldNames, unknownProfile } from './profile.js';

/** What happened to a channel, in the vendor's three kinds. */
export type Command = 'created' | 'changed' | 'destroyed';

/** What one webhook says of its channel. */
export interface Told {
  command: Command;
  /** The vendor's EventTime, or the arrival time that stands in for it; milliseconds. */
  eventTime: number;
  /** Only the fields that the webhook names; `""` is cleared. Those of a destroyed webhook do not count. */
  fields: Partial<Record<FieldName, string>>;
}

/** A field's value and since when it holds. `null` is unknown: by a destruction at `at`. */
interface Register {
  value: string | null;
  at: number;
}

/**
 * All that must be remembered of a channel. States form a join semilattice under `join`, so that any order, repetition or
 * grouping of the same webhooks ends in the same state.
 */
export interface ChannelState {
  fields: Partial<Record<FieldName, Register>>;
  /** The newest EventTime of a created or changed webhook. */
  aliveAt: number | null;
  destroyedAt: number | null;
}

export const emptyState: ChannelState = { fields: {}, aliveAt: null, destroyedAt: null };

/** The state that knows one webhook and nothing else. */
export function stateOf({ command, eventTime, fields }: Told): ChannelState {
  const registers: ChannelState['fields'] = {};
  for (const field of fieldNames) {
    if (command === 'destroyed') registers[field] = { value: null, at: eventTime };
    else if (fields[field] !== undefined) registers[field] = { value: fields[field], at: eventTime };
  }
  return command === 'destroyed'
    ? { fields: registers, aliveAt: null, destroyedAt: eventTime }
    : { fields: registers, aliveAt: eventTime, destroyedAt: null };
}

/** The least state that knows what both know: commutative, associative, idempotent. */
export function join(one: ChannelState, other: ChannelState): ChannelState {
  const fields: ChannelState['fields'] = {};
  for (const field of fieldNames) {
    const register = newer(one.fields[field], other.fields[field]);
    if (register) fields[field] = register;
  }
  return { fields, aliveAt: later(one.aliveAt, other.aliveAt), destroyedAt: later(one.destroyedAt, other.destroyedAt) };
}

function later(one: number | null, other: number | null): number | null {
  if (one === null) return other;
  return other === null || one > other ? one : other;
}

function newer(one: Register | undefined, other: Register | undefined): Register | undefined {
  if (!one || !other) return one ?? other;
  if (one.at !== other.at) return one.at > other.at ? one : other;
  return greater(one.value, other.value) ? one : other;
}

/** At the same time a destruction beats any value, and of two values the greater in code-point order wins (which UTF-8 preserves). */
function greater(one: string | null, other: string | null): boolean {
  if (one === null || other === null) return one === null;
  return Buffer.compare(Buffer.from(one), Buffer.from(other)) >= 0;
}

/** The profile that a state stands for. */
export function profileOf(state: ChannelState): Profile {
  const profile = { ...unknownProfile };
  for (const field of fieldNames) profile[field] = state.fields[field]?.value ?? null;
  return profile;
}

/** Whether the channel exists; `null` for a channel never heard of, which neither exists nor not. */
export function existsIn({ aliveAt, destroyedAt }: ChannelState): boolean | null {
  if (aliveAt === null && destroyedAt === null) return null;
  return aliveAt !== null && (destroyedAt === null || aliveAt > destroyedAt);
}
