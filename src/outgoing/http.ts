import { readFileSync } from 'node:fs';
import { Misconfigured, NotSent, Refused, SinkError, TryAgain } from '../sinks/errors.js';

/** Of this release. */
export const version = versionOf(new URL('../../package.json', import.meta.url));

/** How we name ourselves to targets: `channel-sync/<version>`. */
export const userAgent = `channel-sync/${version}`;

function versionOf(packageJson: URL): string {
  return (JSON.parse(readFileSync(packageJson, 'utf8')) as { version: string }).version;
}

/** The longest time that a Retry-After may hold back a sink. */
const retryAfterCapMs = 3_600_000;

/** `Retry-After` as seconds or a date, in milliseconds from now; 0 if absent, unreadable or past, one hour at most. */
export function retryAfterMs(header: unknown, now: number): number {
  if (typeof header !== 'string' || header.trim() === '') return 0;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), retryAfterCapMs);
}

/** The one table of what an HTTP status means (contract, section 5); `null` is delivered. */
export function classifyStatus(status: number, retryAfter: unknown, now: number): SinkError | null {
  if (status >= 200 && status < 300) return null;
  const message = `answered ${status}`;
  if (status === 408 || status === 425 || status === 429 || status >= 500 || status < 200) {
    return new TryAgain(message, 'Nothing to do unless it lasts: it is tried again by itself.', status, retryAfterMs(retryAfter, now));
  }
  if (status >= 300 && status < 400)
    return new Misconfigured(`${message}, a redirect`, 'Redirects are never followed: set the URL to its final address.', status);
  if (status === 401 || status === 403) return new Misconfigured(message, 'Check the credentials of this sink.', status);
  if (status === 404 || status === 410) return new Misconfigured(message, 'Check the URL of this sink: nothing is there.', status);
  return new Refused(message, 'The sink does not take this delivery: see its own log for why, mend that, then replay.', status);
}

const networkWords: Record<string, string> = {
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  ETIMEDOUT: 'timed out',
  ECONNABORTED: 'timed out',
};

const notSentWords: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  EAI_AGAIN: 'the host name could not be looked up just now',
};

/** Codes of Node's TLS that mean that the certificate will not be accepted later, either. */
const tlsCode = /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;

/**
 * What a failure below HTTP means, by its code alone, since its message may hold a URL. Its causes are searched, too; one of them may be a `SinkError` already.
 * The caller checks its own signal first: a cancelled attempt is no failure.
 */
export function classifyNetworkError(error: unknown): SinkError {
  const { sinkError, code } = innermost(error);
  if (sinkError) return sinkError;
  if (code === 'ENOTFOUND') return new Misconfigured('unknown host', 'Check the host name in the URL of this sink.');
  if (code !== null && tlsCode.test(code)) {
    return new Misconfigured(
      `TLS failed (${code})`,
      'Check the certificate of the target; a private CA goes into the CA setting of this sink.',
    );
  }
  const advice = 'Check that the target runs and can be reached from here; it is tried again by itself.';
  const notSent = code !== null && notSentWords[code];
  return notSent ? new NotSent(notSent, advice) : new TryAgain((code !== null && networkWords[code]) || 'network error', advice);
}

function innermost(error: unknown, depth = 0): { sinkError: SinkError | null; code: string | null } {
  if (error instanceof SinkError) return { sinkError: error, code: null };
  if (typeof error !== 'object' || error === null || depth > 5) return { sinkError: null, code: null };
  const { code, cause, original, errors } = error as { code?: unknown; cause?: unknown; original?: unknown; errors?: unknown[] };
  for (const inner of [cause, original, errors?.[0]].map(one => innermost(one, depth + 1)))
    if (inner.sinkError || inner.code !== null) return inner;
  return { sinkError: null, code: typeof code === 'string' && /^[A-Z0-9_]+$/.test(code) ? code : null };
}

/** What a text says as JSON; `undefined` if it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
