import { hash } from 'node:crypto';
import { env } from 'node:process';
import { request } from 'undici';
import { classifyNetworkError, parseJson, userAgent } from '../outgoing/http.js';
import { withEnvFile } from '../settings/env-file.js';
import { cleaner } from '../settings/cleaner.js';
import { secretsOf } from '../settings/secrets.js';
import { type Settings, readSettings } from '../settings/settings.js';
import { fromIso } from '../management/api/values.js';
import { commands } from '../webhook/commands.js';
import { originHere } from './api.js';
import { plain } from './table.js';
import { CliError, print } from './terminal.js';

const fields = {
  name: 'Name',
  avatar: 'FaceUrl',
  introduction: 'Introduction',
  organization: 'Organization',
  operator: 'Operator_Account',
} as const;

/** Longer than the vendor's own timeout of 2 s. */
const timeoutMs = 10_000;
/** How much of an answer is printed, in characters. */
const maxShown = 1000;

/** Sends a webhook as the vendor does, and prints the response with its duration. @throws CliError */
export async function sendWebhook(given: Readonly<Record<string, string | undefined>>): Promise<void> {
  const [vendorCommand] = Object.entries(commands).find(([, command]) => command === given['command']) ?? [];
  if (vendorCommand === undefined) throw new CliError('--command must be created, changed or destroyed', 2);
  const eventTime = timeOf(given['time']);
  const settings = readSettings(...withEnvFile(env));
  const url = given['url'] === undefined ? ownUrl(settings) : urlOf(given['url']);
  const requestTime = String(Math.floor(Date.now() / 1000));
  const [token] = settings.WEBHOOK_TOKENS ?? [];
  const query = {
    SdkAppid: given['app'] ?? settings.SDK_APP_IDS[0]!,
    CallbackCommand: vendorCommand,
    contenttype: 'json',
    ClientIP: '127.0.0.1',
    OptPlatform: 'RESTAPI',
    ...(token !== undefined && { RequestTime: requestTime, Sign: hash('sha256', token + requestTime) }),
  };
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  const body = {
    CallbackCommand: vendorCommand,
    Official_Account: given['channel'],
    ...Object.fromEntries(Object.entries(fields).map(([option, field]) => [field, given[option]])),
    EventTime: eventTime,
  };
  // An answer may repeat what was sent; with the signature anyone can send webhooks for a minute.
  const secrets = [...secretsOf(settings), query.Sign ?? ''];
  await post(url, JSON.stringify(body), text => cleaner(secrets)(text, [], maxShown));
}

async function post(url: URL, body: string, clean: (text: string) => string): Promise<void> {
  const from = performance.now();
  const headers = { 'content-type': 'application/json', 'user-agent': userAgent };
  try {
    const answer = await request(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(timeoutMs) });
    const text = await answer.body.text();
    print(`${answer.statusCode} ${plain(clean(text))} in ${Math.round(performance.now() - from)} ms`);
    const packet = parseJson(text);
    const kept = typeof packet === 'object' && packet !== null && 'ErrorCode' in packet && packet.ErrorCode === 0;
    if (answer.statusCode !== 200 || !kept) process.exitCode = 1;
  } catch (error) {
    const why = error instanceof DOMException ? `no answer in ${timeoutMs / 1000} s` : classifyNetworkError(error).message;
    throw new CliError(`${url.origin}${url.pathname} does not answer (${why}): check that the service runs, and --url`);
  }
}

function ownUrl({ HOST, PORT, WEBHOOK_PATH }: Settings): URL {
  if (PORT === 0) throw new CliError('PORT is 0, so that any may be in use: say which by --url', 2);
  return new URL(originHere(HOST, PORT) + WEBHOOK_PATH);
}

function urlOf(text: string): URL {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password)
    throw new CliError('--url must be where webhooks come in, such as http://127.0.0.1:3000/webhooks/tencent-chat', 2);
  return url;
}

/** Parses `--time` to milliseconds; the default is now. @throws CliError if it is invalid */
function timeOf(text: string | undefined): number {
  if (text === undefined) return Date.now();
  const ms = /^(\d{1,3}|\d{5,15})$/.test(text) ? Number(text) : fromIso(text);
  if (Number.isNaN(ms))
    throw new CliError('--time must be a time in ISO 8601, such as 2026-01-31T12:00:00Z, or milliseconds since 1970', 2);
  return ms;
}
