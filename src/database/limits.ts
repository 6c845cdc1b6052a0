/**
 * What one statement may carry on each dialect. INSERTs are cut to it; a list of keys is one bound value, however long it is: conditions joined with
 * `or` would reach SQLite's limit for the depth of an expression at 1,000.
 */
export const statementLimits = {
  // SQLite keeps each text prepared: few texts, each of them small, serve any number of rows.
  sqlite: { values: 32_766, rows: 64 },
  postgres: { values: 65_535, rows: 1000 },
} as const;

/** How many rows work that can grow takes in one transaction: those who are to be answered meanwhile wait for no more than one. */
export const pageRows = 500;

/** The most that one transaction records: so many webhooks, so many bytes of theirs (a single webhook may have more), and so many rows of what sinks are owed. */
export const groupLimits = { webhooks: 256, bytes: 4 * 1024 * 1024, rows: 4000 } as const;

/** A list in pieces of at most `size`. */
export function* chunks<T>(list: readonly T[], size: number): Generator<readonly T[]> {
  for (let from = 0; from < list.length; from += size) yield list.slice(from, from + size);
}

/** How many texts of these sizes are taken together, so that they are no more than `most` bytes; one is, whatever its size. */
export function fitting(sizes: readonly number[], most: number): number {
  let left = most;
  const over = sizes.findIndex((size, index) => (left -= size) < 0 && index > 0);
  return over < 0 ? sizes.length : over;
}
