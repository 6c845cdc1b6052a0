import { hash } from 'node:crypto';
import type { Database } from './database.js';

const retentionMs = 600_000;

/**
 * Whether none of these keys was seen by any process in the last ten minutes. Marks them as seen.
 * @param keys texts of any length, stored as hashes; an empty list counts as new
 */
export async function firstSeen({ kysely }: Database, keys: readonly string[], now: number): Promise<boolean> {
  if (keys.length === 0) return true;
  await kysely
    .deleteFrom('seen')
    .where('at', '<', now - retentionMs)
    .execute();
  // Sorted, so that two processes with the same keys cannot deadlock.
  const hashes = [...new Set(keys.map(key => hash('sha256', key)))].sort();
  const added = await kysely
    .insertInto('seen')
    .values(hashes.map(key => ({ key, at: now })))
    .onConflict(conflict => conflict.column('key').doNothing())
    .returning('key')
    .execute();
  return added.length === hashes.length;
}
