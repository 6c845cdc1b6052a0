import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Kysely, type SelectQueryBuilder, sql } from 'kysely';
import type { Database } from '../database/database.js';
import type { Tables } from '../database/tables.js';
import { maxCounted } from '../sinks/alert.js';

/** Rows counted per query: the embedded store counts in our own thread, which blocks webhooks. */
const countPageSize = 20_000;

type Deliveries = SelectQueryBuilder<Tables, 'delivery', object>;

/** Splits deliveries into parts, to be counted one by one, in the order of an indexed column. */
export async function* inParts(deliveries: Deliveries, column: 'enqueued_at' | 'change_id'): AsyncGenerator<Deliveries> {
  const least = column === 'enqueued_at' ? 0 : '';
  for (let from: string | number | null = least; from !== null; await nextTurn()) {
    const rest: Deliveries = deliveries.where(column, '>=', from);
    const beyond = await rest.select(column).orderBy(column).offset(countPageSize).limit(1).executeTakeFirst();
    // If all rows of this part have the same key, the next part would start at the same place.
    const until: string | number | null = beyond && beyond[column] > from ? beyond[column] : null;
    yield until === null ? rest : rest.where(column, '<', until);
    from = until;
  }
}

/** The number of pending deliveries of a sink. */
export async function countPending({ kysely }: Database, sink: number): Promise<number> {
  const pending = kysely.selectFrom('delivery').where('sink', '=', sink).where('state', '=', sql.lit('pending'));
  let count = 0;
  for await (const part of inParts(pending, 'enqueued_at'))
    count += (await part.select(({ fn }) => fn.countAll<number>().as('n')).executeTakeFirstOrThrow()).n;
  return count;
}

/** The number of parked deliveries of a sink, by cause. */
export async function countParked({ kysely }: Database, sink: number): Promise<Map<string, number>> {
  const parked = kysely.selectFrom('delivery').where('sink', '=', sink).where('state', '=', sql.lit('parked'));
  const counts = new Map<string, number>();
  for await (const part of inParts(parked, 'change_id')) {
    const byCause = part.select(({ fn }) => ['cause', fn.countAll<number>().as('n')]).groupBy('cause');
    for (const { cause, n } of await byCause.execute()) counts.set(cause!, (counts.get(cause!) ?? 0) + n);
  }
  return counts;
}

/** Queued and failed changes of a sink, by its id. */
export type CountsOf = (sink: number) => { queued: number; failed: number };

/**
 * Queued and failed changes of each configured sink, counted only up to `maxCounted` plus one: a sink that was down for long has very
 * many, and every reader would count them all. One short statement per count; outside a transaction, webhooks go between.
 */
export async function countUpToMax(db: Kysely<Tables>): Promise<CountsOf> {
  const upToMax = async (sink: number, state: string): Promise<number> => {
    const { rows } = await sql<{ n: number }>`
      select count(*) as n from (select 1 from delivery where sink = ${sink} and state = ${sql.lit(state)} limit ${sql.lit(maxCounted + 1)}) few`.execute(
      db,
    );
    await nextTurn();
    return rows[0]!.n;
  };
  const counts = new Map<number, { queued: number; failed: number }>();
  for (const { id } of await db.selectFrom('sink').select('id').where('removed_at', 'is', null).execute())
    counts.set(id, { queued: await upToMax(id, 'pending'), failed: await upToMax(id, 'parked') });
  return sink => counts.get(sink) ?? { queued: 0, failed: 0 };
}
