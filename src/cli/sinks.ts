import type { Settings } from '../settings/settings.js';
import type { Sink, SinkContext } from '../sinks/sink-type.js';

export interface OpenedSink {
  name: string;
  sink: Sink;
  close: () => Promise<void>;
}

/** Makes the configured sinks, to be asked how they are. */
export async function openSinks(settings: Settings, warn: (message: string) => void): Promise<OpenedSink[]> {
  return Promise.all(
    settings.sinks.map(async ({ name, type, settings: own }) => {
      // The rest is for sinks that are delivered to, or clicked.
      const context = { name, now: () => Date.now(), warn, proxies: settings.proxies } as SinkContext;
      const sink = await type.open(own, context);
      return { name, sink, close: async () => sink.close?.() };
    }),
  );
}
