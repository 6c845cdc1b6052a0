/** Smaller deviations are followed at once, without counting as a jump. */
const jumpMs = 1000;
/** Maximum relative drift between two clocks. */
const drift = 0.0005;

/** The wall clock of this process and its monotonic clock, in milliseconds. */
export interface LocalClock {
  now(): number;
  monotonic(): number;
}

/**
 * Estimates an external clock from our monotonic one. A jump of that clock is ignored until it is adopted, so that stored times can be
 * shifted along. Times are in milliseconds; the uncertainty of a reading is its round-trip time.
 */
export class SharedTime {
  /** Bounds of the offset from the monotonic clock to the external one. */
  private low = -Infinity;
  private high = Infinity;
  private readAt = 0;
  private jumpedAt = -Infinity;
  /** Total jump that was not adopted yet. */
  jump = 0;

  /** @param clock provides the wall time until the external clock is read for the first time */
  constructor(private readonly clock: LocalClock) {}

  now(): number {
    if (this.high === Infinity) return this.clock.now();
    return Math.round(this.clock.monotonic() + (this.low + this.high) / 2 - this.jump);
  }

  /** Whether the clock jumped in the last `ms` milliseconds, so that other processes may not have noticed yet. */
  jumpedWithin(ms: number): boolean {
    return this.clock.monotonic() - this.jumpedAt < ms;
  }

  /** Call if the clock jumped just before our first reading of it. */
  jumpedBefore(): void {
    this.jumpedAt = this.clock.monotonic();
  }

  /** Reads this process's wall clock as the external clock. */
  readLocal(): void {
    const from = this.clock.monotonic();
    this.read(this.clock.now(), from, this.clock.monotonic());
  }

  /** Processes a reading `at` that was taken between two monotonic times. */
  read(at: number, from: number, until: number): void {
    const [min, max] = [at - until, at - from];
    const margin = (until - this.readAt) * drift;
    const [low, high] = [Math.max(min, this.low - margin), Math.min(max, this.high + margin)];
    const before = (this.low + this.high) / 2;
    // The overlap with earlier readings is the most precise estimate.
    [this.low, this.high, this.readAt] = low <= high ? [low, high, until] : [min, max, until];
    const moved = low <= high ? 0 : Math.round((min + max) / 2 - before);
    if (Math.abs(moved) < jumpMs) return;
    this.jump += moved;
    this.jumpedAt = until;
  }

  /** Processes the column `clock` of rows that were requested at a monotonic time, if they have it. */
  readFrom<R extends object>(rows: R[], from: number): R[] {
    const { clock } = (rows[0] ?? {}) as { clock?: number | null };
    if (typeof clock === 'number') this.read(clock, from, this.clock.monotonic());
    return rows;
  }

  /** Applies this much of the jump to `now()`. */
  adopt(jump: number): void {
    this.jump -= jump;
  }
}
