import type { HomeView, RichTextElement } from '@slack/types';
import { SinkError } from '../../errors.js';
import type { Actions } from '../../sink.js';
import type { SinkContext } from '../../sink-type.js';
import { type RenderContext, text } from '../card/blocks.js';
import { clean } from '../card/card-text.js';
import { type Person, mayAct, mayRead } from '../clicks/people.js';
import { callApi, withinTime } from '../slack-http.js';
import type { SlackSettings } from '../slack.settings.js';
import { found } from './command.js';
import { homeView, homeWord, mostChanges } from './home.js';

/** The app's Home tab, drawn anew for each person who looks at it. */
export class HomeTab {
  constructor(
    private readonly settings: SlackSettings,
    private readonly rendering: RenderContext,
    private readonly context: Pick<SinkContext, 'clean' | 'lookup' | 'now' | 'proxies' | 'warn'>,
  ) {}

  /** Shows it to somebody. @param outcome of a click there, its first line */
  async show(person: Person, closing: AbortSignal, outcome: RichTextElement[][] = []): Promise<void> {
    const view = await this.draw(person, outcome).catch((): HomeView => {
      // Its text may hold anything; what is wrong with the database is logged elsewhere.
      this.context.warn('Home could not be drawn');
      return homeWord(this.rendering.words.clicks.failed);
    });
    try {
      await withinTime(this.settings.TIMEOUT_MS, closing, signal =>
        callApi('views.publish', { user_id: person.user, view }, this.settings, this.context, signal),
      );
    } catch (error) {
      if (error instanceof SinkError) this.context.warn(`Home could not be shown: ${error.message}`);
    }
  }

  /** The same after something was done there. @param count how many deliveries it was about */
  tellDone(person: Person, action: keyof Actions, target: string, count: number, closing: AbortSignal): Promise<void> {
    const done = this.rendering.words.lookup.home.done[action](clean(target, 60), count);
    return this.show(person, closing, [[text(`✅ ${done}`, { bold: true })]]);
  }

  /** The same with the channels that match. */
  async find(person: Person, typed: string, closing: AbortSignal): Promise<void> {
    if (typed.trim() === '' || !mayRead(person, this.settings)) return this.show(person, closing);
    const { title, lines } = await found(typed.trim(), this.context.lookup, this.rendering);
    return this.show(person, closing, [[text(title, { bold: true })], ...lines]);
  }

  private async draw(person: Person, outcome: RichTextElement[][]): Promise<HomeView> {
    const { lookup, now } = this.context;
    if (!mayRead(person, this.settings)) return homeWord(this.rendering.words.clicks.notAllowed);
    const [sinks, latest, failed] = await Promise.all([
      lookup.sinks(),
      lookup.latestChanges(mostChanges),
      lookup.failedChanges(mostChanges + 1),
    ]);
    const context = { ...this.rendering, buttons: mayAct(person, this.settings) };
    return homeView({ sinks, latest, failed, outcome }, context, now());
  }
}
