import type { Database } from '../database/database.js';
import { inEnglishOrNull } from '../explanations/explanation.js';
import type { Log } from '../process/log.js';
import { countParked, countPending } from '../reports/counting.js';
import { sinkStates, stateDetailsOf } from './api/sinks/sinks.queries.js';
import { toDateOrNull } from './api/values.js';

/** Warns of each sink that is no longer configured but has deliveries: a renamed sink has to go on under its old name to get them. */
export async function warnOfRemovedSinks(database: Database, now: number, log: Log): Promise<void> {
  for (const sink of await sinkStates(database, now)) {
    if (sink.state !== 'removed') continue;
    const pending = await countPending(database, sink.id);
    const parked = [...(await countParked(database, sink.id)).values()].reduce((sum, count) => sum + count, 0);
    if (pending + parked === 0) continue;
    const advice = inEnglishOrNull((await stateDetailsOf(database, sink)).advice);
    const since = toDateOrNull(sink.removed_at);
    log.warn('a sink is no longer configured, but deliveries of it are kept', { sink: sink.name, since, pending, parked, advice });
  }
}
