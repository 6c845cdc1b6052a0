const firstMs = { from: 1000, to: 5000 };
const longestMs = 15 * 60_000;

/**
 * How long to wait before the next try.
 * @param failures in a row, 1 for the first
 * @param random from 0 to below 1
 * @returns milliseconds: 1–5 s after the first failure, then doubling with jitter, 15 min at most
 */
export function backOffMs(failures: number, random: number): number {
  const ceiling = Math.min(firstMs.to * 2 ** Math.min(failures - 1, 30), longestMs);
  const floor = failures <= 1 ? firstMs.from : ceiling / 2;
  return Math.round(floor + random * (ceiling - floor));
}

/** Lets at most `perSecond` attempts start each second, evenly after a burst of one second's worth. */
export class Pace {
  private allowance: number;
  private at: number;

  constructor(
    private readonly perSecond: number,
    now: number,
  ) {
    this.allowance = this.burst;
    this.at = now;
  }

  private get burst(): number {
    return Math.max(1, this.perSecond);
  }

  /** How many may start now. */
  free(now: number): number {
    this.allowance = Math.min(this.burst, this.allowance + (Math.max(0, now - this.at) / 1000) * this.perSecond);
    this.at = now;
    return Math.floor(this.allowance + 1e-9);
  }

  take(count: number): void {
    this.allowance -= count;
  }

  /** When the next one may start, in milliseconds from now; 0 if one may start now. */
  waitMs(now: number): number {
    return this.free(now) >= 1 ? 0 : Math.ceil(((1 - this.allowance) / this.perSecond) * 1000);
  }
}
