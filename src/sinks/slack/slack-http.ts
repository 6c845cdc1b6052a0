import { agentFor } from '../../outgoing/agents.js';
import { parseJson } from '../../outgoing/http.js';
import type { Proxies } from '../../outgoing/proxies.js';
import { type Answer, type OutgoingRequest, exchange, withResponse } from '../../outgoing/send.js';
import { within } from '../../outgoing/within.js';
import { TryAgain } from '../errors.js';
import type { SinkContext } from '../sink-type.js';
import { type Message, withoutImage } from './card/blocks.js';
import { ImageRefused, classifyApiAnswer } from './slack-errors.js';
import type { SlackSettings } from './slack.settings.js';

/** Limit for one response. The largest are the latest messages of a channel, up to about 60 kB each. */
const maxResponseBytes = 8 * 1024 * 1024;

type Post = Pick<OutgoingRequest, 'url' | 'headers' | 'body' | 'signal'>;

/** Sends one POST on a new connection: reusing one that Slack has just closed could post a card twice. */
export async function post(request: Post, proxies: Proxies): Promise<Answer> {
  const agent = agentFor(request.url, proxies, { keepAlive: false });
  try {
    return await exchange({ ...request, method: 'POST', agent }, maxResponseBytes);
  } finally {
    agent.destroy();
  }
}

type ApiContext = Pick<SinkContext, 'now' | 'proxies' | 'clean'>;

/** The Web API, called with the sink's bot token. */
export class WebApi {
  constructor(
    private readonly settings: Pick<SlackSettings, 'BOT_TOKEN' | 'API_URL'>,
    private readonly context: ApiContext,
  ) {}

  /** Calls a method. @throws SinkError unless Slack reports success */
  async call<T>(method: string, args: object, signal: AbortSignal): Promise<T> {
    return parseJson((await this.ask(method, args, signal)).body) as T;
  }

  /** Like `call`. @returns the whole HTTP answer */
  ask(method: string, args: object, signal: AbortSignal): Promise<Answer> {
    const { BOT_TOKEN, API_URL = 'https://slack.com/api' } = this.settings;
    const url = `${API_URL.replace(/\/$/, '')}/${method}`;
    const form = new URLSearchParams();
    for (const [name, value] of Object.entries(args)) form.set(name, typeof value === 'string' ? value : JSON.stringify(value));
    const headers = { authorization: `Bearer ${BOT_TOKEN}`, 'content-type': 'application/x-www-form-urlencoded' };
    return postToApi({ url, headers, body: form.toString(), signal }, this.context);
  }
}

/** Posts to the Web API. @returns the answer of a successful call @throws SinkError unless Slack reports success */
export async function postToApi(request: Post, { now, proxies, clean }: ApiContext): Promise<Answer> {
  const answer = await post(request, proxies);
  const error = classifyApiAnswer(answer, now());
  if (error) throw withResponse(error, answer, clean);
  return answer;
}

/** Limits the total time of one attempt, across all its requests. */
export function withinTime<T>(timeoutMs: number, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return within(timeoutMs, signal, work, () => new TryAgain(['timed_out'], ['slack_slow']));
}

/** Sends a message; if Slack may have refused its image, sends it again without. @returns also whether the image was left out */
export async function sendMessage<T>(
  message: Message,
  send: (variant: Message) => Promise<T>,
  countCall?: () => void,
): Promise<{ answer: T; imageless: boolean }> {
  try {
    return { answer: await send(message), imageless: false };
  } catch (error) {
    const imageless = error instanceof ImageRefused ? withoutImage(message) : null;
    if (!imageless) throw error;
    countCall?.();
    return { answer: await send(imageless), imageless: true };
  }
}
