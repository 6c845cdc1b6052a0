/**
 * Does something within a time in milliseconds, `null` for any. The signal of the work is aborted with the given one, for the same reason, and when the time is up,
 * for what `late` makes; whatever the work throws afterwards is replaced by that reason.
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
