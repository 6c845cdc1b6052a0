import { IsOptional, Matches, ValidateBy } from 'class-validator';
import { Setting, isHttpUrl, wholeNumber } from '../../settings/setting.js';
import { SinkSettings, defineSink } from '../sink.js';

/** A URL that `fetch` takes: it refuses user info. */
function IsFetchUrl(): PropertyDecorator {
  const validate = (value: unknown) => isHttpUrl(value) && URL.canParse(String(value)) && !/^https?:\/\/[^/?#]*@/i.test(String(value));
  return ValidateBy(
    { name: 'isFetchUrl', validator: { validate } },
    { message: '$property must be an http or https URL without user name and password' },
  );
}

/** What a Slack sink can be told. The rules for the settings that all sinks share are inherited, only their defaults are not. */
export class SlackSettings extends SinkSettings {
  @Setting({
    meaning: 'Token of a Slack app with the scope chat:write; its cards are edited as results come in. Needs CHANNEL',
    secret: true,
    example: 'xoxb-…',
  })
  @IsOptional()
  @Matches(/^[\x21-\x7e]+$/, { message: '$property must be a token: letters, digits and signs without blanks' })
  BOT_TOKEN?: string;

  @Setting({ meaning: 'Id of the channel that the cards go to; invite the bot to it', example: 'C0123456789' })
  @IsOptional()
  @Matches(/^\S+$/, { message: '$property must be the id of a channel, such as C0123456789' })
  CHANNEL?: string;

  @Setting({
    meaning: 'Incoming-webhook URL, instead of BOT_TOKEN and CHANNEL; its cards cannot be edited and wait up to 60 s for the results',
    secret: true,
    example: 'https://hooks.slack.com/services/T…/B…/…',
  })
  @IsOptional()
  @IsFetchUrl()
  WEBHOOK_URL?: string;

  @Setting({ meaning: 'Another Slack API root, for BOT_TOKEN; the last slash may be left out', example: 'http://127.0.0.1:4003/api/' })
  @IsOptional()
  @IsFetchUrl()
  @Matches(/^[^?#]*$/, { message: '$property must not have a query or fragment' })
  API_URL?: string;

  @Setting({ meaning: 'Attempts at once, per process', default: '2', parse: wholeNumber })
  declare CONCURRENCY: number;

  @Setting({
    meaning: 'At most this many attempts per second; Slack allows about one message per second and channel',
    default: '1',
    parse: Number,
  })
  declare RATE_PER_SECOND?: number;

  static check({ BOT_TOKEN, CHANNEL, WEBHOOK_URL }: SlackSettings): [string, string][] {
    if (WEBHOOK_URL !== undefined) {
      const mistakes: [string, string][] = [];
      if (BOT_TOKEN !== undefined) mistakes.push(['BOT_TOKEN', 'and WEBHOOK_URL are two ways to post: set only one of them']);
      if (CHANNEL !== undefined) {
        mistakes.push(['CHANNEL', 'goes with BOT_TOKEN: the channel of a WEBHOOK_URL is fixed in Slack, so leave it out']);
      }
      return mistakes;
    }
    if (BOT_TOKEN === undefined && CHANNEL === undefined) {
      return [['BOT_TOKEN', 'is required, together with CHANNEL; or set WEBHOOK_URL instead of both']];
    }
    if (BOT_TOKEN === undefined) return [['BOT_TOKEN', 'is required, since CHANNEL is set']];
    return CHANNEL === undefined ? [['CHANNEL', 'is required, since BOT_TOKEN is set: the id of the channel to post to']] : [];
  }
}

export const slack = defineSink({
  type: 'slack',
  summary: 'Shows each change as a card in a Slack channel, with its result at every other sink.',
  settings: SlackSettings,
  mode: () => 'report',
  async open({ BOT_TOKEN, CHANNEL, WEBHOOK_URL, API_URL, TIMEOUT_MS }, { now }) {
    if (WEBHOOK_URL !== undefined) {
      const { IncomingWebhookCards } = await import('./incoming-webhook.js');
      return new IncomingWebhookCards(WEBHOOK_URL, TIMEOUT_MS, now);
    }
    const [{ BotCards }, { WebClient }] = await Promise.all([import('./bot.js'), import('@slack/web-api')]);
    return new BotCards({ token: BOT_TOKEN ?? '', channel: CHANNEL ?? '', apiUrl: API_URL, timeoutMs: TIMEOUT_MS }, now, WebClient);
  },
});
