import { Misconfigured, Refused } from '../errors.js';
import type { ChannelKey, Difference } from '../search-sink.js';
import { type Entry, type Found, member, nameOf } from './document.js';
import { type Engine, Gone, type Indices, type Results, indexName, noEngine, tooOld, unknownAnswer } from './engine.js';
import type { MeilisearchApi } from './meilisearch.api.js';

/** Grows when the settings of an index change, so that an index of an older release counts as outdated. */
const schema = 1;

/**
 * Marks an index as ours, with its schema and its number. It is one of the attributes to filter by, where a name that no document has does no harm: Meilisearch
 * stores no other text of ours with an index, and this one moves along when two indices are swapped.
 */
const mark = /^channel-sync-schema-(\d+)-v(\d+)$/;

/** The oldest version that sorts documents when they are listed. */
const least = { major: 1, minor: 16 };

/** A document with its id and its version. */
interface Stored extends Record<string, unknown> {
  id: string;
  version: number;
}

/**
 * Meilisearch knows neither aliases nor versions. What is searched is always the index called INDEX; the next one is called by its own name, and the two swap
 * their contents.
 *
 * Guaranteed: what counts as delivered was read back from the index, after its task had ended, at this version or a newer one. What the index has newer is not
 * overwritten as long as one writer at a time has the channel, which the lanes see to, over all replicas. After a write of which this process does not know what
 * became, the next one of the same channel also waits until everything has ended that had arrived by then, reads again, and writes again what a late write undid.
 *
 * Not guaranteed: a write that the network held back, or a process that was stopped between its look and its write, so long that it arrives after all this. Verify
 * finds it, and repairs it.
 */
export class MeilisearchEngine implements Engine {
  readonly name = 'Meilisearch';
  /** Index and channel of each write that may still arrive. */
  private readonly doubtful = new Set<string>();

  constructor(
    private readonly api: MeilisearchApi,
    private readonly uid: string,
  ) {}

  async check(signal: AbortSignal): Promise<void> {
    let version: unknown;
    try {
      version = member(await this.api.ask({ method: 'GET', path: '/version' }, signal), 'pkgVersion');
    } catch (error) {
      // A key for the index alone may not ask this.
      if (error instanceof Misconfigured && error.message === 'invalid_api_key') return;
      throw error;
    }
    const [, major, minor] = (/^(\d+)\.(\d+)\./.exec(String(version)) ?? []).map(Number);
    if (major === undefined || minor === undefined) throw noEngine(this.name);
    if (major < least.major || (major === least.major && minor < least.minor)) {
      throw tooOld(this.name, `${this.name} ${least.major}.${least.minor}`);
    }
  }

  async checkRights(indices: Indices | null, signal: AbortSignal): Promise<void> {
    await this.api.waiting({ limit: '1' }, signal);
    if (indices) await this.documents(this.uid, ['none'], signal, ['id']);
  }

  async indices(signal: AbortSignal): Promise<Indices | null> {
    const used = await this.marked(this.uid, signal);
    if (used === null) return null;
    if (used === 'foreign') {
      throw new Misconfigured(['foreign_index'], ['other_index_or_rename']);
    }
    const index = indexName(this.uid, used.number + 1);
    const next = await this.marked(index, signal);
    return {
      used: indexName(this.uid, used.number),
      outdated: used.schema !== schema,
      next: next === null || next === 'foreign' ? null : { index, outdated: next.schema !== schema },
    };
  }

  /** Settings make an index that is not there, in the same task: no process ever sees it without its mark. */
  async create(index: string, as: 'used' | 'next' | 'anew', signal: AbortSignal): Promise<void> {
    const uid = as === 'used' ? this.uid : index;
    const found = await this.marked(uid, signal);
    if (found === 'foreign') {
      throw new Misconfigured(['foreign_index_of', uid], ['delete_or_rename']);
    }
    if (found !== null && as !== 'anew') return;
    const texts = ['name', 'organization', 'introduction'];
    const ours = `channel-sync-schema-${schema}-${index.slice(this.uid.length + 1)}`;
    const json = {
      searchableAttributes: [...texts, 'channelId'],
      filterableAttributes: ['id', 'sdkAppId', 'channelId', 'organization', 'deleted', ours],
      sortableAttributes: ['id', 'name', 'updatedAt'],
      localizedAttributes: [{ attributePatterns: texts, locales: ['cmn', 'eng'] }],
    };
    // Emptied, not deleted: the next write of another process would make it without its mark.
    if (as === 'anew') await this.api.change({ method: 'DELETE', path: `/indexes/${uid}/documents` }, signal);
    await this.api.change({ method: 'PATCH', path: `/indexes/${uid}/settings`, json }, signal);
  }

  async drop(index: string, signal: AbortSignal): Promise<void> {
    try {
      await this.api.change({ method: 'DELETE', path: `/indexes/${index}` }, signal);
    } catch (error) {
      if (!(error instanceof Gone)) throw error;
    }
  }

  async write(entries: readonly Entry[], next: string | null, signal: AbortSignal): Promise<Results> {
    const uid = next ?? this.uid;
    const names = entries.map(({ document }) => `${uid}/${nameOf(document)}`);
    const isDoubtful = names.some(name => this.doubtful.has(name));
    try {
      await this.writeUntilThere(uid, entries, isDoubtful, signal);
      for (const name of names) this.doubtful.delete(name);
      return entries.map(() => null);
    } catch (error) {
      // After anything but a refusal the write may still arrive.
      if (!(error instanceof Refused || error instanceof Misconfigured)) for (const name of names) this.doubtful.add(name);
      throw error;
    }
  }

  /** The ids sort as the keys do. The first of the page is found by binary search, since filters do not compare texts reliably (meilisearch issue 6335). */
  async page(after: ChannelKey | null, size: number, signal: AbortSignal): Promise<Found[]> {
    const list = async (offset: number, limit: number): Promise<{ total: number; results: Stored[] | null }> => {
      const query = { sort: 'id:asc', offset: String(offset), limit: String(limit) };
      const answer = await this.api.ask({ method: 'GET', path: `/indexes/${this.uid}/documents`, query }, signal);
      const results = member(answer, 'results');
      return { total: Number(member(answer, 'total')), results: Array.isArray(results) ? results : null };
    };
    let low = 0;
    let high = after ? (await list(0, 1)).total : 0;
    while (after && low < high) {
      const middle = Math.floor((low + high) / 2);
      const [one] = (await list(middle, 1)).results ?? [];
      if (one && String(one.id) <= idOf(after)) low = middle + 1;
      else high = middle;
    }
    for (let limit = size; ; limit = Math.ceil(limit / 4)) {
      const { results } = await list(low, limit);
      if (results) return results.map(foundIn);
      // An answer that was too long has no body here.
      if (limit === 1) throw unknownAnswer(this.name);
    }
  }

  async remove(_: string, surplus: readonly Difference[], signal: AbortSignal): Promise<void> {
    const found = await this.documents(this.uid, surplus.map(idOf), signal, ['id', 'version']);
    const known = new Set(found.map(({ id, version }) => `${id} ${version}`));
    const ids = surplus.filter(one => known.has(`${idOf(one)} ${one.version}`)).map(idOf);
    if (ids.length === 0) return;
    await this.api.change({ method: 'POST', path: `/indexes/${this.uid}/documents/delete-batch`, json: ids }, signal);
  }

  /** Two swaps would undo each other: one that still waits is waited for, and a late one finds nothing, since the name of a next index is used only once. */
  async swap(_: string, next: string, signal: AbortSignal): Promise<void> {
    const waiting = await this.api.waiting({ types: 'indexSwap' }, signal);
    const earlier = waiting.find(({ details }) => details?.swaps?.some(({ indexes }) => indexes.includes(this.uid)));
    if (earlier) return this.api.done(earlier.uid, signal);
    return this.api.change({ method: 'POST', path: '/swap-indexes', json: [{ indexes: [this.uid, next] }] }, signal);
  }

  /** A swap exchanges contents: the index with the name of the new one holds what was used before. */
  async leftover(used: string, signal: AbortSignal): Promise<string | null> {
    const left = await this.marked(used, signal);
    return left === null || left === 'foreign' || indexName(this.uid, left.number) === used ? null : used;
  }

  close(): void {
    this.api.close();
  }

  /** Reads and writes in turn, until the index has all entries. */
  private async writeUntilThere(uid: string, entries: readonly Entry[], isDoubtful: boolean, signal: AbortSignal): Promise<void> {
    const ours = entries.map(({ document, version }) => ({ id: idOf(document), ...document, version }));
    const ids = ours.map(({ id }) => id);
    for (let waitFirst = isDoubtful; ;) {
      const wanted = uid === this.uid ? ours : await this.newest(ours, signal);
      const versions = new Map((await this.documents(uid, ids, signal, ['id', 'version'])).map(({ id, version }) => [id, version]));
      const missing = wanted.filter(({ id, version }) => (versions.get(id) ?? -Infinity) < version);
      if (missing.length > 0) {
        const query = { primaryKey: 'id' };
        await this.api.change({ method: 'POST', path: `/indexes/${uid}/documents`, query, json: missing }, signal);
      } else if (waitFirst) {
        // An earlier write may be among the tasks of this index.
        for (const task of await this.api.waiting({ indexUids: uid, limit: '1' }, signal)) await this.api.end(task.uid, signal);
        waitFirst = false;
      } else return;
    }
  }

  /**
   * The next index has two writers per channel: the rebuild, and the lane, which writes into the used index first. So whichever reads last writes what is newest
   * in the used index.
   */
  private async newest(ours: readonly Stored[], signal: AbortSignal): Promise<Stored[]> {
    const ids = ours.map(({ id }) => id);
    const used = await this.documents(this.uid, ids, signal);
    const newer = new Map(used.map(document => [document.id, document]));
    return ours.map(document => {
      const other = newer.get(document.id);
      return other && other.version > document.version ? other : document;
    });
  }

  /** What the mark of an index says; `null` if the index is not there. */
  private async marked(uid: string, signal: AbortSignal): Promise<{ schema: number; number: number } | 'foreign' | null> {
    try {
      const attributes = await this.api.ask({ method: 'GET', path: `/indexes/${uid}/settings/filterable-attributes` }, signal);
      if (!Array.isArray(attributes)) throw noEngine(this.name);
      const found = attributes.map(one => mark.exec(String(one))).find(match => match !== null);
      return found ? { schema: Number(found[1]), number: Number(found[2]) } : 'foreign';
    } catch (error) {
      if (error instanceof Gone) return null;
      throw error;
    }
  }

  /** Documents of an index, by their ids; all of them, or only some fields. */
  private documents(uid: string, ids: readonly string[], signal: AbortSignal, fields?: string[]): Promise<Stored[]> {
    const json = { filter: `id IN [${ids.map(id => `"${id}"`).join(', ')}]`, limit: ids.length, ...(fields && { fields }) };
    return this.api.list<Stored>({ method: 'POST', path: `/indexes/${uid}/documents/fetch`, json }, signal);
  }
}

/**
 * An id may hold letters, digits, hyphens and underscores, and is sorted as if it had no upper case: so it is base32hex, which keeps the order of the bytes. The
 * hyphen sorts before digits, as the end of a text does.
 */
function idOf({ sdkAppId, channelId }: ChannelKey): string {
  const bytes = Buffer.from(channelId);
  const groups =
    bytes
      .toString('hex')
      .padEnd(Math.ceil(bytes.length / 5) * 10, '0')
      .match(/.{10}/g) ?? [];
  const digits = groups.map(group => Number.parseInt(group, 16).toString(32).padStart(8, '0')).join('');
  return `${sdkAppId}-${digits.slice(0, Math.ceil((bytes.length * 8) / 5))}`;
}

function foundIn(document: Record<string, unknown>): Found {
  const key = { sdkAppId: String(document['sdkAppId']), channelId: String(document['channelId']) };
  return { key, document, version: Number(document['version']) };
}
