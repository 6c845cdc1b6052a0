import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Does something again and again until it is stopped.
 * @param restMs how long to rest after a time that failed, or did not
 * @param trouble told of the first failure, and with `null` once it works again
 */
export async function repeatedly(
  work: () => Promise<void>,
  restMs: (failed: boolean) => number,
  trouble: (error: Error | null) => void,
  stop: AbortSignal,
): Promise<void> {
  for (let troubled = false; !stop.aborted;) {
    const error = await work().then(
      () => null,
      (failure: Error) => failure,
    );
    if (troubled !== (error !== null)) trouble(error);
    troubled = error !== null;
    await sleep(restMs(troubled), undefined, { signal: stop }).catch(() => undefined);
  }
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

/** Does several things so beside each other, each after a rest of its own (ms): one that hangs holds up none of the others. */
export async function repeatedlyBeside(
  works: readonly { work: () => Promise<void>; restMs: number }[],
  trouble: (error: Error | null) => void,
  stop: AbortSignal,
): Promise<void> {
  const report = troubleOfAny<object>(trouble);
  const begin = (one: (typeof works)[number]): Promise<void> => {
    const rest = (): number => one.restMs;
    return repeatedly(one.work, rest, error => report(one, error), stop);
  };
  await Promise.all(works.map(begin));
}
