import { createHash } from 'node:crypto';

/** The three commands that the service keeps, by what happened. */
export const commands = {
  created: 'OfficialAccount.CallbackAfterCreateOfficialAccount',
  changed: 'OfficialAccount.CallbackAfterOfficialAccountInfoChanged',
  destroyed: 'OfficialAccount.CallbackAfterOfficialAccountDestroyed',
} as const;

/** What webhooks that tell nothing of their origin have in common, as they are kept. */
export const byWebhook = { source: 'webhook' as const, origin: { clientIp: null, platform: null, owner: null } };

/** Where the vendor sends its webhooks, and what its console was told: the app and the authentication token. */
export interface Target {
  url: string;
  appId: string;
  token: string;
}

export interface WebhookBody {
  CallbackCommand: string;
  Official_Account: string;
  EventTime: number;
  [field: string]: unknown;
}

export interface Answer {
  status: number;
  body: { ActionStatus: string; ErrorCode: number; ErrorInfo: string };
  ms: number;
}

/** The vendor's signature: a plain SHA-256, no HMAC, over the token and the literal text of `RequestTime`. */
function sign(token: string, requestTime: string): string {
  return createHash('sha256')
    .update(token + requestTime)
    .digest('hex');
}

function query({ appId }: Target, body: Pick<WebhookBody, 'CallbackCommand'>): URLSearchParams {
  return new URLSearchParams({
    SdkAppid: appId,
    CallbackCommand: body.CallbackCommand,
    contenttype: 'json',
    ClientIP: '127.0.0.1',
    OptPlatform: 'RESTAPI',
  });
}

/** Sends one webhook as the vendor does, signed with the time of now. */
export async function sendWebhook(target: Target, body: WebhookBody): Promise<Answer> {
  const requestTime = String(Math.floor(Date.now() / 1000));
  const parameters = query(target, body);
  parameters.set('RequestTime', requestTime);
  parameters.set('Sign', sign(target.token, requestTime));
  const start = performance.now();
  const response = await fetch(`${target.url}?${parameters.toString()}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  const answer = (await response.json()) as Answer['body'];
  return { status: response.status, body: answer, ms: performance.now() - start };
}

const shellQuoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** A webhook to paste into a shell of Linux or macOS: it takes its times and signs when it is run, so it never goes stale. */
export function curlCommand(
  target: Target,
  body: Omit<WebhookBody, 'EventTime'> & { CallbackCommand: string; Official_Account: string },
): string {
  const untimed = JSON.stringify(body).slice(0, -1);
  return [
    `T=$(date +%s); curl -sS --noproxy 127.0.0.1 -H 'Content-Type: application/json' \\`,
    `  -d ${shellQuoted(`${untimed},"EventTime":`)}"$T"'000}' \\`,
    `  ${shellQuoted(`${target.url}?${query(target, body).toString()}`)}"&RequestTime=$T&Sign=$(printf %s ${shellQuoted(target.token)}"$T" | openssl dgst -sha256 -r | cut -c1-64)"; echo`,
  ].join('\n');
}
