import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database/database.js';
import { deletePage, deleteRecords, newestArrival } from './retention.js';
import { backfillPage } from './backfill.js';
import { type RetiredSink, discardPage, retiredSinks } from './retired-sinks.js';
import { repeatedly } from '../process/repeatedly.js';

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
    await all({
      fill: () => this.fill(stop),
      discard: async () => this.discard(stop, await this.old()),
      records: async () => this.deleteRecords(stop, await this.old()),
      retention: async () => this.delete(stop, await this.old()),
    });
  }

  /** What was before this time is too old. */
  private async old(): Promise<number> {
    return (await this.clockIsDoubtful()) ? -Infinity : this.now() - this.retentionDays * dayMs;
  }

  /** Whether all that is kept would be too old by our clock: then nothing is, until a webhook confirms it, but for a day at most. */
  private async clockIsDoubtful(): Promise<boolean> {
    const newest = await newestArrival(this.database.kysely, 'event_time');
    if (newest === null || this.now() - newest <= this.retentionDays * dayMs) this.doubtedAt = null;
    else this.doubtedAt ??= performance.now();
    return this.doubtedAt !== null && performance.now() - this.doubtedAt < dayMs;
  }

  private async fill(stop: AbortSignal): Promise<void> {
    const sinks = await this.database.kysely
      .selectFrom('sink')
      .select(['id', 'name'])
      .where('backfilled_to', 'is not', null)
      .where('removed_at', 'is', null)
      .execute();
    const fill = (id: number): Promise<void> =>
      pages(stop, restTimes.awaited, async () => {
        const more = await backfillPage(this.database, id, this.now());
        this.events.wake([id]);
        return more;
      });
    await all(Object.fromEntries(sinks.map(({ id, name }) => [name, () => fill(id)])));
  }

  private async discard(stop: AbortSignal, old: number): Promise<void> {
    const discard = (sink: RetiredSink): Promise<void> =>
      pages(stop, restTimes.calm, async () => {
        const { count, reports, more } = await discardPage(this.database, sink, this.now());
        if (count > 0) this.events.discarded(sink.name, count);
        if (reports.length > 0) this.events.wake(reports);
        return more;
      });
    const gone = await retiredSinks(this.database, this.retentionDays, old);
    await all(Object.fromEntries(gone.map(sink => [`${sink.name} (${sink.id})`, () => discard(sink)])));
  }

  private async deleteRecords(stop: AbortSignal, before: number): Promise<void> {
    if (before > 0) await pages(stop, restTimes.calm, () => deleteRecords(this.database, before));
  }

  private async delete(stop: AbortSignal, before: number): Promise<void> {
    if (before <= 0) return;
    let after: string | null = '';
    await pages(stop, restTimes.calm, async () => (after = await deletePage(this.database, before, after!)) !== null);
  }
}

/** Does each of these, whichever of the others fails. @throws if some did, with what their errors say */
async function all(works: Record<string, () => Promise<void>>): Promise<void> {
  const failed: string[] = [];
  for (const [name, work] of Object.entries(works)) await work().catch((error: Error) => failed.push(`${name}: ${error.message}`));
  if (failed.length > 0) throw new Error(failed.join('; '));
}

/** Goes on until there is no further page. */
async function pages(stop: AbortSignal, times: number, page: () => Promise<boolean>): Promise<void> {
  for (let more = true; more && !stop.aborted;) {
    const startedAt = performance.now();
    more = await page();
    if (more) await sleep(times * (performance.now() - startedAt), undefined, { signal: stop }).catch(() => undefined);
  }
}
