import { explain } from '../database/advice.js';

/** How long all must go well before an outage is over: what comes and goes is one outage. */
const calmMs = 1000;
const againAfterMs = 60_000;

/**
 * Makes one outage of many failures of the database.
 * @param begins told of the first failure, and of one each minute while it lasts
 * @param ends told once all has gone well for a second
 * @returns to be called with each failure, and with `null` when all is well
 */
export function outage(begins: (fields: object) => void, ends: () => void = () => undefined): (error: Error | null) => void {
  let toldAt: number | null = null;
  let calm: NodeJS.Timeout | undefined;
  return error => {
    if (error === null) {
      if (toldAt === null) return;
      calm ??= setTimeout(() => ((toldAt = null), ends()), calmMs).unref();
      return;
    }
    clearTimeout(calm);
    calm = undefined;
    if (toldAt !== null && performance.now() - toldAt < againAfterMs) return;
    toldAt = performance.now();
    begins(explain(error));
  };
}
