import { type Explanation, inEnglish } from '../explanations/explanation.js';

/**
 * Base class of the errors that sinks throw for a failed attempt. Any other error is retried, and recorded without its message, which
 * might contain secrets.
 */
export abstract class SinkError extends Error {
  abstract readonly outcome: 'retry' | 'refused' | 'misconfigured';
  /** The target's own error code, for sinks that act on it; empty if there is none. */
  errorCode = '';
  /** The target's response: one line of at most 500 characters, with secrets removed; `null` if there was none. */
  response: string | null = null;
  /** @param why must not contain secrets or profile texts; its English text becomes the message @param status the HTTP status, if any */
  constructor(
    readonly why: Explanation,
    readonly advice: Explanation,
    readonly status: number | null = null,
  ) {
    super(inEnglish(why));
    this.name = new.target.name;
  }

  /** `why`, with the beginning of the target's response. */
  get reason(): Explanation {
    return this.response === null ? this.why : ['with_answer', this.why, cut(this.response, 120)];
  }

  /** This failure as another class, with other advice. */
  as<E extends SinkError>(kind: new (why: Explanation, advice: Explanation, status: number | null) => E, advice: Explanation): E {
    return Object.assign(new kind(this.why, advice, this.status), { response: this.response });
  }
}

/** Truncates a text without splitting surrogate pairs. */
export function cut(text: string, characters: number): string {
  return Array.from(text.slice(0, 2 * characters))
    .slice(0, characters)
    .join('');
}

/** A failure that may pass, such as a network error, overload or a timeout: the delivery is retried. */
export class TryAgain extends SinkError {
  readonly outcome = 'retry';
  /** @param retryAfterMs delay that the target asked for, which applies to the whole sink; 0 if none */
  constructor(
    why: Explanation,
    advice: Explanation,
    status: number | null = null,
    readonly retryAfterMs = 0,
  ) {
    super(why, advice, status);
  }
}

/** The request certainly did not reach the target. */
export class NotSent extends TryAgain {}

/** The target will never accept this delivery: it is parked until someone retries or discards it. */
export class Refused extends SinkError {
  readonly outcome = 'refused';
}

/** No delivery can succeed until the settings are fixed, such as credentials, URL, certificate or channel: the sink is stopped. */
export class Misconfigured extends SinkError {
  readonly outcome = 'misconfigured';
}
