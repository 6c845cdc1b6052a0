import type { ChannelKey, Difference } from '../search-sink.js';
import type { Delivery, Profile } from '../sink.js';

/** What the index holds of one channel (contract, section 4). */
export interface ChannelDocument extends Profile, ChannelKey {
  revision: number | null;
  updatedAt: string;
  deleted: boolean;
}

/** A document that is to be written. */
export interface Entry {
  document: ChannelDocument;
  version: number;
}

/** A document that an index has: whatever somebody wrote into it. */
export interface Found {
  key: ChannelKey;
  document: Readonly<Record<string, unknown>>;
  version: number;
}

/** Always the whole document: a partial update cannot carry an external version. */
export function entryOf({ event: { data }, updatedAt, version }: Delivery): Entry {
  const { sdkAppId, channelId, profile, revision, exists } = data;
  const { name, avatarUrl, introduction, organization } = profile;
  return { document: { sdkAppId, channelId, name, avatarUrl, introduction, organization, revision, updatedAt, deleted: !exists }, version };
}

/** Names a channel in maps and as the id of a document; app ids have no colon. */
export function nameOf({ sdkAppId, channelId }: ChannelKey): string {
  return `${sdkAppId}:${channelId}`;
}

/** The order of keywords in an index: by the bytes of UTF-8, unlike JavaScript's own order of strings. */
export function compareKeys(one: ChannelKey, other: ChannelKey): number {
  return bytewise(one.sdkAppId, other.sdkAppId) || bytewise(one.channelId, other.channelId);
}

function bytewise(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}

/** What is wrong with a document; `null` if nothing is. */
export function differenceOf(wanted: Entry, { document, version }: Found): Difference['kind'] | null {
  const [revision, ours] = [Number(document['revision']), Number(wanted.document.revision)];
  if (revision !== ours) return revision > ours ? 'newer' : 'older';
  if (!Object.entries(wanted.document).every(([field, value]) => document[field] === value)) return 'older';
  // The engine would refuse our next version as an older one.
  return version > wanted.version ? 'newer' : null;
}

/** Splits into bulks of at most so many bytes; a document that is larger goes alone. */
export function split(entries: readonly Entry[], maxBytes: number): Entry[][] {
  const bulks: Entry[][] = [];
  let size = Infinity;
  for (const entry of entries) {
    const bytes = Buffer.byteLength(JSON.stringify(entry)) + 200;
    if (size + bytes > maxBytes) {
      bulks.push([]);
      size = 0;
    }
    bulks.at(-1)?.push(entry);
    size += bytes;
  }
  return bulks;
}

/** A member of a received value of unknown form. */
export function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}
