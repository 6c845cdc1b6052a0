import type { Insertable } from 'kysely';
import type { Database } from '../database/database.js';
import type { Row, Tables, Trx } from '../database/tables.js';
import type { Profile } from './profile.js';

/** So much of a name can be found: the vendor's own limit is far below. */
const mostUnits = 1000;

/** What a text is compared by, whatever its case and width. A part of a text stays a part of it. */
export function folded(text: string): string {
  return text.toWellFormed().normalize('NFKD').toLowerCase().toUpperCase().replaceAll('\n', ' ');
}

type FoundChannel = Pick<Row<'channel'>, 'id' | 'sdk_app_id' | 'channel_id' | 'revision' | 'updated_at'>;

/** Keeps what channels are found by, for those that have a new revision. */
export async function makeFindable(
  database: Database,
  trx: Trx,
  channels: readonly (FoundChannel & { latest: { exists: boolean; profile: Profile } })[],
): Promise<void> {
  // By their keys, as whoever fills what is missing does: neither waits for the other in a circle.
  const sorted = channels.toSorted((one, other) => one.id - other.id);
  const rows = sorted.map(channel => findableRow(channel, channel.latest.exists, channel.latest.profile.name));
  await database.insert(trx, 'channel_findable', rows, ifNewer);
}

/** The row by which a channel is found. No part that is looked for reaches from the name into the id: folded texts have no line breaks. */
export function findableRow(
  { id, sdk_app_id, channel_id, revision, updated_at }: FoundChannel,
  exists: boolean,
  name: string | null,
): Insertable<Tables['channel_findable']> {
  const text = `${folded((name ?? '').slice(0, mostUnits))}\n${folded(channel_id)}`;
  return { channel: id, sdk_app_id, channel_id, revision, exist: Number(exists), updated_at: updated_at ?? 0, folded: text };
}

/** What follows an INSERT of such rows. */
export const ifNewer = `on conflict (channel) do update set revision = excluded.revision, exist = excluded.exist,
  updated_at = excluded.updated_at, folded = excluded.folded where channel_findable.revision < excluded.revision`;
