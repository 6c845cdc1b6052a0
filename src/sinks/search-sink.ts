import type { SinkError } from './errors.js';
import type { BulkSink, Delivery } from './sink.js';

/** What names a channel. Pages go by app, then by channel, in the order of code points. */
export interface ChannelKey {
  sdkAppId: string;
  channelId: string;
}

/** A document of an index that is not what the store says. */
export interface Difference extends ChannelKey {
  /** `older`: it is behind, or has other texts at the same revision. `surplus`: the sink does not want this channel, or the store does not know it. */
  kind: 'missing' | 'older' | 'newer' | 'surplus';
  /** The version that the index has; `null` if it has none. A repair must take a greater one. */
  version: number | null;
}

/**
 * A state sink whose target is an index of ours: it can be compared with the store, and built anew beside the one that is used. All of this may be asked by
 * several processes, again after a kill, and while deliveries go on.
 */
export interface SearchSink extends BulkSink {
  /** The index that is used now, made if there is none, and whether it is outdated: this release would make it differently, so it is to be rebuilt. */
  current(signal: AbortSignal): Promise<{ index: string; outdated: boolean }>;
  /**
   * Compares what the index has after `after` (`null`: from the start) and up to `until` (`null`: to the end) with all that it should have there.
   * @param wanted the newest state of each channel in between, in the order of their keys
   */
  compare(
    wanted: readonly Delivery[],
    range: { after: ChannelKey | null; until: ChannelKey | null },
    signal: AbortSignal,
  ): Promise<Difference[]>;
  /** Takes out what is surplus, unless it has another version by now. */
  remove(surplus: readonly Difference[], signal: AbortSignal): Promise<void>;
  /**
   * Makes the next index, empty, unless it is there already; from a moment later on (`settleMs`) all processes write what they deliver into both.
   * @returns its name
   */
  prepare(signal: AbortSignal): Promise<string>;
  /** How long after `prepare` another process may still write into the old index alone. */
  readonly settleMs: number;
  /** Writes into the next index alone. As `deliverMany` it answers for each. */
  fill(index: string, deliveries: readonly Delivery[], signal: AbortSignal): Promise<(SinkError | null)[]>;
  /** In one step the next index is the one that is used; the old one goes. Does nothing if that has happened already. */
  swap(index: string, signal: AbortSignal): Promise<void>;
}
