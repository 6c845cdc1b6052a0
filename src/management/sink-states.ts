import type { Database } from '../database/database.js';
import type { Row } from '../database/tables.js';
import { sql } from 'kysely';

/** The states of a sink in API and metrics. */
export const sinkStateNames = ['ok', 'retrying', 'misconfigured', 'down', 'paused', 'removed'] as const;
export type SinkState = (typeof sinkStateNames)[number];

/** A registered sink with its state. */
export interface SinkStatus extends Omit<Row<'sink'>, 'state'> {
  state: SinkState;
  /** Age of its oldest pending delivery, 0 if there is none; `null` if it was removed. */
  lagSeconds: number | null;
}

/** All sinks with their states, latest first; of sinks whose type or mode was changed only the latest row. One query without counts. */
export async function sinkStates(database: Database, now: number): Promise<SinkStatus[]> {
  const rows = await database.kysely
    .selectFrom('sink')
    .selectAll()
    .select(eb => [
      // Lanes without open deliveries are not failing. Reads an index of failing lanes: a sink may have very many waiting ones.
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

/** The outcome of attempts takes precedence over that of checks. */
function stateOf(sink: Row<'sink'>, failing: boolean): SinkState {
  if (sink.removed_at !== null) return 'removed';
  if (sink.paused_at !== null) return 'paused';
  if (sink.state === 'misconfigured' || sink.state === 'down') return sink.state;
  if (sink.check_state === 'misconfigured') return 'misconfigured';
  return failing || sink.check_state !== null ? 'retrying' : 'ok';
}
