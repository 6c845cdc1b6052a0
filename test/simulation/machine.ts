import type { VirtualTime } from './virtual-time.ts';

/** A machine with its clocks: the one that people set, and the one that nobody can. */
export class Machine {
  /** How far its wall clock is from the true time by nature, and by what a fault did to it. */
  readonly skewMs: number;
  jumpMs = 0;
  /** For how long it was suspended: its monotonic clock does not count that. */
  suspendedMs = 0;
  readonly #time: VirtualTime;
  readonly #start: number;
  readonly #drift: number;

  /** @param drift by how much its clocks are too fast, as a share */
  constructor(time: VirtualTime, skewMs: number, drift: number) {
    [this.#time, this.#start, this.skewMs, this.#drift] = [time, time.now, skewMs, drift];
  }

  wall(): number {
    return Math.floor(this.#time.now + this.#drift * (this.#time.now - this.#start) + this.skewMs + this.jumpMs);
  }

  monotonic(): number {
    return 1000 + (this.#time.now - this.#start) * (1 + this.#drift) - this.suspendedMs;
  }
}
