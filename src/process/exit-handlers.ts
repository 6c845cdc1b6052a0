import { stackOf } from './log.js';

/** What ends the process; replaced once the service runs. Before that no webhook has been accepted yet, so there is nothing to drain. */
export const exitHandlers = {
  onSignal: (_signal: string): void => process.exit(0),
  onUncaught: (error: unknown): void => {
    process.stderr.write(`could not start: ${stackOf(error)}\n`);
    process.exit(1);
  },
};

// Loaded before the program: as PID 1 of a container, a process ignores signals that it has no handler for.
// SIGHUP comes when a terminal is closed; by default it would cut off webhooks that are being answered.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => exitHandlers.onSignal(signal));
for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, error => exitHandlers.onUncaught(error));
