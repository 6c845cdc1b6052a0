import { setTimeout as sleep } from 'node:timers/promises';

/** A task that runs again `delayMs` after each run, or `failureDelayMs` after a failed one. */
export interface RepeatedTask {
  work: () => Promise<void>;
  delayMs: number;
  failureDelayMs?: number;
}

/**
 * Repeats tasks concurrently until stopped; a hanging task does not delay the others.
 * @param onChange called with the error when the first task fails, and with `null` once all work again
 */
export async function repeatedly(
  tasks: readonly RepeatedTask[],
  onChange: (error: Error | null) => void,
  stop: AbortSignal,
): Promise<void> {
  const report = combineFailures<RepeatedTask>(onChange);
  const repeat = async (task: RepeatedTask): Promise<void> => {
    while (!stop.aborted) {
      const error = await task.work().then(
        () => null,
        (failure: Error) => failure,
      );
      report(task, error);
      const delayMs = error === null ? task.delayMs : (task.failureDelayMs ?? task.delayMs);
      await sleep(delayMs, undefined, { signal: stop }).catch(() => undefined);
    }
  };
  await Promise.all(tasks.map(repeat));
}

/**
 * Merges the failures of several sources into one.
 * @param onChange called with the error when the first source fails, and with `null` once none fails any more
 * @returns call it with a source and its error, or `null` if it works
 */
export function combineFailures<T>(onChange: (error: Error | null) => void): (source: T, error: Error | null) => void {
  const failing = new Set<T>();
  return (source, error) => {
    const before = failing.size;
    if (error) failing.add(source);
    else failing.delete(source);
    if ((before === 0) !== (failing.size === 0)) onChange(error);
  };
}
