import { type RawBuilder, sql } from 'kysely';
import type { Row } from '../../database/tables.js';
import { type InboundWebhook, maxEventTimeAheadMs } from '../inbound-webhook.js';

/** A reading is conclusive only for values at least this old, since its own data may be ten seconds old. */
export const readingDelayMs = 12_000;

/** When and why to read a channel from the vendor; `null` if no reading is planned. */
export type ReadMark = Pick<Row<'channel'>, 'read_at' | 'read_cause' | 'read_tries'>;

export const noReadMark: ReadMark = { read_at: null, read_cause: null, read_tries: 0 };

/** The reading that a webhook requires: a created one carries only the name, and ties and estimated times need confirmation. */
export function readMarkAfter({ command, eventTime, eventTimeEstimated }: InboundWebhook, tie: boolean, now: number): ReadMark {
  if (command === 'created') return { ...noReadMark, read_at: now, read_cause: 'created' };
  const cause = tie ? 'tie' : eventTimeEstimated ? 'estimated' : null;
  return cause === null ? noReadMark : { ...noReadMark, read_at: eventTime + readingDelayMs, read_cause: cause };
}

/** Maximum distance of `read_at` from now; ties may lie further ahead, as their EventTime may. Anything beyond was set by a wrong clock. */
const maxAheadMs = { tie: maxEventTimeAheadMs + readingDelayMs, other: 60_000 };

/** Whether a channel is to be read now; `isDueSql` is the same condition in SQL. */
export function isDue({ read_at: at, read_cause: cause }: ReadMark, now: number): boolean {
  return at !== null && (at <= now || at > now + (cause === 'tie' ? maxAheadMs.tie : maxAheadMs.other));
}

export function isDueSql(now: number): RawBuilder<boolean> {
  const [tooFar, tooFarForTie] = [now + maxAheadMs.other, now + maxAheadMs.tie];
  return sql`read_at is not null and (read_at <= ${now} or read_at > ${tooFarForTie} or (read_at > ${tooFar} and read_cause <> 'tie'))`;
}

/** The earlier of two marks. */
export function sooner(a: ReadMark, b: ReadMark): ReadMark {
  const { read_at, read_cause, read_tries } = (b.read_at ?? Infinity) < (a.read_at ?? Infinity) ? b : a;
  return { read_at, read_cause, read_tries };
}
