import { within } from '../outgoing/within.js';
import { TryAgain } from '../sinks/errors.js';

/**
 * Calls a sink, which has to obey the signal, and does without its obedience: the call is over when its time is, or when `stop` is aborted. Not by
 * AbortSignal.any: what listens to a signal that follows another one is held for as long as that one lives.
 * @param timeoutMs `null` where the sink bounds its requests itself
 * @throws TryAgain when the time is over, whatever the sink throws, and anything once `stop` is aborted
 */
export function bounded<T>(call: (signal: AbortSignal) => Promise<T>, timeoutMs: number | null, stop: AbortSignal): Promise<T> {
  const orOver = (signal: AbortSignal): Promise<T> => {
    const over = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }));
    return Promise.race([call(signal), over]);
  };
  return within(timeoutMs, stop, orOver, () => new TryAgain('timed out', 'Check that the target answers.'));
}
