import type { ReportSink } from '../report-sink.js';
import { defineSink } from '../sink.js';
import type { RenderContext } from './card/blocks.js';
import { buttons } from './clicks/buttons.js';
import { en } from './words/en.js';
import { SlackSettings } from './slack.settings.js';
import { zhCN } from './words/zh-cn.js';

export const slack = defineSink({
  type: 'slack',
  summary: 'Shows each change as a card in a Slack channel, with its result at every other sink.',
  settings: SlackSettings,
  mode: () => 'report',
  async open(settings, context) {
    const { now, warn, proxies } = context;
    const { BOT_TOKEN, CHANNEL, WEBHOOK_URL, API_URL, TIMEOUT_MS } = settings;
    const words = settings.LOCALE === 'en' ? en : zhCN;
    const rendering: RenderContext = {
      sink: context.name,
      words,
      timeZone: settings.TIMEZONE,
      threads: WEBHOOK_URL === undefined,
      buttons: settings.SIGNING_SECRET !== undefined || settings.APP_TOKEN !== undefined,
    };
    const rest = { summary: summaryTime(settings), ...(await buttons(settings, words.clicks, context)) };
    if (WEBHOOK_URL !== undefined) {
      const { IncomingWebhookCards } = await import('./incoming-webhook.js');
      return Object.assign(new IncomingWebhookCards(WEBHOOK_URL, TIMEOUT_MS, rendering, now, proxies), rest);
    }
    const [{ BotCards }, { WebClient }] = await Promise.all([import('./bot.js'), import('@slack/web-api')]);
    const options = { token: BOT_TOKEN ?? '', channel: CHANNEL ?? '', apiUrl: API_URL, proxies, timeoutMs: TIMEOUT_MS };
    return Object.assign(new BotCards(options, rendering, now, warn, WebClient), rest);
  },
});

function summaryTime({ DAILY_SUMMARY, TIMEZONE }: SlackSettings): ReportSink['summary'] {
  if (DAILY_SUMMARY === undefined) return null;
  const [hour, minute] = DAILY_SUMMARY.split(':').map(Number) as [number, number];
  return { hour, minute, timeZone: TIMEZONE };
}
