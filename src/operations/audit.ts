import type { Kysely } from 'kysely';
import type { Tables } from '../database/tables.js';

/** What a person can do to deliveries and sinks. */
export type Action = 'replay' | 'discard' | 'pause' | 'resume';

/**
 * Puts on record what a person did, in the transaction that does it where there is one.
 * @param actor `api`, or who clicked
 * @param details without profile texts
 */
export async function recordAction(
  db: Kysely<Tables>,
  { at, actor, action, details }: { at: number; actor: string; action: Action; details: object },
): Promise<void> {
  await db
    .insertInto('audit')
    .values({ at, actor, action, details: JSON.stringify(details) })
    .execute();
}
