/**
 * Limits per INSERT on each dialect; longer lists are split. Lists of keys are bound as a single value instead: conditions joined with `or`
 * would exceed SQLite's maximum expression depth of 1,000.
 */
export const statementLimits = {
  // See `chunksOfFewSizes`.
  sqlite: { values: 32_766, rows: 64 },
  postgres: { values: 65_535, rows: 1000 },
} as const;

/** Rows per transaction in work of unbounded size, so that requests wait for one short transaction at most. */
export const pageRows = 500;

/** Limits for recording in one transaction: webhooks, bytes of their bodies (a single webhook may exceed it), rows of deliveries. */
export const groupLimits = { webhooks: 256, bytes: 4 * 1024 * 1024, rows: 4000 } as const;

/** Splits a list into pieces of at most `size`. */
export function* chunks<T>(list: readonly T[], size: number): Generator<readonly T[]> {
  for (let from = 0; from < list.length; from += size) yield list.slice(from, from + size);
}

/**
 * Like `chunks`, but only sizes below 8 and multiples of 8 occur. With SQLite each size is a prepared statement, which is cached together
 * with the values that it was last given: those for every size would take 100 MB.
 */
export function* chunksOfFewSizes<T>(list: readonly T[], max: number): Generator<readonly T[]> {
  for (let from = 0; from < list.length;) {
    const left = Math.min(max, list.length - from);
    const size = left < 8 ? left : left - (left % 8);
    yield list.slice(from, from + size);
    from += size;
  }
}

/** How many of these sizes, from the first on, fit into `max` together; at least one, whatever its size. */
export function fitting(sizes: readonly number[], max: number): number {
  let left = max;
  const over = sizes.findIndex((size, index) => (left -= size) < 0 && index > 0);
  return over < 0 ? sizes.length : over;
}
