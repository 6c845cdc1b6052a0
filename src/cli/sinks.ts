import { cleaner } from '../settings/cleaner.js';
import { secretsOf } from '../settings/secrets.js';
import type { Settings } from '../settings/settings.js';
import type { OpenSink, SinkContext } from '../sinks/sink-type.js';

export interface OpenedSink {
  name: string;
  sink: OpenSink;
  close: () => Promise<void>;
}

/** Opens the configured sinks, to check them. */
export async function openSinks(settings: Settings, warn: (message: string) => void): Promise<OpenedSink[]> {
  const clean = cleaner(secretsOf(settings));
  return Promise.all(
    settings.sinks.map(async ({ name, type, settings: own }) => {
      const { proxies, SDK_APP_IDS: sdkAppIds } = settings;
      const context: Omit<SinkContext, 'actions' | 'lookup' | 'interaction'> = {
        name,
        sdkAppIds,
        now: () => Date.now(),
        warn,
        proxies,
        clean,
      };
      // The omitted parts are used only by interactive sinks.
      const sink = await type.open(own, context as SinkContext);
      return { name, sink, close: async () => sink.close?.() };
    }),
  );
}
