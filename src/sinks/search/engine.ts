import type { Explanation } from '../../explanations/explanation.js';
import type { ChannelKey, Difference } from '../sink.js';
import { Misconfigured, Refused, type SinkError, TryAgain } from '../errors.js';
import type { Entry, Found } from './document.js';

/** The result of each entry, in order; `null` means written, or already newer. */
export type Results = (SinkError | null)[];

/** Our indices: the one that is searched, and the one that is being built, if any. Their names end in `-v` and a growing number. */
export interface Indices {
  used: string;
  /** Whether this release would create it differently with these settings. */
  outdated: boolean;
  next: { index: string; outdated: boolean } | null;
}

/** A search engine. All methods throw `SinkError`, or the signal's reason once that is aborted. Only `write` refuses documents. */
export interface Engine {
  readonly name: string;
  /** Throws unless the URL leads to this engine in a supported version. */
  check(signal: AbortSignal): Promise<void>;
  /** Throws if permissions or the requirements of a new index are missing, as far as that can be checked without writing. */
  checkRights(indices: Indices | null, signal: AbortSignal): Promise<void>;
  /** Reads which indices exist; `null` if there is none. Throws if an index or alias of that name is not ours. */
  indices(signal: AbortSignal): Promise<Indices | null>;
  /** Creates an empty index unless it exists, as the used or the next one; `anew` replaces a next index begun by another release. */
  create(index: string, as: 'used' | 'next' | 'anew', signal: AbortSignal): Promise<void>;
  /** Deletes one of our indices that is not in use. */
  drop(index: string, signal: AbortSignal): Promise<void>;
  /** Writes to the used index, or to the given next one. If that is gone, each entry fails with `Gone`; writing never creates an index. */
  write(entries: readonly Entry[], next: string | null, signal: AbortSignal): Promise<Results>;
  /**
   * Lists up to `size` documents of the used index in key order, including all acknowledged writes; an empty page is the end, `null` a
   * response that was too long.
   */
  page(after: ChannelKey | null, size: number, signal: AbortSignal): Promise<Found[] | null>;
  /** Deletes documents from the used index, unless their version has changed. */
  remove(index: string, surplus: readonly Difference[], signal: AbortSignal): Promise<void>;
  /** Atomically makes the next index the used one. */
  swap(used: string, next: string, signal: AbortSignal): Promise<void>;
  /** The index that a swap left behind and that can be dropped, if any. */
  leftover(used: string, signal: AbortSignal): Promise<string | null>;
  close(): void;
}

/** The index to write to does not exist. */
export class Gone extends TryAgain {}

type ErrorClass = new (reason: Explanation, advice: Explanation, status: number | null, retryAfterMs?: number) => SinkError;
/** The class of an error and the advice for it. */
export type ErrorMeaning = [kind: ErrorClass, advice: Explanation];

/** Adds the engine's own error code to an error; `meaning` replaces what its status meant. */
export function withCode(error: SinkError, code: string, meaning?: ErrorMeaning): SinkError {
  const [kind, advice] = meaning ?? [error.constructor as ErrorClass, error.advice];
  return new kind(['as_said', code], advice, error.status, error instanceof TryAgain ? error.retryAfterMs : 0);
}

export function indexName(alias: string, number: number): string {
  return `${alias}-v${number}`;
}

/** The number in the name of one of our indices; `null` for any other name. */
export function indexNumber(alias: string, index: string): number | null {
  const number = index.startsWith(`${alias}-v`) ? index.slice(alias.length + 2) : '';
  return /^[1-9]\d{0,14}$/.test(number) ? Number(number) : null;
}

/** For calls that write no document: no delivery may be parked because such a call was refused. */
export function rethrowAsSetup(error: unknown): never {
  throw error instanceof Refused ? error.as(Misconfigured, ['set_up_refused']) : error;
}

/** The response to a read is not one of this engine. */
export function noEngine(expected: string): Misconfigured {
  return new Misconfigured(['no_engine', expected], ['check_url_of_engine']);
}

/** The response is not one of this engine, so the result of the call is unknown. */
export function unknownAnswer(engine: string, status: number | null = null): TryAgain {
  return new TryAgain(['no_engine', engine], ['check_url_leads'], status);
}
