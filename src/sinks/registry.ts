import { recordedAt } from '../database/arrival-times.js';
import type { Database } from '../database/database.js';
import type { Filters } from './filters.js';
import type { ReportSink } from './report-sink.js';
import type { Mode } from './sink.js';

export interface RegisteredSink {
  id: number;
  name: string;
  type: string;
  mode: Mode;
  /** For report sinks: how they show changes. If missing: at once, with an update whenever a result changes. */
  report?: Pick<ReportSink, 'holdMs' | 'edits'>;
}

export type ConfiguredSink = Omit<RegisteredSink, 'id'> & { filters: Filters };

/**
 * Updates the registered sinks from the configuration, so that all processes enqueue for the same sinks. A sink whose type or mode has
 * changed counts as new; one that is no longer configured keeps its queued deliveries. A state sink with a new name is to be backfilled.
 */
export async function registerSinks(database: Database, configured: readonly ConfiguredSink[], now: number): Promise<RegisteredSink[]> {
  return database.kysely.transaction().execute(async trx => {
    // Two processes that start at once would both register a missing sink.
    await database.advisoryLock(trx, 'sinks');
    const rows = await trx.selectFrom('sink').selectAll().orderBy('id').execute();
    const registered: RegisteredSink[] = [];
    for (const { filters, ...sink } of configured) {
      const { name, type, mode } = sink;
      // Only the latest of this name: deliveries of earlier ones were discarded.
      const latest = rows.findLast(candidate => candidate.name === name);
      const row = latest?.type === type && latest.mode === mode ? latest : undefined;
      const values = { filters: JSON.stringify(filters), removed_at: null };
      if (row) await trx.updateTable('sink').set(values).where('id', '=', row.id).execute();
      const isNew = latest === undefined;
      const added = { name, type, mode, ...values, registered_at: now, backfilled_to: isNew && mode === 'state' ? 0 : null };
      const { id } = row ?? (await trx.insertInto('sink').values(added).returning('id').executeTakeFirstOrThrow());
      registered.push({ id, ...sink });
    }
    const removed = rows.filter(row => row.removed_at === null && !registered.some(sink => sink.id === row.id)).map(row => row.id);
    if (removed.length > 0) {
      const removedAt = { removed_at: await recordedAt(trx, now) };
      await trx.updateTable('sink').set(removedAt).where(database.isAmong('id', removed)).execute();
    }
    return registered;
  });
}
