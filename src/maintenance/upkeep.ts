import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { latestArrival } from '../database/arrival-times.js';
import { changesBefore, deleteOld, tablesWithOldRows } from './retention.js';
import { backfillPage } from './backfill.js';
import { type RetiredSink, discardPage, retiredSinks } from './retired-sinks.js';
import { SharedClock } from '../process/clock.js';
import { EngineEvents } from '../process/engine-events.js';
import type { RepeatedTask } from '../process/repeatedly.js';
import { Settings } from '../settings/settings.js';

const intervalMs = 3_600_000;
const retryMs = 10_000;
const dayMs = 86_400_000;
/** Pause after each page, in multiples of its duration: leaves webhooks and deliveries 90 % of the time, or half if a sink is waiting. */
const pauseFactors = { background: 9, urgent: 1 };

interface Task {
  name: string;
  /** Runs again, after a pause, until it returns false. */
  page: () => Promise<boolean>;
  pauseFactor?: number;
}

/**
 * Slow background work, page by page: backfills new state sinks, discards deliveries of retired sinks, and deletes data older than
 * RETENTION_DAYS. If interrupted, the next run continues.
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
    return [{ work: () => this.once(stop), delayMs: intervalMs, failureDelayMs: retryMs }];
  }

  /** Runs all tasks, even if some fail. @throws an error with the messages of those that failed */
  async once(stop: AbortSignal): Promise<void> {
    const failed: string[] = [];
    for (const { name, page, pauseFactor = pauseFactors.background } of await this.tasks()) {
      try {
        for (let more = true; more && !stop.aborted;) {
          const startedAt = performance.now();
          more = await page();
          if (more) await sleep(pauseFactor * (performance.now() - startedAt), undefined, { signal: stop }).catch(() => undefined);
        }
      } catch (error) {
        failed.push(`${name}: ${(error as Error).message}`);
      }
    }
    if (failed.length > 0) throw new Error(failed.join('; '));
  }

  private async tasks(): Promise<Task[]> {
    const { database } = this;
    const days = this.settings.RETENTION_DAYS;
    const cutoff = (await this.clockIsDoubtful()) ? -Infinity : this.clock.now() - days * dayMs;
    const incomplete = database.kysely.selectFrom('sink').select(['id', 'name']).where('backfilled_to', 'is not', null);
    const tasks: Task[] = [];
    for (const { id, name } of await incomplete.where('removed_at', 'is', null).execute())
      tasks.push({ name: `backfill of ${name}`, page: () => this.backfill(id), pauseFactor: pauseFactors.urgent });
    for (const sink of await retiredSinks(database, days, cutoff))
      tasks.push({ name: `${sink.name} (${sink.id})`, page: () => this.discard(sink) });
    if (cutoff <= 0) return tasks;
    for (const table of tablesWithOldRows) tasks.push({ name: table, page: () => deleteOld(database, table, cutoff) });
    return [...tasks, { name: 'retention', page: changesBefore(database, cutoff) }];
  }

  /** Whether all data would be too old by our clock. Then nothing is deleted until a webhook confirms the time, or for a day at most. */
  private async clockIsDoubtful(): Promise<boolean> {
    const latest = await latestArrival(this.database.kysely, 'event_time');
    if (latest === null || this.clock.now() - latest <= this.settings.RETENTION_DAYS * dayMs) this.doubtedAt = null;
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
