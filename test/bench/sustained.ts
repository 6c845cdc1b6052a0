import { type Bench, drained } from './measures.ts';
import type { Service, Store } from './stage.ts';

const sinks = 3;
const connections = 256;
/** What may wait at the end of a step: this many seconds of sends. More means that the lag was not flat. */
const toleratedBacklogSeconds = 0.25;

interface Step {
  rate: number;
  seconds: number;
  kept: boolean;
  answered: number;
  /** Sends that were owed when the last answer came, by the sinks' own count and by the service's metric. */
  backlog: number;
  pending: number;
  lagSeconds: number;
}

/** The highest arrival rate, open loop, at which three webhook sinks keep up. */
export async function sustained(bench: Bench): Promise<void> {
  for (const store of bench.stores) {
    const { rate, lagSeconds } = await new Search(bench, store).find();
    bench.report.add('sustained arrivals, three sinks keep up', store, rate, '/s', { atLeast: store === 'sqlite' ? 1200 : 900 });
    bench.report.add('sends at that rate', store, rate * sinks, '/s');
    bench.report.add('lag at its end', store, lagSeconds, 's');
  }
}

/** Finds the highest arrival rate that so many processes keep up with. */
export class Search {
  readonly #bench: Bench;
  readonly #store: Store;
  readonly #processes: number;
  #service: Service | null = null;
  #ports: number[] = [];

  constructor(bench: Bench, store: Store, processes = 1) {
    this.#bench = bench;
    this.#store = store;
    this.#processes = processes;
  }

  /** Steps up or down from the aim until bracketed, then halves the bracket, then confirms at length. */
  async find(): Promise<{ rate: number; lagSeconds: number }> {
    const { quick } = this.#bench;
    const until = Date.now() + (quick ? 20_000 : 45_000);
    let low = 0;
    let high = Number.POSITIVE_INFINITY;
    let rate = 1000;
    while (Date.now() < until && high / low > 1.08 && rate >= 50) {
      if ((await this.#step(rate, quick ? 2 : 4)).kept) low = rate;
      else high = rate;
      rate = round(high === Number.POSITIVE_INFINITY ? low * 1.6 : low === 0 ? high / 2 : Math.sqrt(low * high));
    }
    let confirmed: Step | null = null;
    for (let tries = 0, at = low; tries < 4 && at > 0 && !confirmed?.kept; tries++, at = round(at * 0.85)) {
      confirmed = await this.#step(at, quick ? 5 : 10);
    }
    await this.#service?.stop();
    if (confirmed?.kept) return confirmed;
    this.#bench.report.note(`sustained: ${this.#store} held no rate at length, ${low}/s for a short step`);
    return { rate: 0, lagSeconds: Number.NaN };
  }

  async #step(rate: number, seconds: number): Promise<Step> {
    const { load, report, stage } = this.#bench;
    this.#service ??= await this.#warmService();
    const service = this.#service;
    const before = (await stage.ask('count')).count;
    const outcome = await load.run({ port: this.#ports, connections, rate, seconds });
    const backlog = outcome.ok * sinks - ((await stage.ask('count')).count - before);
    const tolerated = toleratedBacklogSeconds * rate * sinks;
    const [pending, lagSeconds] = [await service.metric('pending'), await service.metric('lag_seconds')];
    const kept = outcome.failed === 0 && outcome.perSecond >= 0.97 * rate && backlog <= tolerated && pending <= tolerated;
    const step: Step = { rate, seconds, kept, answered: outcome.perSecond, backlog, pending, lagSeconds };
    report.raw.push({ part: 'sustained', store: this.#store, ...step });
    report.progress(
      `sustained: ${this.#store}, ${rate}/s for ${seconds} s: ${kept ? 'kept up' : 'fell behind'} ` +
        `(answered ${Math.round(outcome.perSecond)}/s, backlog ${backlog}, pending ${pending}${outcome.failed > 0 ? `, ${outcome.firstFailure}` : ''})`,
    );
    if (!(await drained(stage, service, 8000))) {
      await service.stop();
      this.#service = null;
    }
    return step;
  }

  async #warmService(): Promise<Service> {
    const { load, stage } = this.#bench;
    const service = await stage.startService(this.#store);
    this.#ports = [service.port];
    while (this.#ports.length < this.#processes) this.#ports.push(await service.replicate());
    await load.run({ port: this.#ports, connections, rate: 300, seconds: 2 });
    await drained(stage, service);
    return service;
  }
}

function round(rate: number): number {
  return Math.round(rate / 10) * 10;
}
