import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

export interface Job {
  /** Of the service; of several replicas, which share the connections. */
  port: number | readonly number[];
  connections: number;
  /** Open loop: webhooks are due at this rate, whether answers come or not. */
  rate?: number;
  /** This many, all due at once. */
  count?: number;
  /** With a rate how long it lasts; alone, every connection sends its next webhook on its answer, for so long. */
  seconds?: number;
  /** How many channels there are; 1,000 unless told. */
  channels?: number;
}

export interface Outcome {
  /** Answered 200 with ErrorCode 0. */
  ok: number;
  /** Every other answer, and none at all. */
  failed: number;
  /** Those of the failed that were never sent, because an open loop had fallen too far behind. */
  givenUp: number;
  firstFailure: string | null;
  /** Good answers per second while the job lasted. */
  perSecond: number;
  /** Sorted milliseconds from when a webhook was due to its answer; waiting for a free connection counts. */
  sinceDue: number[];
  /** Sorted milliseconds from when a webhook was written to its answer. */
  sinceSent: number[];
  /** The number of the first webhook and when (monotonic) each was written. */
  firstNumber: number;
  sentAt: number[];
}

/** The load generator: a thread of its own with raw sockets. */
export class Load {
  readonly #worker = new Worker(new URL('./load-worker.ts', import.meta.url));
  #failure: unknown = null;

  constructor() {
    this.#worker.on('error', error => (this.#failure = error));
  }

  async run(job: Job): Promise<Outcome> {
    if (this.#failure) throw this.#failure;
    this.#worker.postMessage(job);
    const [outcome] = (await once(this.#worker, 'message')) as [Outcome | { error: string }];
    if ('error' in outcome) throw new Error(`load generator: ${outcome.error}`);
    return outcome;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(
    values.toSorted((a, b) => a - b),
    0.5,
  );
}
