import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { Explanation } from '../../explanations/explanation.js';
import { within } from '../../outgoing/within.js';
import type { ChangeEvent, Checkable, SingleSink } from '../sink.js';
import { type SinkContext, defineSink } from '../sink-type.js';
import { SinkSettings } from '../settings.js';
import { TryAgain } from '../errors.js';

/** Writes changes as JSON lines to standard output, regardless of `LOG_LEVEL`: for log collectors, and for a quick start. */
export const log = defineSink<SinkSettings>({
  type: 'log',
  summary: 'Writes every change as a JSON line to standard output',
  settings: SinkSettings,
  mode: () => 'log',
  open: async (settings, context) => openLog(settings, context, process.stdout),
});

/** Opens a log sink on any stream. */
export function openLog(settings: SinkSettings, context: SinkContext, stream: Writable): SingleSink & Checkable {
  // `write` reports the same error; without a listener, the stream's error event would crash the process.
  const ignore = (): void => {};
  stream.on('error', ignore);
  // Each sink and each attempt that waits has a listener: more than ten are no leak, which Node would warn of on standard error.
  stream.setMaxListeners(0);

  const failed = (reason: Explanation) => new TryAgain(reason, ['check_output']);

  async function write(event: ChangeEvent, signal: AbortSignal): Promise<void> {
    // While the reader is blocked, wait instead of buffering another copy with each retry.
    if (stream.writableNeedDrain) await once(stream, 'drain', { signal });
    const time = new Date(context.now()).toISOString();
    const line = JSON.stringify({ level: 'info', time, msg: 'channel change', sink: context.name, event });
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', reject, { once: true });
      stream.write(`${line}\n`, error => (error ? reject(error) : resolve()));
    });
  }

  return {
    deliver({ event }, signal) {
      const work = (inTime: AbortSignal) => write(event, inTime).catch(() => Promise.reject(failed(['output_closed'])));
      return within(settings.TIMEOUT_MS, signal, work, () => failed(['output_timed_out']));
    },
    check: async () => ({ problems: [], summary: 'writes to standard output: nothing to check' }),
    async close() {
      stream.off('error', ignore);
    },
  };
}
