import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database/database.js';
import { deletePage, deleteRecords, newestArrival } from '../database/retention.js';
import { fillPage } from './fill.js';
import { discardPage, goneSinks } from './leftovers.js';
import { repeatedly } from './repeatedly.js';

const everyMs = 3_600_000;
const againAfterMs = 10_000;
const dayMs = 86_400_000;
/** After each page it rests so many times as long as that took: webhooks and deliveries keep nine tenths of the time, or half of it where a sink waits. */
const restTimes = { calm: 9, awaited: 1 };

/** What upkeep tells the rest of the process. */
export interface UpkeepEvents {
  wake(sinks: number[]): void;
  discarded(sink: string, count: number): void;
  /** The database failed, and is tried again until `null` tells that it served. */
  trouble(error: Error | null): void;
}

/**
 * The slow work in the background, page by page: owes new state sinks what was before them, discards what sinks are owed that are gone for good, and
 * deletes what is older than RETENTION_DAYS. Cut short anywhere, it goes on where it is needed.
 */
export class Upkeep {
  private doubtedAt: number | null = null;

  constructor(
    private readonly database: Database,
    private readonly retentionDays: number,
    private readonly now: () => number,
    private readonly events: UpkeepEvents,
  ) {}

  /** Runs at once and then every hour, until it is stopped. */
  run(stop: AbortSignal): Promise<void> {
    return repeatedly(
      () => this.once(stop),
      failed => (failed ? againAfterMs : everyMs),
      error => this.events.trouble(error),
      stop,
    );
  }

  /** All that there is to do now. */
  async once(stop: AbortSignal): Promise<void> {
    await this.fill(stop);
    const old = (await this.clockIsDoubtful()) ? -Infinity : this.now() - this.retentionDays * dayMs;
    await this.discard(stop, old);
    if (old > 0) await this.delete(stop, old);
  }

  /** Whether all that is kept would be too old by our clock: then nothing is, until a webhook confirms it, but for a day at most. */
  private async clockIsDoubtful(): Promise<boolean> {
    const newest = await newestArrival(this.database.kysely);
    if (newest === null || this.now() - newest <= this.retentionDays * dayMs) this.doubtedAt = null;
    else this.doubtedAt ??= performance.now();
    return this.doubtedAt !== null && performance.now() - this.doubtedAt < dayMs;
  }

  private async fill(stop: AbortSignal): Promise<void> {
    const sinks = await this.database.kysely
      .selectFrom('sink')
      .select('id')
      .where('filled_to', 'is not', null)
      .where('removed_at', 'is', null)
      .execute();
    for (const { id } of sinks) {
      await pages(stop, restTimes.awaited, async () => {
        const more = await fillPage(this.database, id, this.now());
        this.events.wake([id]);
        return more;
      });
    }
  }

  private async discard(stop: AbortSignal, old: number): Promise<void> {
    for (const sink of await goneSinks(this.database, this.retentionDays, old)) {
      await pages(stop, restTimes.calm, async () => {
        const { count, reports } = await discardPage(this.database, sink, this.now());
        if (count > 0) this.events.discarded(sink.name, count);
        if (reports.length > 0) this.events.wake(reports);
        return count > 0;
      });
    }
  }

  private async delete(stop: AbortSignal, before: number): Promise<void> {
    await deleteRecords(this.database, before);
    let after: string | null = '';
    await pages(stop, restTimes.calm, async () => (after = await deletePage(this.database, before, after!)) !== null);
  }
}

/** Goes on until there is no further page. */
async function pages(stop: AbortSignal, times: number, page: () => Promise<boolean>): Promise<void> {
  for (let more = true; more && !stop.aborted;) {
    const startedAt = performance.now();
    more = await page();
    if (more) await sleep(times * (performance.now() - startedAt), undefined, { signal: stop }).catch(() => undefined);
  }
}
