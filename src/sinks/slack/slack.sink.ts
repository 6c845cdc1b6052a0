import type { ReportSink } from '../report-sink.js';
import { type SinkContext, defineSink } from '../sink-type.js';
import { BotCards } from './bot.js';
import type { RenderContext } from './card/blocks.js';
import { interactionHandlerOf } from './clicks/payload.js';
import { Interactions } from './clicks/interactions.js';
import { IncomingWebhookCards } from './incoming-webhook.js';
import { checkBot, checkHook } from './slack-check.js';
import { SlackSettings } from './slack.settings.js';
import { en } from './words/en.js';
import { zhCN } from './words/zh-cn.js';

export const slack = defineSink({
  type: 'slack',
  summary: 'Posts each change as a card in a Slack channel, with its result at every other sink',
  settings: SlackSettings,
  mode: () => 'report',
  async open(settings, context) {
    const { WEBHOOK_URL, CARDS, SIGNING_SECRET, APP_TOKEN } = settings;
    const isBot = WEBHOOK_URL === undefined;
    const rendering: RenderContext = {
      sink: context.name,
      words: settings.LOCALE === 'en' ? en : zhCN,
      timeZone: settings.TIMEZONE,
      threads: isBot,
      buttons: SIGNING_SECRET !== undefined || APP_TOKEN !== undefined,
      severalApps: context.sdkAppIds.length > 1,
      cards: CARDS,
      mention: settings.MENTION ?? [],
    };
    const cards = isBot
      ? new BotCards({ ...settings, CHANNEL: settings.CHANNEL! }, rendering, context)
      : new IncomingWebhookCards(WEBHOOK_URL, settings.TIMEOUT_MS, rendering, context);
    return Object.assign(cards, {
      holdMs: CARDS !== 'all' ? null : isBot ? 2000 : 60_000,
      edits: isBot && CARDS !== 'none',
      check: (signal: AbortSignal) => (isBot ? checkBot(settings, context, signal) : checkHook(WEBHOOK_URL, context, signal)),
      summary: summaryTime(settings),
      alerts: settings.ALERTS === 'on',
      ...(await openInteractions(settings, rendering, context)),
    });
  },
});

/** Receives interactions: over HTTP with a signing secret, over Socket Mode with an app token. */
export async function openInteractions(
  settings: SlackSettings,
  rendering: RenderContext,
  context: SinkContext,
): Promise<Pick<ReportSink, 'listen' | 'interactionHandler' | 'interaction' | 'close'>> {
  const { SIGNING_SECRET, APP_TOKEN } = settings;
  if (SIGNING_SECRET === undefined && APP_TOKEN === undefined) return {};
  const interactions = new Interactions(settings, rendering, context);
  const socket = APP_TOKEN === undefined ? null : new (await import('./clicks/socket.js')).Socket(APP_TOKEN, settings, context);
  return {
    ...(SIGNING_SECRET !== undefined && { interactionHandler: interactionHandlerOf(SIGNING_SECRET, context) }),
    ...(socket && { listen: () => socket.listen() }),
    interaction: (payload, credential, isNew) =>
      credential === SIGNING_SECRET || credential === APP_TOKEN ? interactions.take(payload, isNew) : null,
    close: () => {
      socket?.close();
      return interactions.close();
    },
  };
}

function summaryTime({ DAILY_SUMMARY, TIMEZONE }: SlackSettings): ReportSink['summary'] {
  if (DAILY_SUMMARY === undefined) return null;
  const [hour, minute] = DAILY_SUMMARY.split(':').map(Number) as [number, number];
  return { hour, minute, timeZone: TIMEZONE };
}
