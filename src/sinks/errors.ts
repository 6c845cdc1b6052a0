import { type Explanation, inEnglish } from '../explanations/explanation.js';

/**
 * The outcome of an attempt that did not deliver. A sink throws one of these; anything else that it throws is tried again and
 * recorded without its text, since only these promise that their texts hold no secret.
 */
export abstract class SinkError extends Error {
  abstract readonly outcome: 'retry' | 'refused' | 'misconfigured';
  /** The target's own word for it, for a sink that acts on it; empty if there is none. */
  word = '';
  /** What the target answered: one line of text, cleaned of secrets, 500 characters at most; `null` for nothing. */
  response: string | null = null;
  /**
   * @param why without any secret or profile text; in English it is the message
   * @param advice what a person can do about it
   * @param status the HTTP status, if there was one
   */
  constructor(
    readonly why: Explanation,
    readonly advice: Explanation,
    readonly status: number | null = null,
  ) {
    super(inEnglish(why));
    this.name = new.target.name;
  }

  /** Why, with the beginning of the target's answer. */
  get reason(): Explanation {
    return this.response === null ? this.why : ['with_answer', this.why, cut(this.response, 120)];
  }

  /** The same failure, as one of another kind. */
  as<E extends SinkError>(kind: new (why: Explanation, advice: Explanation, status: number | null) => E, advice: Explanation): E {
    return Object.assign(new kind(this.why, advice, this.status), { response: this.response });
  }
}

/** So many characters of a text at most, none of them half. */
export function cut(text: string, characters: number): string {
  return text.length <= characters
    ? text
    : Array.from(text.slice(0, 2 * characters))
        .slice(0, characters)
        .join('');
}

/** It may work later: network trouble, overload, time-outs. */
export class TryAgain extends SinkError {
  readonly outcome = 'retry';
  /** @param retryAfterMs how long the whole sink asked to be left alone, 0 if it did not */
  constructor(
    why: Explanation,
    advice: Explanation,
    status: number | null = null,
    readonly retryAfterMs = 0,
  ) {
    super(why, advice, status);
  }
}

/** The request did not reach the target. */
export class NotSent extends TryAgain {}

/** The sink will never take this delivery; it is parked for a person to decide. */
export class Refused extends SinkError {
  readonly outcome = 'refused';
}

/** No delivery can work until somebody corrects the settings: credentials, URL, certificate, channel. */
export class Misconfigured extends SinkError {
  readonly outcome = 'misconfigured';
}
