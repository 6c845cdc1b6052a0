import { TryAgain } from '../sinks/errors.js';

/**
 * Does something within a time in milliseconds, `null` for any. The signal of the work is aborted with the given one, for the same reason, and when the time is up,
 * for what `late` makes; whatever the work throws afterwards is replaced by that reason. The end of the work is waited for: it may note what it left undone.
 * AbortSignal.any and AbortSignal.timeout cost as much CPU as a request, and what they make is held until the time is up.
 */
export async function within<T>(
  ms: number | null,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
  late: () => Error,
): Promise<T> {
  signal.throwIfAborted();
  const attempt = new AbortController();
  const end = (): void => attempt.abort(signal.reason);
  const timer = ms === null ? undefined : setTimeout(() => attempt.abort(late()), ms);
  signal.addEventListener('abort', end, { once: true });
  try {
    return await work(attempt.signal);
  } catch (error) {
    attempt.signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}

/**
 * As `within`, for what may not obey its signal, such as a sink: it is over when its time is, or when `stop` is aborted. Not by
 * AbortSignal.any: what listens to a signal that follows another one is held for as long as that one lives.
 * @param timeoutMs `null` where the sink bounds its requests itself
 * @throws TryAgain when the time is over, whatever is called throws, and anything once `stop` is aborted
 */
export function bounded<T>(call: (signal: AbortSignal) => Promise<T>, timeoutMs: number | null, stop: AbortSignal): Promise<T> {
  const orOver = (signal: AbortSignal): Promise<T> => {
    const over = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }));
    return Promise.race([call(signal), over]);
  };
  return within(timeoutMs, stop, orOver, () => new TryAgain(['timed_out'], ['check_answers']));
}
