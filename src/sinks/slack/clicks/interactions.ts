// The path of an interaction, each step calling the next:
// 1. Over HTTP: SlackInteractionsController, then `handle` in payload.ts, which verifies the signature. Over Socket Mode: socket.ts.
// 2. `SinkContext.interaction`, implemented in served-sinks.ts: offers it to every sink until one returns an answer.
// 3. `ReportSink.interaction`, implemented in slack.sink.ts: compares the signing secret or app token with the sink's own.
// 4. `Interactions.take`, below: performs it if it is for this sink.

import { setTimeout as sleep } from 'node:timers/promises';
import { SinkError } from '../../errors.js';
import type { InteractionAnswer } from '../../report-sink.js';
import type { SinkContext } from '../../sink-type.js';
import { type Line, type Message, type RenderContext, bold } from '../card/blocks.js';
import { clean } from '../card/card-text.js';
import { answerTo, findChannels, maxItems } from '../lookup/command.js';
import { detailsView } from '../lookup/details.js';
import { homeView, homeText } from '../lookup/home.js';
import { WebApi, post, withinTime } from '../slack-http.js';
import type { SlackSettings } from '../slack.settings.js';
import { type Interaction, type Person, interactionsOf, mayAct, mayRead } from './payload.js';

/** Slack waits 3 s for an answer. */
const answerTimeoutMs = 2000;

/** A message that only the user who clicked or typed something sees. */
type EphemeralMessage = Pick<Message, 'text'> & Partial<Message>;

/**
 * Performs interactions. Slack waits 3 s for an answer, so `take` returns at once and only commands are answered directly. The message
 * shows the result of a click if it is edited; anything else is sent to the user as an ephemeral message through the payload's response_url,
 * which bots and incoming webhooks both have and which needs no scope.
 */
export class Interactions {
  private readonly running = new Set<Promise<void>>();
  private readonly closing = new AbortController();
  private readonly api: WebApi;

  constructor(
    private readonly settings: SlackSettings,
    private readonly rendering: RenderContext,
    private readonly context: Omit<SinkContext, 'interaction' | 'sdkAppIds'>,
  ) {
    this.api = new WebApi(settings, context);
  }

  /** Takes an authenticated payload. @returns the answer, always in time; `null` if it is not for this sink */
  take(payload: unknown, isNew: Promise<boolean>): Promise<InteractionAnswer> | null {
    const { name } = this.context;
    const isHook = this.settings.WEBHOOK_URL !== undefined;
    const own = interactionsOf(payload).filter(item => (item.sink ?? name) === name && !(isHook && needsBot(item)));
    const [first] = own;
    if (first?.action === 'command') return this.answer(first, this.perform(first, isNew));
    for (const item of own) {
      const done = this.perform(item, isNew)
        .then(reply => this.respond(item, reply))
        .finally(() => this.running.delete(done));
      this.running.add(done);
    }
    return first ? Promise.resolve('') : null;
  }

  /** Waits for running actions; ephemeral messages that Slack has not accepted yet are dropped. */
  async close(): Promise<void> {
    this.closing.abort();
    await Promise.all(this.running);
  }

  private async answer(command: Interaction, reply: Promise<EphemeralMessage | null>): Promise<InteractionAnswer> {
    const inTime = await Promise.race([reply, sleep(answerTimeoutMs, undefined, { ref: false })]);
    if (inTime === undefined) void reply.then(late => this.respond(command, late));
    return inTime ? ephemeral(inTime) : '';
  }

  /** @returns what to tell the user; `null` if something else shows the result, or it was done before, here or by another replica */
  private async perform(item: Interaction, isNew: Promise<boolean>): Promise<EphemeralMessage | null> {
    const { action } = item;
    try {
      // If it is unknown whether this is a repeat, nothing is done, except that Home is shown again.
      return (await (action === 'refresh' ? isNew.catch(() => true) : isNew)) ? await this.act(item) : null;
    } catch {
      // The error's text may contain anything; database errors are logged elsewhere.
      this.context.warn(action === 'command' ? 'a slash command could not be answered' : `a click on ${action} could not be performed`);
      return { text: this.rendering.words.clicks.failed };
    }
  }

  private async act(item: Interaction): Promise<EphemeralMessage | null> {
    const { clicks: texts, lookup } = this.rendering.words;
    const { action, target } = item;
    if (action === 'refresh') return this.showHome(item);
    if (action === 'find') return this.find(item);
    const may = action === 'command' || action === 'details' ? mayRead : mayAct;
    if (!may(item, this.settings)) return { text: texts.notAllowed };
    if (action === 'command') return answerTo(item.command, target, this.context.lookup, this.renderingFor(item));
    if (action === 'details') return this.openDetails(item);
    const done = await this.context.actions[action](target, `slack:${item.user}`);
    if (!done) return { text: texts.nothingLeft[action] };
    const { WEBHOOK_URL, CARDS, ALERTS } = this.settings;
    // A comparison has a message of its own, and only if it corrects something.
    const isEdited = action === 'retry' || action === 'discard' ? CARDS !== 'none' : ALERTS !== 'off' && action !== 'compareNow';
    const isShown = isEdited && !item.inHome && !item.isEphemeral && WEBHOOK_URL === undefined;
    return isShown ? null : { text: `✅ ${lookup.home.done[action](clean(target, 60), Number(done))}` };
  }

  /** Shows a reply where the user clicked: as the first line of Home, or as an ephemeral message. */
  private async respond(item: Interaction, reply: EphemeralMessage | null): Promise<void> {
    if (reply && item.inHome) await this.showHome(item, [[bold(reply.text)]]);
    else if (reply) await this.sendEphemeral(item, reply);
  }

  /** Failures are only logged, and never with the URL: anyone who has it can post in the channel. */
  private async sendEphemeral({ responseUrl }: Interaction, message: EphemeralMessage): Promise<void> {
    const { proxies, warn } = this.context;
    const { API_URL, TIMEOUT_MS } = this.settings;
    if (responseUrl === null || !isSlackUrl(responseUrl, API_URL)) return;
    const request = { url: responseUrl, headers: { 'content-type': 'application/json' }, body: JSON.stringify(ephemeral(message)) };
    try {
      const { status } = await withinTime(TIMEOUT_MS, this.closing.signal, signal => post({ ...request, signal }, proxies));
      if (status >= 300) warn(`a private message to someone who clicked was not accepted by Slack, which answered ${status}`);
    } catch (error) {
      if (error instanceof SinkError) warn(`a private message to someone who clicked could not be sent: ${error.message}`);
    }
  }

  private renderingFor(person: Person): RenderContext {
    return { ...this.rendering, buttons: mayAct(person, this.settings) };
  }

  /** Opens Details; Slack accepts that for three seconds after the click. @throws if Slack refuses, or the lookup fails */
  private async openDetails({ user, target, triggerId }: Interaction): Promise<EphemeralMessage | null> {
    const { lookup, now } = this.context;
    const details = await lookup.change(target);
    if (!details) return { text: this.rendering.words.lookup.details.gone };
    const link = await lookup.link(target, this.settings.LOCALE, `slack:${user}`);
    await this.show('views.open', { trigger_id: triggerId, view: detailsView(details, this.rendering, link, now()) });
    return null;
  }

  private async find(typed: Interaction): Promise<null> {
    const about = typed.target.trim();
    if (about === '' || !mayRead(typed, this.settings)) return this.showHome(typed);
    const { title, lines } = await findChannels(about, this.context.lookup, this.rendering);
    return this.showHome(typed, [[bold(title)], ...lines]);
  }

  /** Renders Home for the user who looks at it. @param outcome the first lines: the result of a click there */
  private async showHome(person: Person, outcome: readonly Line[] = []): Promise<null> {
    const { lookup, now, warn } = this.context;
    const { clicks: texts } = this.rendering.words;
    const draw = async () => {
      if (!mayRead(person, this.settings)) return homeText(texts.notAllowed);
      const queries = [lookup.sinks(), lookup.latestChanges(maxItems), lookup.failedChanges(maxItems + 1)] as const;
      const [sinks, latest, failed] = await Promise.all(queries);
      return homeView({ sinks, latest, failed, outcome }, this.renderingFor(person), now());
    };
    const view = await draw().catch(() => {
      warn('Home could not be drawn');
      return homeText(texts.failed);
    });
    await this.show('views.publish', { user_id: person.user, view }).catch((error: unknown) => {
      if (error instanceof SinkError) warn(`Home could not be shown: ${error.message}`);
    });
    return null;
  }

  private show(method: string, args: object): Promise<unknown> {
    return withinTime(this.settings.TIMEOUT_MS, this.closing.signal, signal => this.api.call(method, args, signal));
  }
}

/** Whether it is from Home, opens a modal or is a slash command; incoming webhooks support none of these. */
function needsBot({ action, inHome }: Interaction): boolean {
  return inHome || action === 'refresh' || action === 'details' || action === 'command';
}

/** In Slack's format: visible to one user only, without replacing the message that was clicked. */
function ephemeral(message: EphemeralMessage): object {
  return { response_type: 'ephemeral', replace_original: false, ...message };
}

/** Whether a response_url belongs to Slack, so that no payload can send us elsewhere. `apiUrl`: another API root, from API_URL. */
export function isSlackUrl(responseUrl: string, apiUrl?: string): boolean {
  if (!URL.canParse(responseUrl)) return false;
  const { origin } = new URL(responseUrl);
  return origin === 'https://hooks.slack.com' || (apiUrl !== undefined && origin === new URL(apiUrl).origin);
}
