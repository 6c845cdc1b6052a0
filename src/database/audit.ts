import type { Kysely } from 'kysely';
import { recordedAt } from './arrival-times.js';
import type { Tables } from './tables.js';

/** What a person can do. */
export const actions = [
  ...(['replay', 'discard', 'pause', 'resume', 'verify', 'rebuild'] as const),
  ...(['compare', 'import', 'test', 'probe', 'link'] as const),
] as const;
export type Action = (typeof actions)[number];

/** Something that a person does: when, and who (`api`, or `slack:` and the id of a user). */
export interface Doing {
  at: number;
  actor: string;
}

/**
 * Puts on record what a person does, in the transaction that does it where there is one.
 * @param details without profile texts
 * @param changeId if it is about one change
 */
export async function recordAction(
  db: Kysely<Tables>,
  { at, actor }: Doing,
  action: Action,
  details: object,
  changeId: string | null = null,
): Promise<void> {
  await db
    .insertInto('audit')
    .values({ at: await recordedAt(db, at), actor, action, change_id: changeId, details: JSON.stringify(details) })
    .execute();
}
