import { createHash } from 'node:crypto';
import type { Database } from './database.js';

/** How long what was seen is remembered, at least. */
const rememberedMs = 600_000;

/**
 * Whether no process has seen something before, by any of its keys; from now on all of them know it, for ten minutes.
 * @param keys what it is called, of any length; kept as hashes; without any it is new
 */
export async function firstSeen({ kysely }: Database, keys: readonly string[], now: number): Promise<boolean> {
  if (keys.length === 0) return true;
  await kysely
    .deleteFrom('seen')
    .where('at', '<', now - rememberedMs)
    .execute();
  // In one order for all: two processes that take in the same would wait for each other.
  const hashes = [...new Set(keys.map(key => createHash('sha256').update(key).digest('hex')))].sort();
  const added = await kysely
    .insertInto('seen')
    .values(hashes.map(key => ({ key, at: now })))
    .onConflict(conflict => conflict.column('key').doNothing())
    .returning('key')
    .execute();
  return added.length === hashes.length;
}
