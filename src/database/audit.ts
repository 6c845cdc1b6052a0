import type { Kysely } from 'kysely';
import { recordedAt } from './arrival-times.js';
import type { Tables } from './tables.js';

/** The actions of users that are recorded in the audit log. */
export const actions = [
  ...(['replay', 'discard', 'pause', 'resume', 'verify', 'rebuild'] as const),
  ...(['compare', 'import', 'test', 'probe', 'link'] as const),
] as const;
export type Action = (typeof actions)[number];

/** When a user acted, and who (`api`, or `slack:` and the user's id). */
export interface Doing {
  at: number;
  actor: string;
}

/**
 * Records an action in the audit log.
 * @param db the transaction of the action itself, if it has one
 * @param details must not contain profile texts
 * @param changeId set if the action is about a single change
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
