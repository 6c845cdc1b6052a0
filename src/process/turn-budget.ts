import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';

/** CPU time of starts per turn of the event loop; a single start may take more, such as that of a slow template. */
const maxMs = 5;

/** Bounds how much is started per turn of the event loop, so that other work has its turn in between. */
export class TurnBudget {
  private startsLeft = 0;
  private spentMs = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly maxStarts: number) {}

  /** Starts one thing as soon as it may: first come, first served, so that none keeps the others waiting. Resolves once it has started. */
  async run(start: () => void): Promise<void> {
    if (this.startsLeft > 0 && this.spentMs < maxMs) this.spend(start);
    else
      await new Promise<void>(resolve => {
        this.waiting.push(() => resolve(start()));
        if (this.waiting.length === 1) this.refill();
      });
  }

  private spend(start: () => void): void {
    const [at, before] = [performance.now(), process.threadCpuUsage()];
    start();
    this.startsLeft -= 1;
    const { user, system } = process.threadCpuUsage(before);
    // On a busy machine the clock also counts other processes.
    this.spentMs += Math.min(performance.now() - at, (user + system) / 1000);
  }

  private refill(): void {
    // Other work has at least as much time as slow starts.
    void (this.spentMs > maxMs ? pause(this.spentMs) : nextTurn()).then(() => {
      [this.startsLeft, this.spentMs] = [this.maxStarts, 0];
      while (this.waiting.length > 0 && this.startsLeft > 0 && this.spentMs < maxMs) this.spend(this.waiting.shift()!);
      if (this.waiting.length > 0) this.refill();
    });
  }
}
