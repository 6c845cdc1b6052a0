import type { ChannelKey, Delivery, Difference, Profile } from '../sink.js';

/** The document of a channel in the index (docs/search.md). */
export interface ChannelDocument extends Profile, ChannelKey {
  revision: number | null;
  updatedAt: string;
  deleted: boolean;
}

/** A document to write. */
export interface Entry {
  document: ChannelDocument;
  version: number;
}

/** A document read from an index; its content is not trusted. */
export interface Found {
  key: ChannelKey;
  document: Readonly<Record<string, unknown>>;
  version: number;
}

/** Builds the whole document: partial updates do not support external versions. */
export function entryOf({ event: { data }, updatedAt, version }: Delivery): Entry {
  const { sdkAppId, channelId, profile, revision, exists } = data;
  const { name, avatarUrl, introduction, organization } = profile;
  return { document: { sdkAppId, channelId, name, avatarUrl, introduction, organization, revision, updatedAt, deleted: !exists }, version };
}

/** Compares keys like keyword fields in an index: by UTF-8 bytes, unlike JavaScript strings. */
export function compareKeys(a: ChannelKey, b: ChannelKey): number {
  return bytewise(a.sdkAppId, b.sdkAppId) || bytewise(a.channelId, b.channelId);
}

function bytewise(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** How a document differs from the expected one; `null` if it does not. */
export function differenceOf(expected: Entry, { document, version }: Found): Difference['kind'] | null {
  const revision = typeof document['revision'] === 'number' ? document['revision'] : 0;
  const ours = expected.document.revision ?? 0;
  if (revision !== ours) return revision > ours ? 'newer' : 'older';
  if (!Object.entries(expected.document).every(([field, value]) => document[field] === value)) return 'older';
  // The engine would reject our next version as older.
  return version > expected.version ? 'newer' : null;
}

/** Splits entries into bulks of up to `maxBytes`; a larger document gets its own bulk. */
export function split(entries: readonly Entry[], maxBytes: number): Entry[][] {
  const bulks: Entry[][] = [];
  let size = Infinity;
  for (const entry of entries) {
    // What a bulk adds to a document takes less than 200 bytes.
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

/** Whether it is an object or array. */
export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** Reads a property of an untrusted value. */
export function member(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}
