import type { Actions } from '../../src/sinks/sink.js';

/** What a sink without buttons may do: nothing. */
export const noActions: Actions = {
  retry: () => Promise.resolve(0),
  discard: () => Promise.resolve(0),
  pause: () => Promise.resolve(null),
  resume: () => Promise.resolve(null),
  repair: () => Promise.resolve(null),
};
