import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../support/until.ts';
import type { Look } from './look.ts';
import type { VendorWorld } from './vendor-world.ts';

const callsPerSecond = 8;
/** How old what the vendor says may be, and what the service allows for rounding. */
const judgedAfterMs = 12_000;
const settleWithinMs = 120_000;

/** What the API says of a comparison. */
interface Comparison {
  id: string;
  state: string;
  finishedAt: string | null;
  corrected: number;
  destroyed: number;
  imported: number;
  failed: number;
}

export interface ComparingReport {
  /** Webhooks that never left the vendor, what its API did wrong, and during how many kills channels were compared. */
  lost: number;
  vendorFaults: number;
  comparisonsCut: number;
  /** Changes that readings made. */
  corrected: number;
}

/** Has the service compare its channels with the vendor again and again, and in the end until nothing differs. */
export class Comparing {
  readonly world: VendorWorld;
  readonly #call: <T>(method: 'GET' | 'POST', path: string, body?: object) => Promise<T>;
  #cut = 0;

  /** @param call of the service's management API */
  constructor(world: VendorWorld, call: <T>(method: 'GET' | 'POST', path: string, body?: object) => Promise<T>) {
    [this.world, this.#call] = [world, call];
  }

  get environment(): Record<string, string> {
    return { COMPARE_EVERY: '10s', COMPARE_RATE_PER_SECOND: String(callsPerSecond), ...this.world.environment };
  }

  /** After a kill: whether a comparison was under way, and another one if none waits. */
  async again(): Promise<void> {
    const { items } = await this.#call<{ items: Comparison[] }>('GET', 'comparisons?limit=500');
    if (items.some(({ state }) => state === 'running')) this.#cut += 1;
    await this.#call('POST', 'comparisons');
  }

  /** Once nothing happens any more: waits until dry runs find no difference, and nothing that is gone and not recorded as destroyed. */
  async agree(): Promise<void> {
    this.world.quiet = true;
    await sleep(judgedAfterMs);
    const agreed = async (): Promise<boolean> => {
      let one = await this.#call<Comparison>('POST', 'comparisons', { dryRun: true });
      const over = async (): Promise<boolean> => (one = await this.#call<Comparison>('GET', `comparisons/${one.id}`)).finishedAt !== null;
      await until(over, 'the end of a comparison', settleWithinMs);
      const { state, corrected, destroyed, imported, failed } = one;
      return state === 'done' && corrected + destroyed + imported + failed === 0;
    };
    await until(agreed, 'a comparison in which nothing differs', settleWithinMs);
  }

  /** What happened; there are never more calls in a second than the service is told to make, whoever makes them, also across kills. */
  async report(tables: Look, breaches: string[]): Promise<ComparingReport> {
    const { callTimes, lost, faults: vendorFaults } = this.world;
    const tooSoon = callTimes.filter((at, index) => index >= callsPerSecond && at - callTimes[index - callsPerSecond]! < 1000);
    if (tooSoon.length > 0) breaches.push(`${tooSoon.length} calls of the vendor's API came too soon for ${callsPerSecond} a second`);
    const [row] = await tables.ask<{ n: number }>(`select count(*) as n from change where source <> 'webhook'`);
    return { lost, vendorFaults, comparisonsCut: this.#cut, corrected: Number(row!.n) };
  }
}
