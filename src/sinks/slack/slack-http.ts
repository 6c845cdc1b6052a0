import { agentFor } from '../../outgoing/agents.js';
import { parseJson } from '../../outgoing/http.js';
import type { Proxies } from '../../outgoing/proxies.js';
import { withResponse } from '../../outgoing/response.js';
import { type Answer, exchange } from '../../outgoing/send.js';
import { within } from '../../outgoing/within.js';
import { TryAgain } from '../errors.js';
import type { SinkContext } from '../sink-type.js';
import { type Message, withoutImage } from './card/blocks.js';
import { ImageRefused, classifyApiAnswer } from './slack-errors.js';
import type { SlackSettings } from './slack.settings.js';

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

type ApiSettings = Pick<SlackSettings, 'BOT_TOKEN' | 'API_URL'>;
type ApiContext = Pick<SinkContext, 'now' | 'proxies' | 'clean'>;

/** Calls a method of the Web API. @throws SinkError unless Slack says that it is done */
export async function callApi<T>(
  method: string,
  args: object,
  settings: ApiSettings,
  context: ApiContext,
  signal: AbortSignal,
): Promise<T> {
  return parseJson((await askApi(method, args, settings, context, signal)).body) as T;
}

/** As `callApi`. @returns the whole answer */
export async function askApi(
  method: string,
  args: object,
  { BOT_TOKEN, API_URL = 'https://slack.com/api' }: ApiSettings,
  context: ApiContext,
  signal: AbortSignal,
): Promise<Answer> {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(args)) form.set(name, typeof value === 'string' ? value : JSON.stringify(value));
  const headers = { authorization: `Bearer ${BOT_TOKEN}`, 'content-type': 'application/x-www-form-urlencoded' };
  return postToApi(`${API_URL.replace(/\/$/, '')}/${method}`, form.toString(), headers, context, signal);
}

/** Posts to the Web API. @returns what it answers to a call that is done */
export async function postToApi(
  url: string,
  body: string,
  headers: Record<string, string>,
  { now, proxies, clean }: ApiContext,
  signal: AbortSignal,
): Promise<Answer> {
  const answer = await post(url, body, headers, signal, proxies);
  const error = classifyApiAnswer(answer, now());
  if (error) throw withResponse(error, answer, clean);
  return answer;
}

/** Bounds the total time of one attempt, however many requests it takes. */
export function withinTime<T>(timeoutMs: number, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return within(timeoutMs, signal, work, () => new TryAgain(['timed_out'], ['slack_slow']));
}

/** Sends a message, once more without its image if that may be what Slack did not like. @returns also whether it went without */
export async function sendMessage<T>(message: Message, send: (one: Message) => Promise<T>): Promise<{ answer: T; imageless: boolean }> {
  try {
    return { answer: await send(message), imageless: false };
  } catch (error) {
    const imageless = error instanceof ImageRefused ? withoutImage(message) : null;
    if (!imageless) throw error;
    return { answer: await send(imageless), imageless: true };
  }
}
