import type { Selectable, Updateable } from 'kysely';
import { type Doing, recordAction } from '../database/audit.js';
import type { Database } from '../database/database.js';
import type { Tables } from '../database/tables.js';
import { stoppedMs } from '../delivery/breaker.js';
import { currentOf } from './sink-states.js';

/** The sink that has this name now; `null` if none ever had. */
async function sinkId(database: Database, name: string): Promise<number | null> {
  const rows = await database.kysely
    .selectFrom('sink')
    .select(['id', 'name', 'removed_at'])
    .where('name', '=', name)
    .orderBy('id', 'desc')
    .execute();
  return currentOf(rows)[0]?.id ?? null;
}

/** What pausing or resuming did: `moved` is false if the sink already was as it should be. */
export interface Moved {
  id: number;
  moved: boolean;
}

/** Stops a sink on all replicas, for good: attempts under way may end. `null` if there is no such sink. */
export async function pauseSink(database: Database, name: string, doing: Doing): Promise<Moved | null> {
  return moveSink(database, name, 'pause', doing, sink =>
    sink.paused_at !== null ? null : { paused_at: doing.at, stopped_since: sink.stopped_since ?? doing.at },
  );
}

/** Lets a sink go on. The time that it was paused does not count towards RETRY_MAX_AGE. `null` if there is no such sink. */
export async function resumeSink(database: Database, name: string, doing: Doing): Promise<Moved | null> {
  return moveSink(database, name, 'resume', doing, sink => {
    if (sink.paused_at === null) return null;
    const runs = sink.state === 'ok' && { stopped_since: null, stopped_ms: stoppedMs(sink, doing.at) };
    return { paused_at: null, ...runs };
  });
}

async function moveSink(
  database: Database,
  name: string,
  action: 'pause' | 'resume',
  doing: Doing,
  move: (sink: Selectable<Tables['sink']>) => Updateable<Tables['sink']> | null,
): Promise<Moved | null> {
  const id = await sinkId(database, name);
  if (id === null) return null;
  return database.kysely.transaction().execute(async trx => {
    const query = trx.selectFrom('sink').selectAll().where('id', '=', id);
    const values = move(await (database.embedded ? query : query.forUpdate()).executeTakeFirstOrThrow());
    if (values) {
      await trx.updateTable('sink').set(values).where('id', '=', id).execute();
      await recordAction(trx, doing, action, { sink: name });
      await database.notify(trx, [id]);
    }
    return { id, moved: values !== null };
  });
}
