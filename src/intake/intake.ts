import { setImmediate as nextTurn } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type { InboundWebhook } from '../channel/inbound-webhook.js';
import type { Recorded } from '../channel/record.js';
import { Recorder, Unavailable, Unstorable } from '../channel/recorder.js';
import { SharedClock } from '../process/clock.js';
import { Log } from '../process/log.js';
import { repeatedly } from '../process/repeatedly.js';
import { outage } from '../database/outage.js';
import { Spool } from './spool.js';

/** A webhook not stored within this time is answered 503: below our promised 1.5 s and the vendor's timeout of 2 s. */
const keepTimeoutMs = 1400;
/** The database's part of that before the webhook goes to the spool, and its part while the spool cannot be used. */
const databaseTimeoutMs = 850;
const databaseOnlyTimeoutMs = 1200;
const heartbeatIntervalMs = 5000;
const drainIntervalMs = 300;

export type Kept = Recorded | 'spooled';

/** Stores each webhook durably: in the database, or in the spool while the database does not respond. */
@Injectable()
export class WebhookIntake {
  /** True while the database is known to be unavailable: webhooks then go to the spool without trying it. */
  private databaseUnavailable = false;
  /** Webhooks drained from the spool since the outage began. */
  private drained = 0;
  /** Monotonic time at which the last webhook was stored. */
  private lastKept: number | null = null;
  private readonly reportOutage: (error: Error | null) => void;
  private readonly stopping = new AbortController();
  private loops: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly recorder: Recorder,
    /** `null` with SQLite, whose file is on the same disk. */
    @Inject(Spool) private readonly spool: Spool | null,
    private readonly clock: SharedClock,
    log: Log,
  ) {
    this.reportOutage = outage(
      fields => log.warn('the database is unavailable: webhooks are kept in SPOOL_DIR', fields),
      () => {
        log.info('the database is available again, and all spooled webhooks are recorded', { recorded: this.drained });
        this.drained = 0;
      },
    );
  }

  /** Number of webhooks that are in the spool only. */
  get spooled(): number {
    return this.spool?.size ?? 0;
  }

  /** Whether webhooks can be stored while the database is unavailable. */
  get spoolWorks(): boolean {
    return this.spool !== null && this.spool.problem === null;
  }

  /** When this process last stored a webhook or received a repeat of one, by the current clock (ms), which may have been set since. */
  get lastKeptAt(): number | null {
    return this.lastKept === null ? null : Math.round(this.clock.now() - (this.clock.monotonic() - this.lastKept));
  }

  /** @throws Unavailable if the webhook could not be stored in time */
  async keep(webhook: InboundWebhook): Promise<Kept> {
    const kept = await this.store(webhook);
    this.lastKept = this.clock.monotonic();
    return kept;
  }

  private async store(webhook: InboundWebhook): Promise<Kept> {
    if (!this.spool) return this.recorder.record(webhook, keepTimeoutMs);
    const startedAt = performance.now();
    if (!this.databaseUnavailable || !this.spoolWorks) {
      try {
        return await this.recorder.record(webhook, this.spoolWorks ? databaseTimeoutMs : databaseOnlyTimeoutMs);
      } catch (error) {
        if (!(error instanceof Unstorable)) this.databaseFailed(error as Error);
      }
    }
    await withTimeout(this.spool.append(webhook), keepTimeoutMs - (performance.now() - startedAt));
    return 'spooled';
  }

  private databaseFailed(error: Error): void {
    this.databaseUnavailable = true;
    this.reportOutage(error);
  }

  /** Creates the spool's folder, takes over the folders of dead processes, and drains the spool whenever the database is available. */
  async start(): Promise<void> {
    const { spool } = this;
    if (!spool) return;
    await spool.heartbeat();
    const tasks = [
      { work: () => spool.heartbeat(), delayMs: heartbeatIntervalMs },
      { work: () => this.drain(spool), delayMs: drainIntervalMs },
    ];
    this.loops = repeatedly(tasks, () => undefined, this.stopping.signal);
  }

  private async drain(spool: Spool): Promise<void> {
    try {
      for (let count: number | null = 0; count !== null && !this.stopping.signal.aborted;) {
        count = await spool.drain(webhooks => this.record(webhooks));
        this.drained += count ?? 0;
      }
      // With an empty spool, only a ping shows whether the database accepts webhooks again.
      if (this.databaseUnavailable) await this.recorder.ping();
      this.databaseUnavailable = false;
      this.reportOutage(null);
    } catch (error) {
      // Always a failure of the database: the spool reports its own errors and does not throw them.
      this.databaseFailed(error as Error);
    }
  }

  private record(webhooks: readonly InboundWebhook[]): Promise<InboundWebhook[]> {
    return this.recorder.recordAll(webhooks, async () => {
      // New webhooks need not go through the spool any more.
      this.databaseUnavailable = false;
      await nextTurn();
    });
  }

  /** Call once no more webhooks arrive. Webhooks left in the spool are for the next process. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loops;
    await this.spool?.close();
  }
}

function withTimeout(work: Promise<void>, ms: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Unavailable('SPOOL_DIR did not answer in time')), ms);
  work.then(resolve, (error: Error) => reject(new Unavailable(error.message)));
  return promise.finally(() => clearTimeout(timer));
}
