// Loaded before the program: as process 1 of a container we would not be ended by a signal that nobody listens to.
let current = (_signal: string): void => process.exit(0);
process.on('SIGTERM', signal => current(signal)).on('SIGINT', signal => current(signal));

/** Calls back on SIGTERM and SIGINT from now on. Before, they end the process at once: nothing was taken yet. */
export function onStopSignal(listener: (signal: string) => void): void {
  current = listener;
}
