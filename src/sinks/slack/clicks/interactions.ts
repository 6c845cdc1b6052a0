import { setTimeout as sleep } from 'node:timers/promises';
import type { RichTextElement } from '@slack/types';
import { SinkError } from '../../errors.js';
import type { InteractionAnswer } from '../../report-sink.js';
import type { Actions } from '../../sink.js';
import type { SinkContext } from '../../sink-type.js';
import { type RenderContext, text } from '../card/blocks.js';
import { clean } from '../card/card-text.js';
import { answerTo, found } from '../lookup/command.js';
import { detailsView } from '../lookup/details.js';
import { homeView, homeWord, mostChanges } from '../lookup/home.js';
import { callApi, withinTime } from '../slack-http.js';
import type { SlackSettings } from '../slack.settings.js';
import { type Interaction, type Person, interactionsOf, mayAct, mayRead } from './interaction.js';
import { type PrivateWords, privately, tellPrivately } from './private-words.js';

/** Slack waits for 3 s. */
const answerWithinMs = 2000;

/** Whether it is on Home, opens a window or is a command, none of which an incoming webhook has. */
function needsBot({ action, inHome }: Interaction): boolean {
  return inHome || action === 'refresh' || action === 'details' || action === 'command';
}

/**
 * Does what people click, open and type. Slack waits 3 s for an answer, so that nothing but a command is done before it: `take` returns at once. The card
 * itself shows what became of a click; only what it cannot show is said to the one who clicked alone, by the payload's response_url, which cards of bots
 * and of incoming webhooks both have and which needs no scope.
 */
export class Interactions {
  private readonly underWay = new Set<Promise<void>>();
  private readonly closing = new AbortController();

  constructor(
    private readonly settings: SlackSettings,
    private readonly rendering: RenderContext,
    private readonly context: Omit<SinkContext, 'interaction' | 'sdkAppIds'>,
  ) {}

  /** Takes what Slack is known to have sent. @returns the answer, in time whatever happens; `null` if it is not for this sink */
  take(payload: unknown, isNew: Promise<boolean>): Promise<InteractionAnswer> | null {
    const { name } = this.context;
    const isHook = this.settings.WEBHOOK_URL !== undefined;
    const own = interactionsOf(payload).filter(one => (one.sink ?? name) === name && !(isHook && needsBot(one)));
    const [first] = own;
    if (first?.action === 'command') return this.answer(first, isNew);
    for (const one of own) {
      const done = this.perform(one, isNew).finally(() => this.underWay.delete(done));
      this.underWay.add(done);
    }
    return first ? Promise.resolve('') : null;
  }

  /** Waits until all that was clicked is done; what Slack has not taken by now of what people are told is dropped. */
  async close(): Promise<void> {
    this.closing.abort();
    await Promise.all(this.underWay);
  }

  private async answer(command: Interaction, isNew: Promise<boolean>): Promise<InteractionAnswer> {
    const answer = this.answerOf(command, isNew);
    const waiting = new AbortController();
    const inTime = await Promise.race([answer, sleep(answerWithinMs, undefined, { signal: waiting.signal }).catch(() => undefined)]);
    waiting.abort();
    if (inTime === undefined) void answer.then(words => words && this.tellPrivately(command, words));
    return inTime ? privately(inTime) : '';
  }

  /** `null` for what was answered before, here or at another replica. */
  private async answerOf(typed: Interaction, isNew: Promise<boolean>): Promise<PrivateWords | null> {
    const { words } = this.rendering;
    try {
      if (!(await isNew)) return null;
      if (!mayRead(typed, this.settings)) return { text: words.clicks.notAllowed };
      return await answerTo(typed.command, typed.target, this.context.lookup, this.seenBy(typed));
    } catch {
      // Its text may hold anything; what is wrong with the database is logged elsewhere.
      this.context.warn('a slash command could not be answered');
      return { text: words.clicks.failed };
    }
  }

  private async perform(one: Interaction, isNew: Promise<boolean>): Promise<void> {
    try {
      // Nothing is done where nobody knows whether it was done before; Home is shown once more.
      if (!(await (one.action === 'refresh' ? isNew.catch(() => true) : isNew))) return;
      const instead = await this.act(one);
      if (instead !== null) await this.tell(one, instead);
    } catch {
      this.context.warn(`a click on ${one.action} could not be performed`);
      await this.tell(one, this.rendering.words.clicks.failed);
    }
  }

  /** @returns what is to be said where nothing else shows it */
  private async act(one: Interaction): Promise<string | null> {
    const { action } = one;
    if (action === 'command') return null;
    if (action === 'refresh') return this.showHome(one);
    if (action === 'find') return this.find(one);
    if (action !== 'details') return this.press(one, action);
    return mayRead(one, this.settings) ? this.openDetails(one) : this.rendering.words.clicks.notAllowed;
  }

  private async press(one: Interaction, action: keyof Actions): Promise<string | null> {
    const { clicks: texts, lookup } = this.rendering.words;
    if (!mayAct(one, this.settings)) return texts.notAllowed;
    const done = await this.context.actions[action](one.target, `slack:${one.user}`);
    if (!done) return texts.nothingLeft[action];
    return one.inHome ? `✅ ${lookup.home.done[action](clean(one.target, 60), Number(done))}` : null;
  }

  /** Where it was clicked: as the first line of Home, or unseen by others. What a message shows itself is not said. */
  private async tell(one: Interaction, words: string): Promise<void> {
    if (one.inHome) await this.showHome(one, [[text(words, { bold: true })]]);
    else await this.tellPrivately(one, { text: words });
  }

  private tellPrivately({ responseUrl }: Interaction, words: PrivateWords): Promise<void> {
    return tellPrivately(responseUrl, words, this.settings, this.context, this.closing.signal);
  }

  private seenBy(person: Person): RenderContext {
    return { ...this.rendering, buttons: mayAct(person, this.settings) };
  }

  /** Opens Details: Slack takes them for three seconds after the click. @throws if Slack does not, or nothing can be looked up */
  private async openDetails({ user, target, triggerId }: Interaction): Promise<string | null> {
    const { lookup, now } = this.context;
    const details = await lookup.change(target);
    if (!details) return this.rendering.words.lookup.details.gone;
    const link = await lookup.link(target, this.settings.LOCALE, `slack:${user}`);
    await this.show('views.open', { trigger_id: triggerId, view: detailsView(details, this.rendering, link, now()) });
    return null;
  }

  /** Shows Home with the channels that match what was typed there. */
  private async find(typed: Interaction): Promise<null> {
    const about = typed.target.trim();
    if (about === '' || !mayRead(typed, this.settings)) return this.showHome(typed);
    const { title, lines } = await found(about, this.context.lookup, this.rendering);
    return this.showHome(typed, [[text(title, { bold: true })], ...lines]);
  }

  /** Draws Home anew for who looks at it. @param outcome of a click there, its first lines */
  private async showHome(person: Person, outcome: RichTextElement[][] = []): Promise<null> {
    const { lookup, now, warn } = this.context;
    const { clicks: texts } = this.rendering.words;
    const draw = async () => {
      if (!mayRead(person, this.settings)) return homeWord(texts.notAllowed);
      const asked = [lookup.sinks(), lookup.latestChanges(mostChanges), lookup.failedChanges(mostChanges + 1)] as const;
      const [sinks, latest, failed] = await Promise.all(asked);
      return homeView({ sinks, latest, failed, outcome }, this.seenBy(person), now());
    };
    const view = await draw().catch(() => {
      warn('Home could not be drawn');
      return homeWord(texts.failed);
    });
    await this.show('views.publish', { user_id: person.user, view }).catch((error: unknown) => {
      if (error instanceof SinkError) warn(`Home could not be shown: ${error.message}`);
    });
    return null;
  }

  private show(method: string, args: object): Promise<unknown> {
    return withinTime(this.settings.TIMEOUT_MS, this.closing.signal, signal => callApi(method, args, this.settings, this.context, signal));
  }
}
