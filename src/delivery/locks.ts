import type { Transaction } from 'kysely';
import type { Database } from '../database/database.js';
import type { Tables } from '../database/tables.js';

/** Locks lanes in the order in which everybody does; with `waitingAt` also those that wait for a later try. */
export function lockLanes(
  database: Database,
  trx: Transaction<Tables>,
  sinks: number[],
  channels: number[],
  waitingAt: number | null = null,
): Promise<{ channel: number; lease: string | null }[]> {
  const query = trx
    .selectFrom('lane')
    .select(['channel', 'lease'])
    .where('sink', 'in', sinks)
    .where(eb => {
      const own = eb('channel', 'in', channels);
      return waitingAt === null ? own : eb.or([own, eb.and([eb('due_at', '>', waitingAt), eb('lease', 'is', null)])]);
    })
    .orderBy('sink')
    .orderBy('channel');
  return (database.embedded ? query : query.forUpdate()).execute();
}
