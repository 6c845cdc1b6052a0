import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type { InboundWebhook } from '../channel/inbound-webhook.js';
import type { Recorded } from '../channel/record.js';
import { Recorder, Unavailable, Unstorable } from '../channel/recorder.js';
import { SharedClock } from '../process/clock.js';
import { Log } from '../process/log.js';
import { outage } from '../database/outage.js';
import { Spool } from './spool.js';

/** From a webhook's last byte to the answer that it could not be kept: inside the contract's 1.5 s, and well inside the vendor's 2 s. */
const keepWithinMs = 1400;
/** What the database gets of that before the spool has to do, and where it is known that the spool can do nothing. */
const databaseWithinMs = 850;
const databaseAloneWithinMs = 1200;
const beatEveryMs = 5000;
const tryEveryMs = 300;

export type Kept = Recorded | 'spooled';

/** Keeps each webhook somewhere that survives us: in the database, or in the spool for as long as the database does not answer. */
@Injectable()
export class WebhookIntake {
  /** True while it is known that the database does not take webhooks: none has to wait for it then. */
  private away = false;
  /** True from when the database was given up until the spool is empty again. */
  private spooling = false;
  /** Of the spool, since the database was given up. */
  private takenIn = 0;
  /** When the last webhook was kept, by the monotonic clock. */
  private kept: number | null = null;
  private readonly outage: (error: Error | null) => void;
  private readonly stopping = new AbortController();
  private loops: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly recorder: Recorder,
    /** None for the embedded store, which is on the same disk. */
    @Inject(Spool) private readonly spool: Spool | null,
    private readonly clock: SharedClock,
    log: Log,
  ) {
    this.outage = outage(
      fields => log.warn('the database does not take webhooks: they go to SPOOL_DIR', fields),
      () => {
        log.info('the database takes webhooks again, and has all that were spooled', { takenIn: this.takenIn });
        this.takenIn = 0;
      },
    );
  }

  /** Webhooks that are in the spool only. */
  get spooled(): number {
    return this.spool?.size ?? 0;
  }

  /** Whether webhooks can be kept without the database. */
  get spoolWorks(): boolean {
    return this.spool !== null && this.spool.problem === null;
  }

  /** When this process last kept a webhook, or a repeat of one: in milliseconds by the clock of now, which may have been set since then. */
  get lastKeptAt(): number | null {
    return this.kept === null ? null : Math.round(this.clock.now() - (this.clock.monotonic() - this.kept));
  }

  /** @throws Unavailable if the webhook could be kept nowhere in time */
  async keep(webhook: InboundWebhook): Promise<Kept> {
    const kept = await this.keepSomewhere(webhook);
    this.kept = this.clock.monotonic();
    return kept;
  }

  private async keepSomewhere(webhook: InboundWebhook): Promise<Kept> {
    if (!this.spool) return this.recorder.record(webhook, keepWithinMs);
    const startedAt = performance.now();
    if (!this.away || !this.spoolWorks) {
      try {
        return await this.recorder.record(webhook, this.spoolWorks ? databaseWithinMs : databaseAloneWithinMs);
      } catch (error) {
        if (!(error instanceof Unstorable)) this.giveUp(error as Error);
      }
    }
    await within(this.spool.append(webhook), keepWithinMs - (performance.now() - startedAt));
    return 'spooled';
  }

  private giveUp(error: Error): void {
    this.away = true;
    if (this.spooling) return;
    this.spooling = true;
    this.outage(error);
  }

  /** Makes the spool's folder, takes over those of processes that are gone, and takes in what is there whenever the database answers. */
  async start(): Promise<void> {
    if (!this.spool) return;
    await this.spool.heartbeat();
    this.loops = Promise.all([this.beat(this.spool), this.takeIn(this.spool)]);
  }

  private async beat(spool: Spool): Promise<void> {
    while (await this.rest(beatEveryMs)) await spool.heartbeat();
  }

  private async takeIn(spool: Spool): Promise<void> {
    while (await this.rest(tryEveryMs)) {
      try {
        for (let taken: number | null = 0; taken !== null && !this.stopping.signal.aborted;) {
          taken = await spool.drain(webhooks => this.record(webhooks));
          this.takenIn += taken ?? 0;
        }
        // With nothing to take in a transaction of ours is what tells whether the database takes webhooks.
        if (this.away) await this.recorder.take([]);
        this.away = false;
        if (this.spooling) this.outage(null);
        this.spooling = false;
      } catch (error) {
        // The spool's own trouble is not thrown: this is the database's.
        this.giveUp(error as Error);
      }
    }
  }

  private record(webhooks: readonly InboundWebhook[]): Promise<InboundWebhook[]> {
    return this.recorder.take(webhooks, async () => {
      // Those who arrive now need not queue for the spool any more.
      this.away = false;
      await nextTurn();
    });
  }

  /** @returns false once we are stopping */
  private rest(ms: number): Promise<boolean> {
    return sleep(ms, true, { signal: this.stopping.signal }).catch(() => false);
  }

  /** Webhooks must not come any more. What the spool still holds is for the next process. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loops;
    await this.spool?.close();
  }
}

function within(work: Promise<void>, ms: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Unavailable('SPOOL_DIR did not answer in time')), ms);
  work.then(resolve, (error: Error) => reject(new Unavailable(error.message)));
  return promise.finally(() => clearTimeout(timer));
}
