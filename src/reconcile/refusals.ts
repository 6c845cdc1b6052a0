/** A comparison begins once so long passes without another refused webhook, and so long after the first at the latest. */
const calmMs = 60_000;
const longestMs = 600_000;
/** Anybody can have requests refused: because of that alone all channels are compared once an hour at most. */
const hourMs = 3_600_000;

/** Webhooks of an app that were refused since its last comparison because of such; times by the monotonic clock. */
export interface Refusals {
  first: number;
  last: number;
  /** Whether we could keep none of them: then it was ours, and not anybody's. */
  ours: boolean;
}

/** What was refused, and one more. */
export function withRefusal(before: Refusals | undefined, result: string, now: number): Refusals {
  return { first: before?.first ?? now, last: now, ours: before?.ours === true || result === 'unavailable' };
}

/**
 * Whether it is time to compare because of what was refused.
 * @param lastMs how long ago that was done because of what anybody can have refused; Infinity for never
 */
export function isDue({ first, last, ours }: Refusals, now: number, lastMs: number): boolean {
  return (now - last >= calmMs || now - first >= longestMs) && (ours || lastMs >= hourMs);
}
