import { explain } from './postgres/advice.js';

/** How long there must be no failure before an outage counts as over, so that a flapping database is a single outage. */
const firstCalmMs = 1000;
const repeatAfterMs = 60_000;

/**
 * Merges failures into outages.
 * @param onBegin called at the first failure, and every minute while the outage lasts; `fields` hold its text and advice about the database
 * @param onEnd called after a second without failures; the second doubles with each relapse within a minute, up to a minute
 * @returns call it with each failure, and with `null` after each success
 */
export function outage(
  onBegin: (fields: object, error: Error) => void,
  onEnd: () => void = () => undefined,
): (error: Error | null) => void {
  let reportedAt: number | null = null;
  let endedAt = -Infinity;
  let calmMs = firstCalmMs;
  let calm: NodeJS.Timeout | undefined;
  const end = (): void => {
    [reportedAt, endedAt] = [null, performance.now()];
    onEnd();
  };
  return error => {
    if (error === null) {
      if (reportedAt !== null) calm ??= setTimeout(end, calmMs).unref();
      return;
    }
    clearTimeout(calm);
    calm = undefined;
    const now = performance.now();
    if (reportedAt !== null && now - reportedAt < repeatAfterMs) return;
    if (reportedAt === null) calmMs = now - endedAt < repeatAfterMs ? Math.min(2 * calmMs, repeatAfterMs) : firstCalmMs;
    reportedAt = now;
    onBegin(explain(error), error);
  };
}
