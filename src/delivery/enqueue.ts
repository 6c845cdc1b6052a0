import type { Database } from '../database/database.js';
import type { Row, Trx } from '../database/tables.js';
import type { Mode } from '../sinks/sink.js';
import { type Filterable, type Filters, wants } from './filters.js';

/** A recorded change on its way to being owed. */
export interface RecordedChange extends Filterable {
  id: string;
  /** The key of its channel's row. */
  channel: number;
  position: number;
  revision: number | null;
}

type FeedableSink = Pick<Row<'sink'>, 'id' | 'mode' | 'filters'>;

/** That a sink is owed a change. */
interface Owed {
  sink: { id: number; mode: Mode };
  change: Pick<RecordedChange, 'id' | 'channel' | 'position'>;
}

/** Reads the sinks that changes are owed to. @returns waits for them */
export async function sinksToFeed(database: Database, trx: Trx): Promise<() => Promise<FeedableSink[]>> {
  const query = trx.selectFrom('sink').select(['id', 'mode', 'filters']).where('removed_at', 'is', null).orderBy('id');
  return database.send(trx, query.compile());
}

/**
 * Writes what every registered sink is owed of these changes, in the transaction that records them. A change without a revision is owed to report
 * sinks only.
 * @returns the ids of the sinks that are owed something
 */
export async function enqueueDeliveries(
  database: Database,
  trx: Trx,
  sinks: readonly FeedableSink[],
  changes: readonly RecordedChange[],
  now: number,
): Promise<Set<number>> {
  // Everybody who locks lanes takes them by sink and by channel, so that nobody waits in a circle.
  const byChannel = changes.toSorted((one, other) => one.channel - other.channel);
  const owed = sinks.flatMap(({ id, filters, ...row }) => {
    const mode = row.mode as Mode;
    const wanted = JSON.parse(filters) as Filters;
    return byChannel
      .filter(change => (change.revision !== null || mode === 'report') && wants(wanted, change))
      .map(change => ({ sink: { id, mode }, change }));
  });
  if (owed.length > 0) await enqueue(database, trx, owed, now);
  return new Set(owed.map(({ sink }) => sink.id));
}

/**
 * Writes a delivery for each owed (change, sink); what is owed already stays as it is. What brings the worker there is the lane, due at once unless it is
 * at work or backing off; for a report sink it is the refresh queue, for which no other sink ever waits for. In the order in which everybody locks lanes.
 */
export async function enqueue(database: Database, trx: Trx, owed: readonly Owed[], now: number): Promise<void> {
  const reports = owed.filter(({ sink }) => sink.mode === 'report');
  const others = owed.filter(({ sink }) => sink.mode !== 'report');
  const lanes = others.map(
    ({ sink: { id: sink }, change: { channel } }) => [`${sink} ${channel}`, { sink, channel, due_at: now }] as const,
  );
  // The lanes come first: their lock makes a worker that settles at this moment see the deliveries, or us see the lane that it left idle.
  const unlessDue = 'on conflict (sink, channel) do update set due_at = excluded.due_at where lane.due_at is null';
  await database.insert(trx, 'lane', [...new Map(lanes).values()], unlessDue);
  const times = { enqueued_at: now, updated_at: now };
  const deliveries = owed.map(({ sink, change: { id, channel, position } }) => ({
    change_id: id,
    sink: sink.id,
    channel,
    position,
    ...times,
  }));
  await database.insert(trx, 'delivery', deliveries, 'on conflict do nothing');
  const refreshes = reports.map(({ sink, change: { id, channel } }) => ({ sink: sink.id, change_id: id, channel }));
  await database.insert(trx, 'report_refresh', refreshes);
}
