import type { Readable } from 'node:stream';
import axios from 'axios';
import { agentFor, throwIfProxyRefused } from '../../outgoing/agents.js';
import type { Proxies } from '../../outgoing/proxies.js';
import { within } from '../../outgoing/within.js';
import { classifyNetworkError, readText, userAgent } from '../../outgoing/http.js';
import { TryAgain } from '../errors.js';

/** As much of an answer as is read: Slack's are a word, a message sent back, or the newest messages of a channel, each of up to some 60 kB. */
const mostBytes = 8 * 1024 * 1024;

const http = axios.create({
  proxy: false,
  maxRedirects: 0,
  responseType: 'stream',
  decompress: false,
  validateStatus: () => true,
  transformRequest: [],
  transformResponse: [],
});

export interface Answer {
  status: number;
  body: string;
  retryAfter: string | null;
}

/**
 * One POST without any retry; redirects are answers, never followed. A failure below HTTP is thrown as what it means. The connection is not kept, since one that
 * the other side just closed would cost a card sent twice.
 */
export async function post(
  url: string,
  body: string,
  headers: Record<string, string>,
  { signal, proxies }: { signal: AbortSignal; proxies: Proxies },
): Promise<Answer> {
  const agent = agentFor(url, proxies, { keepAlive: false });
  try {
    const response = await http.post<Readable>(url, body, {
      headers: { 'user-agent': userAgent, ...headers, 'accept-encoding': 'identity' },
      signal,
      httpAgent: agent,
      httpsAgent: agent,
    });
    const answer = await readText(response.data, mostBytes);
    throwIfProxyRefused(response.status, agent);
    const retryAfter: unknown = response.headers['retry-after'];
    return { status: response.status, body: answer, retryAfter: typeof retryAfter === 'string' ? retryAfter : null };
  } catch (error) {
    throw classifyNetworkError(error);
  } finally {
    agent.destroy();
  }
}

/** Bounds the total time of one attempt, however many requests it takes. */
export function withinTime<T>(timeoutMs: number, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return within(
    timeoutMs,
    signal,
    work,
    () =>
      new TryAgain('timed out', 'Check that Slack can be reached from here; the message may have arrived. It is tried again by itself.'),
  );
}
