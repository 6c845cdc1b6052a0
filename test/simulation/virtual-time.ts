import { AsyncLocalStorage } from 'node:async_hooks';
import { createRequire, syncBuiltinESMExports } from 'node:module';

interface Timer {
  at: number;
  order: number;
  every: number | null;
  work: () => void;
  owner: object | undefined;
}

/** The clocks of a process: the one that can be set, and the one that cannot. */
interface Clocks {
  wall(): number;
  monotonic(): number;
}

/** What a faked timer gives: Node's own can be unreferenced. */
class Handle {
  readonly timer: Timer;

  constructor(timer: Timer) {
    this.timer = timer;
  }

  unref(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  [Symbol.toPrimitive](): number {
    return this.timer.order;
  }
}

/** Node's own timers wait for a whole number of milliseconds, and for one at least. */
const whole = (ms = 1): number => Math.max(1, Math.ceil(ms));

/**
 * Time that only moves when nothing is left to do. Replaces the timers and clocks of this process before the code under test is loaded; what it
 * awaits must be timers and promises alone, so that each step ends by itself.
 */
export class VirtualTime {
  now = 0;
  #timers: Timer[] = [];
  readonly #owner = new AsyncLocalStorage<object>();
  readonly #clocks = new WeakMap<object, Clocks>();
  #order = 0;
  readonly #realImmediate = setImmediate;

  /** Takes over this process's time. Modules that are loaded later see no other. */
  install(): void {
    const require = createRequire(import.meta.url);
    const promises = require('node:timers/promises') as Record<string, unknown>;
    const after = (ms: number | undefined, work: () => void, every: number | null = null): Handle =>
      new Handle(this.#add(ms ?? 0, work, every));
    const cancel = (handle: unknown): void => void (handle instanceof Handle && this.#cancel(handle.timer));
    const rest = (ms?: number, value?: unknown, options?: { signal?: AbortSignal }): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const { signal } = options ?? {};
        if (signal?.aborted) {
          reject(signal.reason as Error);
          return;
        }
        const handle = after(ms, () => resolve(value));
        signal?.addEventListener('abort', () => (cancel(handle), reject(signal.reason as Error)), { once: true });
      });
    Object.assign(globalThis, {
      setTimeout: (work: (...values: unknown[]) => void, ms?: number, ...values: unknown[]) => after(whole(ms), () => work(...values)),
      setInterval: (work: () => void, ms: number) => after(ms, work, ms),
      setImmediate: (work: () => void) => after(0, work),
      clearTimeout: cancel,
      clearInterval: cancel,
      clearImmediate: cancel,
    });
    Object.assign(promises, {
      setTimeout: (ms?: number, ...more: []) => rest(whole(ms), ...more),
      setImmediate: (value?: unknown) => rest(0, value),
    });
    // Each process sees the clocks of its machine.
    Date.now = () => this.#clocks.get(this.#owner.getStore() ?? this)?.wall() ?? this.now;
    performance.now = () => this.#clocks.get(this.#owner.getStore() ?? this)?.monotonic() ?? this.now;
    syncBuiltinESMExports();
  }

  /** From now on this process sees these clocks. */
  see(owner: object, clocks: Clocks): void {
    this.#clocks.set(owner, clocks);
  }

  /** Does something on behalf of a process: its timers, and those of all that follows from it, end with it. */
  as<T>(owner: object, work: () => T): T {
    return this.#owner.run(owner, work);
  }

  /** Forgets the timers of a process that was killed. */
  end(owner: object): void {
    this.#timers = this.#timers.filter(timer => timer.owner !== owner);
  }

  /** A process stands still: what would have happened in it happens afterwards, in the same order. */
  freeze(owner: object, ms: number): void {
    for (const timer of this.#timers) if (timer.owner === owner) timer.at = Math.max(timer.at, this.now + ms);
  }

  /** The machine of a process is suspended: its timers, too, do not count that time. */
  suspend(owner: object, ms: number): void {
    for (const timer of this.#timers) if (timer.owner === owner) timer.at += ms;
  }

  /** Forgets every timer, and starts at this time. */
  reset(now: number): void {
    [this.now, this.#timers, this.#order] = [now, [], 0];
  }

  /** Lets time pass, from one timer to the next. */
  async run(until: number, afterStep: () => Promise<void>): Promise<void> {
    await this.#quiet();
    while (true) {
      const timer = this.#next();
      if (!timer || timer.at > until) break;
      this.now = Math.max(this.now, timer.at);
      if (timer.every === null) this.#cancel(timer);
      else timer.at = this.now + timer.every;
      timer.work();
      await this.#quiet();
      await afterStep();
    }
    this.now = Math.max(this.now, until);
  }

  /** Every promise that can go on has gone on. */
  #quiet(): Promise<void> {
    return new Promise(resolve => this.#realImmediate(resolve));
  }

  #add(ms: number, work: () => void, every: number | null): Timer {
    const timer = { at: this.now + Math.max(0, ms), order: this.#order++, every, work, owner: this.#owner.getStore() };
    this.#timers.push(timer);
    return timer;
  }

  #cancel(timer: Timer): void {
    const index = this.#timers.indexOf(timer);
    if (index >= 0) this.#timers.splice(index, 1);
  }

  #next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers)
      if (!first || timer.at < first.at || (timer.at === first.at && timer.order < first.order)) first = timer;
    return first;
  }
}
