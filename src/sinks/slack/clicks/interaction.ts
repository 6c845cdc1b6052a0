import type { Actions } from '../../sink.js';
import type { SlackSettings } from '../slack.settings.js';

/** Who clicked, opened or typed something. */
export interface Person {
  /** The id of the Slack user. */
  user: string;
  /** True if the user is of another workspace than the app: one that shares the channel. */
  stranger: boolean;
}

/** What somebody clicked, opened or typed. */
export interface Interaction extends Person {
  /** A button's name; `refresh` is also that Home was opened, `find` its search field, `command` the slash command. */
  action: keyof Actions | 'refresh' | 'find' | 'details' | 'command';
  /** The name of the Slack sink whose message or Home it was on; `null` for what is of the app as a whole. */
  sink: string | null;
  /** The id of a change (retry, discard, details) or of an app (compareNow), the name of a sink (other buttons), or what was typed. */
  target: string;
  /** By what name the manifest calls the slash command: `/channel-sync`; empty for anything else. */
  command: string;
  /** What lets us open a modal, for three seconds. */
  triggerId: string;
  /** True if it was in Home, where the answer goes, too. */
  inHome: boolean;
  /** Where Slack takes a message for this user alone, for 30 minutes. */
  responseUrl: string | null;
}

const buttonNames: readonly string[] = [
  ...(['retry', 'retryAll', 'discard', 'probe', 'pause', 'resume', 'repair', 'compareNow'] satisfies Interaction['action'][]),
  ...(['refresh', 'details'] satisfies Interaction['action'][]),
];

/** What people did by what Slack sends, whatever else that is or holds: anybody with the app's own tools can make up a value. */
export function interactionsOf(payload: unknown): Interaction[] {
  const { type, command, text, user_id: typist, event, trigger_id: trigger, response_url: url } = fieldsOf(payload);
  const responseUrl = typeof url === 'string' ? url : null;
  // Whoever has Home or the command has installed the app.
  const byApp = { sink: null, stranger: false, command: '', triggerId: String(trigger), inHome: false, responseUrl };
  if (typeof command === 'string' && command.startsWith('/') && isUser(typist))
    return [{ ...byApp, action: 'command', command, target: typeof text === 'string' ? text : '', user: typist }];
  const { type: kind, tab, user } = fieldsOf(event);
  if (type === 'event_callback' && kind === 'app_home_opened' && tab === 'home' && isUser(user))
    return [{ ...byApp, action: 'refresh', target: '', user, inHome: true }];
  return type === 'block_actions' ? clicksOf(fieldsOf(payload), byApp) : [];
}

function clicksOf({ user, team, message, view, actions }: Record<string, unknown>, byApp: Omit<Interaction, 'action' | 'target' | 'user'>) {
  const { id, team_id: homeTeam } = fieldsOf(user);
  const { type: viewType, private_metadata: owner } = fieldsOf(view);
  if (!isUser(id) || !Array.isArray(actions)) return [];
  const teams = [fieldsOf(team)['id'], fieldsOf(message)['team']];
  const stranger = teams.some(one => homeTeam !== undefined && one !== undefined && one !== homeTeam);
  const click = { ...byApp, user: id, stranger, inHome: viewType === 'home' };
  return actions.map(fieldsOf).flatMap(({ action_id: action, value }): Interaction[] => {
    // What is typed has no room for the name of a sink.
    if (action === 'find' && click.inHome && typeof owner === 'string')
      return [{ ...click, action, sink: owner, target: typeof value === 'string' ? value : '' }];
    const [, sink, target] = /^([a-z0-9_]{1,64}):([\w-]{1,64})$/.exec(typeof value === 'string' ? value : '') ?? [];
    if (!buttonNames.includes(String(action)) || sink === undefined || target === undefined) return [];
    return [{ ...click, action: action as Interaction['action'], sink, target }];
  });
}

/** Whether somebody may do what the buttons do. */
export function mayAct({ user, stranger }: Person, { ALLOWED_USERS }: Pick<SlackSettings, 'ALLOWED_USERS'>): boolean {
  return ALLOWED_USERS?.includes(user) ?? !stranger;
}

/** Whether somebody may look things up. */
export function mayRead({ user }: Person, { READERS, ALLOWED_USERS }: Pick<SlackSettings, 'READERS' | 'ALLOWED_USERS'>): boolean {
  return READERS === 'everyone' || ALLOWED_USERS?.includes(user) === true;
}

function isUser(id: unknown): id is string {
  return typeof id === 'string' && /^\w{1,64}$/.test(id);
}

/** What Slack sends may be anything. */
export function fieldsOf(value: unknown): Record<string, unknown> {
  return Object(value) as Record<string, unknown>;
}
