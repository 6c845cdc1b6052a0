import type { Database } from '../database/database.js';
import type { Tables } from '../database/tables.js';
import { type Selectable, sql } from 'kysely';

/** The states that a sink can be in, as the API and metrics call them. */
export const sinkStateNames = ['ok', 'retrying', 'misconfigured', 'down', 'paused', 'removed'] as const;
export type SinkState = (typeof sinkStateNames)[number];

/** A registered sink and how it is. */
export interface SinkStatus extends Selectable<Tables['sink']> {
  state: SinkState;
  /** Age of its oldest pending delivery, 0 if there is none; `null` if it was removed. */
  lagSeconds: number | null;
}

/** How every sink is, the newest first; one for each name: where type or mode changed, the current one, which is the newest. One query that counts nothing. */
export async function sinkStates(database: Database, now: number): Promise<SinkStatus[]> {
  const rows = await database.kysely
    .selectFrom('sink')
    .selectAll()
    .select(eb => [
      // Lanes with nothing open are not failing. The others have an index of their own: a sink may have very many that only wait.
      eb
        .selectFrom('lane')
        .select('lane.channel')
        .whereRef('lane.sink', '=', 'sink.id')
        .where('lane.due_at', 'is not', null)
        .where('lane.tries', '>', sql.lit(0))
        .limit(1)
        .as('failing'),
      eb
        .selectFrom('delivery')
        .select(({ fn }) => fn.min('delivery.enqueued_at').as('at'))
        .whereRef('delivery.sink', '=', 'sink.id')
        .where('delivery.state', '=', sql.lit('pending'))
        .as('oldest'),
    ])
    .where('sink.id', 'in', eb =>
      eb
        .selectFrom('sink as named')
        .select(({ fn }) => fn.max('named.id').as('id'))
        .groupBy('named.name'),
    )
    .orderBy('sink.id', 'desc')
    .execute();
  return rows.map(({ failing, oldest, ...row }) => ({
    ...row,
    state: stateOf(row, failing !== null),
    lagSeconds: row.removed_at !== null ? null : oldest === null ? 0 : Math.max(0, now - oldest) / 1000,
  }));
}

/** What attempts found goes before what a check found. */
function stateOf(sink: Selectable<Tables['sink']>, failing: boolean): SinkState {
  if (sink.removed_at !== null) return 'removed';
  if (sink.paused_at !== null) return 'paused';
  if (sink.state === 'misconfigured' || sink.state === 'down') return sink.state;
  if (sink.check_state === 'misconfigured') return 'misconfigured';
  return failing || sink.check_state !== null ? 'retrying' : 'ok';
}
