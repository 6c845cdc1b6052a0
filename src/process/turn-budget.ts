import { setImmediate as nextTurn } from 'node:timers/promises';

/** Bounds how much is started per turn of the event loop, so that other work has its turn in between. */
export class TurnBudget {
  private left = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly max: number) {}

  /** Resolves when the caller may start one thing: first come, first served, so that none keeps the others waiting. */
  async take(): Promise<void> {
    if (this.left > 0) this.left -= 1;
    else await new Promise<void>(resolve => this.waiting.push(resolve) === 1 && this.refillNextTurn());
  }

  private refillNextTurn(): void {
    void nextTurn().then(() => {
      const served = this.waiting.splice(0, this.max);
      this.left = this.max - served.length;
      if (this.waiting.length > 0) this.refillNextTurn();
      for (const resolve of served) resolve();
    });
  }
}
