import type { InboundWebhook } from '../inbound-webhook.js';

/** How long after a time a reading can judge it: what is read may be ten seconds old. */
export const judgedAfterMs = 12_000;

/** When a channel is to be read from the vendor and why, as its row has it; `null` if it is not. */
export interface ReadMark {
  read_at: number | null;
  read_cause: string | null;
  read_tries: number;
}

export const notToRead: ReadMark = { read_at: null, read_cause: null, read_tries: 0 };

/** Why a channel is to be read after a webhook: a created one tells only the name, and a tie or an estimated time leaves the truth open. */
export function toRead({ command, eventTime, eventTimeEstimated }: InboundWebhook, tie: boolean, now: number): ReadMark {
  if (command === 'created') return { ...notToRead, read_at: now, read_cause: 'created' };
  const cause = tie ? 'tie' : eventTimeEstimated ? 'estimated' : null;
  return cause === null ? notToRead : { ...notToRead, read_at: eventTime + judgedAfterMs, read_cause: cause };
}

/** Of two marks the sooner one: a reading that cannot judge leaves another behind. */
export function sooner(one: ReadMark, other: ReadMark): ReadMark {
  const { read_at, read_cause, read_tries } = (other.read_at ?? Infinity) < (one.read_at ?? Infinity) ? other : one;
  return { read_at, read_cause, read_tries };
}
