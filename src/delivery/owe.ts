import type { Transaction } from 'kysely';
import type { Database } from '../database/database.js';
import type { Tables } from '../database/tables.js';
import type { Mode } from '../sinks/sink.js';
import { type Filterable, type Filters, wants } from './filters.js';

/** A recorded change on its way to being owed. */
export interface OwedChange extends Filterable {
  id: string;
  /** The key of its channel's row. */
  channel: number;
  position: number;
  revision: number | null;
}

/**
 * Writes what every registered sink is owed of these changes, in the transaction that records them: a delivery for each (change, sink) and the lane,
 * due at once (a report's when its patience ends) unless it is at work or backing off. A change without a revision is owed to report sinks only.
 * @returns the ids of the sinks that are owed something
 */
export async function owe(database: Database, trx: Transaction<Tables>, changes: readonly OwedChange[], now: number): Promise<Set<number>> {
  const sinks = await trx
    .selectFrom('sink')
    .select(['id', 'mode', 'filters', 'patience_ms'])
    .where('removed_at', 'is', null)
    .orderBy('id')
    .execute();
  // Everybody who locks lanes takes them by sink, those of report sinks last, and by channel, so that nobody waits in a circle.
  const ordered = sinks
    .map(({ id, mode, filters, patience_ms: patienceMs }) => ({
      id,
      mode: mode as Mode,
      filters: JSON.parse(filters) as Filters,
      patienceMs,
    }))
    .sort((one, other) => Number(one.mode === 'report') - Number(other.mode === 'report'));
  const byChannel = changes.toSorted((one, other) => one.channel - other.channel);
  const owed = ordered.flatMap(sink =>
    byChannel
      .filter(change => (change.revision !== null || sink.mode === 'report') && wants(sink.filters, change))
      // Nothing more will become of a change without a revision.
      .map(change => ({ sink: sink.id, change, dueAt: now + (change.revision === null ? 0 : sink.patienceMs) })),
  );
  if (owed.length > 0) await oweTo(database, trx, owed, now);
  return new Set(owed.map(({ sink }) => sink));
}

/** Writes deliveries and makes their lanes due; what is owed already stays as it is. In the order in which everybody locks lanes. */
export async function oweTo(
  database: Database,
  trx: Transaction<Tables>,
  owed: readonly { sink: number; change: Pick<OwedChange, 'id' | 'channel' | 'position'>; dueAt: number }[],
  now: number,
): Promise<void> {
  const lanes = new Map(owed.map(({ sink, change: { channel }, dueAt }) => [`${sink} ${channel}`, { sink, channel, due_at: dueAt }]));
  // The lanes come first: their lock makes a worker that settles at this moment see the deliveries, or us see the lane that it left idle.
  await database.insert(
    trx,
    'lane',
    [...lanes.values()],
    'on conflict (sink, channel) do update set due_at = excluded.due_at where lane.due_at is null',
  );
  await database.insert(
    trx,
    'delivery',
    owed.map(({ sink, change: { id, channel, position } }) => ({ change_id: id, sink, channel, position, owed_at: now, updated_at: now })),
    'on conflict do nothing',
  );
}
