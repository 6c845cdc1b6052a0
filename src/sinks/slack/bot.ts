import type { FetchFunction, Logger, WebClient } from '@slack/web-api';
import { retryAfterMs } from '../http.js';
import { type Report, type ReportSink, SinkError } from '../sink.js';
import { type Card, card, withoutImage } from './card.js';
import { classifyApiAnswer, classifyApiWord } from './slack-errors.js';
import { post, withinTime } from './slack-http.js';

export interface BotOptions {
  token: string;
  channel: string;
  apiUrl: string | undefined;
  timeoutMs: number;
}

/** Where a card stands; `image: false` if Slack could not fetch its image, so that edits need not find that out again. */
interface Receipt {
  channel: string;
  ts: string;
  image?: false;
}

/** `{ok: false}`, as the SDK throws it. */
interface PlatformError {
  code: 'slack_webapi_platform_error';
  data: { error: unknown; errors?: unknown; response_metadata?: { retryAfter?: number; messages?: unknown } };
}

/** Errors of an edit after which the card cannot be edited any more. */
const lostCard = new Set(['message_not_found', 'edit_window_closed', 'cant_update_message', 'block_mismatch']);
/** These too, if the card stands in another channel than the one set now. */
const lostChannel = new Set(['channel_not_found', 'is_archived', 'not_in_channel']);

const silent = () => {};
/** The SDK's own log may print message texts. */
const logger = {
  debug: silent,
  info: silent,
  warn: silent,
  error: silent,
  setLevel: silent,
  setName: silent,
  getLevel: () => 'error',
} as unknown as Logger;

/** Cards by a bot token: posted with the first report of a change, edited with every later one. */
export class BotCards implements ReportSink {
  /** @param Client the SDK's client, handed in so that it is loaded only where there is a bot token */
  constructor(
    private readonly options: BotOptions,
    private readonly now: () => number,
    private readonly Client: typeof WebClient,
  ) {}

  async report(report: Report, signal: AbortSignal): Promise<string> {
    const receipt = readReceipt(report.receipt);
    const full = card(report);
    const shown = receipt?.image === false ? (withoutImage(full) ?? full) : full;
    return withinTime(this.options.timeoutMs, signal, async within => {
      const client = this.client(within);
      try {
        const edited = receipt && (await this.edit(client, shown, receipt));
        return JSON.stringify(edited ?? (await this.post(client, shown, report.id)));
      } catch (error) {
        throw told(error, this.now());
      }
    });
  }

  /** Made for each attempt, since the SDK knows no signals: its `fetch` must obey this attempt's, which bounds the time as well. */
  private client(signal: AbortSignal): WebClient {
    return new this.Client(this.options.token, {
      ...(this.options.apiUrl !== undefined && { slackApiUrl: this.options.apiUrl }),
      retryConfig: { retries: 0 },
      rejectRateLimitedCalls: true,
      allowAbsoluteUrls: false,
      logger,
      fetch: boundFetch(signal, this.now),
    });
  }

  private post(client: WebClient, shown: Card, deliveryId: string): Promise<Receipt> {
    const { channel } = this.options;
    const metadata = { event_type: 'channel_sync_change', event_payload: { delivery_id: deliveryId } };
    return show(shown, one =>
      client.chat.postMessage({ channel, ...one, ...plainly, mrkdwn: false, unfurl_links: false, unfurl_media: false, metadata }),
    );
  }

  /** `null` if the card is lost and a fresh one must be posted. */
  private async edit(client: WebClient, shown: Card, { channel, ts, image }: Receipt): Promise<Receipt | null> {
    try {
      const edited = await show(shown, one => client.chat.update({ channel, ts, ...one, ...plainly }));
      return { channel, ts, ...((image ?? edited.image) === false && { image: false }) };
    } catch (error) {
      const word = isPlatformError(error) ? String(error.data.error) : '';
      if (lostCard.has(word) || (lostChannel.has(word) && channel !== this.options.channel)) return null;
      throw error;
    }
  }
}

/** Nothing in the text becomes a mention or a link. */
const plainly = { parse: 'none', link_names: false } as const;

/** Sends a card, once more without its image if that is what Slack did not like. */
async function show(shown: Card, send: (one: Card) => Promise<{ channel?: string; ts?: string }>): Promise<Receipt> {
  try {
    return receiptOf(await send(shown));
  } catch (error) {
    const imageless = isAboutImage(error) ? withoutImage(shown) : null;
    if (!imageless) throw error;
    return { ...receiptOf(await send(imageless)), image: false };
  }
}

function receiptOf({ channel, ts }: { channel?: string; ts?: string }): Receipt {
  if (typeof channel !== 'string' || typeof ts !== 'string') throw classifyApiWord(null);
  return { channel, ts };
}

/** `null` for what is not ours, such as the receipt of an incoming webhook that this sink was before. */
function readReceipt(text: string | null): Receipt | null {
  try {
    const { channel, ts, image } = JSON.parse(text ?? '{}') as Partial<Receipt>;
    return typeof channel === 'string' && typeof ts === 'string' ? { channel, ts, ...(image === false && { image }) } : null;
  } catch {
    return null;
  }
}

/** Slack fetches images while it handles the call, and its word for a failure of that is the same as for a malformed block. */
function isAboutImage(error: unknown): boolean {
  if (!isPlatformError(error) || !String(error.data.error).startsWith('invalid_blocks')) return false;
  const explained = JSON.stringify([error.data.response_metadata?.messages ?? [], error.data.errors ?? []]);
  return explained === '[[],[]]' || /image/i.test(explained);
}

/** Answers other than 2xx are dealt with here, before the SDK turns them into errors of its own that know less. */
function boundFetch(signal: AbortSignal, now: () => number): FetchFunction {
  return async (url, init) => {
    const { status, body, retryAfter } = await post(
      String(url),
      typeof init?.body === 'string' ? init.body : '',
      init?.headers ?? {},
      signal,
    );
    const error = classifyApiAnswer(status, body, retryAfter, now());
    if (error) throw error;
    return new Response(body, { headers: retryAfter === null ? {} : { 'retry-after': retryAfter } });
  };
}

function isPlatformError(error: unknown): error is PlatformError {
  return typeof error === 'object' && error !== null && (error as PlatformError).code === 'slack_webapi_platform_error';
}

function told(error: unknown, now: number): SinkError {
  if (error instanceof SinkError) return error;
  if (isPlatformError(error)) {
    return classifyApiWord(error.data.error, retryAfterMs(String(error.data.response_metadata?.retryAfter ?? ''), now));
  }
  const { original } = error as { original?: unknown };
  return original instanceof SinkError ? original : classifyApiWord(null);
}
