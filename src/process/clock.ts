/** Time and randomness of this process, injectable for tests. */
export class Clock {
  /** Wall time in milliseconds since 1970, for display, arrival times and the signature window. It may jump: measure with `monotonic`. */
  now(): number {
    return this.wall();
  }

  /** The wall time of this machine; `now` is that of the database in a `SharedClock`. */
  wall(): number {
    return Date.now();
  }

  /** Milliseconds since an arbitrary start; never set or adjusted. It stops while the machine is suspended. */
  monotonic(): number {
    return performance.now();
  }

  /** A number in [0, 1). */
  random(): number {
    return Math.random();
  }
}

/** A clock whose wall time is shared by all processes: for every time that is stored in the database or compared with stored times. */
export class SharedClock extends Clock {
  static by(now: () => number): SharedClock {
    return Object.assign(new SharedClock(), { now });
  }
}
