import { Matches, isTimeZone } from 'class-validator';
import { IsUrl, OneOf, Must, Setting, decimal, isHttpUrl, list, wholeNumber } from '../../settings/setting.js';
import { SinkSettings } from '../settings.js';

/** Slack identifies us by the path of a webhook's URL, or by a token: a user name can only be a mistake. */
const isUrlWithoutUser = (value: unknown): boolean => isHttpUrl(value) && !/^https?:\/\/[^/?#]*@/i.test(String(value));
const IsSlackUrl = (): PropertyDecorator => IsUrl('an http or https URL without user name and password', isUrlWithoutUser);

/** The only abbreviations that are IANA names. Intl takes others too, and not as meant: CST is Chicago to it, not China. */
const abbreviations = /^(UTC|UCT|GMT|EST|MST|HST|WET|CET|MET|EET|PRC|ROC|ROK)$/i;

/** Offsets such as +08:00 are excluded because they have no daylight saving time. */
function isIanaZone(value: unknown): boolean {
  const name = String(value);
  return isTimeZone(value) && /^[a-z]/i.test(name) && (!/^[a-z]{3}$/i.test(name) || abbreviations.test(name));
}

/** The settings of a Slack sink. Validation of the shared settings is inherited; their defaults are set here. */
export class SlackSettings extends SinkSettings {
  @Setting(
    'Token of a Slack app with the scope chat:write; its messages are edited as results come in. With channels:history (groups:history in a private channel) it checks after a timeout whether a message was posted, so that none is posted twice. Needs CHANNEL',
    { secret: true, example: 'xoxb-…' },
  )
  @Matches(/^[\x21-\x7e]+$/, { message: '$property must be a token: letters, digits and signs without blanks' })
  BOT_TOKEN?: string;

  @Setting('Id of the channel that the messages go to; invite the bot to it', { example: 'C0123456789' })
  @Matches(/^\S+$/, { message: '$property must be the id of a channel, such as C0123456789' })
  CHANNEL?: string;

  @Setting('Incoming-webhook URL, instead of BOT_TOKEN and CHANNEL; its messages cannot be edited and wait up to 60 s for the results', {
    secret: true,
    example: 'https://hooks.slack.com/services/T…/B…/…',
  })
  @IsSlackUrl()
  WEBHOOK_URL?: string;

  @Setting('Signing secret of the Slack app: buttons, Home and the slash command, through `/slack/interactions`', { secret: true })
  @Matches(/^[\x21-\x7e]+$/, { message: '$property must be a secret: letters, digits and signs without blanks' })
  SIGNING_SECRET?: string;

  @Setting('App-level token with the scope connections:write: buttons, Home and the slash command, over Socket Mode. Needs BOT_TOKEN', {
    secret: true,
    example: 'xapp-…',
  })
  @Matches(/^xapp-[\x21-\x7e]+$/, {
    message: '$property must be an app-level token: xapp- and then letters, digits and signs without blanks',
  })
  APP_TOKEN?: string;

  @Setting('Ids of the Slack users who may click the buttons; if unset, everyone in the workspace', { parse: list, example: 'U012AB3CD' })
  @Matches(/^[UW][A-Z0-9]+$/, { each: true, message: '$property must list ids of Slack users, such as U012AB3CD' })
  ALLOWED_USERS?: string[];

  @Setting('Who may use Home, Details and the slash command: `everyone` in the workspace, or `allowed`, those in ALLOWED_USERS', {
    default: 'everyone',
  })
  @OneOf(['everyone', 'allowed'])
  READERS!: 'everyone' | 'allowed';

  @Setting('Which changes have a card: `all`; `problems`, those that could not be delivered somewhere; `none`', { default: 'all' })
  @OneOf(['all', 'problems', 'none'])
  CARDS!: 'all' | 'problems' | 'none';

  @Setting('Whether alerts (stopped sinks, failed changes and so on) are posted: `on` or `off`', { default: 'on' })
  @OneOf(['on', 'off'])
  ALERTS!: 'on' | 'off';

  @Setting('Id of another channel for alerts; invite the bot to it. Needs BOT_TOKEN', { example: 'C0123456789' })
  @Matches(/^\S+$/, { message: '$property must be the id of a channel, such as C0123456789' })
  ALERT_CHANNEL?: string;

  @Setting('Who is mentioned when a sink stops, no webhooks come or some are rejected: ids of users or user groups, `here` or `channel`', {
    parse: list,
    example: 'S012AB3CD',
  })
  @Matches(/^([UWS][A-Z0-9]+|here|channel)$/, {
    each: true,
    message: '$property must list ids of Slack users or user groups, such as U012AB3CD or S012AB3CD, here or channel',
  })
  MENTION?: string[];

  @Setting('Language of the messages: `en` or `zh-CN`', { default: 'en' })
  @OneOf(['en', 'zh-CN'])
  LOCALE!: 'en' | 'zh-CN';

  @Setting('Time zone of DAILY_SUMMARY, and of times that Slack does not show in the zone of the reader', {
    default: 'UTC',
    example: 'Asia/Shanghai',
  })
  @Must('a time zone by its IANA name, such as Asia/Shanghai', isIanaZone)
  TIMEZONE!: string;

  @Setting('When to post a daily summary; none unless set', { example: '09:00' })
  @Matches(/^([01]\d|2[0-3]):[0-5]\d$/, { message: '$property must be a time of the day, such as 09:00' })
  DAILY_SUMMARY?: string;

  @Setting('Another Slack API root, for BOT_TOKEN; the last slash may be left out', { example: 'http://127.0.0.1:4003/api/' })
  @IsSlackUrl()
  @Matches(/^[^?#]*$/, { message: '$property must not have a query or fragment' })
  API_URL?: string;

  @Setting('Concurrent attempts, per process', { default: '2', parse: wholeNumber })
  declare CONCURRENCY: number;

  @Setting(
    'At most this many messages, edits and replies in threads per second on average, over all processes together; may be a fraction. Slack allows about one per second and channel',
    { default: '1', parse: decimal },
  )
  declare RATE_PER_SECOND?: number;

  static check({ BOT_TOKEN, CHANNEL, WEBHOOK_URL, APP_TOKEN, ALERT_CHANNEL, READERS, ALLOWED_USERS }: SlackSettings): [string, string][] {
    const [hook, token, channel] = [WEBHOOK_URL, BOT_TOKEN, CHANNEL].map(value => value !== undefined);
    const fixed = 'goes with BOT_TOKEN: the channel of a WEBHOOK_URL is fixed in Slack, so leave it out';
    const mistakes: [boolean | undefined, string, string][] = [
      [hook && token, 'BOT_TOKEN', 'and WEBHOOK_URL are two ways to post: set only one of them'],
      [hook && channel, 'CHANNEL', fixed],
      [hook && ALERT_CHANNEL !== undefined, 'ALERT_CHANNEL', fixed],
      // An app with Socket Mode also has a bot token, with which cards can show the result of a click.
      [hook && APP_TOKEN !== undefined, 'APP_TOKEN', 'goes with BOT_TOKEN: set that and CHANNEL instead of WEBHOOK_URL'],
      [!hook && !token && !channel, 'BOT_TOKEN', 'is required, together with CHANNEL; or set WEBHOOK_URL instead of both'],
      [!hook && !token && channel, 'BOT_TOKEN', 'is required, since CHANNEL is set'],
      [READERS === 'allowed' && !ALLOWED_USERS, 'READERS', 'is allowed, but ALLOWED_USERS names nobody: set that, or leave READERS out'],
      [!hook && token && !channel, 'CHANNEL', 'is required, since BOT_TOKEN is set: the id of the channel to post to'],
    ];
    return mistakes.filter(([isMade]) => isMade).map(([, setting, message]) => [setting, message]);
  }
}
