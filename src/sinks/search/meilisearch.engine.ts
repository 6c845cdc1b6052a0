import { Misconfigured, Refused } from '../errors.js';
import { type ChannelKey, type Difference, keyOf } from '../sink.js';
import { type Entry, type Found, isObject, member } from './document.js';
import { type Engine, Gone, type Indices, type Results, indexName, noEngine } from './engine.js';
import type { MeilisearchApi } from './meilisearch.api.js';

/** Incremented when the index settings change, so that indices of older releases count as outdated. */
const schema = 1;

/** Marks an index as ours: a filterable attribute that no document has, since Meilisearch has no other place for metadata of an index. */
const mark = /^channel-sync-schema-(\d+)-v(\d+)$/;

/** The first version that can sort documents when listing them. */
const minVersion = { major: 1, minor: 16 };

interface Stored extends Record<string, unknown> {
  id: string;
  version: number;
}

/**
 * Meilisearch has neither aliases nor document versions. Searches always use the index named INDEX; a swap exchanges its contents with those
 * of the next index. A delivered document was read back from the index at this version or a newer one. Newer documents are not overwritten as
 * long as each channel has one writer at a time, which lanes ensure across replicas. After a write with an unknown result, the next write of
 * the channel waits for all pending tasks, reads again, and repeats what a late write has undone; a still later one is found by `verify`.
 */
export class MeilisearchEngine implements Engine {
  readonly name = 'Meilisearch';
  /** Index and channel of writes that may still arrive. */
  private readonly uncertain = new Set<string>();

  constructor(
    private readonly api: MeilisearchApi,
    private readonly uid: string,
  ) {}

  async check(signal: AbortSignal): Promise<void> {
    let version: unknown;
    try {
      version = member(await this.api.ask({ method: 'GET', path: '/version' }, signal), 'pkgVersion');
    } catch (error) {
      // A key restricted to the index may not read the version.
      if (error instanceof Misconfigured && error.message === 'invalid_api_key') return;
      throw error;
    }
    const [, major, minor] = (/^(\d+)\.(\d+)\./.exec(textOf(version)) ?? []).map(Number);
    if (major === undefined || minor === undefined) throw noEngine(this.name);
    if (major < minVersion.major || (major === minVersion.major && minor < minVersion.minor)) {
      throw new Misconfigured(['engine_too_old', this.name], ['upgrade_engine', `${this.name} ${minVersion.major}.${minVersion.minor}`]);
    }
  }

  async checkRights(indices: Indices | null, signal: AbortSignal): Promise<void> {
    await this.api.pendingTasks({ limit: '1' }, signal);
    if (indices) await this.documents(this.uid, ['none'], signal, ['id']);
  }

  async indices(signal: AbortSignal): Promise<Indices | null> {
    const used = await this.readMark(this.uid, signal);
    if (used === null) return null;
    if (used === 'foreign') throw new Misconfigured(['foreign_index'], ['other_index_or_rename']);
    const index = indexName(this.uid, used.number + 1);
    const next = await this.readMark(index, signal);
    return {
      used: indexName(this.uid, used.number),
      outdated: used.schema !== schema,
      next: next === null || next === 'foreign' ? null : { index, outdated: next.schema !== schema },
    };
  }

  /** Writing settings creates a missing index in the same task, so that no process sees it without its mark. */
  async create(index: string, as: 'used' | 'next' | 'anew', signal: AbortSignal): Promise<void> {
    const uid = as === 'used' ? this.uid : index;
    const found = await this.readMark(uid, signal);
    if (found === 'foreign') throw new Misconfigured(['foreign_index_of', uid], ['delete_or_rename']);
    if (found !== null && as !== 'anew') return;
    const texts = ['name', 'organization', 'introduction'];
    const ours = `channel-sync-schema-${schema}-${index.slice(this.uid.length + 1)}`;
    const json = {
      searchableAttributes: [...texts, 'channelId'],
      filterableAttributes: ['id', 'sdkAppId', 'channelId', 'organization', 'deleted', ours],
      sortableAttributes: ['id', 'name', 'updatedAt'],
      localizedAttributes: [{ attributePatterns: texts, locales: ['cmn', 'eng'] }],
    };
    // Emptied rather than deleted: another process's next write would recreate it without its mark.
    if (as === 'anew') await this.api.runTask({ method: 'DELETE', path: `/indexes/${uid}/documents` }, signal);
    await this.api.runTask({ method: 'PATCH', path: `/indexes/${uid}/settings`, json }, signal);
  }

  async drop(index: string, signal: AbortSignal): Promise<void> {
    try {
      await this.api.runTask({ method: 'DELETE', path: `/indexes/${index}` }, signal);
    } catch (error) {
      if (!(error instanceof Gone)) throw error;
    }
  }

  async write(entries: readonly Entry[], next: string | null, signal: AbortSignal): Promise<Results> {
    const uid = next ?? this.uid;
    const names = entries.map(({ document }) => `${uid}/${keyOf(document)}`);
    const isUncertain = names.some(name => this.uncertain.has(name));
    try {
      await this.writeUntilStored(uid, entries, isUncertain, signal);
      for (const name of names) this.uncertain.delete(name);
      return entries.map(() => null);
    } catch (error) {
      // Unless it was rejected, the write may still arrive.
      if (!(error instanceof Refused || error instanceof Misconfigured)) for (const name of names) this.uncertain.add(name);
      throw error;
    }
  }

  /** Finds the start of the page by binary search, since filters compare texts unreliably (meilisearch issue 6335). Ids sort like keys. */
  async page(after: ChannelKey | null, size: number, signal: AbortSignal): Promise<Found[] | null> {
    const list = (offset: number, limit: number): Promise<unknown> => {
      const query = { sort: 'id:asc', offset: String(offset), limit: String(limit) };
      return this.api.ask({ method: 'GET', path: `/indexes/${this.uid}/documents`, query }, signal);
    };
    let low = 0;
    let high = after ? Number(member(await list(0, 1), 'total')) : 0;
    while (after && low < high) {
      const middle = Math.floor((low + high) / 2);
      const [document] = storedIn(await list(middle, 1)) ?? [];
      if (document && textOf(document.id) <= idOf(after)) low = middle + 1;
      else high = middle;
    }
    return storedIn(await list(low, size))?.map(foundIn) ?? null;
  }

  async remove(_: string, surplus: readonly Difference[], signal: AbortSignal): Promise<void> {
    const found = await this.documents(this.uid, surplus.map(idOf), signal, ['id', 'version']);
    const unchanged = new Set(found.map(({ id, version }) => `${id} ${version}`));
    const ids = surplus.filter(document => unchanged.has(`${idOf(document)} ${document.version}`)).map(idOf);
    if (ids.length === 0) return;
    await this.api.runTask({ method: 'POST', path: `/indexes/${this.uid}/documents/delete-batch`, json: ids }, signal);
  }

  /** A second swap would undo the first: a pending one is awaited; a late one fails, since names of next indices are never reused. */
  async swap(_: string, next: string, signal: AbortSignal): Promise<void> {
    const pending = await this.api.pendingTasks({ types: 'indexSwap' }, signal);
    const earlier = pending.find(({ details }) =>
      [member(details, 'swaps')].flat().some(swap => [member(swap, 'indexes')].flat().includes(this.uid)),
    );
    if (earlier) return this.api.waitForSuccess(earlier.uid, signal);
    return this.api.runTask({ method: 'POST', path: '/swap-indexes', json: [{ indexes: [this.uid, next] }] }, signal);
  }

  /** After a swap the old contents are in the index that has the new one's name. */
  async leftover(used: string, signal: AbortSignal): Promise<string | null> {
    const left = await this.readMark(used, signal);
    return left === null || left === 'foreign' || indexName(this.uid, left.number) === used ? null : used;
  }

  close(): void {
    this.api.close();
  }

  /** Alternates between reading and writing until the index has all entries. */
  private async writeUntilStored(uid: string, entries: readonly Entry[], isUncertain: boolean, signal: AbortSignal): Promise<void> {
    const ours: Stored[] = entries.map(({ document, version }) => ({ id: idOf(document), ...document, version }));
    const ids = ours.map(({ id }) => id);
    for (let waitFirst = isUncertain; ;) {
      // The next index has two writers per channel, the rebuild and the lane, which writes to the used index first: that has the latest version.
      const used = uid === this.uid ? [] : await this.documents(this.uid, ids, signal);
      const expected = ours.map(document => used.find(({ id, version }) => id === document.id && version > document.version) ?? document);
      const versions = new Map((await this.documents(uid, ids, signal, ['id', 'version'])).map(({ id, version }) => [id, version]));
      const missing = expected.filter(({ id, version }) => (versions.get(id) ?? -Infinity) < version);
      if (missing.length > 0) {
        const query = { primaryKey: 'id' };
        await this.api.runTask({ method: 'POST', path: `/indexes/${uid}/documents`, query, json: missing }, signal);
      } else if (waitFirst) {
        // An earlier write may still be among the pending tasks of this index.
        for (const task of await this.api.pendingTasks({ indexUids: uid, limit: '1' }, signal)) await this.api.waitForEnd(task.uid, signal);
        waitFirst = false;
      } else return;
    }
  }

  private async readMark(uid: string, signal: AbortSignal): Promise<{ schema: number; number: number } | 'foreign' | null> {
    try {
      const attributes = await this.api.ask({ method: 'GET', path: `/indexes/${uid}/settings/filterable-attributes` }, signal);
      if (!Array.isArray(attributes)) throw noEngine(this.name);
      const found = attributes.map(attribute => mark.exec(textOf(attribute))).find(match => match !== null);
      return found ? { schema: Number(found[1]), number: Number(found[2]) } : 'foreign';
    } catch (error) {
      if (error instanceof Gone) return null;
      throw error;
    }
  }

  private documents(uid: string, ids: readonly string[], signal: AbortSignal, fields?: string[]): Promise<Stored[]> {
    const json = { filter: `id IN [${ids.map(id => `"${id}"`).join(', ')}]`, limit: ids.length, ...(fields && { fields }) };
    return this.api.list<Stored>({ method: 'POST', path: `/indexes/${uid}/documents/fetch`, json }, signal);
  }
}

/**
 * Ids may contain letters, digits, hyphens and underscores and sort case-insensitively, so channel ids are encoded in base32hex, which
 * preserves byte order. The hyphen sorts before digits, like the end of a text.
 */
function idOf({ sdkAppId, channelId }: ChannelKey): string {
  const hex = Buffer.from(channelId).toString('hex');
  // Five bytes make eight digits.
  const groups = Math.ceil(hex.length / 10);
  const digits = BigInt(`0x0${hex.padEnd(groups * 10, '0')}`)
    .toString(32)
    .padStart(groups * 8, '0');
  return `${sdkAppId}-${digits.slice(0, Math.ceil((hex.length * 4) / 5))}`;
}

/** The documents in a response; `null` if that was too long. */
function storedIn(answer: unknown): Stored[] | null {
  const results = member(answer, 'results');
  return Array.isArray(results) ? (results.filter(isObject) as Stored[]) : null;
}

function foundIn(document: Record<string, unknown>): Found {
  const key = { sdkAppId: textOf(document['sdkAppId']), channelId: textOf(document['channelId']) };
  const version = document['version'];
  return { key, document, version: typeof version === 'number' ? version : NaN };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
