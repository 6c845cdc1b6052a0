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
 * Does several things so beside each other, each after a rest of its own (ms): one that hangs holds up none of the others.
 * @param trouble told when the first of them fails, and with `null` once all of them work again
 */
export async function repeatedlyBeside(
  works: readonly { work: () => Promise<void>; restMs: number }[],
  trouble: (error: Error | null) => void,
  stop: AbortSignal,
): Promise<void> {
  const troubled = new Set<object>();
  const told = (one: object, error: Error | null): void => {
    const before = troubled.size;
    if (error) troubled.add(one);
    else troubled.delete(one);
    if ((before === 0) !== (troubled.size === 0)) trouble(error);
  };
  await Promise.all(
    works.map(one =>
      repeatedly(
        one.work,
        () => one.restMs,
        error => told(one, error),
        stop,
      ),
    ),
  );
}
