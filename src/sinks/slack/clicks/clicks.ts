import { createHmac, timingSafeEqual } from 'node:crypto';
import { parsed } from '../../../outgoing/http.js';
import type { Actions } from '../../sink.js';
import type { SinkContext } from '../../sink-type.js';
import type { Headers } from '../../report-sink.js';
import type { DetailsModal } from '../lookup/details-modal.js';
import type { HomeTab } from '../lookup/home-tab.js';
import type { Words } from '../words/en.js';
import { text } from '../card/blocks.js';
import type { SlackSettings } from '../slack.settings.js';
import { openedHome } from './commands.js';
import { type Person, fieldsOf, isUser, mayAct, mayRead } from './people.js';
import { tellPrivately } from './private-words.js';

/** One click on a button of ours. */
export interface Click extends Person {
  action: keyof Actions | 'refresh' | 'find' | 'details';
  /** The name of the Slack sink whose message it was on. */
  sink: string;
  /** The id of a change (retry, discard), the name of a sink (all others), or what was typed (find). */
  target: string;
  /** What lets us open a modal, for three seconds. */
  triggerId: string;
  /** True if it was in Home, where the answer goes, too. */
  home: boolean;
  /** Where Slack takes a message for this user alone, for 30 minutes. */
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

/** What a request says: a body of JSON (events), the JSON in the field `payload` of a form (clicks), or the form itself (commands); `null` for anything else. */
export function payloadOf(body: string): unknown {
  if (body.startsWith('{')) return parsed(body) ?? null;
  const form = new URLSearchParams(body);
  return form.has('command') ? Object.fromEntries(form) : (parsed(form.get('payload') ?? '') ?? null);
}

/** The ids that Slack gives to what happened once, whichever way and however often it reports it. */
export function idsOf(payload: unknown): string[] {
  const { trigger_id: trigger, event_id: event } = fieldsOf(payload);
  return [trigger, event].filter(id => typeof id === 'string');
}

/** What Slack wants back when it asks whether this address is ours; `null` if it does not ask. */
export function challengeOf(payload: unknown): string | null {
  const { type, challenge } = fieldsOf(payload);
  return type === 'url_verification' && typeof challenge === 'string' ? challenge : null;
}

const actionNames: readonly string[] = [
  ...([
    'retry',
    'retryAll',
    'discard',
    'probe',
    'pause',
    'resume',
    'repair',
    'compareNow',
    'refresh',
    'details',
  ] satisfies Click['action'][]),
];

/** The clicks on our buttons in a `block_actions` payload, whatever else it is or holds: anybody with the app's own tools can make up a value. */
export function clicksOf(payload: unknown): Click[] {
  const { type, user, team, message, view, actions, trigger_id: trigger, response_url: url } = fieldsOf(payload);
  const { id, team_id: homeTeam } = fieldsOf(user);
  const { type: viewType, private_metadata: owner } = fieldsOf(view);
  if (type !== 'block_actions' || !isUser(id) || !Array.isArray(actions)) return [];
  const stranger = [fieldsOf(team)['id'], fieldsOf(message)['team']].some(
    one => homeTeam !== undefined && one !== undefined && one !== homeTeam,
  );
  const person = {
    user: id,
    stranger,
    triggerId: String(trigger),
    home: viewType === 'home',
    responseUrl: typeof url === 'string' ? url : null,
  };
  return actions.map(fieldsOf).flatMap(({ action_id: action, value }): Click[] => {
    // What is typed has no room for the name of a sink.
    if (action === 'find' && person.home && typeof owner === 'string')
      return [{ action, sink: owner, target: typeof value === 'string' ? value : '', ...person }];
    const [, sink, target] = /^([a-z0-9_]{1,64}):([\w-]{1,64})$/.exec(typeof value === 'string' ? value : '') ?? [];
    if (!actionNames.includes(String(action)) || sink === undefined || target === undefined) return [];
    return [{ action: action as keyof Actions | 'refresh' | 'details', sink, target, ...person }];
  });
}

/** Whether it is on Home or opens a window, neither of which an incoming webhook has: only a made-up click can be that. */
function needsBot({ action, home }: Click): boolean {
  return home || action === 'refresh' || action === 'details';
}

/**
 * Does what people click. Slack waits 3 s for an answer, so that nothing is done before it: `take` returns at once. The card itself shows what
 * became of a click; only what it cannot show is said to the one who clicked alone, by the payload's response_url, which cards of bots and of incoming
 * webhooks both have and which needs no scope.
 */
export class Clicks {
  private readonly underWay = new Set<Promise<void>>();
  private readonly closing = new AbortController();

  constructor(
    private readonly settings: Pick<SlackSettings, 'WEBHOOK_URL' | 'ALLOWED_USERS' | 'READERS' | 'API_URL' | 'TIMEOUT_MS'>,
    private readonly texts: Words['clicks'],
    private readonly context: Pick<SinkContext, 'name' | 'actions' | 'proxies' | 'warn'>,
    private readonly home: Pick<HomeTab, 'show' | 'find' | 'tellDone'>,
    private readonly details: Pick<DetailsModal, 'open'>,
  ) {}

  /** Takes an interaction whose sender is known to be Slack. @returns whether it was clicked on a message or view of this sink */
  take(payload: unknown, isNew: Promise<boolean>): boolean {
    const { WEBHOOK_URL } = this.settings;
    const own = clicksOf(payload).filter(click => click.sink === this.context.name && !(WEBHOOK_URL !== undefined && needsBot(click)));
    for (const click of own) this.begin(this.perform(click, isNew));
    return own.length > 0;
  }

  /** Shows Home to who has opened it. @returns whether somebody has */
  opened(payload: unknown, isNew: Promise<boolean>): boolean {
    const person = openedHome(payload);
    if (person) this.begin(this.showHome(person, isNew));
    return person !== null;
  }

  private begin(work: Promise<void>): void {
    const done = work.finally(() => this.underWay.delete(done));
    this.underWay.add(done);
  }

  private async showHome(person: Person, isNew: Promise<boolean>): Promise<void> {
    // Where nobody knows whether it was shown before it is shown once more.
    if (await isNew.catch(() => true)) await this.home.show(person, this.closing.signal);
  }

  /** Waits until all that was clicked is done; messages to who clicked that Slack has not taken by now are dropped. */
  async close(): Promise<void> {
    this.closing.abort();
    await Promise.all(this.underWay);
  }

  private async perform(click: Click, isNew: Promise<boolean>): Promise<void> {
    const { actions, warn } = this.context;
    try {
      // Nothing is done where nobody knows whether it was done before.
      if (!(await isNew)) return;
      if (click.action === 'refresh') return await this.home.show(click, this.closing.signal);
      if (click.action === 'find') return await this.home.find(click, click.target, this.closing.signal);
      if (click.action === 'details') return await this.open(click);
      if (!mayAct(click, this.settings)) return await this.answer(click, this.texts.notAllowed);
      const done = await actions[click.action](click.target, `slack:${click.user}`);
      if (!done) return await this.answer(click, this.texts.nothingLeft[click.action]);
      if (click.home) await this.home.tellDone(click, click.action, click.target, Number(done), this.closing.signal);
    } catch {
      // Its text may hold anything; what is wrong with the database is logged elsewhere.
      warn(`a click on ${click.action} could not be performed`);
      await this.answer(click, this.texts.failed);
    }
  }

  private async open(click: Click): Promise<void> {
    const instead = mayRead(click, this.settings)
      ? await this.details.open(click, click.target, click.triggerId, this.closing.signal)
      : this.texts.notAllowed;
    if (instead !== null) await this.answer(click, instead);
  }

  /** Where it was clicked: as the first line of Home, or unseen by others. What a message shows itself is not said. */
  private answer(click: Click, words: string): Promise<void> {
    if (click.home) return this.home.show(click, this.closing.signal, [[text(words, { bold: true })]]);
    return tellPrivately(click.responseUrl, { text: words }, this.settings, this.context, this.closing.signal);
  }
}
