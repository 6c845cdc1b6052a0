import { createHash } from 'node:crypto';
import type { WebClient } from '@slack/web-api';
import type { Alert } from '../alert.js';
import { Misconfigured, type SinkError } from '../errors.js';
import type { Report, ReportSink } from '../report-sink.js';
import type { SinkContext } from '../sink.js';
import { alertMessage, failures, keyOf } from './alerts/alert.js';
import { messageRefsOf } from './alerts/summary.js';
import { type Message, type RenderContext, plainly, quietly, withoutImage } from './card/blocks.js';
import { card, fullTexts } from './card/card.js';
import { digest, digestThread } from './card/digest.js';
import { type MessageRef, digestRef, readMessageRef } from './message-ref.js';
import { classifyCallError, isAboutImage, wordOf } from './slack-client.js';
import { classifyApiWord } from './slack-errors.js';
import { withinTime } from './slack-http.js';
import type { SlackSettings } from './slack.settings.js';

/** What is to stand in the channel. */
interface Shown {
  message: Message;
  /** What goes into its thread, once. */
  thread: Message[];
  /** What its metadata carry, so that it is found again. */
  key: { name: 'delivery_id' | 'digest_id' | 'notice_id'; value: string };
  messageRef: MessageRef | null;
  /** From when on it may stand there without our knowing, in milliseconds; `null` if it cannot. */
  possiblyPostedSince: number | null;
}

/** Errors of an edit after which the message cannot be edited any more. */
const lostMessage = new Set(['message_not_found', 'edit_window_closed', 'cant_update_message', 'block_mismatch']);
/** These too, if it stands in another channel than the one set now. */
const lostChannel = new Set(['channel_not_found', 'is_archived', 'not_in_channel']);

const eventType = 'channel_sync';
/** Each is a call. */
const mostLinks = 10;
/** By how much Slack's clock may differ from ours, in milliseconds. */
const clockMs = 60_000;

/** Messages by a bot token: posted once, then edited. */
export class BotCards implements Omit<ReportSink, 'summary'> {
  readonly holdMs = 2000;
  readonly edits = true;
  /** Set when the token may not read the channel: there is no use in asking again. */
  private cannotReadHistory = false;
  private readonly channel: string;

  constructor(
    private readonly settings: Pick<SlackSettings, 'CHANNEL' | 'TIMEOUT_MS'>,
    private readonly rendering: RenderContext,
    private readonly context: Pick<SinkContext, 'now' | 'warn'>,
    private readonly clientFor: (signal: AbortSignal) => WebClient,
  ) {
    this.channel = settings.CHANNEL ?? '';
  }

  async report(report: Report, signal: AbortSignal, countCall?: () => void): Promise<string> {
    const full = fullTexts(report, this.rendering);
    const shown: Shown = {
      message: card(report, this.rendering, this.context.now()),
      thread: full ? [full] : [],
      key: { name: 'delivery_id', value: report.id },
      messageRef: readMessageRef(report.messageRef),
      possiblyPostedSince: report.possiblyPostedSince,
    };
    return JSON.stringify(await this.show(shown, signal, countCall));
  }

  async digest(reports: readonly Report[], signal: AbortSignal, countCall?: () => void): Promise<string> {
    // The same set of changes is the same digest, in whatever order they come.
    const ids = reports.map(({ id }) => id).sort();
    const since = reports.map(report => report.possiblyPostedSince).filter(time => time !== null);
    const shown: Shown = {
      message: digest(reports, this.rendering),
      thread: digestThread(reports, this.rendering),
      key: { name: 'digest_id', value: createHash('sha256').update(ids.join()).digest('hex') },
      messageRef: null,
      possiblyPostedSince: since.length > 0 ? Math.min(...since) : null,
    };
    return digestRef(await this.show(shown, signal, countCall));
  }

  async alert(alert: Alert, messageRef: string | null, signal: AbortSignal, countCall?: () => void): Promise<string> {
    const details = failures(alert, this.rendering);
    const isSummary = alert.kind === 'summary';
    // Half of the time for the links, half for the message.
    const timeoutMs = Math.ceil(this.settings.TIMEOUT_MS / (isSummary ? 2 : 1));
    const links = isSummary ? await this.links(messageRefsOf(alert), timeoutMs, signal, countCall) : undefined;
    const shown: Shown = {
      message: alertMessage(alert, this.rendering, links),
      thread: details ? [details] : [],
      key: { name: 'notice_id', value: keyOf(alert) },
      messageRef: readMessageRef(messageRef),
      // Alerts are few, so that each new one may cost one look.
      possiblyPostedSince: alert.since,
    };
    return JSON.stringify(await this.show(shown, signal, countCall, timeoutMs));
  }

  /** Where messages stand, as far as Slack says in time: a message is as good without links. */
  private async links(messageRefs: string[], timeoutMs: number, signal: AbortSignal, countCall?: () => void): Promise<Map<string, string>> {
    const links = new Map<string, string>();
    try {
      await this.attempt(timeoutMs, signal, async client => {
        for (const text of messageRefs.slice(0, mostLinks)) {
          const known = readMessageRef(text);
          if (!known) continue;
          countCall?.();
          const { permalink } = await client.chat.getPermalink({ channel: known.channel, message_ts: known.ts });
          if (permalink !== undefined) links.set(text, permalink);
        }
      });
    } catch (error) {
      signal.throwIfAborted();
      this.context.warn(`could not link to messages: ${this.classify(error).message}`);
    }
    return links;
  }

  private show(shown: Shown, signal: AbortSignal, countCall?: () => void, timeoutMs = this.settings.TIMEOUT_MS): Promise<MessageRef> {
    return this.attempt(timeoutMs, signal, async client => {
      const known = shown.messageRef ?? (await this.find(client, shown));
      const edited = known && (await this.edit(client, shown.message, known));
      return this.reply(client, shown.thread, edited ?? (await this.post(client, shown)), countCall);
    });
  }

  private attempt<T>(timeoutMs: number, signal: AbortSignal, work: (client: WebClient) => Promise<T>): Promise<T> {
    return withinTime(timeoutMs, signal, within =>
      work(this.clientFor(within)).catch((error: unknown) => {
        throw this.classify(error);
      }),
    );
  }

  private classify(error: unknown): SinkError {
    return classifyCallError(error, this.context.now());
  }

  /** Looks for a message that a former attempt may have posted without hearing of it. */
  private async find(client: WebClient, { key, possiblyPostedSince }: Shown): Promise<MessageRef | null> {
    if (this.cannotReadHistory || possiblyPostedSince === null) return null;
    const { channel } = this;
    const now = this.context.now();
    try {
      // Without the second bound it would be the oldest of a long time, not the newest.
      // Since a time to come only by a clock that was ahead.
      const bounds = { oldest: seconds(Math.min(possiblyPostedSince, now) - clockMs), latest: seconds(now + clockMs) };
      const { messages } = await client.conversations.history({ channel, ...bounds, limit: 100, include_all_metadata: true });
      const found = messages?.find(({ metadata }) => {
        const payload: Record<string, unknown> = metadata?.event_type === eventType ? (metadata.event_payload ?? {}) : {};
        return payload[key.name] === key.value;
      });
      if (found?.ts === undefined) return null;
      return { channel, ts: found.ts, ...((found.reply_count ?? 0) > 0 && { thread: true }) };
    } catch (error) {
      const word = wordOf(error);
      if (word === '' || /^rate_?limited$/.test(word)) throw error;
      // The scope for it is optional: without, a message may rarely stand there twice.
      this.cannotReadHistory ||= this.classify(error) instanceof Misconfigured;
      return null;
    }
  }

  private post(client: WebClient, { message, key }: Shown): Promise<MessageRef> {
    const metadata = { event_type: eventType, event_payload: { [key.name]: key.value } };
    return send(message, one => client.chat.postMessage({ channel: this.channel, ...one, ...plainly, ...quietly, metadata }));
  }

  /** `null` if the message is lost and a fresh one must be posted. */
  private async edit(client: WebClient, message: Message, known: MessageRef): Promise<MessageRef | null> {
    const { channel, ts, image } = known;
    const shown = image === false ? (withoutImage(message) ?? message) : message;
    try {
      const edited = await send(shown, one => client.chat.update({ channel, ts, ...one, ...plainly }));
      return { ...known, ...(edited.image === false && { image: false }) };
    } catch (error) {
      const word = wordOf(error);
      if (lostMessage.has(word) || (lostChannel.has(word) && channel !== this.channel)) return null;
      throw error;
    }
  }

  /** The message stands: what goes wrong in its thread may not have it posted again, so that a later edit completes the thread. */
  private async reply(client: WebClient, thread: readonly Message[], known: MessageRef, countCall?: () => void): Promise<MessageRef> {
    if (thread.length === 0 || known.thread) return known;
    const { channel, ts } = known;
    try {
      for (const message of thread) {
        countCall?.();
        await client.chat.postMessage({ channel, thread_ts: ts, ...message, ...plainly, ...quietly });
      }
      return { ...known, thread: true };
    } catch (error) {
      this.context.warn(`could not add to the thread of a message: ${this.classify(error).message}`);
      return known;
    }
  }
}

/** A time as Slack's history knows it. */
function seconds(ms: number): string {
  return String(Math.floor(ms / 1000));
}

/** Sends a message, once more without its image if that is what Slack did not like. */
async function send(message: Message, call: (one: Message) => Promise<{ channel?: string; ts?: string }>): Promise<MessageRef> {
  try {
    return messageRefOf(await call(message));
  } catch (error) {
    const imageless = isAboutImage(error) ? withoutImage(message) : null;
    if (!imageless) throw error;
    return { ...messageRefOf(await call(imageless)), image: false };
  }
}

function messageRefOf({ channel, ts }: { channel?: string; ts?: string }): MessageRef {
  if (typeof channel !== 'string' || typeof ts !== 'string') throw classifyApiWord(null);
  return { channel, ts };
}
