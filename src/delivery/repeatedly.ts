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
