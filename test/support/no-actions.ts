import type { Lookup } from '../../src/sinks/lookup.js';
import type { Actions } from '../../src/sinks/sink.js';

/** What a sink without buttons may do: nothing. */
export const noActions: Actions = {
  retry: () => Promise.resolve(0),
  retryAll: () => Promise.resolve(0),
  discard: () => Promise.resolve(0),
  probe: () => Promise.resolve(null),
  pause: () => Promise.resolve(null),
  resume: () => Promise.resolve(null),
  repair: () => Promise.resolve(null),
  compareNow: () => Promise.resolve(false),
};

/** What a sink may look up of a service that nothing has come to. */
export const noLookup: Lookup = {
  sinks: () => Promise.resolve([]),
  latestChanges: () => Promise.resolve([]),
  failedChanges: () => Promise.resolve([]),
  findChannels: () => Promise.resolve({ channels: [], more: 0 }),
  channel: () => Promise.resolve([]),
  change: () => Promise.resolve(null),
  link: () => Promise.resolve(null),
};
