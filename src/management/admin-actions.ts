import { Injectable } from '@nestjs/common';
import { type Explanation, stored } from '../explanations/explanation.js';
import { SharedClock } from '../process/clock.js';
import { EngineEvents } from '../process/engine-events.js';
import { type Doing, recordAction } from '../database/audit.js';
import { Database } from '../database/database.js';
import { lockLanes } from '../database/locks.js';
import { enqueueRefreshes } from '../reports/refresh-queue.js';
import { type ReplaySelection, replay } from './replay.js';
import { type Comparison, type ComparisonRequest, beginComparison } from '../reconcile/comparison.js';
import { type JobKind, beginJob } from '../search-index/index-job.js';
import { deliveryId } from '../delivery/work.js';
import type { Actions } from '../sinks/sink.js';
import { Log } from '../process/log.js';
import { Settings } from '../settings/settings.js';
import type { DeliveryKey } from './api/deliveries/deliveries.queries.js';
import type { ReplayedDto } from './api/deliveries/delivery.dto.js';
import { type SinkAction, applySinkAction } from './pause.js';

/** Runs the actions of people, from the API or Slack: records and logs who did it, and wakes the workers. */
@Injectable()
export class AdminActions implements Actions {
  constructor(
    private readonly database: Database,
    private readonly clock: SharedClock,
    private readonly log: Log,
    private readonly events: EngineEvents,
    private readonly settings: Settings,
  ) {}

  async replay(selection: ReplaySelection, dryRun: boolean, actor: string): Promise<ReplayedDto> {
    const counts = await replay(this.database, selection, dryRun, this.by(actor), this.wake);
    if (!dryRun && counts.replayed > 0) this.log.info('deliveries replayed', { by: actor, ...selection, ...counts });
    return counts;
  }

  async retry(changeId: string, actor: string): Promise<number> {
    return (await this.replay({ changeId }, false, actor)).replayed;
  }

  async retryAll(sink: string, actor: string): Promise<number> {
    return (await this.replay({ sink }, false, actor)).replayed;
  }

  /** Discards a delivery if it is parked. @returns its state before; `null` if there is no such delivery */
  async discardOne({ changeId, sink }: DeliveryKey, reason: Explanation, actor: string): Promise<string | null> {
    const { database } = this;
    const doing = this.by(actor);
    const delivery = deliveryId(changeId, sink);
    const done = await database.kysely.transaction().execute(async trx => {
      const query = trx.selectFrom('delivery').where('change_id', '=', changeId).where('sink', '=', sink);
      const found = await query.select('channel').executeTakeFirst();
      if (!found) return null;
      await lockLanes(database, trx, sink, [found]);
      const locked = query.innerJoin('sink', 'sink.id', 'delivery.sink').select(['delivery.state as was', 'sink.name']);
      const row = await locked.executeTakeFirst();
      if (row?.was !== 'parked') return row && { ...row, reports: [] };
      await trx
        .updateTable('delivery')
        .set({ state: 'discarded', open: 0, cause: null, reason: stored(reason), advice: null, updated_at: doing.at })
        .where('change_id', '=', changeId)
        .where('sink', '=', sink)
        .execute();
      await recordAction(trx, doing, 'discard', { delivery }, changeId);
      const reports = await enqueueRefreshes(this.database, trx, [{ changeId, channel: found.channel }]);
      if (reports.length > 0) await database.notify(trx, reports);
      return { ...row, reports };
    });
    if (done?.was !== 'parked') return done?.was ?? null;
    this.events.emit('ended', done.name, 'discarded', 1);
    this.log.info('delivery discarded', { by: actor, delivery, sink: done.name });
    this.wake(done.reports);
    return done.was;
  }

  async discard(changeId: string, actor: string): Promise<number> {
    let count = 0;
    const parked = this.database.kysely
      .selectFrom('delivery')
      .select('sink')
      .where('change_id', '=', changeId)
      .where('state', '=', 'parked');
    for (const { sink } of await parked.execute()) {
      if ((await this.discardOne({ changeId, sink }, ['discarded'], actor)) === 'parked') count += 1;
    }
    return count;
  }

  pause(sink: string, actor: string): Promise<boolean | null> {
    return this.applyToSink(sink, 'pause', actor);
  }

  resume(sink: string, actor: string): Promise<boolean | null> {
    return this.applyToSink(sink, 'resume', actor);
  }

  probe(sink: string, actor: string): Promise<boolean | null> {
    return this.applyToSink(sink, 'probe', actor);
  }

  private async applyToSink(sink: string, action: SinkAction, actor: string): Promise<boolean | null> {
    const done = await applySinkAction(this.database, sink, action, this.by(actor));
    if (done && action !== 'pause') this.wake([done.id]);
    if (done?.applied) this.log.info(`sink ${action}d`, { sink, by: actor });
    return done && done.applied;
  }

  async repair(sink: string, actor: string): Promise<boolean | null> {
    const compared = await this.database.kysely
      .selectFrom('sink')
      .innerJoin('index_job', 'index_job.sink', 'sink.id')
      .select('sink.id')
      .where('sink.name', '=', sink)
      .where('sink.removed_at', 'is', null)
      .where('index_job.kind', '=', 'verify')
      .executeTakeFirst();
    return compared ? this.beginJob(compared.id, sink, 'verify', true, actor) : null;
  }

  /** Starts to verify or rebuild the index of a search sink. @returns false if that is already running */
  async beginJob(sink: number, name: string, kind: JobKind, repair: boolean, actor: string): Promise<boolean> {
    const started = await beginJob(this.database, sink, kind, repair, this.by(actor));
    if (started) this.log.info(`${kind} of the index begins`, { sink: name, repair, by: actor });
    return started;
  }

  async compareNow(sdkAppId: string, actor: string): Promise<boolean> {
    // The value comes from Slack: it could be made up, or the app's key may have been removed since.
    if (!this.settings.apps.some(app => app.sdkAppId === sdkAppId)) return false;
    await this.compare({ sdkAppId, cause: 'slack' }, actor);
    return true;
  }

  /** Starts to compare channels with the vendor, or to import them. */
  async compare(request: ComparisonRequest, actor: string): Promise<Comparison> {
    const comparison = await beginComparison(this.database, request, this.by(actor));
    const { id, cause, sdk_app_id: app } = comparison;
    this.log.info('a comparison with Tencent was requested', { app, comparison: id, cause, by: actor });
    return comparison;
  }

  private readonly wake = (sinks: number[]): void => void this.events.emit('due', sinks);

  private by(actor: string): Doing {
    return { at: this.clock.now(), actor };
  }
}
