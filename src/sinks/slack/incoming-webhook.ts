import { withResponse } from '../../outgoing/send.js';
import type { Alert } from '../alert.js';
import type { Report, ReportSink } from '../report-sink.js';
import type { SinkContext } from '../sink-type.js';
import { alertMessage } from './alerts/alert.js';
import { type Message, type RenderContext, postOptions } from './card/blocks.js';
import { card, hasCard, noCard } from './card/card.js';
import { digest } from './card/digest.js';
import { classifyWebhookAnswer } from './slack-errors.js';
import { post, sendMessage, withinTime } from './slack-http.js';

/** Slack does not return a reference to the message, so the messageRef only records that it was posted. */
const posted = JSON.stringify({ posted: true });
/** Also records that an alert has ended: if it reopens, it is posted again. */
const over = JSON.stringify({ posted: true, over: true });

/** Posts messages to an incoming-webhook URL, each once; the end of an alert is a second message. */
export class IncomingWebhookCards implements Pick<ReportSink, 'report' | 'digest' | 'alert'> {
  constructor(
    private readonly url: string,
    private readonly timeoutMs: number,
    private readonly rendering: RenderContext,
    private readonly context: SinkContext,
  ) {}

  async report(report: Report, signal: AbortSignal, countCall?: () => void): Promise<string> {
    if (report.messageRef !== null) return report.messageRef;
    if (!hasCard(report, this.rendering)) return noCard;
    return this.show(card(report, this.rendering, this.context.now(), true), posted, signal, countCall);
  }

  async digest(reports: readonly Report[], signal: AbortSignal): Promise<string> {
    return this.rendering.cards === 'all' ? this.show(digest(reports, this.rendering), posted, signal) : noCard;
  }

  // Neither a digest nor an alert has an image, so each is one call.
  async alert(alert: Alert, messageRef: string | null, signal: AbortSignal): Promise<string> {
    const next = alert.until === null ? posted : over;
    if (messageRef === next) return next;
    return this.show(alertMessage(alert, this.rendering, { first: messageRef === null, isNew: true }), next, signal);
  }

  private async show(message: Message, messageRef: string, signal: AbortSignal, countCall?: () => void): Promise<string> {
    const { proxies, now, clean } = this.context;
    const send = async (variant: Message, within: AbortSignal): Promise<void> => {
      const body = JSON.stringify({ ...variant, ...postOptions });
      const answer = await post({ url: this.url, headers: { 'content-type': 'application/json' }, body, signal: within }, proxies);
      const error = classifyWebhookAnswer(answer, now());
      if (error) throw withResponse(error, answer, clean);
    };
    await withinTime(this.timeoutMs, signal, within => sendMessage(message, variant => send(variant, within), countCall));
    return messageRef;
  }
}
