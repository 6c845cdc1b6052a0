import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { v4 as uuid } from 'uuid';
import { Database } from '../database/database.js';
import { ServedSinks } from '../sinks/served-sinks.js';
import { SharedClock } from '../process/clock.js';
import { EngineEvents } from '../process/engine-events.js';
import { Log } from '../process/log.js';
import { combineFailures } from '../process/repeatedly.js';
import { Enqueuer } from './enqueue.js';
import { Lanes } from './lanes.js';
import { Worker, type WorkerHost } from './worker.js';

/** Over how long the event loop's utilization is looked at. */
const sampleMs = 100;
const busyFrom = 0.6;
const restMs = 4;

/** One worker for each sink of this process. */
@Injectable()
export class Dispatcher implements WorkerHost {
  private readonly workers = new Map<number, Worker>();
  private readonly stopping = new AbortController();
  private sample = performance.eventLoopUtilization();
  private share = 0;

  constructor(
    private readonly served: ServedSinks,
    private readonly database: Database,
    private readonly enqueuer: Enqueuer,
    private readonly clock: SharedClock,
    private readonly events: EngineEvents,
    private readonly log: Log,
  ) {
    events.on('due', sinks => this.wake(sinks));
  }

  /** Starts a worker for each sink; the sinks must be registered. */
  async start(): Promise<void> {
    const lanes = new Lanes(this.database, uuid, () => this.clock.random());
    await lanes.releaseAll(this.clock.now());
    for (const { sink, settings, ...registered } of this.served.all) {
      const worker = new Worker(registered, sink, settings, lanes, this.events, this.clock, this);
      this.workers.set(registered.id, worker);
      this.enqueuer.serve(registered.id, worker);
      worker.start();
      if ('report' in sink) sink.listen?.();
    }
    void this.database.listen(
      sinks => this.wake(sinks),
      pollMs =>
        this.log.warn('PostgreSQL lets no notices through, as poolers do in transaction mode: each sink looks for work by itself', {
          pollMs,
        }),
      this.stopping.signal,
    );
  }

  /** A rest between two turns of a worker: on a busy process it lets more deliveries share a transaction. */
  async giveWay(): Promise<void> {
    if (this.utilization() > busyFrom) await sleep(restMs);
  }

  /** An outage is two lines, however long it is and however many sinks there are. */
  readonly trouble = combineFailures<string>(error => this.events.report('delivery', error));

  /** The share of time that the event loop was busy lately. */
  private utilization(): number {
    const sample = performance.eventLoopUtilization(this.sample);
    if (sample.active + sample.idle > sampleMs) {
      this.share = sample.utilization;
      this.sample = performance.eventLoopUtilization();
    }
    return this.share;
  }

  private wake(sinks: Iterable<number> | null): void {
    for (const sink of sinks ?? this.workers.keys()) this.workers.get(sink)?.wake();
  }

  /** Claims nothing more; attempts under way get `graceMs` to end and are then given back. */
  async drain(graceMs: number): Promise<void> {
    this.stopping.abort();
    await Promise.all([...this.workers.values()].map(worker => worker.drain(graceMs)));
  }
}
