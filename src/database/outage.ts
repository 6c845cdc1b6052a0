import { explain } from './postgres/advice.js';

/** How long all must go well before an outage is over: what comes and goes is one outage. */
const firstCalmMs = 1000;
const againAfterMs = 60_000;

/**
 * Makes one outage of many failures of the database.
 * @param begins told of the first failure, and of one each minute while it lasts
 * @param ends told once all has gone well for a second; after each relapse within a minute for twice as long, a minute at most
 * @returns to be called with each failure, and with `null` when all is well
 */
export function outage(begins: (fields: object) => void, ends: () => void = () => undefined): (error: Error | null) => void {
  let toldAt: number | null = null;
  let endedAt = -Infinity;
  let calmMs = firstCalmMs;
  let calm: NodeJS.Timeout | undefined;
  return error => {
    if (error === null) {
      if (toldAt === null) return;
      calm ??= setTimeout(() => ((toldAt = null), (endedAt = performance.now()), ends()), calmMs).unref();
      return;
    }
    clearTimeout(calm);
    calm = undefined;
    const now = performance.now();
    if (toldAt !== null && now - toldAt < againAfterMs) return;
    if (toldAt === null) calmMs = now - endedAt < againAfterMs ? Math.min(2 * calmMs, againAfterMs) : firstCalmMs;
    toldAt = now;
    begins(explain(error));
  };
}
