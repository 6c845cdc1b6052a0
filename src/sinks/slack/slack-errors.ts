import { classifyStatus, parsed, retryAfterMs } from '../../outgoing/http.js';
import type { Answer } from '../../outgoing/send.js';
import { Misconfigured, Refused, type SinkError, TryAgain } from '../errors.js';

/** Nothing else of Slack's answers gets into our errors: a word of Slack's vocabulary holds neither secrets nor profile text. */
const wordPattern = /^[a-z_]{1,60}$/;

const hook = 'WEBHOOK_URL is no longer valid: make a new incoming webhook in Slack and set WEBHOOK_URL to it.';
const report = 'Slack does not take this message: please report it together with the id of the change.';
const wait = 'Nothing to do unless it lasts: it is tried again by itself.';

/** What a person must do about words of Slack that nobody can wait out. */
type Advice = readonly (readonly [advice: string, words: RegExp])[];

const apiAdvice: Advice = [
  [
    'BOT_TOKEN is not accepted: set the bot token that Slack shows for the installed app.',
    /^(invalid_auth|not_authed|account_inactive|token_revoked|token_expired|not_allowed_token_type|team_not_found|user_is_bot)$/,
  ],
  [
    'Give the Slack app the scope chat:write, install it again, and set BOT_TOKEN to the token it then has.',
    /^(missing_scope|no_permission)$/,
  ],
  [
    'Check CHANNEL: it must be the id of a channel, and the bot of BOT_TOKEN must be invited to it.',
    /^(channel_not_found|not_in_channel|method_not_supported_for_channel_type)$/,
  ],
  ['The channel of CHANNEL is archived: unarchive it, or set CHANNEL to another one.', /^is_archived$/],
  [
    'A rule of the Slack workspace forbids it: ask an admin to allow the app to post to CHANNEL, or set CHANNEL to another one.',
    /^(ekm_access_denied|enterprise_is_restricted|access_denied|app_access_restricted|team_access_not_granted|restricted_action.*)$/,
  ],
  ['Check API_URL: it must be the root of a Slack API.', /^unknown_method$/],
];

const webhookAdvice: Advice = [
  [hook, /^(invalid_token|no_service(_id)?|no_team|no_active_hooks|team_disabled|channel_not_found|user_not_found)$/],
  ['The channel of WEBHOOK_URL is archived: unarchive it, or make an incoming webhook for another one.', /^channel_is_archived$/],
  [
    'A rule of the Slack workspace forbids it: ask an admin, or set WEBHOOK_URL to an incoming webhook of another channel.',
    /^(action_prohibited|posting_to_general_channel_denied)$/,
  ],
  ...apiAdvice.map(([, words]) => [hook, words] as const),
];

/** Words about the message itself: the same message will never be taken. */
const aboutMessage =
  /^(invalid_(blocks|arg|array_arg|json|form|charset|post|payload|metadata|text)|missing_(text|post|charset|arg)|no_text|metadata_|msg_|markdown_|too_many_|too_long|cannot_parse|block_mismatch|slack_connect_|duplicate_message|as_user_not|message_not_found|cant_|edit_window)/;

/** The message was refused, perhaps for its image alone: Slack fetches images while it handles the call, and has no word of its own for a failure of that. */
export class ImageRefused extends Refused {}

/** What a word means that is known to us; `null` for others. */
function classifyWord(word: string, advice: Advice, message: string, status: number, mayBeImage: boolean): SinkError | null {
  const todo = advice.find(([, words]) => words.test(word))?.[0];
  if (todo !== undefined) return new Misconfigured(message, todo, status);
  if (!aboutMessage.test(word)) return null;
  return mayBeImage && word.startsWith('invalid_blocks') ? new ImageRefused(message, report, status) : new Refused(message, report, status);
}

/**
 * What an answer of the Web API means; `null` is done. Slack hardly uses any status but 200 and 429, so that with others it is mostly a proxy that
 * speaks. A word unknown to us is tried again: Slack adds words for its own troubles now and then, and a delivery that is tried too long is parked anyway.
 */
export function classifyApiAnswer({ status, body, retryAfter }: Answer, now: number): SinkError | null {
  const answer = fieldsOf(body);
  const byStatus = classifyStatus(status, retryAfter, now);
  if (byStatus === null && answer.ok === true) return null;
  const word = byStatus || answer.ok === false ? slackWord(answer.error) : null;
  if (word === null || (status >= 300 && status < 400)) return byStatus ?? notOfApi(status);
  const message = `Slack answered ${word}`;
  const explanation = JSON.stringify([answer.response_metadata?.messages ?? [], answer.errors ?? []]);
  const byWord = classifyWord(word, apiAdvice, message, status, explanation === '[[],[]]' || /image/i.test(explanation));
  if (byStatus) return byWord ?? byStatus;
  return Object.assign(byWord ?? new TryAgain(message, wait, status, retryAfterMs(retryAfter, now)), { word });
}

/** An answer that Slack would not give. */
export function notOfApi(status: number): TryAgain {
  const advice = 'If it lasts, check API_URL and what stands between here and Slack.';
  return new TryAgain('answered something that is not of the Slack API', advice, status);
}

/** What an incoming webhook's answer means; `null` is posted, which Slack says with the body `ok` and nothing else. */
export function classifyWebhookAnswer({ status, body, retryAfter }: Answer, now: number): SinkError | null {
  const byStatus = classifyStatus(status, retryAfter, now);
  if (byStatus === null && body.trim() === 'ok') return null;
  // Mostly a bare word, at times as the Web API says it.
  const word = slackWord(body.trim()) ?? slackWord(fieldsOf(body).error);
  if (word === null || (status >= 300 && status < 400)) {
    const advice = 'If it lasts, check WEBHOOK_URL and what stands between here and Slack.';
    return byStatus ?? new TryAgain('answered something that is not of an incoming webhook of Slack', advice, status);
  }
  const message = `answered ${status}, ${word}`;
  // It does not say what is wrong with the blocks; the image is the one part whose fate is not ours.
  const byWord = classifyWord(word, webhookAdvice, message, status, true);
  if (byWord) return byWord;
  // A word that nobody knows leaves it to the status.
  if (byStatus instanceof Misconfigured) return new Misconfigured(message, hook, status);
  if (byStatus instanceof Refused) return new Refused(message, report, status);
  return byStatus ?? new TryAgain(message, wait, status, retryAfterMs(retryAfter, now));
}

/** Slack's word for what is wrong, if a text is nothing but such a word. */
function slackWord(text: unknown): string | null {
  return typeof text === 'string' && wordPattern.test(text) ? text : null;
}

function fieldsOf(body: string): { ok?: unknown; error?: unknown; errors?: unknown; response_metadata?: { messages?: unknown } | null } {
  return Object(parsed(body)) as object;
}
