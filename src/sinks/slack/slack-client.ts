import type { FetchFunction, WebClient } from '@slack/web-api';
import type { Proxies } from '../../outgoing/proxies.js';
import { retryAfterMs } from '../../outgoing/http.js';
import { SinkError } from '../errors.js';
import { classifyApiAnswer, classifyApiWord } from './slack-errors.js';
import { post } from './slack-http.js';
import { silentLogger } from './clicks/silent-logger.js';

/** `{ok: false}`, as the SDK throws it. */
interface PlatformError {
  code: 'slack_webapi_platform_error';
  data: { error: unknown; errors?: unknown; response_metadata?: { retryAfter?: number; messages?: unknown } };
}

/**
 * A client for one attempt, since the SDK knows no signals: its `fetch` must obey the attempt's, which bounds the time as well.
 * @param Client the SDK's client, handed in so that it is loaded only where there is a bot token
 */
export function clientOf(
  Client: typeof WebClient,
  { token, apiUrl, proxies }: { token: string; apiUrl: string | undefined; proxies: Proxies },
  signal: AbortSignal,
  now: () => number,
): WebClient {
  return new Client(token, {
    ...(apiUrl !== undefined && { slackApiUrl: apiUrl }),
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    allowAbsoluteUrls: false,
    logger: silentLogger,
    fetch: boundFetch({ signal, proxies }, now),
  });
}

/** Slack's word for what is wrong, as it stands; empty if something else went wrong. */
export function wordOf(error: unknown): string {
  return isPlatformError(error) ? String(error.data.error) : '';
}

/** Slack fetches images while it handles the call, and its word for a failure of that is the same as for a malformed block. */
export function isAboutImage(error: unknown): boolean {
  if (!isPlatformError(error) || !String(error.data.error).startsWith('invalid_blocks')) return false;
  const explained = JSON.stringify([error.data.response_metadata?.messages ?? [], error.data.errors ?? []]);
  return explained === '[[],[]]' || /image/i.test(explained);
}

/** Whatever a call threw, as what it means. */
export function told(error: unknown, now: number): SinkError {
  if (error instanceof SinkError) return error;
  if (isPlatformError(error)) {
    return classifyApiWord(error.data.error, retryAfterMs(String(error.data.response_metadata?.retryAfter ?? ''), now));
  }
  const { original } = error as { original?: unknown };
  return original instanceof SinkError ? original : classifyApiWord(null);
}

function isPlatformError(error: unknown): error is PlatformError {
  return typeof error === 'object' && error !== null && (error as PlatformError).code === 'slack_webapi_platform_error';
}

/** Answers other than 2xx are dealt with here, before the SDK turns them into errors of its own that know less. */
export function boundFetch(by: { signal: AbortSignal; proxies: Proxies }, now: () => number): FetchFunction {
  return async (url, init) => {
    const { status, body, retryAfter } = await post(String(url), typeof init?.body === 'string' ? init.body : '', init?.headers ?? {}, by);
    const error = classifyApiAnswer(status, body, retryAfter, now());
    if (error) throw error;
    return new Response(body, { headers: retryAfter === null ? {} : { 'retry-after': retryAfter } });
  };
}
