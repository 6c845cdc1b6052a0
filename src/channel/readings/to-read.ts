import { type RawBuilder, sql } from 'kysely';
import { type InboundWebhook, latestAheadMs } from '../inbound-webhook.js';

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

/** How far ahead a mark can be set: a tie may be of a time that is, all else is read within a minute. What is further ahead was set by a clock that was wrong. */
const furthestMs = { tie: latestAheadMs + judgedAfterMs, other: 60_000 };

/** Whether a channel is to be read now; `isDueIn` says the same in a query. */
export function isDue({ read_at: at, read_cause: cause }: ReadMark, now: number): boolean {
  return at !== null && (at <= now || at > now + (cause === 'tie' ? furthestMs.tie : furthestMs.other));
}

export function isDueIn(now: number): RawBuilder<boolean> {
  const [tooFar, tooFarForTie] = [now + furthestMs.other, now + furthestMs.tie];
  return sql`read_at is not null and (read_at <= ${now} or read_at > ${tooFarForTie} or (read_at > ${tooFar} and read_cause <> 'tie'))`;
}

/** Of two marks the sooner one: a reading that cannot judge leaves another behind. */
export function sooner(one: ReadMark, other: ReadMark): ReadMark {
  const { read_at, read_cause, read_tries } = (other.read_at ?? Infinity) < (one.read_at ?? Infinity) ? other : one;
  return { read_at, read_cause, read_tries };
}
