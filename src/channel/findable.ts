import type { Database } from '../database/database.js';
import type { Row, Trx } from '../database/tables.js';
import type { Profile } from './profile.js';

/** Only this much of a name is searchable; the vendor's own limit is far lower. */
const maxNameLength = 1000;

/** Folds case and width for searching. A substring of the text stays a substring of the result. */
export function folded(text: string): string {
  return text.toWellFormed().normalize('NFKD').toLowerCase().toUpperCase().replaceAll('\n', ' ');
}

type FoundChannel = Pick<Row<'channel'>, 'id' | 'sdk_app_id' | 'channel_id' | 'revision' | 'updated_at'>;

/** Writes the search rows of locked channels that have a new revision. */
export async function makeFindable(
  database: Database,
  trx: Trx,
  channels: readonly (FoundChannel & { latest: { exists: boolean; profile: Profile } })[],
): Promise<void> {
  const rows = channels.map(({ id, sdk_app_id, channel_id, revision, updated_at, latest: { exists, profile } }) => {
    // A search term cannot match across name and id, because folded texts contain no line breaks.
    const text = `${folded((profile.name ?? '').slice(0, maxNameLength))}\n${folded(channel_id)}`;
    return { channel: id, sdk_app_id, channel_id, revision, exist: Number(exists), updated_at: updated_at ?? 0, folded: text };
  });
  const update = ['revision', 'exist', 'updated_at', 'folded'].map(column => `${column} = excluded.${column}`).join(', ');
  await database.insert(trx, 'channel_findable', rows, `on conflict (channel) do update set ${update}`);
}
