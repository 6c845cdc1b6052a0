import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { v4 as uuid } from 'uuid';
import { Database } from '../database/database.js';
import { ServedSinks } from '../sinks/served-sinks.js';
import { SharedClock } from '../process/clock.js';
import { EngineEvents } from '../process/engine-events.js';
import { combineFailures } from '../process/repeatedly.js';
import { TurnBudget } from '../process/turn-budget.js';
import { Enqueuer } from './enqueue.js';
import { Lanes } from './lanes.js';
import { Worker, type WorkerHost } from './worker.js';

const utilizationSampleMs = 100;
const startsPerTurn = 12;
/** Utilization of the event loop above which workers pause between turns. */
const busyUtilization = 0.6;
const busyPauseMs = 4;

/** Runs one worker per sink. */
@Injectable()
export class Dispatcher implements WorkerHost {
  private readonly workers = new Map<number, Worker>();
  private readonly stopping = new AbortController();
  /** Over all sinks: webhooks are accepted and answered in between. */
  readonly starts = new TurnBudget(startsPerTurn);
  private sample = performance.eventLoopUtilization();
  private share = 0;

  constructor(
    private readonly served: ServedSinks,
    private readonly database: Database,
    private readonly enqueuer: Enqueuer,
    private readonly clock: SharedClock,
    private readonly events: EngineEvents,
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
    void this.database.listen(sinks => this.wake(sinks), this.stopping.signal);
  }

  /** Pauses between two turns of a worker when the process is busy, so that more deliveries share a transaction. */
  async giveWay(): Promise<void> {
    if (this.utilization() > busyUtilization) await sleep(busyPauseMs);
  }

  /** Logs two lines per outage, however long it lasts and however many sinks there are. */
  readonly reportFailure = combineFailures<string>(error => this.events.report('delivery', error));

  private utilization(): number {
    const sample = performance.eventLoopUtilization(this.sample);
    if (sample.active + sample.idle > utilizationSampleMs) {
      this.share = sample.utilization;
      this.sample = performance.eventLoopUtilization();
    }
    return this.share;
  }

  private wake(sinks: Iterable<number> | null): void {
    for (const sink of sinks ?? this.workers.keys()) this.workers.get(sink)?.wake();
  }

  /** Stops claiming; attempts in progress get `graceMs` to finish, then are cancelled and their lanes released. */
  async drain(graceMs: number): Promise<void> {
    this.stopping.abort();
    await Promise.all([...this.workers.values()].map(worker => worker.drain(graceMs)));
  }
}
