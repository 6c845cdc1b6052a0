/** Time and dice of this process, handed in so that tests can hand in their own. */
export class Clock {
  /** Wall time in milliseconds since 1970: for people, arrival times and the vendor's window. It may jump; what waits or measures goes by `monotonic`. */
  now(): number {
    return Date.now();
  }

  /** Milliseconds since some moment of this process; nobody can set it. */
  monotonic(): number {
    return performance.now();
  }

  /** From 0 to below 1. */
  random(): number {
    return Math.random();
  }
}

/** The same, but with the time that all processes share: for everything that they write into the database and compare with what is there. */
export class SharedClock extends Clock {
  static by(now: () => number): SharedClock {
    return Object.assign(new SharedClock(), { now });
  }
}
