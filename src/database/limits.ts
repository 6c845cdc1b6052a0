/**
 * Limits per INSERT on each dialect; longer lists are split. Lists of keys are bound as a single value instead: conditions joined with `or`
 * would exceed SQLite's maximum expression depth of 1,000.
 */
export const statementLimits = {
  // Each distinct SQL text is prepared and cached for SQLite, so few and short texts should serve any number of rows.
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

/** How many of these sizes, from the first on, fit into `max` together; at least one, whatever its size. */
export function fitting(sizes: readonly number[], max: number): number {
  let left = max;
  const over = sizes.findIndex((size, index) => (left -= size) < 0 && index > 0);
  return over < 0 ? sizes.length : over;
}
