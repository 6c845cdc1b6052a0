/** A comparison starts after this time without another refused webhook, at the latest `maxDelayMs` after the first. */
const quietMs = 60_000;
const maxDelayMs = 600_000;
/** Anyone can send requests that are refused, so these trigger at most one full comparison per hour. */
const hourMs = 3_600_000;

/** Webhooks of an app that were refused since the last comparison caused by refusals; monotonic times. */
export interface Refusals {
  first: number;
  last: number;
  /** True if we failed to store at least one valid webhook, so that not just anyone can cause it. */
  ours: boolean;
}

export function withRefusal(before: Refusals | undefined, result: string, now: number): Refusals {
  return { first: before?.first ?? now, last: now, ours: before?.ours === true || result === 'unavailable' };
}

/** @param lastMs time since the last comparison caused by requests that anyone can send; Infinity for never */
export function isDue({ first, last, ours }: Refusals, now: number, lastMs: number): boolean {
  return (now - last >= quietMs || now - first >= maxDelayMs) && (ours || lastMs >= hourMs);
}
