import type { SlackSettings } from '../slack.settings.js';

/** Who clicked or typed something. */
export interface Person {
  /** The id of the Slack user. */
  user: string;
  /** True if the user is of another workspace than the app: one that shares the channel. */
  stranger: boolean;
}

/** Whether somebody may do what the buttons do. */
export function mayAct({ user, stranger }: Person, { ALLOWED_USERS }: Pick<SlackSettings, 'ALLOWED_USERS'>): boolean {
  return ALLOWED_USERS?.includes(user) ?? !stranger;
}

/** Whether somebody may look things up. */
export function mayRead(
  { user }: Pick<Person, 'user'>,
  { READERS, ALLOWED_USERS }: Pick<SlackSettings, 'READERS' | 'ALLOWED_USERS'>,
): boolean {
  return READERS === 'everyone' || ALLOWED_USERS?.includes(user) === true;
}

export function isUser(id: unknown): id is string {
  return typeof id === 'string' && /^\w{1,64}$/.test(id);
}

/** What Slack sends may be anything. */
export function fieldsOf(value: unknown): Record<string, unknown> {
  return Object(value) as Record<string, unknown>;
}
