import type { Postponed, Report, ReportSink } from '../sink.js';
import { isEnded } from './card-results.js';
import { type Card, card, withoutImage } from './card.js';
import { classifyWebhookAnswer } from './slack-errors.js';
import { post, withinTime } from './slack-http.js';

/** How long a card waits for the last result; there is no editing it afterwards. */
const patienceMs = 60_000;

/** An incoming webhook tells nothing of what it posted, so that the receipt only says that it did. */
const posted = JSON.stringify({ posted: true });

/** Cards by an incoming-webhook URL: each posted once, as late as its results need. */
export class IncomingWebhookCards implements ReportSink {
  constructor(
    private readonly url: string,
    private readonly timeoutMs: number,
    private readonly now: () => number,
  ) {}

  async report(report: Report, signal: AbortSignal): Promise<string | Postponed> {
    signal.throwIfAborted();
    if (report.receipt !== null) return report.receipt;
    const due = report.receivedAt + patienceMs;
    if (!report.results.every(isEnded) && this.now() < due) return { postponedUntil: due };
    const shown = card(report);
    await withinTime(this.timeoutMs, signal, within => this.send(shown, within));
    return posted;
  }

  private async send(shown: Card, signal: AbortSignal): Promise<void> {
    const { status, body, retryAfter } = await post(this.url, JSON.stringify(shown), { 'content-type': 'application/json' }, signal);
    const error = classifyWebhookAnswer(status, body, retryAfter, this.now());
    if (error === null) return;
    // Here Slack does not say what is wrong with the blocks; the image is the one part whose fate is not ours.
    const imageless = status === 400 && body.startsWith('invalid_blocks') ? withoutImage(shown) : null;
    if (!imageless) throw error;
    await this.send(imageless, signal);
  }
}
