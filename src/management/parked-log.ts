import { Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { Database } from '../database/database.js';
import { inEnglishOrNull, withoutAnswer } from '../explanations/explanation.js';
import { EngineEvents } from '../process/engine-events.js';
import { Log } from '../process/log.js';

const minuteMs = 60_000;

/** Warns that deliveries of a sink were parked: at the first, then once a minute for as long as there are more. */
@Injectable()
export class ParkedLog {
  /** Of each sink that was logged in the last minute, how many were parked since. */
  private readonly more = new Map<string, number>();

  constructor(
    events: EngineEvents,
    private readonly database: Database,
    private readonly log: Log,
  ) {
    events.on('ended', (sink, outcome, count) => {
      if (outcome === 'parked') this.add(sink, count);
    });
  }

  private add(sink: string, count: number): void {
    const before = this.more.get(sink);
    this.more.set(sink, before === undefined ? 0 : before + count);
    if (before !== undefined) return;
    void this.warn(sink, count);
    const endMinute = (): void => {
      const more = this.more.get(sink) ?? 0;
      this.more.delete(sink);
      if (more > 0) this.add(sink, more);
    };
    setTimeout(endMinute, minuteMs).unref();
  }

  async onApplicationShutdown(): Promise<void> {
    const waiting = [...this.more].filter(([, count]) => count > 0);
    this.more.clear();
    for (const [sink, count] of waiting) await this.warn(sink, count);
  }

  private async warn(sink: string, count: number): Promise<void> {
    const why = await this.whyLatest(sink).catch(() => ({}));
    const see = `/api/v1/deliveries?sink=${sink}&state=parked`;
    this.log.warn('changes could not be delivered and wait for a person', { sink, count, ...why, see });
  }

  /** Why the delivery of the latest change that is parked failed; the database may no longer answer. */
  private async whyLatest(sink: string): Promise<{ reason?: string; advice?: string | null }> {
    const parked = this.database.kysely.selectFrom('delivery').innerJoin('sink', 'sink.id', 'delivery.sink').where('sink.name', '=', sink);
    const row = await parked
      .where('delivery.state', '=', sql.lit('parked'))
      .select(['delivery.reason', 'delivery.advice'])
      .orderBy('delivery.change_id', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row?.reason ? { reason: withoutAnswer(row.reason), advice: inEnglishOrNull(row.advice) } : {};
  }
}
