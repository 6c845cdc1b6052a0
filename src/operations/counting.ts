import { setImmediate as nextTurn } from 'node:timers/promises';

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
