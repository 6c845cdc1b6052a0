import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { parseJson } from '../../../outgoing/http.js';
import type { InteractionHandler } from '../../report-sink.js';
import type { SinkContext } from '../../sink-type.js';
import type { ButtonName } from '../card/blocks.js';
import type { SlackSettings } from '../slack.settings.js';
import { en } from '../words/en.js';

const windowSeconds = 300;

/** Accepts HTTP requests signed with the app's signing secret. */
export function interactionHandlerOf(secret: string, { now, interaction }: Pick<SinkContext, 'now' | 'interaction'>): InteractionHandler {
  return {
    accepts: headers => stampOf(headers, now()) !== null,
    handle: (body, headers) => {
      if (!isSignedBySlack(body, headers, secret, now())) return null;
      const payload = payloadOf(body.toString());
      const answer = interaction(payload, secret, [String(headers['x-slack-signature']), ...idsOf(payload)]);
      // Slack verifies the request URL by a challenge.
      const { type, challenge } = fieldsOf(payload);
      return type === 'url_verification' && typeof challenge === 'string' ? Promise.resolve(challenge) : answer;
    },
  };
}

/**
 * Time and v0 signature from the headers; `null` if malformed or more than 5 minutes off. An older request may be a replay;
 * one from the future could be replayed for longer.
 * @param headers as Node has them: repeated ones are joined by a comma, which matches neither pattern
 */
function stampOf(headers: IncomingHttpHeaders, nowMs: number): { time: string; signature: string } | null {
  const time = headers['x-slack-request-timestamp'];
  const signature = headers['x-slack-signature'];
  if (typeof time !== 'string' || !/^\d{10}$/.test(time)) return null;
  if (typeof signature !== 'string' || !/^v0=[0-9a-f]{64}$/.test(signature)) return null;
  return Math.abs(Math.floor(nowMs / 1000) - Number(time)) > windowSeconds ? null : { time, signature };
}

/** Checks Slack's signature: the HMAC of `v0:<time>:<body>`, in constant time. */
export function isSignedBySlack(body: Buffer, headers: IncomingHttpHeaders, secret: string, nowMs: number): boolean {
  const stamp = stampOf(headers, nowMs);
  if (!stamp) return false;
  const expected = createHmac('sha256', secret).update(`v0:${stamp.time}:`).update(body).digest();
  return timingSafeEqual(expected, Buffer.from(stamp.signature.slice('v0='.length), 'hex'));
}

/** Parses a body: JSON (events), JSON in the form field `payload` (clicks), or a form (commands); `null` for anything else. */
export function payloadOf(body: string): unknown {
  if (body.startsWith('{')) return parseJson(body) ?? null;
  const form = new URLSearchParams(body);
  return form.has('command') ? Object.fromEntries(form) : (parseJson(form.get('payload') ?? '') ?? null);
}

/** Slack's ids of an interaction or event: the same for every delivery of it, over HTTP and Socket Mode. */
export function idsOf(payload: unknown): string[] {
  const { trigger_id: trigger, event_id: event } = fieldsOf(payload);
  return [trigger, event].filter(id => typeof id === 'string');
}

export interface Person {
  user: string;
  /** True if the user is from another workspace than the app's, in a shared channel. */
  stranger: boolean;
}

/** A click, an opened Home tab, a search or a slash command. */
export interface Interaction extends Person {
  /** The button's name, `refresh` also when Home is opened; `find` for its search field, `command` for the slash command. */
  action: ButtonName | 'find' | 'command';
  /** The Slack sink whose message or Home it was on; `null` if it concerns the app as a whole. */
  sink: string | null;
  /** Id of a change (retry, discard, details) or of an app (compareNow), name of a sink (other buttons), or the typed text. */
  target: string;
  /** The slash command as named in the manifest, such as `/channel-sync`; empty for other actions. */
  command: string;
  /** Needed to open a modal; valid for three seconds. */
  triggerId: string;
  /** True if it was in Home; the result is shown there too. */
  inHome: boolean;
  /** True if it was on a message that only this user sees, such as the answer to a command. */
  isEphemeral: boolean;
  /** Accepts ephemeral messages to this user for 30 minutes. */
  responseUrl: string | null;
}

const buttonNames = new Set(Object.keys(en.buttons));

/** The interactions in a payload. Every value is validated: users can forge them with the app's own tools. */
export function interactionsOf(payload: unknown): Interaction[] {
  const { type, command, text, user_id: typist, event, trigger_id: trigger, response_url: url } = fieldsOf(payload);
  const responseUrl = typeof url === 'string' ? url : null;
  // Home and the command exist only where the app is installed.
  const where = { inHome: false, isEphemeral: false, responseUrl };
  const byApp = { sink: null, stranger: false, command: '', triggerId: typeof trigger === 'string' ? trigger : '', ...where };
  if (typeof command === 'string' && command.startsWith('/') && isUser(typist))
    return [{ ...byApp, action: 'command', command, target: typeof text === 'string' ? text : '', user: typist }];
  const { type: kind, tab, user } = fieldsOf(event);
  if (type === 'event_callback' && kind === 'app_home_opened' && tab === 'home' && isUser(user))
    return [{ ...byApp, action: 'refresh', target: '', user, inHome: true }];
  return type === 'block_actions' ? clicksOf(fieldsOf(payload), byApp) : [];
}

type ByApp = Omit<Interaction, 'action' | 'target' | 'user'>;

function clicksOf({ user, team, message, container, view, actions }: Record<string, unknown>, byApp: ByApp): Interaction[] {
  const { id, team_id: homeTeam } = fieldsOf(user);
  const { type: viewType, private_metadata: owner } = fieldsOf(view);
  if (!isUser(id) || !Array.isArray(actions)) return [];
  const teams = [fieldsOf(team)['id'], fieldsOf(message)['team']];
  const stranger = teams.some(one => homeTeam !== undefined && one !== undefined && one !== homeTeam);
  const isEphemeral = fieldsOf(container)['is_ephemeral'] === true;
  const click = { ...byApp, user: id, stranger, inHome: viewType === 'home', isEphemeral };
  return actions.map(fieldsOf).flatMap(({ action_id: action, value }): Interaction[] => {
    // A typed value carries no sink name; the view's metadata does.
    const content = typeof value === 'string' ? value : '';
    if (action === 'find' && click.inHome && typeof owner === 'string') return [{ ...click, action, sink: owner, target: content }];
    const [, sink, target] = /^([a-z0-9_]{1,255}):([\w-]{1,255})$/.exec(content) ?? [];
    if (!buttonNames.has(action as string) || sink === undefined || target === undefined) return [];
    return [{ ...click, action: action as Interaction['action'], sink, target }];
  });
}

/** Whether the user may use the action buttons. */
export function mayAct({ user, stranger }: Person, { ALLOWED_USERS }: Pick<SlackSettings, 'ALLOWED_USERS'>): boolean {
  return ALLOWED_USERS?.includes(user) ?? !stranger;
}

/** Whether the user may look things up. */
export function mayRead({ user }: Person, { READERS, ALLOWED_USERS }: Pick<SlackSettings, 'READERS' | 'ALLOWED_USERS'>): boolean {
  return READERS === 'everyone' || ALLOWED_USERS?.includes(user) === true;
}

function isUser(id: unknown): id is string {
  return typeof id === 'string' && /^\w{1,64}$/.test(id);
}

/** Reads fields of an untrusted value. */
function fieldsOf(value: unknown): Record<string, unknown> {
  return Object(value) as Record<string, unknown>;
}
