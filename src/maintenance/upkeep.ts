import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { latestArrival } from '../database/arrival-times.js';
import { changesBefore, deleteListed, deleteRecords } from './retention.js';
import { backfillPage } from './backfill.js';
import { missingFindables } from './findable.js';
import { type RetiredSink, discardPage, retiredSinks } from './retired-sinks.js';
import { SharedClock } from '../process/clock.js';
import { EngineEvents } from '../process/engine-events.js';
import type { RepeatedTask } from '../process/repeatedly.js';
import { Settings } from '../settings/settings.js';

const everyMs = 3_600_000;
const againAfterMs = 10_000;
const dayMs = 86_400_000;
/** After each page it rests so many times as long as that took: webhooks and deliveries keep nine tenths of the time, or half of it where a sink waits. */
const restTimes = { calm: 9, awaited: 1 };

/** Something that is done page by page, with a rest after each, until there is no more. */
interface Task {
  what: string;
  restTimes: number;
  page: () => Promise<boolean>;
}

/**
 * The slow work in the background, page by page: owes new state sinks what was before them, discards what sinks are owed that are gone for good, and
 * deletes what is older than RETENTION_DAYS. Cut short anywhere, it goes on where it is needed.
 */
@Injectable()
export class Upkeep {
  readonly part = 'maintenance';
  private doubtedAt: number | null = null;

  constructor(
    private readonly database: Database,
    private readonly settings: Settings,
    private readonly clock: SharedClock,
    private readonly events: EngineEvents,
  ) {}

  works(stop: AbortSignal): RepeatedTask[] {
    return [{ work: () => this.once(stop), delayMs: everyMs, failureDelayMs: againAfterMs }];
  }

  /** All that there is to do now, each thing whichever of the others fails. @throws if some did, with what their errors say */
  async once(stop: AbortSignal): Promise<void> {
    const failed: string[] = [];
    for (const { what, restTimes, page } of await this.tasks()) {
      try {
        for (let more = true; more && !stop.aborted;) {
          const startedAt = performance.now();
          more = await page();
          if (more) await sleep(restTimes * (performance.now() - startedAt), undefined, { signal: stop }).catch(() => undefined);
        }
      } catch (error) {
        failed.push(`${what}: ${(error as Error).message}`);
      }
    }
    if (failed.length > 0) throw new Error(failed.join('; '));
  }

  private async tasks(): Promise<Task[]> {
    const { database } = this;
    const old = await this.old();
    const lacking = database.kysely.selectFrom('sink').select(['id', 'name']).where('backfilled_to', 'is not', null);
    const tasks: Task[] = [{ what: 'channels to be found', restTimes: restTimes.calm, page: missingFindables(database) }];
    for (const { id, name } of await lacking.where('removed_at', 'is', null).execute())
      tasks.push({ what: `backfill of ${name}`, restTimes: restTimes.awaited, page: () => this.backfill(id) });
    for (const sink of await retiredSinks(database, this.settings.RETENTION_DAYS, old))
      tasks.push({ what: `${sink.name} (${sink.id})`, restTimes: restTimes.calm, page: () => this.discard(sink) });
    tasks.push({ what: 'listed channels', restTimes: restTimes.calm, page: () => deleteListed(database) });
    if (old <= 0) return tasks;
    for (const table of ['audit', 'alert', 'comparison'] as const)
      tasks.push({ what: table, restTimes: restTimes.calm, page: () => deleteRecords(database, table, old) });
    return [...tasks, { what: 'retention', restTimes: restTimes.calm, page: changesBefore(database, old) }];
  }

  /** What was before this time is too old. */
  private async old(): Promise<number> {
    return (await this.clockIsDoubtful()) ? -Infinity : this.clock.now() - this.settings.RETENTION_DAYS * dayMs;
  }

  /** Whether all that is kept would be too old by our clock: then nothing is, until a webhook confirms it, but for a day at most. */
  private async clockIsDoubtful(): Promise<boolean> {
    const newest = await latestArrival(this.database.kysely, 'event_time');
    if (newest === null || this.clock.now() - newest <= this.settings.RETENTION_DAYS * dayMs) this.doubtedAt = null;
    else this.doubtedAt ??= performance.now();
    return this.doubtedAt !== null && performance.now() - this.doubtedAt < dayMs;
  }

  private async backfill(sink: number): Promise<boolean> {
    const more = await backfillPage(this.database, sink, this.clock.now());
    this.events.emit('due', [sink]);
    return more;
  }

  private async discard(sink: RetiredSink): Promise<boolean> {
    const { count, reports, more } = await discardPage(this.database, sink, this.clock.now());
    if (count > 0) this.events.emit('ended', sink.name, 'discarded', count);
    if (reports.length > 0) this.events.emit('due', reports);
    return more;
  }
}
