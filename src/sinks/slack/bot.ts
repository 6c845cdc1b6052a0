import { createHash } from 'node:crypto';
import type { ChatGetPermalinkResponse, ChatPostMessageResponse, ConversationsHistoryResponse } from '@slack/web-api';
import { classifyNetworkError, parseJson } from '../../outgoing/http.js';
import type { Alert } from '../alert.js';
import { Misconfigured, SinkError } from '../errors.js';
import type { Report, ReportSink } from '../report-sink.js';
import type { SinkContext } from '../sink-type.js';
import { alertMessage, failures, keyOf } from './alerts/alert.js';
import { type Message, type RenderContext, editOptions, postOptions, present, withoutImage } from './card/blocks.js';
import { card, fullTexts, hasCard, noCard } from './card/card.js';
import { digest, digestThread } from './card/digest.js';
import { unexpectedApiAnswer } from './slack-errors.js';
import { WebApi, sendMessage, withinTime } from './slack-http.js';
import type { SlackSettings } from './slack.settings.js';

/** Location and state of a posted message, stored as its messageRef. */
interface MessageRef {
  channel: string;
  ts: string;
  /** Slack could not fetch its image; edits leave it out. */
  image?: false;
  /** All replies in its thread have been posted. */
  thread?: true;
  /** An alert posted to CHANNEL because ALERT_CHANNEL failed. */
  fallback?: true;
  /** It lists many changes, none of which has a card of its own. */
  digest?: true;
}

interface MessageSpec {
  channel: string;
  /** Renders it. Names in a new message notify people; names in an edit do not. */
  message: (isNew: boolean) => Message;
  /** Replies in its thread, posted once. */
  thread: Message[];
  /** Stored in the message's metadata, to find the message again. */
  key: { name: 'delivery_id' | 'digest_id' | 'alert_id'; value: string };
  messageRef: MessageRef | null;
  /** Earliest time (ms) at which a lost attempt may have posted it; `null` if there was none. */
  possiblyPostedSince: number | null;
  /** Called for each message, edit and reply after the first. */
  countCall: (() => void) | undefined;
}

/** Errors of an edit that mean the message can no longer be edited. */
const lostMessage = new Set(['message_not_found', 'edit_window_closed', 'cant_update_message', 'block_mismatch']);
/** Also these, if the message is in another channel than the configured one. */
const lostChannel = new Set(['channel_not_found', 'is_archived', 'not_in_channel']);

const eventType = 'channel_sync';
/** Each link takes one API call. */
const maxLinks = 10;
/** Maximum difference between Slack's clock and ours, in milliseconds. */
const maxClockSkewMs = 60_000;

/** Posts messages with a bot token and edits them later. */
export class BotCards implements Pick<ReportSink, 'report' | 'digest' | 'alert'> {
  /** Channels whose history the token may not read; they are not tried again. */
  private readonly unreadable = new Set<string>();
  private readonly api: WebApi;

  constructor(
    private readonly settings: Pick<SlackSettings, 'BOT_TOKEN' | 'ALERT_CHANNEL' | 'API_URL' | 'TIMEOUT_MS'> & { CHANNEL: string },
    private readonly rendering: RenderContext,
    private readonly context: Pick<SinkContext, 'now' | 'proxies' | 'warn' | 'clean'>,
  ) {
    this.api = new WebApi(settings, context);
  }

  async report(report: Report, signal: AbortSignal, countCall?: () => void): Promise<string> {
    const existing = readMessageRef(report.messageRef);
    if (!hasCard(report, this.rendering) && existing === null) return noCard;
    const spec: MessageSpec = {
      channel: this.settings.CHANNEL,
      message: isNew => card(report, this.rendering, this.context.now(), isNew),
      thread: fullTexts(report, this.rendering),
      key: { name: 'delivery_id', value: report.id },
      messageRef: existing,
      possiblyPostedSince: report.possiblyPostedSince,
      countCall,
    };
    return JSON.stringify(await this.show(spec, signal));
  }

  async digest(reports: readonly Report[], signal: AbortSignal, countCall?: () => void): Promise<string> {
    if (this.rendering.cards !== 'all') return noCard;
    // The same set of changes has the same id in any order.
    const ids = reports.map(({ id }) => id).sort();
    const since = reports.flatMap(({ possiblyPostedSince }) => possiblyPostedSince ?? []);
    const spec: MessageSpec = {
      channel: this.settings.CHANNEL,
      message: () => digest(reports, this.rendering),
      thread: digestThread(reports, this.rendering),
      key: { name: 'digest_id', value: createHash('sha256').update(ids.join()).digest('hex') },
      messageRef: null,
      possiblyPostedSince: since.length > 0 ? Math.min(...since) : null,
      countCall,
    };
    const { channel, ts } = await this.show(spec, signal);
    return JSON.stringify({ channel, ts, digest: true } satisfies MessageRef);
  }

  async alert(alert: Alert, messageRef: string | null, signal: AbortSignal, countCall?: () => void): Promise<string> {
    const isSummary = alert.kind === 'summary';
    // For a summary, half of the time limit is for the links, half for the message.
    const timeoutMs = Math.ceil(this.settings.TIMEOUT_MS / (isSummary ? 2 : 1));
    const linked = isSummary ? alert.sinks.flatMap(({ messageRefs: { parked, waiting } }) => present([parked, waiting])) : [];
    const links = await this.links(linked, timeoutMs, signal, countCall);
    const existing = readMessageRef(messageRef);
    const show = async (channel: string, fallback: boolean): Promise<MessageRef> => {
      const spec: MessageSpec = {
        channel,
        message: isNew => alertMessage(alert, this.rendering, { first: existing === null, isNew, fallback, links }),
        thread: failures(alert, this.rendering),
        key: { name: 'alert_id', value: keyOf(alert) },
        messageRef: existing,
        // Alerts are rare, so each new one may search the history.
        possiblyPostedSince: alert.since,
        countCall,
      };
      return { ...(await this.show(spec, signal, timeoutMs)), ...(fallback && { fallback }) };
    };
    const usedFallback = existing?.fallback === true;
    const { CHANNEL, ALERT_CHANNEL = CHANNEL } = this.settings;
    const channel = isSummary || usedFallback ? CHANNEL : ALERT_CHANNEL;
    try {
      return JSON.stringify(await show(channel, usedFallback));
    } catch (error) {
      // An invalid ALERT_CHANNEL must not hide alerts. With an invalid token, the second call fails too.
      if (channel === CHANNEL || !(error instanceof Misconfigured)) throw error;
      countCall?.();
      return JSON.stringify(await show(CHANNEL, true));
    }
  }

  /** Permalinks by messageRef, as far as Slack returns them in time; a message works without links. */
  private async links(messageRefs: string[], timeoutMs: number, signal: AbortSignal, countCall?: () => void): Promise<Map<string, string>> {
    const links = new Map<string, string>();
    try {
      await withinTime(timeoutMs, signal, async within => {
        for (const text of messageRefs.slice(0, maxLinks)) {
          const existing = readMessageRef(text);
          if (!existing) continue;
          countCall?.();
          const where = { channel: existing.channel, message_ts: existing.ts };
          const { permalink } = await this.api.call<ChatGetPermalinkResponse>('chat.getPermalink', where, within);
          if (typeof permalink === 'string') links.set(text, permalink);
        }
      });
    } catch (error) {
      signal.throwIfAborted();
      this.context.warn(`could not link to messages: ${classifyNetworkError(error).message}`);
    }
    return links;
  }

  private show(spec: MessageSpec, signal: AbortSignal, timeoutMs = this.settings.TIMEOUT_MS): Promise<MessageRef> {
    return withinTime(timeoutMs, signal, async within => {
      const existing = spec.messageRef ?? (await this.find(spec, within));
      const edited = existing && (await this.edit(spec, existing, within));
      const metadata = { event_type: eventType, event_payload: { [spec.key.name]: spec.key.value } };
      const options = { channel: spec.channel, ...postOptions, metadata };
      if (existing && !edited) spec.countCall?.();
      const posted = edited ?? (await this.send('chat.postMessage', spec.message(true), options, spec, within));
      return this.reply(spec, posted, within);
    });
  }

  /** Searches the channel for a message that an earlier attempt may have posted without receiving the answer. */
  private async find({ channel, key, possiblyPostedSince }: MessageSpec, signal: AbortSignal): Promise<MessageRef | null> {
    if (this.unreadable.has(channel) || possiblyPostedSince === null) return null;
    const now = this.context.now();
    try {
      // With `oldest` alone, Slack returns the first messages after it; with `latest` as well, the last ones before that.
      // `possiblyPostedSince` is in the future if it was written by a clock that was ahead.
      const bounds = { oldest: seconds(Math.min(possiblyPostedSince, now) - maxClockSkewMs), latest: seconds(now + maxClockSkewMs) };
      const args = { channel, ...bounds, limit: 100, include_all_metadata: true };
      const { messages } = await this.api.call<ConversationsHistoryResponse>('conversations.history', args, signal);
      const found = (Array.isArray(messages) ? messages : []).find(message => {
        const { metadata } = Object(message) as (typeof messages & {})[0];
        const payload: Record<string, unknown> = metadata?.event_type === eventType ? (metadata.event_payload ?? {}) : {};
        return payload[key.name] === key.value;
      });
      if (typeof found?.ts !== 'string') return null;
      return { channel, ts: found.ts, ...(typeof found.reply_count === 'number' && found.reply_count > 0 && { thread: true }) };
    } catch (error) {
      const code = errorCodeOf(error);
      if (code === '' || /^rate_?limited$/.test(code)) throw error;
      // The scope for reading is optional; without it, a message may in rare cases be posted twice.
      if (error instanceof Misconfigured) this.unreadable.add(channel);
      return null;
    }
  }

  /** `null` if the message can no longer be edited and a new one must be posted. */
  private async edit(spec: MessageSpec, ref: MessageRef, signal: AbortSignal): Promise<MessageRef | null> {
    const { channel, ts, image } = ref;
    const message = spec.message(false);
    const content = image === false ? (withoutImage(message) ?? message) : message;
    try {
      const edited = await this.send('chat.update', content, { channel, ts, ...editOptions }, spec, signal);
      return { ...ref, ...(edited.image === false && { image: false }) };
    } catch (error) {
      const code = errorCodeOf(error);
      if (lostMessage.has(code) || (lostChannel.has(code) && channel !== spec.channel)) return null;
      throw error;
    }
  }

  /** Only logs errors: the message itself is posted and must not be posted again. A later edit completes the thread. */
  private async reply({ thread, countCall }: MessageSpec, existing: MessageRef, signal: AbortSignal): Promise<MessageRef> {
    if (thread.length === 0 || existing.thread) return existing;
    const { channel, ts } = existing;
    try {
      for (const message of thread) {
        countCall?.();
        await this.api.call('chat.postMessage', { channel, thread_ts: ts, ...message, ...postOptions }, signal);
      }
      return { ...existing, thread: true };
    } catch (error) {
      this.context.warn(`could not add to the thread of a message: ${classifyNetworkError(error).message}`);
      return existing;
    }
  }

  private async send(method: string, message: Message, args: object, spec: MessageSpec, signal: AbortSignal): Promise<MessageRef> {
    const send = (variant: Message) => this.api.call<ChatPostMessageResponse>(method, { ...variant, ...args }, signal);
    const sent = await sendMessage(message, send, spec.countCall);
    const { channel, ts } = sent.answer;
    if (typeof channel !== 'string' || typeof ts !== 'string') throw unexpectedApiAnswer(200);
    return { channel, ts, ...(sent.imageless && { image: false }) };
  }
}

/** Whole seconds, as conversations.history expects them. */
function seconds(ms: number): string {
  return String(Math.floor(ms / 1000));
}

function errorCodeOf(error: unknown): string {
  return error instanceof SinkError ? error.errorCode : '';
}

/** `null` unless it is of one bot message: not of a digest, a change without a card, or an incoming webhook that this sink used before. */
function readMessageRef(text: string | null): MessageRef | null {
  const ref = parseJson(text ?? '') as MessageRef | null | undefined;
  return ref?.ts === undefined || ref.digest ? null : ref;
}
