import type { Insertable } from 'kysely';
import type { Database } from '../database/database.js';
import type { Row, Tables, Trx } from '../database/tables.js';
import type { Profile } from './profile.js';

/** Only this much of a name is searchable; the vendor's own limit is far lower. */
const maxNameLength = 1000;

/** Folds case and width for searching. A substring of the text stays a substring of the result. */
export function folded(text: string): string {
  return text.toWellFormed().normalize('NFKD').toLowerCase().toUpperCase().replaceAll('\n', ' ');
}

type FoundChannel = Pick<Row<'channel'>, 'id' | 'sdk_app_id' | 'channel_id' | 'revision' | 'updated_at'>;

/** Updates the search rows of channels that have a new revision. */
export async function makeFindable(
  database: Database,
  trx: Trx,
  channels: readonly (FoundChannel & { latest: { exists: boolean; profile: Profile } })[],
): Promise<void> {
  // Ordered by key, as in the backfill of missing rows, to avoid deadlocks.
  const sorted = channels.toSorted((a, b) => a.id - b.id);
  const rows = sorted.map(channel => findableRow(channel, channel.latest.exists, channel.latest.profile.name));
  await database.insert(trx, 'channel_findable', rows, ifNewer);
}

/** The search row of a channel. A search term cannot match across name and id, because folded texts contain no line breaks. */
export function findableRow(
  { id, sdk_app_id, channel_id, revision, updated_at }: FoundChannel,
  exists: boolean,
  name: string | null,
): Insertable<Tables['channel_findable']> {
  const text = `${folded((name ?? '').slice(0, maxNameLength))}\n${folded(channel_id)}`;
  return { channel: id, sdk_app_id, channel_id, revision, exist: Number(exists), updated_at: updated_at ?? 0, folded: text };
}

/** The ON CONFLICT clause for such rows. */
export const ifNewer = `on conflict (channel) do update set revision = excluded.revision, exist = excluded.exist,
  updated_at = excluded.updated_at, folded = excluded.folded where channel_findable.revision < excluded.revision`;
