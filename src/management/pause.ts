import { type Doing, recordAction } from '../database/audit.js';
import type { Database } from '../database/database.js';
import { stoppedMs } from '../delivery/breaker.js';

export type SinkAction = 'pause' | 'resume' | 'probe';

/**
 * Pauses a sink on all replicas until it is resumed (attempts in progress may end), resumes it, or probes a stopped one at once.
 * The time paused does not count towards RETRY_MAX_AGE.
 * @returns `applied`: false if there was nothing to do; `null` if there is no such sink
 */
export async function applySinkAction(database: Database, name: string, action: SinkAction, doing: Doing) {
  return database.kysely.transaction().execute(async trx => {
    // If its type or mode was changed, the latest row of the name is the current one.
    const query = trx.selectFrom('sink').selectAll().where('name', '=', name).orderBy('id', 'desc').limit(1);
    const sink = await query.$call(database.lock).executeTakeFirst();
    if (!sink) return null;
    const isStopped = (sink.state !== 'ok' || sink.check_state !== null) && sink.paused_at === null && sink.removed_at === null;
    const applied = action === 'probe' ? isStopped : (sink.paused_at === null) === (action === 'pause');
    if (applied) {
      const stopEnd = sink.state === 'ok' && { stopped_since: null, stopped_ms: stoppedMs(sink, doing.at) };
      const values = {
        // next_probe_at stays, so that probes run one at a time. A problem found by a check is checked again.
        probe: { next_round_robin_probe_at: doing.at, ...(sink.check_state !== null && { next_check_at: doing.at }) },
        pause: { paused_at: doing.at, stopped_since: sink.stopped_since ?? doing.at },
        resume: { paused_at: null, ...stopEnd },
      }[action];
      await trx.updateTable('sink').set(values).where('id', '=', sink.id).execute();
      await recordAction(trx, doing, action, { sink: name });
      await database.notify(trx, [sink.id]);
    }
    return { id: sink.id, applied };
  });
}
