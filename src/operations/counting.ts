import { setImmediate as nextTurn } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Database } from '../database/database.js';

/** How many rows are counted at once: the embedded store counts in our own thread, where webhooks wait meanwhile. */
const countedAtOnce = 20_000;

/**
 * Counts in parts, along a column that an index has in order.
 * @param keyAfter the key of the row that so many rows lie before, from this key on; `undefined` if there are not as many
 * @param count counts from one key, inclusive, to another, exclusive, or to the end
 */
export async function countInParts<K extends string | number>(
  least: K,
  keyAfter: (from: K, rows: number) => Promise<K | undefined>,
  count: (from: K, until: K | null) => Promise<void>,
): Promise<void> {
  for (let from: K | null = least; from !== null; await nextTurn()) {
    const key: K | undefined = await keyAfter(from, countedAtOnce);
    // Were all of them of one key, the next part would begin where this one did.
    const until: K | null = key !== undefined && key > from ? key : null;
    await count(from, until);
    from = until;
  }
}

/** How many deliveries are pending at a sink. */
export async function countPending({ kysely }: Database, sink: number): Promise<number> {
  const pending = kysely.selectFrom('delivery').where('sink', '=', sink).where('state', '=', sql.lit('pending'));
  const timeAfter = async (from: number, rows: number): Promise<number | undefined> => {
    const query = pending.select('owed_at').where('owed_at', '>=', from).orderBy('owed_at').offset(rows).limit(1);
    return (await query.executeTakeFirst())?.owed_at;
  };
  let count = 0;
  await countInParts(0, timeAfter, async (from, until) => {
    const part = pending.where('owed_at', '>=', from).$if(until !== null, query => query.where('owed_at', '<', until!));
    count += (await part.select(({ fn }) => fn.countAll<number>().as('n')).executeTakeFirstOrThrow()).n;
  });
  return count;
}

/** How many deliveries are parked at a sink, by cause. */
export async function countParked({ kysely }: Database, sink: number): Promise<Map<string, number>> {
  const parked = kysely.selectFrom('delivery').where('sink', '=', sink).where('state', '=', sql.lit('parked'));
  const changeAfter = async (from: string, rows: number): Promise<string | undefined> => {
    const query = parked.select('change_id').where('change_id', '>=', from).orderBy('change_id').offset(rows).limit(1);
    return (await query.executeTakeFirst())?.change_id;
  };
  const counts = new Map<string, number>();
  await countInParts('', changeAfter, async (from, until) => {
    const part = parked.where('change_id', '>=', from).$if(until !== null, query => query.where('change_id', '<', until!));
    const rows = await part
      .select(({ fn }) => ['cause', fn.countAll<number>().as('n')])
      .groupBy('cause')
      .execute();
    for (const { cause, n } of rows) counts.set(cause!, (counts.get(cause!) ?? 0) + n);
  });
  return counts;
}
