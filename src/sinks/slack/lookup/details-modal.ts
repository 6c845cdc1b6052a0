import type { SinkContext } from '../../sink-type.js';
import type { RenderContext } from '../card/blocks.js';
import type { Person } from '../clicks/people.js';
import { callApi, withinTime } from '../slack-http.js';
import type { SlackSettings } from '../slack.settings.js';
import { detailsView } from './details.js';

/** Opens Details for who clicked: Slack takes it for three seconds after the click. */
export class DetailsModal {
  constructor(
    private readonly settings: SlackSettings,
    private readonly rendering: RenderContext,
    private readonly context: Pick<SinkContext, 'clean' | 'lookup' | 'now' | 'proxies'>,
  ) {}

  /** @returns what is to be said instead; `null` if it is open. @throws if Slack does not take it, or nothing can be looked up */
  async open({ user }: Person, changeId: string, triggerId: string, closing: AbortSignal): Promise<string | null> {
    const { lookup, now } = this.context;
    const details = await lookup.change(changeId);
    if (!details) return this.rendering.words.lookup.details.gone;
    const link = await lookup.link(changeId, this.settings.LOCALE, `slack:${user}`);
    const view = detailsView(details, this.rendering, link, now());
    await withinTime(this.settings.TIMEOUT_MS, closing, signal =>
      callApi('views.open', { trigger_id: triggerId, view }, this.settings, this.context, signal),
    );
    return null;
  }
}
