import { setTimeout as sleep } from 'node:timers/promises';
import { within } from '../../outgoing/within.js';
import type { ChannelKey, Difference, SearchSink } from '../search-sink.js';
import type { CheckResult, Checkable, Delivery } from '../sink.js';
import type { SinkContext } from '../sink-type.js';
import { Misconfigured, Refused, SinkError, TryAgain } from '../errors.js';
import { type Entry, compareKeys, differenceOf, entryOf, nameOf, split } from './document.js';
import type { SearchSettings } from './search.settings.js';
import { type Engine, Gone, type Indices, type Results, indexName, indexNumber, setUpRefused } from './engine.js';

/** Proxies in front of a cluster often take no more than 10 MB, and smaller bulks are no slower. */
const maxBulkBytes = 5_000_000;

/** How many documents are read at once, at least and at most. */
const pageSizes = { least: 100, most: 1000 };

/** How long a process relies on the indices that it last saw. */
const lookEveryMs = 1000;

/** One document per channel in an index of ours, whatever the engine. */
export class ChannelIndex implements SearchSink, Checkable {
  readonly batchSize = 500;
  readonly settleMs: number;
  /** The indices as they were last seen; looked up again when that is old, or when an answer casts doubt on it. */
  private seen: { at: number; indices: Indices } | null = null;
  private checked = false;
  private hadIndex = false;

  constructor(
    private readonly engine: Engine,
    private readonly settings: Pick<SearchSettings, 'INDEX' | 'TIMEOUT_MS'>,
    private readonly context: SinkContext,
  ) {
    // A process that looked just before the change may begin an attempt for as long as it relies on that, and each attempt may take TIMEOUT_MS.
    this.settleMs = lookEveryMs + settings.TIMEOUT_MS + 1000;
  }

  deliverMany(deliveries: readonly Delivery[], signal: AbortSignal): Promise<Results> {
    return this.inTime(signal, async inTime => {
      const { used, next } = await this.look(inTime);
      const entries = deliveries.map(entryOf);
      let results = await this.write(entries, null, inTime);
      if (next) {
        await this.writeAlso(next.index, entries, results, inTime);
        // After a swap between the two writes neither of them is in the index that is used now.
        if ((await this.lookNow(inTime)).used !== used) results = await this.write(entries, null, inTime);
      }
      return this.lookAgain(results, inTime);
    });
  }

  check(signal: AbortSignal): Promise<CheckResult> {
    return this.inTime(signal, async inTime => {
      await this.engine.check(inTime);
      const indices = await this.engine.indices(inTime);
      await this.engine.checkRights(indices, inTime);
      return { problems: [], summary: `${this.engine.name} answers; ${indices?.used ?? 'no index yet'}; writing is not tried` };
    });
  }

  async current(signal: AbortSignal): Promise<{ index: string; outdated: boolean }> {
    const { used, outdated } = await this.inTime(signal, inTime => this.lookNow(inTime));
    return { index: used, outdated };
  }

  async compare(
    wanted: readonly Delivery[],
    range: { after: ChannelKey | null; until: ChannelKey | null },
    signal: AbortSignal,
  ): Promise<Difference[]> {
    await this.inTime(signal, inTime => this.look(inTime));
    const missing = new Map(wanted.map(entryOf).map(entry => [nameOf(entry.document), entry]));
    const differences: Difference[] = [];
    let { after } = range;
    for (;;) {
      // One more than there should be, to see the end of the range.
      const size = Math.min(Math.max(missing.size + 1, pageSizes.least), pageSizes.most);
      const from = after;
      const page = await this.inTime(signal, inTime => this.engine.page(from, size, inTime));
      const inside = page.filter(({ key }) => range.until === null || compareKeys(key, range.until) <= 0);
      for (const found of inside) {
        const entry = missing.get(nameOf(found.key));
        missing.delete(nameOf(found.key));
        const kind = entry ? differenceOf(entry, found) : 'surplus';
        if (kind) differences.push({ ...found.key, kind, version: found.version });
      }
      if (page.length === 0 || inside.length < page.length) break;
      after = page.at(-1)!.key;
    }
    for (const { document } of missing.values()) {
      const { sdkAppId, channelId } = document;
      differences.push({ sdkAppId, channelId, kind: 'missing', version: null });
    }
    return differences.sort(compareKeys);
  }

  remove(surplus: readonly Difference[], signal: AbortSignal): Promise<void> {
    return this.inTime(signal, async inTime => this.engine.remove((await this.look(inTime)).used, surplus, inTime));
  }

  prepare(signal: AbortSignal): Promise<string> {
    return this.inTime(signal, async inTime => {
      const { used, next } = await this.lookNow(inTime);
      if (next && !next.outdated) return next.index;
      const index = next?.index ?? indexName(this.settings.INDEX, (indexNumber(this.settings.INDEX, used) ?? 0) + 1);
      await this.engine.create(index, next ? 'anew' : 'next', inTime);
      const made = (await this.lookNow(inTime)).next;
      if (made) return made.index;
      throw new Misconfigured(['index_not_next', index], ['delete_or_rename_next']);
    });
  }

  fill(index: string, deliveries: readonly Delivery[], signal: AbortSignal): Promise<Results> {
    return this.inTime(signal, async inTime => {
      const { used, next } = await this.look(inTime);
      if (index !== used && index !== next?.index) throw notThere(index);
      return this.write(deliveries.map(entryOf), index === used ? null : index, inTime);
    });
  }

  async swap(index: string, signal: AbortSignal): Promise<void> {
    const old = await this.inTime(signal, async inTime => {
      const { used, next } = await this.lookNow(inTime);
      if (index !== used) {
        if (index !== next?.index) throw notThere(index);
        await this.engine.swap(used, index, inTime);
        const now = await this.lookNow(inTime);
        if (now.used !== index) throw new TryAgain(['other_index_used', now.used, index], ['wait']);
      }
      return this.engine.leftover(index, inTime);
    });
    if (old === null) return;
    // Searches may still be running there, and a process that has not seen the swap yet may write to it.
    await sleep(this.settleMs, undefined, { signal });
    await this.inTime(signal, inTime => this.engine.drop(old, inTime));
  }

  async close(): Promise<void> {
    this.engine.close();
  }

  /** Does something within the time of one attempt. Only what is written can be refused for its documents' sake: other refusals are about the set-up. */
  private async inTime<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await within(this.settings.TIMEOUT_MS, signal, work, () => new TryAgain(['timed_out'], ['search_slow']));
    } catch (error) {
      throw error instanceof Refused ? setUpRefused(error) : error;
    }
  }

  /** The indices as they were last seen, if that is recent. */
  private look(signal: AbortSignal): Promise<Indices> {
    const age = this.seen ? this.context.now() - this.seen.at : Infinity;
    return this.seen && age >= 0 && age < lookEveryMs ? Promise.resolve(this.seen.indices) : this.lookNow(signal);
  }

  /** The indices as they are; makes the first one if there is none. */
  private async lookNow(signal: AbortSignal): Promise<Indices> {
    const at = this.context.now();
    // Two first looks at once both find no index; only one that was seen before can be gone.
    const { hadIndex } = this;
    this.seen = null;
    if (!this.checked) await this.engine.check(signal);
    this.checked = true;
    const indices = (await this.engine.indices(signal)) ?? (await this.create(signal, hadIndex));
    this.hadIndex = true;
    this.seen = { at, indices };
    return indices;
  }

  private async create(signal: AbortSignal, hadIndex: boolean): Promise<Indices> {
    const index = indexName(this.settings.INDEX, 1);
    await this.engine.create(index, 'used', signal);
    const indices = await this.engine.indices(signal);
    if (!indices) {
      throw new Misconfigured(['alias_elsewhere', index, this.settings.INDEX], ['alias_or_delete']);
    }
    if (hadIndex) this.context.warn(`sink ${this.context.name}: the index was gone; ${index} is made anew and empty: rebuild it`);
    return indices;
  }

  /** Writes in as few bulks as the limits allow. */
  private async write(entries: readonly Entry[], next: string | null, signal: AbortSignal): Promise<Results> {
    const results: Results = [];
    let failure: SinkError | null = null;
    for (const bulk of split(entries, maxBulkBytes)) {
      const answers: Results = failure === null ? await this.send(bulk, next, signal) : bulk.map(() => failure);
      results.push(...answers);
      // What stops a bulk as a whole would stop the next one, too; only a refusal is about its documents.
      const [first] = answers;
      if (first && !(first instanceof Refused) && answers.every(answer => answer === first)) failure = first;
    }
    return results;
  }

  /** If a bulk fails as a whole, so does each of its documents. */
  private async send(bulk: readonly Entry[], next: string | null, signal: AbortSignal): Promise<Results> {
    try {
      return await this.engine.write(bulk, next, signal);
    } catch (error) {
      if (!(error instanceof SinkError)) throw error;
      if (!(error instanceof Refused) || bulk.length === 1) return bulk.map(() => error);
      // It is too large for a proxy, or one of its documents is refused: no reason to give up the others.
      const half = Math.ceil(bulk.length / 2);
      return [...(await this.send(bulk.slice(0, half), next, signal)), ...(await this.send(bulk.slice(half), next, signal))];
    }
  }

  /** Writes what the used index took into the next one, too. What fails there alone is not delivered, unless that index is gone by now. */
  private async writeAlso(next: string, entries: readonly Entry[], results: Results, signal: AbortSignal): Promise<void> {
    const taken = [...entries.keys()].filter(at => results[at] === null);
    const also = await this.write(
      taken.map(at => entries[at]!),
      next,
      signal,
    );
    for (const [position, at] of taken.entries()) {
      const error = also[position];
      if (!error || error instanceof Gone) continue;
      results[at] = error instanceof TryAgain ? error : new TryAgain(['in_next_index', error.why, next], ['rebuild_stuck'], error.status);
    }
  }

  /** Looks up the indices before documents are given up: if somebody replaced our index, the documents are not at fault. */
  private async lookAgain(results: Results, signal: AbortSignal): Promise<Results> {
    if (results.some(result => result !== null && (!(result instanceof TryAgain) || result instanceof Gone))) this.seen = null;
    if (results.some(result => result instanceof Misconfigured)) this.checked = false;
    if (!results.some(result => result instanceof Refused)) return results;
    try {
      await this.inTime(signal, inTime => this.lookNow(inTime));
      return results;
    } catch (error) {
      if (!(error instanceof SinkError)) throw error;
      return results.map(result => (result instanceof Refused ? error : result));
    }
  }
}

function notThere(index: string): Misconfigured {
  return new Misconfigured(['index_gone', index], ['rebuild_again']);
}
