import { cleaner } from '../settings/cleaner.js';
import { secretsOf } from '../settings/secrets.js';
import type { Settings } from '../settings/settings.js';
import type { OpenSink, SinkContext } from '../sinks/sink-type.js';

export interface OpenedSink {
  name: string;
  sink: OpenSink;
  close: () => Promise<void>;
}

/** Makes the configured sinks, to be asked how they are. */
export async function openSinks(settings: Settings, warn: (message: string) => void): Promise<OpenedSink[]> {
  const clean = cleaner(secretsOf(settings));
  return Promise.all(
    settings.sinks.map(async ({ name, type, settings: own }) => {
      // The rest is for sinks that are delivered to, or clicked in.
      const context = { name, now: () => Date.now(), warn, proxies: settings.proxies, clean } as SinkContext;
      const sink = await type.open(own, context);
      return { name, sink, close: async () => sink.close?.() };
    }),
  );
}
