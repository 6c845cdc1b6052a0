import type { Proxies } from '../../outgoing/proxies.js';
import type { Alert } from '../alert.js';
import type { Report, ReportSink } from '../report-sink.js';
import { type RenderContext, type Message, plainly, quietly, withoutImage } from './card/blocks.js';
import { card } from './card/card.js';
import { digest } from './card/digest.js';
import { alertMessage } from './alerts/alert.js';
import { classifyWebhookAnswer, webhookWord } from './slack-errors.js';
import { post, withinTime } from './slack-http.js';

/** An incoming webhook tells nothing of what it posted, so that the messageRef only says that it did. */
const posted = JSON.stringify({ posted: true });
/** Also that a notice is over. */
const over = JSON.stringify({ posted: true, over: true });

/** Messages by an incoming-webhook URL: each posted once; of a notice that ends, its end too. */
export class IncomingWebhookCards implements Omit<ReportSink, 'summary'> {
  readonly holdMs = 60_000;
  readonly edits = false;

  constructor(
    private readonly url: string,
    private readonly timeoutMs: number,
    private readonly context: RenderContext,
    private readonly now: () => number,
    private readonly proxies: Proxies,
  ) {}

  async report(report: Report, signal: AbortSignal): Promise<string> {
    return report.messageRef ?? (await this.show(card(report, this.context, this.now()), posted, signal));
  }

  digest(reports: readonly Report[], signal: AbortSignal): Promise<string> {
    return this.show(digest(reports, this.context), posted, signal);
  }

  async alert(told: Alert, messageRef: string | null, signal: AbortSignal): Promise<string> {
    const next = told.until === null ? posted : over;
    return messageRef === over || messageRef === next ? messageRef : this.show(alertMessage(told, this.context), next, signal);
  }

  private async show(message: Message, messageRef: string, signal: AbortSignal): Promise<string> {
    await withinTime(this.timeoutMs, signal, within => this.send(message, within));
    return messageRef;
  }

  private async send(message: Message, signal: AbortSignal): Promise<void> {
    const { status, body, retryAfter } = await post(
      this.url,
      JSON.stringify({ ...message, ...plainly, ...quietly }),
      { 'content-type': 'application/json' },
      { signal, proxies: this.proxies },
    );
    const error = classifyWebhookAnswer(status, body, retryAfter, this.now());
    if (error === null) return;
    // Here Slack does not say what is wrong with the blocks; the image is the one part whose fate is not ours.
    const imageless = webhookWord(body)?.startsWith('invalid_blocks') ? withoutImage(message) : null;
    if (!imageless) throw error;
    await this.send(imageless, signal);
  }
}
