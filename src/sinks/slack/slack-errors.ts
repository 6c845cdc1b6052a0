import { classifyStatus, parsed, retryAfterMs } from '../../outgoing/http.js';
import { Misconfigured, Refused, type SinkError, TryAgain } from '../errors.js';

/** Nothing else of Slack's answers gets into our errors: a word of Slack's vocabulary holds neither secrets nor profile text. */
const wordPattern = /^[a-z_]{1,60}$/;

const token = 'BOT_TOKEN is not accepted: set the bot token that Slack shows for the installed app.';
const scope = 'Give the Slack app the scope chat:write, install it again, and set BOT_TOKEN to the token it then has.';
const channel = 'Check CHANNEL: it must be the id of a channel, and the bot of BOT_TOKEN must be invited to it.';
const archived = 'The channel of CHANNEL is archived: unarchive it, or set CHANNEL to another one.';
const admin = 'A rule of the Slack workspace forbids it: ask an admin to allow the app to post to CHANNEL, or set CHANNEL to another one.';
const hook = 'WEBHOOK_URL is no longer valid: make a new incoming webhook in Slack and set WEBHOOK_URL to it.';
const hookRule = 'A rule of the Slack workspace forbids it: ask an admin, or set WEBHOOK_URL to an incoming webhook of another channel.';
const payload = 'Slack does not take this message: please report it together with the id of the change.';
const wait = 'Nothing to do unless it lasts: it is tried again by itself.';

/** Words of the Web API that nobody can wait out, by what a person must do. */
const apiAdvice: Record<string, string> = {
  invalid_auth: token,
  not_authed: token,
  account_inactive: token,
  token_revoked: token,
  token_expired: token,
  not_allowed_token_type: token,
  team_not_found: token,
  user_is_bot: token,
  missing_scope: scope,
  no_permission: scope,
  channel_not_found: channel,
  not_in_channel: channel,
  is_archived: archived,
  ekm_access_denied: admin,
  enterprise_is_restricted: admin,
  access_denied: admin,
  app_access_restricted: admin,
  team_access_not_granted: admin,
  method_not_supported_for_channel_type: channel,
  unknown_method: 'Check API_URL: it must be the root of a Slack API.',
};

/** Words of incoming webhooks likewise. */
const webhookAdvice: Record<string, string> = {
  invalid_token: hook,
  no_service: hook,
  no_service_id: hook,
  no_team: hook,
  no_active_hooks: hook,
  team_disabled: hook,
  channel_not_found: hook,
  user_not_found: hook,
  channel_is_archived: 'The channel of WEBHOOK_URL is archived: unarchive it, or make an incoming webhook for another one.',
  action_prohibited: hookRule,
  posting_to_general_channel_denied: hookRule,
};

/** Words about the message itself: the same message will never be taken. */
const aboutPayload =
  /^(invalid_(blocks|arg|array_arg|json|form|charset|post|payload|metadata|text)|missing_(text|post|charset|arg)|no_text|metadata_|msg_|markdown_|too_many_|too_long|cannot_parse|block_mismatch|slack_connect_|duplicate_message|as_user_not|message_not_found|cant_|edit_window)/;

/** Slack's word for what is wrong, if a text is nothing but such a word. */
function slackWord(text: unknown): string | null {
  return typeof text === 'string' && wordPattern.test(text) ? text : null;
}

/**
 * What a `{ok: false}` of the Web API means. A word unknown to us is tried again unless it is about the message: Slack adds words for its own
 * troubles now and then, and a delivery that is tried too long is parked anyway.
 */
export function classifyApiWord(error: unknown, retryAfterMs = 0, status = 200): SinkError {
  const word = slackWord(error);
  if (word === null) {
    return new TryAgain(
      'answered something that is not of the Slack API',
      'If it lasts, check API_URL and what stands between here and Slack.',
      status,
    );
  }
  const told = `Slack answered ${word}`;
  const advice = Object.hasOwn(apiAdvice, word) ? apiAdvice[word] : word.startsWith('restricted_action') ? admin : undefined;
  if (advice !== undefined) return new Misconfigured(told, advice, status);
  if (aboutPayload.test(word)) return new Refused(told, payload, status);
  return new TryAgain(told, wait, status, retryAfterMs);
}

/**
 * What an answer of the Web API means before the SDK reads it; `null` is one for the SDK to read. Slack hardly uses any status but 200 and
 * 429, so that with others it is mostly a proxy that speaks.
 */
export function classifyApiAnswer(status: number, body: string, retryAfter: unknown, now: number): SinkError | null {
  const said = fieldsOf(body);
  const byStatus = classifyStatus(status, retryAfter, now);
  if (byStatus === null) return typeof said?.ok === 'boolean' ? null : classifyApiWord(null, 0, status);
  const word = slackWord(said?.error);
  if (status < 400 || word === null) return byStatus;
  const byWord = classifyApiWord(word, 0, status);
  return byWord instanceof TryAgain ? byStatus : byWord;
}

/** What an incoming webhook's answer means; `null` is posted, which Slack says with the body `ok` and nothing else. */
export function classifyWebhookAnswer(status: number, body: string, retryAfter: unknown, now: number): SinkError | null {
  const byStatus = classifyStatus(status, retryAfter, now);
  if (byStatus === null && body.trim() === 'ok') return null;
  const word = webhookWord(body);
  if (word === null || (status >= 300 && status < 400)) {
    const todo = 'If it lasts, check WEBHOOK_URL and what stands between here and Slack.';
    return byStatus ?? new TryAgain('answered something that is not of an incoming webhook of Slack', todo, status);
  }
  const told = `answered ${status}, ${word}`;
  const byWord = classifyApiWord(word, retryAfterMs(retryAfter, now), status);
  const own = Object.hasOwn(webhookAdvice, word) ? webhookAdvice[word] : undefined;
  // A word that nobody knows leaves it to the status.
  const meant = byWord instanceof TryAgain ? (byStatus ?? byWord) : byWord;
  if (own !== undefined || meant instanceof Misconfigured) return new Misconfigured(told, own ?? hook, status);
  return meant instanceof Refused ? new Refused(told, payload, status) : meant;
}

/** What an incoming webhook says is wrong: mostly a bare word, at times as the Web API says it. */
export function webhookWord(body: string): string | null {
  const said = fieldsOf(body);
  return slackWord(said === null ? body.trim() : said.error);
}

function fieldsOf(body: string): { ok?: unknown; error?: unknown } | null {
  const said = parsed(body);
  return typeof said === 'object' ? said : null;
}
