// Loaded before the program: as PID 1 of a container, a process ignores signals that it has no handler for.
let current = (_signal: string): void => process.exit(0);
process.on('SIGTERM', signal => current(signal)).on('SIGINT', signal => current(signal));

/** Registers the handler for SIGTERM and SIGINT. Before that they exit at once, since no webhook has been accepted yet. */
export function onStopSignal(listener: (signal: string) => void): void {
  current = listener;
}
