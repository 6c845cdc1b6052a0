import type { Database } from '../../database/database.js';
import { knownOf } from '../../reports/results.js';
import type { ChangeDetails } from '../../sinks/lookup.js';

/** So many tries of a change are shown, the latest of them. */
const attemptsShown = 100;

/** What became of a change at every sink that reports no results itself, with its tries, the first first. */
export async function deliveriesOf(database: Database, changeId: string): Promise<ChangeDetails['deliveries']> {
  const { results } = await database.kysely.transaction().execute(trx => knownOf({ database, trx }, [changeId]));
  const attempts = await database.kysely
    .selectFrom('attempt')
    .innerJoin('sink', 'sink.id', 'attempt.sink')
    .select(['sink.name', 'at', 'duration_ms as durationMs', 'outcome', 'status', 'error', 'response'])
    .where('change_id', '=', changeId)
    .where('sink.mode', '<>', 'report')
    .orderBy('at', 'desc')
    .limit(attemptsShown)
    .execute();
  const first = attempts.toReversed();
  return (results.get(changeId) ?? []).map(result => ({
    ...result,
    attempts: first.filter(({ name }) => name === result.sink),
  }));
}
