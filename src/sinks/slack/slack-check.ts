import type { ConversationsInfoResponse } from '@slack/web-api';
import { reach } from '../../outgoing/reach.js';
import { Misconfigured, SinkError } from '../errors.js';
import type { CheckResult } from '../sink.js';
import type { SinkContext } from '../sink-type.js';
import { apiError } from './slack-errors.js';
import { WebApi, withinTime } from './slack-http.js';
import type { SlackSettings } from './slack.settings.js';

type Ask = (method: string, args: object) => Promise<{ channel?: NonNullable<ConversationsInfoResponse['channel']> }>;
/** The scopes of the token; `null` if Slack did not send them. */
type Scopes = ReadonlySet<string> | null;

/** Checks only the connection: anything more would post a message. */
export async function checkHook(url: string, { proxies }: SinkContext, signal: AbortSignal): Promise<CheckResult> {
  const reached = await reach(url, proxies, {}, signal);
  const known =
    reached === 'proxy' ? 'its proxy is reachable; Slack and the path of WEBHOOK_URL are' : 'reachable; the path of WEBHOOK_URL is';
  return { problems: [], summary: `${known} not tried until the first message or \`test\`` };
}

/** Checks the token, its scopes, and the bot's access to the channel as far as the scopes allow. Posts nothing. */
export function checkBot(settings: SlackSettings, context: SinkContext, signal: AbortSignal): Promise<CheckResult> {
  return withinTime(settings.TIMEOUT_MS, signal, async within => {
    const api = new WebApi(settings, context);
    const { headers } = await api.ask('auth.test', {}, within);
    const header = headers['x-oauth-scopes'];
    const scopes = typeof header === 'string' ? new Set(header.split(/[\s,]+/)) : null;
    const ask: Ask = (method, args) => api.call(method, args, within);
    const problems: SinkError[] = [];
    if (scopes && !['chat:write', 'chat:write:bot', 'bot'].some(scope => scopes.has(scope)))
      problems.push(apiError('missing_scope', ['slack_lacks_scope']));
    const found = await checkChannel(settings.CHANNEL ?? '', 'CHANNEL', scopes, ask);
    if (found instanceof SinkError) problems.push(found);
    const alerts = settings.ALERT_CHANNEL === undefined ? '' : await checkChannel(settings.ALERT_CHANNEL, 'ALERT_CHANNEL', scopes, ask);
    // A failing ALERT_CHANNEL does not stop cards.
    if (alerts instanceof SinkError) context.warn(`alerts go to CHANNEL, since ALERT_CHANNEL cannot be posted to: ${alerts.message}`);
    const facts = [found, alerts].filter(fact => typeof fact === 'string' && fact !== '');
    return { problems, summary: ['the token is accepted', ...(facts.length > 0 ? facts : ['the channel was looked at'])].join('; ') };
  });
}

/** Tries the most informative call first, then calls that need fewer scopes; the last needs none. @returns the problem, or what is known */
async function checkChannel(channel: string, setting: string, scopes: Scopes, ask: Ask): Promise<SinkError | string> {
  // A channel name or a user id can be posted to, but not looked up.
  if (!/^[CDG][A-Z0-9]{5,}$/.test(channel)) return `${setting} is not an id and cannot be looked up`;
  const may = (what: string): boolean => scopes === null || ['channels', 'groups', 'im'].some(kind => scopes.has(`${kind}:${what}`));
  const notMember = apiError('not_in_channel', ['slack_not_member', setting]);
  const uninvited = scopes?.has('chat:write.public') === true;
  if (may('read')) {
    const answer = await ask('conversations.info', { channel }).catch(unlessAnswered);
    const { is_archived, is_member, is_im, is_private } = answer instanceof SinkError ? {} : (answer.channel ?? {});
    if (is_archived === true) return apiError('is_archived', ['slack_channel_archived', setting]);
    if (is_member === false && is_im !== true && !(uninvited && is_private !== true)) return notMember;
    if (is_member === true) return `the bot is in the channel of ${setting}`;
  }
  if (may('history')) {
    const answer = await ask('conversations.history', { channel, limit: 1 }).catch(unlessAnswered);
    if (!(answer instanceof SinkError)) return `the bot is in the channel of ${setting}`;
    if (answer.errorCode === 'not_in_channel' && !uninvited) return notMember;
  }
  const answer = await ask('chat.getPermalink', { channel, message_ts: '1000000000.000000' }).catch(unlessAnswered);
  if (answer instanceof Misconfigured && /^(channel_not_found|is_archived|.*restricted.*|.*access.*)$/.test(answer.errorCode))
    return answer;
  const exists = !(answer instanceof SinkError) || answer.errorCode === 'message_not_found';
  return `the channel of ${setting} ${exists ? 'exists; whether the bot is in it was not asked' : 'cannot be looked up'}`;
}

/** Returns Slack's own errors; any other error fails the check. */
function unlessAnswered(error: unknown): SinkError {
  if (error instanceof SinkError && error.errorCode !== '') return error;
  throw error;
}
