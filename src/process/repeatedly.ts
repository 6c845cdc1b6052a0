import { setTimeout as sleep } from 'node:timers/promises';

/** Something that is done again and again, with a rest after each time, and another one after a time that failed. */
export interface Repeated {
  work: () => Promise<void>;
  restMs: number;
  failedRestMs?: number;
}

/**
 * Does things again and again until they are stopped, beside each other: one that hangs holds up none of the others.
 * @param trouble told when the first of them fails, and with `null` once all of them work again
 */
export async function repeatedly(works: readonly Repeated[], trouble: (error: Error | null) => void, stop: AbortSignal): Promise<void> {
  const report = troubleOfAny<Repeated>(trouble);
  const repeat = async (one: Repeated): Promise<void> => {
    while (!stop.aborted) {
      const error = await one.work().then(
        () => null,
        (failure: Error) => failure,
      );
      report(one, error);
      const restMs = error === null ? one.restMs : (one.failedRestMs ?? one.restMs);
      await sleep(restMs, undefined, { signal: stop }).catch(() => undefined);
    }
  };
  await Promise.all(works.map(repeat));
}

/**
 * Makes one trouble of that of many things.
 * @param trouble told when the first of them fails, and with `null` once all of them work again
 * @returns to be called with one of them and its failure, or `null` when it works
 */
export function troubleOfAny<T>(trouble: (error: Error | null) => void): (one: T, error: Error | null) => void {
  const failing = new Set<T>();
  return (one, error) => {
    const before = failing.size;
    if (error) failing.add(one);
    else failing.delete(one);
    if ((before === 0) !== (failing.size === 0)) trouble(error);
  };
}
