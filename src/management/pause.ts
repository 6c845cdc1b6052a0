import { type Doing, recordAction } from '../database/audit.js';
import type { Database } from '../database/database.js';
import { stoppedMs } from '../delivery/breaker.js';

export type SinkMove = 'pause' | 'resume' | 'probe';

/**
 * Tries a stopped sink at once; or stops a sink on all replicas, for good, though attempts under way may end; or lets it go on: the time that it was paused does not count towards RETRY_MAX_AGE.
 * @returns `moved`: false if the sink already was as it should be; `null` if there is no such sink
 */
export async function moveSink(
  database: Database,
  name: string,
  action: SinkMove,
  doing: Doing,
): Promise<{ id: number; moved: boolean } | null> {
  return database.kysely.transaction().execute(async trx => {
    // Where its type or mode was changed, the current one is the newest of its name.
    const query = trx.selectFrom('sink').selectAll().where('name', '=', name).orderBy('id', 'desc').limit(1);
    const sink = await query.$call(database.lock).executeTakeFirst();
    if (!sink) return null;
    const isStopped = (sink.state !== 'ok' || sink.check_state !== null) && sink.paused_at === null && sink.removed_at === null;
    const moved = action === 'probe' ? isStopped : (sink.paused_at === null) === (action === 'pause');
    if (moved) {
      const over = sink.state === 'ok' && { stopped_since: null, stopped_ms: stoppedMs(sink, doing.at) };
      const values = {
        // When the next probe may start is left as it is: that keeps them one at a time. What a check found is checked again.
        probe: { next_round_robin_probe_at: doing.at, ...(sink.check_state !== null && { next_check_at: doing.at }) },
        pause: { paused_at: doing.at, stopped_since: sink.stopped_since ?? doing.at },
        resume: { paused_at: null, ...over },
      }[action];
      await trx.updateTable('sink').set(values).where('id', '=', sink.id).execute();
      await recordAction(trx, doing, action, { sink: name });
      await database.notify(trx, [sink.id]);
    }
    return { id: sink.id, moved };
  });
}
