import { type Doing, recordAction } from '../database/audit.js';
import type { Database } from '../database/database.js';
import { stoppedMs } from '../delivery/breaker.js';

/**
 * Stops a sink on all replicas, for good, though attempts under way may end; or lets it go on: the time that it was paused does not count towards RETRY_MAX_AGE.
 * @returns `moved`: false if the sink already was as it should be; `null` if there is no such sink
 */
export async function moveSink(
  database: Database,
  name: string,
  action: 'pause' | 'resume',
  doing: Doing,
): Promise<{ id: number; moved: boolean } | null> {
  return database.kysely.transaction().execute(async trx => {
    // Where its type or mode was changed, the current one is the newest of its name.
    const query = trx.selectFrom('sink').selectAll().where('name', '=', name).orderBy('id', 'desc').limit(1);
    const sink = await query.$call(database.lock).executeTakeFirst();
    if (!sink) return null;
    const moved = (sink.paused_at === null) === (action === 'pause');
    if (moved) {
      const over = sink.state === 'ok' && { stopped_since: null, stopped_ms: stoppedMs(sink, doing.at) };
      const values =
        action === 'pause' ? { paused_at: doing.at, stopped_since: sink.stopped_since ?? doing.at } : { paused_at: null, ...over };
      await trx.updateTable('sink').set(values).where('id', '=', sink.id).execute();
      await recordAction(trx, doing, action, { sink: name });
      await database.notify(trx, [sink.id]);
    }
    return { id: sink.id, moved };
  });
}
