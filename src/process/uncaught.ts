import { stackOf } from './log.js';

// Loaded before the program, as stop-signal.ts is. Before the service runs there is nothing to drain.
let current = (error: unknown): void => {
  process.stderr.write(`could not start: ${stackOf(error)}\n`);
  process.exit(1);
};
process.on('uncaughtException', error => current(error)).on('unhandledRejection', error => current(error));

/** Calls back with every error that nobody caught from now on, in place of Node, which would end the process. */
export function onUncaught(listener: (error: unknown) => void): void {
  current = listener;
}
