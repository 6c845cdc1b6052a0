import { setTimeout as sleep } from 'node:timers/promises';
import { v4 as uuid } from 'uuid';
import type { Clock } from '../process/clock.js';
import type { Database } from '../database/database.js';
import { firstSeen } from '../database/seen.js';
import type { Proxies } from '../outgoing/proxies.js';
import type { Actions, Sink, SinkType } from '../sinks/sink.js';
import type { ReportSink } from '../sinks/report-sink.js';
import type { SearchSink } from '../sinks/search-sink.js';
import type { SinkSettings } from '../sinks/settings.js';
import type { Filters } from './filters.js';
import { Lanes } from './lanes.js';
import { type ConfiguredSink, registerSinks } from '../maintenance/registry.js';
import type { RegisteredSink } from './session.js';
import { troubleOfAny } from '../process/repeatedly.js';
import { Worker, type WorkerEvents } from './worker.js';

/** Webhooks count as coming in for this long after the last group. */
const pressureMs = 50;
/** Over how long the event loop's utilization is looked at. */
const sampleMs = 100;
const busyFrom = 0.6;
const busyRestMs = 4;
const pressedFrom = 0.95;
const pressedRestMs = 20;

/** A sink to be served. */
export interface ServedSink {
  name: string;
  type: SinkType;
  settings: SinkSettings;
}

/** One worker for each sink of this process. */
export class Dispatcher {
  /** In the order of `sinks`. */
  readonly opened: Sink[] = [];
  private readonly workers = new Map<number, Worker>();
  private readonly stopping = new AbortController();
  /** Those of this process that are served. */
  readonly reportSinks: (RegisteredSink & { sink: ReportSink; settings: SinkSettings })[] = [];
  readonly searchSinks: (RegisteredSink & { sink: SearchSink; settings: SinkSettings })[] = [];
  private webhooksAt = -Infinity;
  private sample = performance.eventLoopUtilization();
  private share = 0;

  constructor(
    private readonly database: Database,
    private readonly sinks: readonly ServedSink[],
    private readonly events: Omit<WorkerEvents, 'wake' | 'giveWay' | 'trouble'> & {
      /** The database failed a worker, which goes on trying; `null` once it serves all again. */
      trouble(error: Error | null): void;
    },
    private readonly clock: Clock,
    private readonly warn: (message: string, fields: object) => void,
    private readonly actions: Actions,
    private readonly proxies: Proxies,
  ) {}

  /** Makes the sinks; none of them connects to anything yet. */
  async open(): Promise<void> {
    for (const { name, type, settings } of this.sinks) {
      const context = {
        name,
        now: () => this.clock.now(),
        warn: (message: string) => this.warn(message, { sink: name }),
        proxies: this.proxies,
        actions: this.actions,
        clicked: (payload: unknown, credential: string, keys: readonly string[]) => {
          const isNew = firstSeen(this.database, keys, this.clock.now());
          // Heard by whoever has something to do.
          isNew.catch(() => undefined);
          for (const sink of this.opened) if ('report' in sink) sink.clicked?.(payload, credential, isNew);
        },
      };
      this.opened.push(await type.open(settings, context));
    }
  }

  /** Registers the sinks and starts their workers; the database must be up to date. */
  async start(): Promise<void> {
    const lanes = new Lanes(this.database, uuid, () => this.clock.random());
    const configured = this.sinks.map(({ name, type, settings }, index) => ({
      name,
      type: type.type,
      mode: type.mode(settings),
      filters: filtersOf(settings),
      ...reportOf(this.opened[index]!),
    }));
    const registered = await registerSinks(this.database, configured, this.clock.now());
    await lanes.releaseAll(this.clock.now());
    // An outage is two lines, however long it is and however many sinks there are.
    const trouble = troubleOfAny<string>(error => this.events.trouble(error));
    const events: WorkerEvents = { ...this.events, wake: sinks => this.wake(sinks), giveWay: () => this.giveWay(), trouble };
    for (const [index, { settings }] of this.sinks.entries()) {
      const worker = new Worker(registered[index]!, this.opened[index]!, settings, lanes, events, this.clock);
      this.workers.set(worker.registered.id, worker);
      worker.start();
      const sink = this.opened[index]!;
      if ('compare' in sink) this.searchSinks.push({ ...registered[index]!, sink, settings });
      if (!('report' in sink)) continue;
      this.reportSinks.push({ ...registered[index]!, sink, settings });
      sink.listen?.();
    }
    void this.database.listen(
      sinks => (sinks ? this.wake(sinks) : this.wakeAll()),
      pollMs =>
        this.warn('PostgreSQL lets no notices through, as poolers do in transaction mode: each sink looks for work by itself', { pollMs }),
      this.stopping.signal,
    );
  }

  /**
   * A rest between two turns of a worker. On a busy process it lets more deliveries share a transaction; on one that has no time left while
   * webhooks come in it lets those go first: the vendor waits 2 s, a sink does not.
   */
  private async giveWay(): Promise<void> {
    const utilization = this.utilization();
    const pressed = utilization > pressedFrom && performance.now() - this.webhooksAt < pressureMs;
    if (utilization > busyFrom) await sleep(pressed ? pressedRestMs : busyRestMs);
  }

  /** The share of time that the event loop was busy lately. */
  private utilization(): number {
    const sample = performance.eventLoopUtilization(this.sample);
    if (sample.active + sample.idle > sampleMs) {
      this.share = sample.utilization;
      this.sample = performance.eventLoopUtilization();
    }
    return this.share;
  }

  /** Webhooks were recorded that owe something to these sinks. */
  recorded(sinks: Iterable<number>): void {
    this.webhooksAt = performance.now();
    this.wake(sinks);
  }

  wakeAll(): void {
    this.wake(this.workers.keys());
  }

  /** Something became due at these sinks. */
  wake(sinks: Iterable<number>): void {
    for (const sink of sinks) this.workers.get(sink)?.wake();
  }

  /** Claims nothing more; attempts under way get `graceMs` to end and are then given back. */
  async drain(graceMs: number): Promise<void> {
    this.stopping.abort();
    await Promise.all([...this.workers.values()].map(worker => worker.drain(graceMs)));
  }
}

function reportOf(sink: Sink): Pick<ConfiguredSink, 'report'> {
  return 'report' in sink ? { report: { holdMs: sink.holdMs, edits: sink.edits } } : {};
}

function filtersOf({ FIELDS, CHANNELS, SDK_APP_IDS }: SinkSettings): Filters {
  return { ...(FIELDS && { fields: FIELDS }), ...(CHANNELS && { channels: CHANNELS }), ...(SDK_APP_IDS && { sdkAppIds: SDK_APP_IDS }) };
}
