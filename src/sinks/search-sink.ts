import type { SinkError } from './errors.js';
import type { BulkSink, Delivery } from './sink.js';

/** Identifies a channel. Pages are ordered by app, then by channel, by code points. */
export interface ChannelKey {
  sdkAppId: string;
  channelId: string;
}

/** A document that differs from our store. */
export interface Difference extends ChannelKey {
  /** `older`: outdated, or different at the same revision. `surplus`: excluded by the sink's filters, or unknown to our store. */
  kind: 'missing' | 'older' | 'newer' | 'surplus';
  /** The version in the index, which a repair must exceed; `null` if it has none. */
  version: number | null;
}

/**
 * A state sink that owns a search index, which can be compared with our store and rebuilt beside the one in use. Several processes may call
 * these methods, again after a crash, and during deliveries.
 */
export interface SearchSink extends BulkSink {
  /** The index in use, created if there is none. `outdated`: this release would create it differently, so it must be rebuilt. */
  current(signal: AbortSignal): Promise<{ index: string; outdated: boolean }>;
  /**
   * Compares the documents after `after` (`null`: from the start) up to `until` (`null`: to the end) with those it should have.
   * @param wanted the latest state of each channel in this range, ordered by key
   */
  compare(
    wanted: readonly Delivery[],
    range: { after: ChannelKey | null; until: ChannelKey | null },
    signal: AbortSignal,
  ): Promise<Difference[]>;
  /** Deletes surplus documents, unless their version has changed. */
  remove(surplus: readonly Difference[], signal: AbortSignal): Promise<void>;
  /**
   * Creates the next index, empty, unless it exists. After `settleMs`, all processes write deliveries to both indices.
   * @returns the name of the next index
   */
  prepare(signal: AbortSignal): Promise<string>;
  /** How long after `prepare` other processes may still write to the old index only. */
  readonly settleMs: number;
  /** Writes to the next index only. Returns a result per delivery, like `deliverMany`. */
  fill(index: string, deliveries: readonly Delivery[], signal: AbortSignal): Promise<(SinkError | null)[]>;
  /** Atomically switches to the next index and deletes the old one. Does nothing if already done. */
  swap(index: string, signal: AbortSignal): Promise<void>;
}
