import { recordedAt } from '../database/arrival-times.js';
import type { Database } from '../database/database.js';
import type { Filters } from './filters.js';
import type { ReportSink } from './report-sink.js';
import type { Mode } from './sink.js';

/** The row of a registered sink. */
export interface RegisteredSink {
  id: number;
  name: string;
  type: string;
  mode: Mode;
  /** Of a report sink, how it shows changes; by default at once, and anew whenever something moves. */
  report?: Pick<ReportSink, 'holdMs' | 'edits'>;
}

/** A sink as the environment configures it. */
export type ConfiguredSink = Omit<RegisteredSink, 'id'> & { filters: Filters };

/**
 * Brings the registered sinks up to date with the configured ones, so that what is owed follows the database. The same name with
 * another type or mode is a new sink; one that is no longer configured keeps what it is owed. A state sink of a name that was never
 * configured before is to be filled with what was before it.
 */
export async function registerSinks(database: Database, configured: readonly ConfiguredSink[], now: number): Promise<RegisteredSink[]> {
  return database.kysely.transaction().execute(async trx => {
    // Two that start at once would both find a sink missing.
    await database.advisoryLock(trx, 'sinks');
    const known = await trx.selectFrom('sink').selectAll().orderBy('id').execute();
    const registered: RegisteredSink[] = [];
    for (const { filters, ...sink } of configured) {
      const { name, type, mode } = sink;
      // Only the newest of its name: what an older one was owed has been given up.
      const newest = known.findLast(one => one.name === name);
      const row = newest?.type === type && newest.mode === mode ? newest : undefined;
      const values = { filters: JSON.stringify(filters), removed_at: null };
      const isNew = newest === undefined;
      const { id } = row
        ? await trx.updateTable('sink').set(values).where('id', '=', row.id).returning('id').executeTakeFirstOrThrow()
        : await trx
            .insertInto('sink')
            .values({ name, type, mode, ...values, registered_at: now, backfilled_to: isNew && mode === 'state' ? 0 : null })
            .returning('id')
            .executeTakeFirstOrThrow();
      registered.push({ id, ...sink });
    }
    const gone = known.filter(row => row.removed_at === null && !registered.some(sink => sink.id === row.id)).map(row => row.id);
    if (gone.length > 0)
      await trx
        .updateTable('sink')
        .set({ removed_at: await recordedAt(trx, now) })
        .where(database.isAmong('id', gone))
        .execute();
    return registered;
  });
}
