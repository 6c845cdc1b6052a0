/** Time and dice, handed in so that tests can hand in their own. */
export class Clock {
  /** Milliseconds since 1970. */
  now(): number {
    return Date.now();
  }

  /** From 0 to below 1. */
  random(): number {
    return Math.random();
  }
}
