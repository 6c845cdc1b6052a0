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

/** How every sink is, the newest first; one for each name: where type or mode changed, the current one. One query that counts nothing. */
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
    .orderBy('sink.id', 'desc')
    .execute();
  return currentOf(rows).map(({ failing, oldest, ...row }) => ({
    ...row,
    state: stateOf(row, failing !== null),
    lagSeconds: row.removed_at !== null ? null : oldest === null ? 0 : Math.max(0, now - oldest) / 1000,
  }));
}

/** Of sinks that share a name (type or mode were changed) the registered one, or the newest if all were removed; keeps the order. */
export function currentOf<S extends { id: number; name: string; removed_at: number | null }>(sinks: readonly S[]): S[] {
  const current = new Map<string, S>();
  for (const sink of sinks) {
    const other = current.get(sink.name);
    const better = !other || (other.removed_at !== null && (sink.removed_at === null || sink.id > other.id));
    if (better) current.set(sink.name, sink);
  }
  return sinks.filter(sink => current.get(sink.name) === sink);
}

function stateOf(sink: Pick<Selectable<Tables['sink']>, 'state' | 'paused_at' | 'removed_at'>, failing: boolean): SinkState {
  if (sink.removed_at !== null) return 'removed';
  if (sink.paused_at !== null) return 'paused';
  if (sink.state === 'misconfigured' || sink.state === 'down') return sink.state;
  return failing ? 'retrying' : 'ok';
}
