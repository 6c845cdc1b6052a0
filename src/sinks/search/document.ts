import { classifyStatus } from '../http.js';
import { type Delivery, Misconfigured, type Profile, Refused, type SinkError, TryAgain } from '../sink.js';

/** What the index holds of one channel (contract, section 4). */
interface ChannelDocument extends Profile {
  sdkAppId: string;
  channelId: string;
  revision: number | null;
  updatedAt: string;
  deleted: boolean;
}

/** One document per channel. */
function documentId({ event: { data } }: Delivery): string {
  return `${data.sdkAppId}:${data.channelId}`;
}

/** Always whole: a partial update cannot bear an external version. */
function documentOf({ event: { data }, updatedAt }: Delivery): ChannelDocument {
  const { sdkAppId, channelId, profile, revision, exists } = data;
  const { name, avatarUrl, introduction, organization } = profile;
  return { sdkAppId, channelId, name, avatarUrl, introduction, organization, revision, updatedAt, deleted: !exists };
}

/** A delivery with its two lines of a bulk body. */
export interface BulkEntry {
  delivery: Delivery;
  lines: string;
}

/** The engine itself refuses what is older than the version that it has. */
export function bulkEntry(delivery: Delivery, alias: string): BulkEntry {
  const action = { index: { _index: alias, _id: documentId(delivery), version: delivery.version, version_type: 'external' } };
  return { delivery, lines: `${JSON.stringify(action)}\n${JSON.stringify(documentOf(delivery))}\n` };
}

/** As few bulks as keep each under a size in bytes; a document that is larger than that goes alone. */
export function split(entries: readonly BulkEntry[], maxBytes: number): BulkEntry[][] {
  const bulks: BulkEntry[][] = [];
  let size = Infinity;
  for (const entry of entries) {
    const bytes = Buffer.byteLength(entry.lines);
    if (size + bytes > maxBytes) {
      bulks.push([]);
      size = 0;
    }
    bulks.at(-1)?.push(entry);
    size += bytes;
  }
  return bulks;
}

/** What a bulk answer says of each delivery, in their order; `null` if it is no answer to them, so that nobody knows what was done. */
export function bulkResults(answer: unknown, deliveries: readonly Delivery[], now: number): (SinkError | null)[] | null {
  const items = member(answer, 'items');
  if (!Array.isArray(items) || items.length !== deliveries.length) return null;
  const results: (SinkError | null)[] = [];
  for (const [index, delivery] of deliveries.entries()) {
    const item = member(items[index], 'index');
    const status = member(item, 'status');
    if (typeof status !== 'number' || member(item, '_id') !== documentId(delivery)) return null;
    results.push(itemResult(status, errorType(item), now));
  }
  return results;
}

/** What the answer to one document means. */
function itemResult(status: number, type: string | null, now: number): SinkError | null {
  if (status === 409 && type === 'version_conflict_engine_exception') return null;
  if (type === 'index_not_found_exception')
    return new TryAgain(type, 'The index went away: the next try makes it anew. Rebuild it then.', status);
  if (type === 'index_closed_exception') return new Misconfigured(type, 'The index behind the alias is closed: open it.', status);
  if (type === 'cluster_block_exception' && status === 403) {
    return new Misconfigured(type, 'Writing to the index is blocked: remove its block (index.blocks.*).', status);
  }
  const error = classifyStatus(status, undefined, now);
  if (type === null || error === null) return error;
  if (error instanceof TryAgain) return new TryAgain(type, error.advice, status);
  if (error instanceof Misconfigured) return new Misconfigured(type, error.advice, status);
  return new Refused(
    type,
    'The index does not take this document: compare its mapping with the one of a new index, mend that, then replay.',
    status,
  );
}

/** The type word of an error; never its reason, which may quote the document. */
export function errorType(answer: unknown): string | null {
  const type = member(member(answer, 'error'), 'type');
  return typeof type === 'string' && /^[a-z_]{1,100}$/.test(type) ? type : null;
}

/** A member of something that came over the wire. */
export function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}
