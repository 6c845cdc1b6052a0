import { agentFor } from '../../outgoing/agents.js';
import type { Proxies } from '../../outgoing/proxies.js';
import { type Answer, exchange } from '../../outgoing/send.js';
import { within } from '../../outgoing/within.js';
import { TryAgain } from '../errors.js';

/** As much of an answer as is read: Slack's are a word, a message sent back, or the newest messages of a channel, each of up to some 60 kB. */
const mostBytes = 8 * 1024 * 1024;

/** One POST. The connection is not kept, since one that the other side just closed would cost a card sent twice. */
export async function post(
  url: string,
  body: string,
  headers: Record<string, string>,
  signal: AbortSignal,
  proxies: Proxies,
): Promise<Answer> {
  const agent = agentFor(url, proxies, { keepAlive: false });
  try {
    return await exchange({ method: 'POST', url, headers, body, agent, signal }, mostBytes);
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
