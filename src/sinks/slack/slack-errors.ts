import type { Explanation } from '../../explanations/explanation.js';
import { classifyStatus, parseJson, retryAfterMs } from '../../outgoing/http.js';
import type { Answer } from '../../outgoing/send.js';
import { Misconfigured, Refused, type SinkError, TryAgain } from '../errors.js';

/** Only Slack's error codes go into our errors: they contain no secrets and no profile text. */
const codePattern = /^[a-z_]{1,60}$/;

type Advice = readonly (readonly [advice: Explanation, codes: RegExp])[];

const apiAdvice: Advice = [
  [
    ['slack_token'],
    /^(invalid_auth|not_authed|account_inactive|token_revoked|token_expired|not_allowed_token_type|team_not_found|user_is_bot)$/,
  ],
  [['slack_scope'], /^(missing_scope|no_permission)$/],
  [['slack_channel'], /^(channel_not_found|not_in_channel|method_not_supported_for_channel_type)$/],
  [['slack_archived'], /^is_archived$/],
  [
    ['slack_forbidden'],
    /^(ekm_access_denied|enterprise_is_restricted|access_denied|app_access_restricted|team_access_not_granted|restricted_action.*)$/,
  ],
  [['slack_api_url'], /^unknown_method$/],
];

const webhookAdvice: Advice = [
  [['slack_webhook_gone'], /^(invalid_token|no_service(_id)?|no_team|no_active_hooks|team_disabled|channel_not_found|user_not_found)$/],
  [['slack_webhook_archived'], /^channel_is_archived$/],
  [['slack_webhook_forbidden'], /^(action_prohibited|posting_to_general_channel_denied)$/],
  ...apiAdvice.map(([, codes]) => [['slack_webhook_gone'], codes] as const),
];

/** Error codes about the message itself: Slack would refuse the same message every time. */
const aboutMessage =
  /^(invalid_(blocks|arg|array_arg|json|form|charset|post|payload|metadata|text)|missing_(text|post|charset|arg)|no_text|metadata_|msg_|markdown_|too_many_|too_long|cannot_parse|block_mismatch|slack_connect_|duplicate_message|as_user_not|message_not_found|cant_|edit_window)/;

/**
 * The message was refused, possibly only for its image: Slack fetches images during the call and has no error code for a failed fetch. The
 * image is the only part of the blocks that can fail through no fault of ours.
 */
export class ImageRefused extends Refused {}

function classifyCode(code: string, advice: Advice, reason: Explanation, status: number): SinkError | null {
  const todo = advice.find(([, codes]) => codes.test(code))?.[0];
  if (todo !== undefined) return new Misconfigured(reason, todo, status);
  if (!aboutMessage.test(code)) return null;
  return new (code.startsWith('invalid_blocks') ? ImageRefused : Refused)(reason, ['slack_message'], status);
}

/** The error for this code, as if the Web API had returned it. */
export function apiError(code: 'missing_scope' | 'is_archived' | 'not_in_channel', reason: Explanation): SinkError {
  return classifyCode(code, apiAdvice, reason, 200)!;
}

/**
 * The error in a Web API answer; `null` if the call succeeded. Slack rarely uses a status other than 200 and 429, so others mostly come
 * from a proxy. Unknown error codes are retried: Slack adds codes for its own failures, and a delivery that is retried too long is parked.
 */
export function classifyApiAnswer({ status, body, retryAfter }: Answer, now: number): SinkError | null {
  const answer = fieldsOf(body);
  const byStatus = classifyStatus(status, retryAfter, now);
  if (byStatus === null && answer.ok === true) return null;
  const code = byStatus || answer.ok === false ? slackCode(answer.error) : null;
  if (code === null || (status >= 300 && status < 400)) return byStatus ?? unexpectedApiAnswer(status);
  const reason = ['slack_answered', code] as const;
  const byCode = classifyCode(code, apiAdvice, reason, status);
  if (byStatus) return byCode ?? byStatus;
  return Object.assign(byCode ?? new TryAgain(reason, ['wait'], status, retryAfterMs(retryAfter, now)), { errorCode: code });
}

/** For an answer that is not from the Slack API. */
export function unexpectedApiAnswer(status: number): TryAgain {
  return new TryAgain(['not_slack_api'], ['slack_api_url_or_way'], status);
}

/** The error in an incoming webhook's answer; `null` if it was posted, which Slack confirms with the exact body `ok`. */
export function classifyWebhookAnswer({ status, body, retryAfter }: Answer, now: number): SinkError | null {
  const byStatus = classifyStatus(status, retryAfter, now);
  if (byStatus === null && body.trim() === 'ok') return null;
  // Usually the bare error code, sometimes JSON as in the Web API.
  const code = slackCode(body.trim()) ?? slackCode(fieldsOf(body).error);
  if (code === null || (status >= 300 && status < 400)) {
    return byStatus ?? new TryAgain(['not_slack_webhook'], ['slack_webhook_or_way'], status);
  }
  const reason = ['answered_word', status, code] as const;
  const byCode = classifyCode(code, webhookAdvice, reason, status);
  if (byCode) return byCode;
  // For an unknown code, the status decides.
  if (byStatus instanceof Misconfigured) return new Misconfigured(reason, ['slack_webhook_gone'], status);
  if (byStatus instanceof Refused) return new Refused(reason, ['slack_message'], status);
  return byStatus ?? new TryAgain(reason, ['wait'], status, retryAfterMs(retryAfter, now));
}

function slackCode(text: unknown): string | null {
  return typeof text === 'string' && codePattern.test(text) ? text : null;
}

function fieldsOf(body: string): { ok?: unknown; error?: unknown } {
  return Object(parseJson(body)) as object;
}
