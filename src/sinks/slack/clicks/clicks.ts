import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Proxies } from '../../../outgoing/proxies.js';
import type { Actions } from '../../sink.js';
import type { Headers } from '../../report-sink.js';
import { SinkError } from '../../errors.js';
import type { Words } from '../words/en.js';
import { post, withinTime } from '../slack-http.js';

export type ClickAction = keyof Actions;

/** One click on a button of ours. */
export interface Click {
  action: ClickAction;
  /** The name of the Slack sink whose message it was on. */
  sink: string;
  /** The id of a change (retry, discard) or the name of a sink (pause, resume, repair). */
  value: string;
  /** The id of the Slack user. */
  user: string;
  /** Where Slack takes a private word to this user, for 30 minutes. */
  responseUrl: string | null;
}

const windowSeconds = 300;

/**
 * Slack's v0 signature and its time, if both have their form. What is older than 5 minutes could be a replay; what is from the future by more than that
 * could be replayed for longer.
 * @param headers as Node has them: what was repeated is joined by a comma, which matches neither pattern
 */
export function stampOf(headers: Headers, nowMs: number): { time: string; signature: string } | null {
  const time = headers['x-slack-request-timestamp'];
  const signature = headers['x-slack-signature'];
  if (typeof time !== 'string' || !/^\d{10}$/.test(time)) return null;
  if (typeof signature !== 'string' || !/^v0=[0-9a-f]{64}$/.test(signature)) return null;
  return Math.abs(Math.floor(nowMs / 1000) - Number(time)) > windowSeconds ? null : { time, signature };
}

/** Checks Slack's signature: the HMAC of `v0:<time>:<body>`, in constant time. */
export function isSignedBySlack(body: Buffer, headers: Headers, secret: string, nowMs: number): boolean {
  const stamp = stampOf(headers, nowMs);
  if (!stamp) return false;
  const expected = createHmac('sha256', secret).update(`v0:${stamp.time}:`).update(body).digest();
  return timingSafeEqual(expected, Buffer.from(stamp.signature.slice('v0='.length), 'hex'));
}

/** What a request tells: the JSON in the field `payload` of a form (clicks), or a body of JSON (events); `null` for anything else. */
export function payloadOf(body: string): unknown {
  try {
    return JSON.parse(body.startsWith('{') ? body : (new URLSearchParams(body).get('payload') ?? 'null'));
  } catch {
    return null;
  }
}

/** The ids by which Slack tells what happened once from all else, whichever way and however often it tells it. */
export function idsOf(payload: unknown): string[] {
  const { trigger_id: trigger, event_id: event } = fieldsOf(payload);
  return [trigger, event].filter(id => typeof id === 'string');
}

/** What Slack wants back when it asks whether this address is ours; `null` if it does not ask. */
export function challengeOf(payload: unknown): string | null {
  const { type, challenge } = fieldsOf(payload);
  return type === 'url_verification' && typeof challenge === 'string' ? challenge : null;
}

/** What a button carries: the name of its Slack sink, and what it is about. */
export function buttonValue(sink: string, what: string): string {
  return `${sink}:${what}`;
}

/** What a button of each kind is about. Nothing else goes anywhere: anybody with the app's own tools can make up a value. */
const values: Record<ClickAction, RegExp> = {
  retry: /^[\w-]{1,64}$/,
  discard: /^[\w-]{1,64}$/,
  pause: /^[a-z0-9_]{1,64}$/,
  resume: /^[a-z0-9_]{1,64}$/,
  repair: /^[a-z0-9_]{1,64}$/,
};

/** The clicks on our buttons in a `block_actions` payload, whatever else it is or holds. */
export function clicksOf(payload: unknown): Click[] {
  const { type, user, actions, response_url: url } = fieldsOf(payload);
  const { id } = fieldsOf(user);
  if (type !== 'block_actions' || typeof id !== 'string' || !/^\w{1,64}$/.test(id) || !Array.isArray(actions)) return [];
  return actions.map(fieldsOf).flatMap(({ action_id: action, value }) => {
    const [, sink, what] = /^([a-z0-9_]{1,64}):([^]*)$/.exec(typeof value === 'string' ? value : '') ?? [];
    if (!isOurs(action) || sink === undefined || !values[action].test(what!)) return [];
    return [{ action, sink, value: what!, user: id, responseUrl: typeof url === 'string' ? url : null }];
  });
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function isOurs(action: unknown): action is ClickAction {
  return typeof action === 'string' && Object.hasOwn(values, action);
}

/** Whether a response_url may be called, so that no payload can send us elsewhere. `apiUrl` is another API root, of Slack's place in tests. */
export function isSlacks(responseUrl: string, apiUrl?: string): boolean {
  if (!URL.canParse(responseUrl)) return false;
  const { origin } = new URL(responseUrl);
  return origin === 'https://hooks.slack.com' || (apiUrl !== undefined && origin === new URL(apiUrl).origin);
}

export interface ClickOptions {
  /** The sink's name: clicks on messages of others are theirs. */
  sink: string;
  /** Ids of Slack users; none: everybody. */
  allowedUsers: readonly string[];
  texts: Words['clicks'];
  /** Another API root, whose host may take private words, too. */
  apiUrl: string | undefined;
  timeoutMs: number;
  proxies: Proxies;
}

/**
 * Does what people click. Slack waits 3 s for an answer, so that nothing is done before it: `take` returns at once. The card itself shows what
 * became of a click; only what it cannot show is told to the one who clicked, by the payload's response_url, which cards of bots and of incoming
 * webhooks both have and which needs no scope.
 */
export class Clicks {
  private readonly underWay = new Set<Promise<void>>();
  private readonly closing = new AbortController();

  constructor(
    private readonly options: ClickOptions,
    private readonly actions: Actions,
    private readonly warn: (message: string) => void,
  ) {}

  /** Takes an interaction from Slack whose sender is known to be Slack. */
  take(payload: unknown, isNew: Promise<boolean>): void {
    for (const click of clicksOf(payload)) {
      if (click.sink !== this.options.sink) continue;
      const done = this.perform(click, isNew).finally(() => this.underWay.delete(done));
      this.underWay.add(done);
    }
  }

  /** Waits until all that was clicked is done; private words that Slack has not taken by now are dropped. */
  async close(): Promise<void> {
    this.closing.abort();
    await Promise.all(this.underWay);
  }

  private async perform(click: Click, isNew: Promise<boolean>): Promise<void> {
    const { allowedUsers, texts } = this.options;
    try {
      // Nothing is done where nobody knows whether it was done before.
      if (!(await isNew)) return;
      if (allowedUsers.length > 0 && !allowedUsers.includes(click.user)) return await this.tell(click, texts.notAllowed);
      const done = await this.actions[click.action](click.value, `slack:${click.user}`);
      if (!done) await this.tell(click, texts.nothingLeft[click.action]);
    } catch {
      // Its text may hold anything; the database tells its own troubles to the log.
      this.warn(`a click on ${click.action} could not be performed`);
      await this.tell(click, texts.failed);
    }
  }

  private async tell({ responseUrl }: Click, text: string): Promise<void> {
    if (responseUrl === null || !isSlacks(responseUrl, this.options.apiUrl)) return;
    const message = JSON.stringify({ response_type: 'ephemeral', replace_original: false, text });
    const headers = { 'content-type': 'application/json' };
    try {
      const { status } = await withinTime(this.options.timeoutMs, this.closing.signal, signal =>
        post(responseUrl, message, headers, { signal, proxies: this.options.proxies }),
      );
      if (status >= 300) this.warn(`Slack did not take a private word to someone who clicked: it answered ${status}`);
    } catch (error) {
      // Never the URL itself: whoever has it can write in the channel.
      if (error instanceof SinkError) this.warn(`a private word to someone who clicked did not reach Slack: ${error.message}`);
    }
  }
}
