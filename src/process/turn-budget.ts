import { setImmediate as nextTurn } from 'node:timers/promises';

/** Bounds how much is started per turn of the event loop, so that other work has its turn in between. */
export class TurnBudget {
  private left: number;
  private refill: Promise<void> | null = null;

  constructor(private readonly max: number) {
    this.left = max;
  }

  /** @returns false if nothing more may start in this turn */
  take(): boolean {
    if (this.left === 0) return false;
    this.left -= 1;
    return true;
  }

  /** Resolves when more may start. */
  next(): Promise<void> {
    this.refill ??= nextTurn().then(() => {
      this.left = this.max;
      this.refill = null;
    });
    return this.refill;
  }
}
