import type { Explanation } from '../../explanations/explanation.js';
import type { ChannelKey, Difference } from '../search-sink.js';
import { Misconfigured, type Refused, type SinkError, TryAgain } from '../errors.js';
import type { Entry, Found } from './document.js';

/** What became of each entry, in their order; `null` is written, or already newer. */
export type Results = (SinkError | null)[];

/** Which indices of ours there are. Their names end in `-v` and a number that grows with every rebuild. */
export interface Indices {
  /** The one that is searched. */
  used: string;
  /** Whether this release, with these settings, would make it differently. */
  outdated: boolean;
  /** The one that is being built, if there is one. */
  next: { index: string; outdated: boolean } | null;
}

/** One kind of search engine. Whatever it throws is a `SinkError`, or the reason of its signal. Only `write` refuses documents. */
export interface Engine {
  /** What people call it. */
  readonly name: string;
  /** Throws unless this engine, in a version that works, is behind the URL. */
  check(signal: AbortSignal): Promise<void>;
  /** Throws unless the rights are there, and what a new index is made with, as far as that can be asked without writing. */
  checkRights(indices: Indices | null, signal: AbortSignal): Promise<void>;
  /** Looks which indices there are; `null` if there is none. Throws if there is something that is not ours. */
  indices(signal: AbortSignal): Promise<Indices | null>;
  /** Makes an empty index, unless it is there already: to be used, or as the next one; `anew` if there is a next one that another release began. */
  create(index: string, as: 'used' | 'next' | 'anew', signal: AbortSignal): Promise<void>;
  /** Deletes an index of ours that is not used. */
  drop(index: string, signal: AbortSignal): Promise<void>;
  /** Writes into the index that is used, or into this next one. If that is gone, each fails with `Gone`; writing never makes an index. */
  write(entries: readonly Entry[], next: string | null, signal: AbortSignal): Promise<Results>;
  /** Documents of the index that is used, in the order of their keys, at most `size`; none is the end. What was acknowledged is among them. */
  page(after: ChannelKey | null, size: number, signal: AbortSignal): Promise<Found[]>;
  /** Takes documents out of the index that is used, unless they have another version by now. */
  remove(index: string, surplus: readonly Difference[], signal: AbortSignal): Promise<void>;
  /** Makes the next index the one that is used, in one step. */
  swap(used: string, next: string, signal: AbortSignal): Promise<void>;
  /** The index that was used before this one, for `drop`, if a swap left it behind. */
  leftover(used: string, signal: AbortSignal): Promise<string | null>;
  close(): void;
}

/** What an error means: its kind, and what to do about it. */
export type ErrorMeaning = [
  kind: new (reason: Explanation, advice: Explanation, status: number | null, retryAfterMs?: number) => SinkError,
  advice: Explanation,
];

/** The index that was written to is not there. */
export class Gone extends TryAgain {}

/** The name of an index of ours. */
export function indexName(alias: string, number: number): string {
  return `${alias}-v${number}`;
}

/** The number in the name of an index of ours; `null` if it is not one. */
export function indexNumber(alias: string, index: string): number | null {
  const number = index.startsWith(`${alias}-v`) ? index.slice(alias.length + 2) : '';
  return /^[1-9]\d{0,14}$/.test(number) ? Number(number) : null;
}

/** The refusal of a call that writes no document: no delivery may be parked for it. */
export function setUpRefused(error: Refused): Misconfigured {
  return error.as(Misconfigured, ['set_up_refused']);
}

/** Something else is behind the URL. */
export function wrongEngine(found: string, wanted: string): Misconfigured {
  return new Misconfigured(['wrong_engine', found, wanted], ['set_engine']);
}

export function tooOld(engine: string, least: string): Misconfigured {
  return new Misconfigured(['engine_too_old', engine], ['upgrade_engine', least]);
}

/** The answer to a look-up is not one of this engine. */
export function noEngine(wanted: string): Misconfigured {
  return new Misconfigured(['no_engine', wanted], ['check_url_of_engine']);
}

/** The answer is not one of this engine, so nobody knows what was done. */
export function unknownAnswer(engine: string, status: number | null = null): TryAgain {
  return new TryAgain(['no_engine', engine], ['check_url_leads'], status);
}
