import type { Logger, WebClient, WebClientOptions } from '@slack/web-api';
import { retryAfterMs } from '../../outgoing/http.js';
import { SinkError } from '../errors.js';
import type { SinkContext } from '../sink.js';
import { classifyApiAnswer, classifyApiWord } from './slack-errors.js';
import { post } from './slack-http.js';
import type { SlackSettings } from './slack.settings.js';

/** `{ok: false}`, as the SDK throws it. */
interface PlatformError {
  code: 'slack_webapi_platform_error';
  data: { error: unknown; errors?: unknown; response_metadata?: { retryAfter?: number; messages?: unknown } };
}

const silent = () => {};

/** For Slack's SDKs: their own logs print message texts, payloads, and URLs that let one in. */
export const silentLogger = {
  debug: silent,
  info: silent,
  warn: silent,
  error: silent,
  setLevel: silent,
  setName: silent,
  getLevel: () => 'error',
} as unknown as Logger;

/** What makes clients: one for each attempt, since the SDK knows no signals. It is loaded only for a sink that needs it. */
export async function webClients(settings: SlackSettings, context: SinkContext): Promise<(signal: AbortSignal) => WebClient> {
  const { WebClient } = await import('@slack/web-api');
  return signal => new WebClient(settings.BOT_TOKEN, clientOptions(settings, context, signal));
}

/** Without tries of its own; its `fetch` obeys the signal of the attempt, which bounds the time as well. */
export function clientOptions(
  { API_URL }: Pick<SlackSettings, 'API_URL'>,
  { proxies, now }: Pick<SinkContext, 'proxies' | 'now'>,
  signal: AbortSignal,
): WebClientOptions {
  return {
    ...(API_URL !== undefined && { slackApiUrl: API_URL }),
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    allowAbsoluteUrls: false,
    logger: silentLogger,
    // Answers other than 2xx are dealt with here, before the SDK turns them into errors of its own that know less.
    fetch: async (url, init) => {
      const body = typeof init?.body === 'string' ? init.body : '';
      const answer = await post(String(url), body, init?.headers ?? {}, signal, proxies);
      const error = classifyApiAnswer(answer, now());
      if (error) throw error;
      return new Response(answer.body, { headers: answer.retryAfter === null ? {} : { 'retry-after': answer.retryAfter } });
    },
  };
}

/** Slack's word for what is wrong, as it stands; empty if something else went wrong. */
export function wordOf(error: unknown): string {
  return isPlatformError(error) ? String(error.data.error) : '';
}

/** Slack fetches images while it handles the call, and its word for a failure of that is the same as for a malformed block. */
export function isAboutImage(error: unknown): boolean {
  if (!isPlatformError(error) || !wordOf(error).startsWith('invalid_blocks')) return false;
  const explained = JSON.stringify([error.data.response_metadata?.messages ?? [], error.data.errors ?? []]);
  return explained === '[[],[]]' || /image/i.test(explained);
}

/** Whatever a call threw, as what it means. */
export function classifyCallError(error: unknown, now: number): SinkError {
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
