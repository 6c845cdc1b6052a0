import type { Database } from '../../database/database.js';
import { loadReportData } from '../../reports/results.js';
import type { ChangeDetails } from '../../sinks/lookup.js';

/** How many of the latest attempts of a change are shown. */
const maxAttempts = 100;

/** The deliveries of a change to every sink except report sinks, with their attempts, oldest first. */
export async function deliveriesOf(database: Database, changeId: string): Promise<ChangeDetails['deliveries']> {
  const { results } = await database.kysely.transaction().execute(trx => loadReportData({ database, trx }, [changeId]));
  const attempts = await database.kysely
    .selectFrom('attempt')
    .innerJoin('sink', 'sink.id', 'attempt.sink')
    .select(['sink.name', 'at', 'duration_ms as durationMs', 'outcome', 'status', 'error', 'response'])
    .where('change_id', '=', changeId)
    .where('sink.mode', '<>', 'report')
    .orderBy('at', 'desc')
    .limit(maxAttempts)
    .execute();
  const oldestFirst = attempts.toReversed();
  return (results.get(changeId) ?? []).map(result => ({
    ...result,
    attempts: oldestFirst.filter(({ name }) => name === result.sink),
  }));
}
