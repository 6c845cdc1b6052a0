import { TryAgain } from '../sinks/sink.js';

/**
 * Calls a sink, which has to obey the signal, and does without its obedience: the call is over when its time is, or when `stop` is aborted. Not by
 * AbortSignal.any: what listens to a signal that follows another one is held for as long as that one lives.
 * @param timeoutMs `null` where the sink bounds its requests itself
 * @throws TryAgain when the time is over, whatever the sink throws, and anything once `stop` is aborted
 */
export async function bounded<T>(call: (signal: AbortSignal) => Promise<T>, timeoutMs: number | null, stop: AbortSignal): Promise<T> {
  stop.throwIfAborted();
  const attempt = new AbortController();
  const cancel = (): void => attempt.abort();
  const timer = timeoutMs === null ? undefined : setTimeout(cancel, timeoutMs);
  stop.addEventListener('abort', cancel);
  const over = new Promise<never>((_, reject) =>
    attempt.signal.addEventListener('abort', () => reject(new TryAgain('timed out', 'Check that the target answers.')), { once: true }),
  );
  // Without a listener of its own an abort after the end would be an unhandled rejection.
  over.catch(() => undefined);
  try {
    return await Promise.race([call(attempt.signal), over]);
  } finally {
    clearTimeout(timer);
    stop.removeEventListener('abort', cancel);
  }
}
