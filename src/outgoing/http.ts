import { readFileSync } from 'node:fs';
import type { Explanation } from '../explanations/explanation.js';
import { Misconfigured, NotSent, Refused, SinkError, TryAgain } from '../sinks/errors.js';

const packageJson = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');

export const { version } = JSON.parse(packageJson) as { version: string };

export const userAgent = `channel-sync/${version}`;

const maxRetryAfterMs = 3_600_000;

/** Parses `Retry-After` (seconds or a date) to milliseconds from now, one hour at most; 0 if absent, invalid or past. */
export function retryAfterMs(header: unknown, now: number): number {
  const text = typeof header === 'string' ? header.trim() : '';
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : dateMs(text) - now;
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), maxRetryAfterMs);
}

/** Parses any of HTTP's three date formats, or ISO 8601; UTC if it names no zone. `Date.parse` alone would take `-40` for a year, and `Mon 5` for a day. */
export function dateMs(header: unknown): number {
  const text = typeof header === 'string' ? header.trim() : '';
  const isDate = /^([a-z]{3,9},? |\d{4}-\d\d-\d\dT).*\d\d:\d\d/i.test(text);
  const hasZone = /([a-z]|[+-]\d\d:?\d\d)$/i.test(text);
  return isDate ? Date.parse(hasZone ? text : `${text}Z`) : NaN;
}

/** Maps an HTTP status to its outcome (docs/crm.md, "What to answer"); `null` means delivered. */
export function classifyStatus(status: number, retryAfter: unknown, now: number): SinkError | null {
  if (status >= 200 && status < 300) return null;
  const reason = ['answered', status] as const;
  if (status === 408 || status === 425 || status === 429 || status >= 500 || status < 200) {
    return new TryAgain(reason, [status === 429 ? 'slow_down' : 'wait'], status, retryAfterMs(retryAfter, now));
  }
  if (status >= 300 && status < 400) return new Misconfigured(['redirected', status], ['set_final_url'], status);
  if (status === 401 || status === 403) return new Misconfigured(reason, ['check_credentials'], status);
  if (status === 404 || status === 410) return new Misconfigured(reason, ['check_url'], status);
  return new Refused(reason, ['fix_at_target'], status);
}

const networkErrors: Record<string, [kind: typeof TryAgain, why: Explanation, advice?: Explanation]> = {
  ECONNRESET: [TryAgain, ['connection_reset']],
  EPIPE: [TryAgain, ['connection_reset']],
  ETIMEDOUT: [TryAgain, ['timed_out']],
  ECONNABORTED: [TryAgain, ['timed_out']],
  ECONNREFUSED: [NotSent, ['connection_refused']],
  EHOSTUNREACH: [NotSent, ['host_unreachable']],
  ENETUNREACH: [NotSent, ['network_unreachable']],
  EAI_AGAIN: [NotSent, ['dns_try_again']],
  EMFILE: [NotSent, ['no_descriptors'], ['raise_descriptors']],
  ENFILE: [NotSent, ['no_descriptors'], ['raise_descriptors']],
};

/** Node's TLS error codes that a retry would not fix. */
const tlsCode = /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;

/**
 * Maps a failure below HTTP to its outcome, by error code only, since the message may contain a URL. The caller must check its own signal
 * first: a cancelled attempt is not a failure.
 */
export function classifyNetworkError(error: unknown): SinkError {
  const found = innermost(error);
  if (found instanceof SinkError) return found;
  if (found === 'ENOTFOUND') return new Misconfigured(['unknown_host'], ['check_host']);
  if (tlsCode.test(found)) return new Misconfigured(['tls_failed', found], ['check_certificate']);
  const [kind, why, advice = ['check_runs']] = networkErrors[found] ?? [TryAgain, ['network_error']];
  return new kind(why, advice);
}

/** The deepest `SinkError` or error code among an error and its causes (`original` in errors of Slack's SDK); empty if there is none. */
function innermost(error: unknown, depth = 0): SinkError | string {
  if (error instanceof SinkError) return error;
  if (typeof error !== 'object' || error === null || depth > 5) return '';
  const { code, cause, original, errors } = error as { code?: unknown; cause?: unknown; original?: unknown; errors?: unknown[] };
  for (const nested of [cause, original, errors?.[0]]) {
    const found = innermost(nested, depth + 1);
    if (found !== '') return found;
  }
  return typeof code === 'string' && /^[A-Z0-9_/]+$/.test(code) ? code : '';
}

/** Parses JSON; `undefined` if it is invalid. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
