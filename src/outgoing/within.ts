/**
 * Does something within a time in milliseconds, `null` for any; its signal ends with the given one, and when the time is up. Our own cancellation comes out as the signal's reason.
 * Not by AbortSignal.any and AbortSignal.timeout: they cost as much CPU as a request, and what they make is held until the time is up.
 * @param late what to throw for an error that comes when the time is up
 */
export async function within<T>(
  ms: number | null,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
  late: (error: unknown) => unknown,
): Promise<T> {
  signal.throwIfAborted();
  const attempt = new AbortController();
  const end = (): void => attempt.abort();
  const timer = ms === null ? undefined : setTimeout(end, ms);
  signal.addEventListener('abort', end, { once: true });
  try {
    return await work(attempt.signal);
  } catch (error) {
    signal.throwIfAborted();
    throw attempt.signal.aborted ? late(error) : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}
