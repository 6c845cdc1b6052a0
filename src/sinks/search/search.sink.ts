import { setTimeout as sleep } from 'node:timers/promises';
import { within } from '../../outgoing/within.js';
import { type ChannelKey, type CheckResult, type Checkable, type Delivery, type Difference, type SearchSink, keyOf } from '../sink.js';
import type { SinkContext } from '../sink-type.js';
import { Misconfigured, Refused, SinkError, TryAgain } from '../errors.js';
import { type Entry, type Found, compareKeys, differenceOf, entryOf, split } from './document.js';
import type { SearchSettings } from './search.settings.js';
import { type Engine, Gone, type Indices, type Results, indexName, indexNumber, rethrowAsSetup, unknownAnswer } from './engine.js';

/** Proxies in front of a cluster often limit bodies to 10 MB, and smaller bulks are not slower. */
const maxBulkBytes = 5_000_000;

const pageSizes = { min: 100, max: 1000 };

/** How long a process caches which indices exist. */
const indicesTtlMs = 1000;

/** A search sink with one document per channel, for any engine. */
export class ChannelIndex implements SearchSink, Checkable {
  readonly batchSize = 500;
  readonly settleMs: number;
  /** The cached indices; dropped when they expire or when a response suggests that they are outdated. */
  private cache: { at: number; indices: Indices } | null = null;
  /** Whether the engine is known to be the right one. */
  private checked = false;
  /** Whether an index has been seen: one that is missing later was lost. */
  private hadIndex = false;

  constructor(
    private readonly engine: Engine,
    private readonly settings: Pick<SearchSettings, 'INDEX' | 'TIMEOUT_MS'>,
    private readonly context: SinkContext,
  ) {
    // After a change, other processes may start attempts until their cache expires, and each attempt may take TIMEOUT_MS.
    this.settleMs = indicesTtlMs + settings.TIMEOUT_MS + 1000;
  }

  deliverMany(deliveries: readonly Delivery[], signal: AbortSignal): Promise<Results> {
    return this.withTimeout(signal, async inTime => {
      const { used, next } = await this.indices(inTime);
      const entries = deliveries.map(entryOf);
      let results = await this.write(entries, null, inTime);
      if (next) {
        const inNext = await this.write(entries, next.index, inTime);
        results = results.map((result, at) => result ?? failureInNext(inNext[at]!, next.index));
        // After a swap between the two writes, neither went to the index that is used now.
        if ((await this.refresh(inTime)).used !== used) results = await this.write(entries, null, inTime);
      }
      return this.recheck(results, inTime);
    });
  }

  check(signal: AbortSignal): Promise<CheckResult> {
    return this.withTimeout(signal, async inTime => {
      await this.engine.check(inTime);
      const indices = await this.engine.indices(inTime);
      await this.engine.checkRights(indices, inTime);
      return { problems: [], summary: `${this.engine.name} answers; ${indices?.used ?? 'no index yet'}; writing is not tried` };
    });
  }

  async current(signal: AbortSignal): Promise<{ index: string; outdated: boolean }> {
    const { used, outdated } = await this.withTimeout(signal, inTime => this.refresh(inTime));
    return { index: used, outdated };
  }

  async compare(
    expected: readonly Delivery[],
    range: { after: ChannelKey | null; until: ChannelKey | null },
    signal: AbortSignal,
  ): Promise<Difference[]> {
    await this.withTimeout(signal, inTime => this.indices(inTime));
    const missing = new Map(expected.map(entryOf).map(entry => [keyOf(entry.document), entry]));
    const differences: Difference[] = [];
    let { after } = range;
    for (;;) {
      // One more than expected, to detect the end of the range.
      const size = Math.min(Math.max(missing.size + 1, pageSizes.min), pageSizes.max);
      const page = await this.page(after, size, signal);
      // Otherwise it could repeat for ever.
      if (after && page.length > 0 && compareKeys(page.at(-1)!.key, after) <= 0) throw unknownAnswer(this.engine.name);
      const inside = page.filter(({ key }) => range.until === null || compareKeys(key, range.until) <= 0);
      for (const found of inside) {
        const entry = missing.get(keyOf(found.key));
        missing.delete(keyOf(found.key));
        const kind = entry ? differenceOf(entry, found) : 'surplus';
        if (kind) differences.push({ ...found.key, kind, version: found.version });
      }
      if (page.length === 0 || inside.length < page.length) break;
      after = page.at(-1)!.key;
    }
    for (const { sdkAppId, channelId } of [...missing.values()].map(({ document }) => document))
      differences.push({ sdkAppId, channelId, kind: 'missing', version: null });
    return differences.sort(compareKeys);
  }

  remove(surplus: readonly Difference[], signal: AbortSignal): Promise<void> {
    return this.withTimeout(signal, async inTime => this.engine.remove((await this.indices(inTime)).used, surplus, inTime));
  }

  prepare(signal: AbortSignal): Promise<string> {
    return this.withTimeout(signal, async inTime => {
      const { used, next } = await this.refresh(inTime);
      if (next && !next.outdated) return next.index;
      const index = next?.index ?? indexName(this.settings.INDEX, (indexNumber(this.settings.INDEX, used) ?? 0) + 1);
      await this.engine.create(index, next ? 'anew' : 'next', inTime);
      const created = (await this.refresh(inTime)).next;
      if (created) return created.index;
      throw new Misconfigured(['index_not_next', index], ['delete_or_rename_next']);
    });
  }

  fill(index: string, deliveries: readonly Delivery[], signal: AbortSignal): Promise<Results> {
    return this.withTimeout(signal, async inTime => {
      const { used, next } = await this.indices(inTime);
      if (index !== used && index !== next?.index) throw indexGone(index);
      return this.write(deliveries.map(entryOf), index === used ? null : index, inTime);
    });
  }

  async swap(index: string, signal: AbortSignal): Promise<void> {
    const old = await this.withTimeout(signal, async inTime => {
      const { used, next } = await this.refresh(inTime);
      if (index !== used) {
        if (index !== next?.index) throw indexGone(index);
        await this.engine.swap(used, index, inTime);
        const now = await this.refresh(inTime);
        if (now.used !== index) throw new TryAgain(['other_index_used', now.used, index], ['wait']);
      }
      return this.engine.leftover(index, inTime);
    });
    if (old === null) return;
    // Searches may still use the old index, and a process that has not noticed the swap may still write to it.
    await sleep(this.settleMs, undefined, { signal });
    await this.withTimeout(signal, inTime => this.engine.drop(old, inTime));
  }

  async close(): Promise<void> {
    this.engine.close();
  }

  /** Runs work within the timeout of one attempt. A refusal of the call as a whole concerns the setup, not a document. */
  private withTimeout<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return within(this.settings.TIMEOUT_MS, signal, work, () => new TryAgain(['timed_out'], ['search_slow'])).catch(rethrowAsSetup);
  }

  private indices(signal: AbortSignal): Promise<Indices> {
    const age = this.cache ? this.context.now() - this.cache.at : Infinity;
    return this.cache && age >= 0 && age < indicesTtlMs ? Promise.resolve(this.cache.indices) : this.refresh(signal);
  }

  /** Reads the indices; creates the first one if there is none. */
  private async refresh(signal: AbortSignal): Promise<Indices> {
    const at = this.context.now();
    // Read first: two concurrent first calls both find no index, which must not count as a lost one.
    const { hadIndex } = this;
    this.cache = null;
    if (!this.checked) await this.engine.check(signal);
    this.checked = true;
    const indices = (await this.engine.indices(signal)) ?? (await this.create(signal, hadIndex));
    this.hadIndex = true;
    this.cache = { at, indices };
    return indices;
  }

  private async create(signal: AbortSignal, hadIndex: boolean): Promise<Indices> {
    const index = indexName(this.settings.INDEX, 1);
    await this.engine.create(index, 'used', signal);
    const indices = await this.engine.indices(signal);
    if (!indices) throw new Misconfigured(['alias_elsewhere', index, this.settings.INDEX], ['alias_or_delete']);
    if (hadIndex) this.context.warn(`sink ${this.context.name}: the index was missing; ${index} was created empty: rebuild it`);
    return indices;
  }

  private async page(after: ChannelKey | null, size: number, signal: AbortSignal): Promise<Found[]> {
    const page = await this.withTimeout(signal, inTime => this.engine.page(after, size, inTime));
    if (page) return page;
    if (size === 1) throw unknownAnswer(this.engine.name);
    return this.page(after, Math.ceil(size / 4), signal);
  }

  private async write(entries: readonly Entry[], next: string | null, signal: AbortSignal): Promise<Results> {
    const results: Results = [];
    let failure: SinkError | null = null;
    for (const bulk of split(entries, maxBulkBytes)) {
      const answers: Results = failure === null ? await this.send(bulk, next, signal) : bulk.map(() => failure);
      results.push(...answers);
      // Anything but a refusal that fails a whole bulk would fail the next one, too.
      const [first] = answers;
      if (first && !(first instanceof Refused) && answers.every(answer => answer === first)) failure = first;
    }
    return results;
  }

  /** Writes one bulk; if it fails as a whole, so does each of its documents. */
  private async send(bulk: readonly Entry[], next: string | null, signal: AbortSignal): Promise<Results> {
    try {
      return await this.engine.write(bulk, next, signal);
    } catch (error) {
      if (!(error instanceof SinkError)) throw error;
      if (!(error instanceof Refused) || bulk.length === 1) return bulk.map(() => error);
      // It is too large for a proxy, or one document is refused: split it, so that the others are written.
      const half = Math.ceil(bulk.length / 2);
      return [...(await this.send(bulk.slice(0, half), next, signal)), ...(await this.send(bulk.slice(half), next, signal))];
    }
  }

  /** Reads the indices again before documents are refused: if our index was replaced, the documents are not at fault. */
  private async recheck(results: Results, signal: AbortSignal): Promise<Results> {
    if (results.some(result => result !== null && (!(result instanceof TryAgain) || result instanceof Gone))) this.cache = null;
    if (results.some(result => result instanceof Misconfigured)) this.checked = false;
    if (!results.some(result => result instanceof Refused)) return results;
    try {
      await this.refresh(signal).catch(rethrowAsSetup);
      return results;
    } catch (error) {
      if (!(error instanceof SinkError)) throw error;
      return results.map(result => (result instanceof Refused ? error : result));
    }
  }
}

/** A document must also be in the next index, unless that is gone. */
function failureInNext(error: SinkError | null, index: string): SinkError | null {
  if (error === null || error instanceof Gone) return null;
  return error instanceof TryAgain ? error : new TryAgain(['in_next_index', error.why, index], ['rebuild_stuck'], error.status);
}

function indexGone(index: string): Misconfigured {
  return new Misconfigured(['index_gone', index], ['rebuild_again']);
}
