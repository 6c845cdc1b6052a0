import type { ReportSink } from '../report-sink.js';
import type { CheckResult } from '../sink.js';
import { defineSink } from '../sink-type.js';
import { BotCards } from './bot.js';
import type { RenderContext } from './card/blocks.js';
import { buttons } from './clicks/buttons.js';
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
    const { WEBHOOK_URL, LOCALE, TIMEZONE: timeZone, SIGNING_SECRET, APP_TOKEN } = settings;
    const words = LOCALE === 'en' ? en : zhCN;
    const rendering: RenderContext = {
      sink: context.name,
      words,
      timeZone,
      threads: WEBHOOK_URL === undefined,
      buttons: SIGNING_SECRET !== undefined || APP_TOKEN !== undefined,
      severalApps: context.sdkAppIds.length > 1,
      cards: settings.CARDS,
      mention: settings.MENTION ?? [],
    };
    const cards =
      WEBHOOK_URL === undefined
        ? new BotCards({ ...settings, CHANNEL: settings.CHANNEL! }, rendering, context)
        : new IncomingWebhookCards(WEBHOOK_URL, settings.TIMEOUT_MS, rendering, context);
    const check = (signal: AbortSignal): Promise<CheckResult> =>
      WEBHOOK_URL === undefined ? checkBot(settings, context, signal) : checkHook(WEBHOOK_URL, context, signal);
    return Object.assign(
      cards,
      { check, summary: summaryTime(settings), alerts: settings.ALERTS === 'on' },
      await buttons(settings, rendering, context),
    );
  },
});

function summaryTime({ DAILY_SUMMARY, TIMEZONE }: SlackSettings): ReportSink['summary'] {
  if (DAILY_SUMMARY === undefined) return null;
  const [hour, minute] = DAILY_SUMMARY.split(':').map(Number) as [number, number];
  return { hour, minute, timeZone: TIMEZONE };
}
