import { setTimeout as sleep } from 'node:timers/promises';
import type { SinkContext } from '../../sink-type.js';
import type { Words } from '../words/en.js';
import type { SlackSettings } from '../slack.settings.js';
import { type Person, fieldsOf, isUser, mayRead } from './people.js';
import { type PrivateWords, privately, tellPrivately } from './private-words.js';

/** The slash command as somebody typed it. */
export interface Command {
  /** Its own name, by which the manifest calls it: `/channel-sync`. */
  name: string;
  /** All that stands behind it. */
  text: string;
  user: string;
  responseUrl: string | null;
}

/** Slack waits for 3 s. */
const answerWithinMs = 2000;

/** The slash command in what Slack sends; `null` for anything else. */
export function commandOf(payload: unknown): Command | null {
  const { command, text, user_id: user, response_url: url } = fieldsOf(payload);
  if (typeof command !== 'string' || !command.startsWith('/') || !isUser(user)) return null;
  return { name: command, text: typeof text === 'string' ? text : '', user, responseUrl: typeof url === 'string' ? url : null };
}

/** Who has just opened the app's Home tab, by what Slack sends; `null` for anything else. */
export function openedHome(payload: unknown): Person | null {
  const { type, event } = fieldsOf(payload);
  const { type: kind, tab, user } = fieldsOf(event);
  // Whoever has this tab has installed the app.
  return type === 'event_callback' && kind === 'app_home_opened' && tab === 'home' && isUser(user) ? { user, stranger: false } : null;
}

/** Answers the slash command: at once where it can, later by its response_url. */
export class Commands {
  private readonly closing = new AbortController();

  constructor(
    private readonly settings: Pick<SlackSettings, 'READERS' | 'ALLOWED_USERS' | 'API_URL' | 'TIMEOUT_MS'>,
    private readonly texts: Words['clicks'],
    private readonly context: Pick<SinkContext, 'proxies' | 'warn'>,
    private readonly answer: (command: Command) => Promise<PrivateWords>,
  ) {}

  /** @returns the answer, or nothing after two seconds, whatever happens */
  async take(command: Command, isNew: Promise<boolean>): Promise<string | object> {
    const answer = this.answerOf(command, isNew);
    const waiting = new AbortController();
    const inTime = await Promise.race([answer, sleep(answerWithinMs, undefined, { signal: waiting.signal }).catch(() => undefined)]);
    waiting.abort();
    if (inTime === undefined) void answer.then(words => words && this.tell(command, words));
    return inTime ? privately(inTime) : '';
  }

  /** What Slack has not taken by now is dropped. */
  close(): void {
    this.closing.abort();
  }

  /** `null` for what was answered before, here or at another replica. */
  private async answerOf(command: Command, isNew: Promise<boolean>): Promise<PrivateWords | null> {
    try {
      if (!(await isNew)) return null;
      return mayRead(command, this.settings) ? await this.answer(command) : { text: this.texts.notAllowed };
    } catch {
      // Its text may hold anything; what is wrong with the database is logged elsewhere.
      this.context.warn('a slash command could not be answered');
      return { text: this.texts.failed };
    }
  }

  private tell({ responseUrl }: Command, words: PrivateWords): Promise<void> {
    return tellPrivately(responseUrl, words, this.settings, this.context, this.closing.signal);
  }
}
