import { TryAgain } from '../sinks/errors.js';

/**
 * Runs work with a timeout (`null`: none). Its signal is aborted with the given one, or on timeout with the error of `timeoutError`; any error
 * that the work then throws is replaced by that reason. Waits for the work to end, so that it can clean up.
 * AbortSignal.any and AbortSignal.timeout would cost as much CPU as a request and stay in memory until the timeout.
 */
export async function within<T>(
  timeoutMs: number | null,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
  timeoutError: () => Error,
): Promise<T> {
  signal.throwIfAborted();
  const attempt = new AbortController();
  const end = (): void => attempt.abort(signal.reason);
  const timer = timeoutMs === null ? undefined : setTimeout(() => attempt.abort(timeoutError()), timeoutMs);
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

/** The result of a promise, or the signal's reason once that is aborted: for work that may ignore the signal, or that others wait for too. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const end = (): void => aborted.reject(signal.reason as Error);
  if (signal.aborted) end();
  signal.addEventListener('abort', end, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

/**
 * Like `within`, for calls that may ignore their signal, such as a sink's: does not wait for the call after a timeout or an abort.
 * @throws TryAgain on timeout; the reason of `stop` once that is aborted; otherwise the error of the call
 */
export function bounded<T>(call: (signal: AbortSignal) => Promise<T>, timeoutMs: number | null, stop: AbortSignal): Promise<T> {
  const orAborted = (signal: AbortSignal): Promise<T> => unlessAborted(call(signal), signal);
  return within(timeoutMs, stop, orAborted, () => new TryAgain(['timed_out'], ['check_answers']));
}
