import { stackOf } from './log.js';

// Loaded before the program, like stop-signal.ts. Before the service runs there is nothing to drain.
let current = (error: unknown): void => {
  process.stderr.write(`could not start: ${stackOf(error)}\n`);
  process.exit(1);
};
process.on('uncaughtException', error => current(error)).on('unhandledRejection', error => current(error));

/** Registers the handler for uncaught errors, in place of Node's default, which ends the process. */
export function onUncaught(listener: (error: unknown) => void): void {
  current = listener;
}
