/** Clocks that differ by less than this after a reading are simply followed. */
const jumpMs = 1000;
/** How much faster one clock may be than another, as a share. */
const drift = 0.0005;

/** The clocks of this process: the one that can be set, and the one that cannot. */
export interface LocalClock {
  now(): number;
  monotonic(): number;
}

/**
 * A clock that others may set, followed by our monotonic one. A jump of it moves nothing until it is adopted, so that what is stored can be moved along.
 * Times are milliseconds; a reading's uncertainty is how long it took.
 */
export class SharedTime {
  /** What that clock is ahead of the monotonic one: at least, and at most. */
  private low = -Infinity;
  private high = Infinity;
  private readAt = 0;
  private jumpedAt = -Infinity;
  /** How far it has jumped since the last adoption. */
  jump = 0;

  /** @param clock of this process; its wall time counts as long as that clock was never read */
  constructor(private readonly clock: LocalClock) {}

  now(): number {
    if (this.high === Infinity) return this.clock.now();
    return Math.round(this.clock.monotonic() + (this.low + this.high) / 2 - this.jump);
  }

  /** Whether the clock jumped within so many milliseconds: other processes may not know it yet. */
  jumpedWithin(ms: number): boolean {
    return this.clock.monotonic() - this.jumpedAt < ms;
  }

  /** Follows the wall time of this process. */
  readLocal(): void {
    const from = this.clock.monotonic();
    this.read(this.clock.now(), from, this.clock.monotonic());
  }

  /** Takes in what the clock said at some moment between two monotonic times. */
  read(at: number, from: number, until: number): void {
    const [least, most] = [at - until, at - from];
    const margin = (until - this.readAt) * drift;
    const [low, high] = [Math.max(least, this.low - margin), Math.min(most, this.high + margin)];
    const before = (this.low + this.high) / 2;
    // The surest is what this reading and those before it agree on.
    [this.low, this.high, this.readAt] = low <= high ? [low, high, until] : [least, most, until];
    const moved = low <= high ? 0 : Math.round((least + most) / 2 - before);
    if (Math.abs(moved) < jumpMs) return;
    this.jump += moved;
    this.jumpedAt = until;
  }

  /** Goes by the clock again after so much of its jump. */
  adopt(jump: number): void {
    this.jump -= jump;
  }
}
