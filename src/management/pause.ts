import type { Selectable, Updateable } from 'kysely';
import { type Doing, recordAction } from '../database/audit.js';
import type { Database } from '../database/database.js';
import type { Tables } from '../database/tables.js';
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
      const values = action === 'pause' ? paused(sink, doing.at) : resumed(sink, doing.at);
      await trx.updateTable('sink').set(values).where('id', '=', sink.id).execute();
      await recordAction(trx, doing, action, { sink: name });
      await database.notify(trx, [sink.id]);
    }
    return { id: sink.id, moved };
  });
}

function paused({ stopped_since }: Selectable<Tables['sink']>, at: number): Updateable<Tables['sink']> {
  return { paused_at: at, stopped_since: stopped_since ?? at };
}

function resumed(sink: Selectable<Tables['sink']>, at: number): Updateable<Tables['sink']> {
  return { paused_at: null, ...(sink.state === 'ok' && { stopped_since: null, stopped_ms: stoppedMs(sink, at) }) };
}
