import { createHash } from 'node:crypto';
import type { ChatGetPermalinkResponse, ChatPostMessageResponse, ConversationsHistoryResponse } from '@slack/web-api';
import { classifyNetworkError, parseJson } from '../../outgoing/http.js';
import type { Alert } from '../alert.js';
import { Misconfigured, SinkError } from '../errors.js';
import type { Report, ReportSink } from '../report-sink.js';
import type { SinkContext } from '../sink-type.js';
import { alertMessage, failures, keyOf } from './alerts/alert.js';
import { messageRefsOf } from './alerts/summary.js';
import { type Message, type RenderContext, editOptions, postOptions, withoutImage } from './card/blocks.js';
import { card, fullTexts, hasCard, noCard } from './card/card.js';
import { digest, digestThread } from './card/digest.js';
import { notOfApi } from './slack-errors.js';
import { callApi, sendMessage, withinTime } from './slack-http.js';
import type { SlackSettings } from './slack.settings.js';

/** Where a message stands, as we remember it. */
interface MessageRef {
  channel: string;
  ts: string;
  /** Slack could not fetch its image, so that edits need not find that out again. */
  image?: false;
  /** Its thread is complete. */
  thread?: true;
  /** It is an alert that could not be posted to ALERT_CHANNEL. */
  fallback?: true;
}

/** What is to stand in the channel. */
interface Shown {
  channel: string;
  /** As a new message, in which names of people would notify them, or as an edit. */
  message: (isNew: boolean) => Message;
  /** What goes into its thread, once. */
  thread: Message[];
  /** What its metadata carry, so that it is found again. */
  key: { name: 'delivery_id' | 'digest_id' | 'alert_id'; value: string };
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
export class BotCards implements Omit<ReportSink, 'summary' | 'alerts'> {
  readonly holdMs: number | null;
  readonly edits: boolean;
  /** Channels that the token may not read: there is no use in asking again. */
  private readonly unreadable = new Set<string>();

  constructor(
    private readonly settings: Pick<SlackSettings, 'BOT_TOKEN' | 'ALERT_CHANNEL' | 'API_URL' | 'TIMEOUT_MS'> & { CHANNEL: string },
    private readonly rendering: RenderContext,
    private readonly context: Pick<SinkContext, 'now' | 'proxies' | 'warn' | 'clean'>,
  ) {
    const { cards } = rendering;
    this.holdMs = cards === 'all' ? 2000 : null;
    this.edits = cards !== 'none';
  }

  async report(report: Report, signal: AbortSignal, countCall?: () => void): Promise<string> {
    const known = readMessageRef(report.messageRef);
    if (!hasCard(report, this.rendering) && known === null) return noCard;
    const shown: Shown = {
      channel: this.settings.CHANNEL,
      message: isNew => card(report, this.rendering, this.context.now(), isNew),
      thread: fullTexts(report, this.rendering),
      key: { name: 'delivery_id', value: report.id },
      messageRef: known,
      possiblyPostedSince: report.possiblyPostedSince,
    };
    return JSON.stringify(await this.show(shown, signal, countCall));
  }

  async digest(reports: readonly Report[], signal: AbortSignal, countCall?: () => void): Promise<string> {
    if (this.rendering.cards !== 'all') return noCard;
    // The same set of changes is the same digest, in whatever order they come.
    const ids = reports.map(({ id }) => id).sort();
    const since = reports.map(report => report.possiblyPostedSince).filter(time => time !== null);
    const shown: Shown = {
      channel: this.settings.CHANNEL,
      message: () => digest(reports, this.rendering),
      thread: digestThread(reports, this.rendering),
      key: { name: 'digest_id', value: createHash('sha256').update(ids.join()).digest('hex') },
      messageRef: null,
      possiblyPostedSince: since.length > 0 ? Math.min(...since) : null,
    };
    const { channel, ts } = await this.show(shown, signal, countCall);
    // Of each change in it, which has no card of its own.
    return JSON.stringify({ channel, ts, digest: true });
  }

  async alert(alert: Alert, messageRef: string | null, signal: AbortSignal, countCall?: () => void): Promise<string> {
    const isSummary = alert.kind === 'summary';
    // Half of the time for the links, half for the message.
    const timeoutMs = Math.ceil(this.settings.TIMEOUT_MS / (isSummary ? 2 : 1));
    const links = isSummary ? await this.links(messageRefsOf(alert), timeoutMs, signal, countCall) : new Map<string, string>();
    const { CHANNEL, ALERT_CHANNEL = CHANNEL } = this.settings;
    const known = readMessageRef(messageRef);
    const show = async (channel: string, fallback: boolean): Promise<MessageRef> => {
      const shown: Shown = {
        channel,
        message: isNew => alertMessage(alert, this.rendering, { first: known === null, isNew, fallback, links }),
        thread: failures(alert, this.rendering),
        key: { name: 'alert_id', value: keyOf(alert) },
        messageRef: known,
        // Alerts are few, so that each new one may cost one look.
        possiblyPostedSince: alert.since,
      };
      const { fallback: _, ...ref } = await this.show(shown, signal, countCall, timeoutMs);
      return { ...ref, ...(fallback && { fallback }) };
    };
    const fell = known?.fallback === true;
    try {
      return JSON.stringify(await show(isSummary || fell ? CHANNEL : ALERT_CHANNEL, fell));
    } catch (error) {
      // A wrong channel of alerts must not hide them; a wrong token fails here, too.
      if (isSummary || fell || ALERT_CHANNEL === CHANNEL || !(error instanceof Misconfigured)) throw error;
      countCall?.();
      return JSON.stringify(await show(CHANNEL, true));
    }
  }

  /** Where messages stand, as far as Slack says in time: a message is as good without links. */
  private async links(messageRefs: string[], timeoutMs: number, signal: AbortSignal, countCall?: () => void): Promise<Map<string, string>> {
    const links = new Map<string, string>();
    try {
      await withinTime(timeoutMs, signal, async within => {
        for (const text of messageRefs.slice(0, mostLinks)) {
          const known = readMessageRef(text);
          if (!known) continue;
          countCall?.();
          const where = { channel: known.channel, message_ts: known.ts };
          const { permalink } = await this.call<ChatGetPermalinkResponse>('chat.getPermalink', where, within);
          if (permalink !== undefined) links.set(text, permalink);
        }
      });
    } catch (error) {
      signal.throwIfAborted();
      this.context.warn(`could not link to messages: ${classifyNetworkError(error).message}`);
    }
    return links;
  }

  private show(shown: Shown, signal: AbortSignal, countCall?: () => void, timeoutMs = this.settings.TIMEOUT_MS): Promise<MessageRef> {
    return withinTime(timeoutMs, signal, async within => {
      const known = shown.messageRef ?? (await this.find(shown, within));
      const edited = known && (await this.edit(shown, known, within));
      const metadata = { event_type: eventType, event_payload: { [shown.key.name]: shown.key.value } };
      const fresh = { channel: shown.channel, ...postOptions, metadata };
      const standing = edited ?? (await this.send('chat.postMessage', shown.message(true), fresh, within));
      return this.reply(shown.thread, standing, within, countCall);
    });
  }

  private call<T>(method: string, args: object, signal: AbortSignal): Promise<T> {
    return callApi<T>(method, args, this.settings, this.context, signal);
  }

  /** Looks for a message that a former attempt may have posted without hearing of it. */
  private async find({ channel, key, possiblyPostedSince }: Shown, signal: AbortSignal): Promise<MessageRef | null> {
    if (this.unreadable.has(channel) || possiblyPostedSince === null) return null;
    const now = this.context.now();
    try {
      // Without the second bound it would be the oldest of a long time, not the newest.
      // Since a time to come only by a clock that was ahead.
      const bounds = { oldest: seconds(Math.min(possiblyPostedSince, now) - clockMs), latest: seconds(now + clockMs) };
      const asked = { channel, ...bounds, limit: 100, include_all_metadata: true };
      const { messages } = await this.call<ConversationsHistoryResponse>('conversations.history', asked, signal);
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
      if (error instanceof Misconfigured) this.unreadable.add(channel);
      return null;
    }
  }

  /** `null` if the message is lost and a fresh one must be posted. */
  private async edit({ message: render, channel: wanted }: Shown, known: MessageRef, signal: AbortSignal): Promise<MessageRef | null> {
    const { channel, ts, image } = known;
    const message = render(false);
    const shown = image === false ? (withoutImage(message) ?? message) : message;
    try {
      const edited = await this.send('chat.update', shown, { channel, ts, ...editOptions }, signal);
      return { ...known, ...(edited.image === false && { image: false }) };
    } catch (error) {
      const word = wordOf(error);
      if (lostMessage.has(word) || (lostChannel.has(word) && channel !== wanted)) return null;
      throw error;
    }
  }

  /** The message stands: what goes wrong in its thread may not have it posted again, so that a later edit completes the thread. */
  private async reply(thread: readonly Message[], known: MessageRef, signal: AbortSignal, countCall?: () => void): Promise<MessageRef> {
    if (thread.length === 0 || known.thread) return known;
    const { channel, ts } = known;
    try {
      for (const message of thread) {
        countCall?.();
        await this.call('chat.postMessage', { channel, thread_ts: ts, ...message, ...postOptions }, signal);
      }
      return { ...known, thread: true };
    } catch (error) {
      this.context.warn(`could not add to the thread of a message: ${classifyNetworkError(error).message}`);
      return known;
    }
  }

  private async send(method: string, message: Message, args: object, signal: AbortSignal): Promise<MessageRef> {
    const sent = await sendMessage(message, one => this.call<ChatPostMessageResponse>(method, { ...one, ...args }, signal));
    const { channel, ts } = sent.answer;
    if (typeof channel !== 'string' || typeof ts !== 'string') throw notOfApi(200);
    return { channel, ts, ...(sent.imageless && { image: false }) };
  }
}

/** A time as Slack's history knows it. */
function seconds(ms: number): string {
  return String(Math.floor(ms / 1000));
}

function wordOf(error: unknown): string {
  return error instanceof SinkError ? error.word : '';
}

/** `null` for what is not of a message of its own, such as the messageRef of an incoming webhook that this sink was before. */
function readMessageRef(text: string | null): MessageRef | null {
  const { channel, ts, image, thread, fallback, digest } = Object(parseJson(text ?? '')) as Partial<MessageRef> & { digest?: unknown };
  if (typeof channel !== 'string' || typeof ts !== 'string' || digest !== undefined) return null;
  return { channel, ts, ...(image === false && { image }), ...(thread === true && { thread }), ...(fallback === true && { fallback }) };
}
