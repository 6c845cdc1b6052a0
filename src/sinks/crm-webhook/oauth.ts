import type { Agent } from 'node:http';
import type { Explanation } from '../../explanations/explanation.js';
import { agentFor } from '../../outgoing/agents.js';
import { classifyStatus, parseJson, retryAfterMs } from '../../outgoing/http.js';
import { type Answer, exchange, withResponse } from '../../outgoing/send.js';
import { unlessAborted, within } from '../../outgoing/within.js';
import { Misconfigured, NotSent, SinkError, TryAgain } from '../errors.js';
import type { SinkContext } from '../sink-type.js';
import type { CrmWebhookSettings } from './crm-webhook.settings.js';

/** Token responses normally have a few hundred bytes. */
const maxAnswerBytes = 1024 * 1024;
/** Tokens are sought in what may be shown of a response, in characters. */
const maxSearched = 16_000;
const renewalLeadMs = 30_000;
const advices: Record<string, Explanation> = {
  invalid_client: ['token_client'],
  unauthorized_client: ['token_grant'],
  unsupported_grant_type: ['token_grant'],
  invalid_scope: ['token_scope'],
  invalid_target: ['token_audience'],
};

interface Token {
  text: string;
  /** When to renew it; `null` if it has no expiry and is renewed after a 401. */
  renewAt: number | null;
}

/** The access token of a sink (RFC 6749, section 4.4), fetched on demand and shared by all attempts. */
export class OAuthToken {
  private readonly agent: Agent;
  private readonly closing = new AbortController();
  private token: Token | null = null;
  private fetching: Promise<Token> | null = null;
  /** Whether client credentials go in HTTP Basic; some servers accept nothing else. */
  private basic = false;
  /** Recent tokens, to be removed from responses that echo them. */
  readonly recentTokens: string[] = [];

  constructor(
    private readonly url: string,
    private readonly settings: CrmWebhookSettings,
    private readonly context: SinkContext,
  ) {
    const { CA: ca, CERT: cert, KEY: key, TIMEOUT_MS: tunnelTimeoutMs } = settings;
    this.agent = agentFor(url, context.proxies, { keepAlive: false, ca, cert, key, tunnelTimeoutMs });
  }

  /**
   * @param rejected a token that the target has answered with 401
   * @throws SinkError; the signal's reason once that is aborted, although a shared fetch continues
   */
  async get(signal: AbortSignal, rejected?: string): Promise<string> {
    if (this.token?.text === rejected) this.token = null;
    const { token } = this;
    if (token && (token.renewAt === null || this.context.now() < token.renewAt)) return token.text;
    this.fetching ??= this.fetch().finally(() => (this.fetching = null));
    return (await unlessAborted(this.fetching, signal)).text;
  }

  close(): void {
    this.closing.abort();
    this.agent.destroy();
  }

  timeoutError(): SinkError {
    return new NotSent(['token_timed_out', this.settings.TIMEOUT_MS], ['token_wait']);
  }

  private async fetch(): Promise<Token> {
    const at = this.context.now();
    const answer = await within(
      this.settings.TIMEOUT_MS,
      this.closing.signal,
      inTime => this.request(inTime),
      () => this.timeoutError(),
    );
    const token = tokenOf(answer, at);
    if (!token) throw this.failureOf(answer);
    this.token = token;
    this.recentTokens.unshift(token.text);
    this.recentTokens.splice(4);
    return token;
  }

  /** Sends the client credentials in the way that worked last; on `invalid_client` once in the other way (body or HTTP Basic). */
  private async request(signal: AbortSignal): Promise<Answer> {
    const answer = await this.post(this.basic, signal);
    if (codeOf(answer) !== 'invalid_client') return answer;
    const other = await this.post(!this.basic, signal);
    if (tokenOf(other, 0)) this.basic = !this.basic;
    // If both fail, return the more informative answer.
    return tokenOf(other, 0) || other.status === 429 || other.status >= 500 || Object.hasOwn(advices, codeOf(other) ?? '') ? other : answer;
  }

  private async post(basic: boolean, signal: AbortSignal): Promise<Answer> {
    const { OAUTH_CLIENT_ID: id = '', OAUTH_CLIENT_SECRET: secret = '', OAUTH_SCOPE: scope, OAUTH_AUDIENCE: audience } = this.settings;
    const body = new URLSearchParams({ grant_type: 'client_credentials', ...(scope && { scope }), ...(audience && { audience }) });
    const headers: Record<string, string> = { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' };
    if (basic) headers['authorization'] = `Basic ${Buffer.from(`${formEncoded(id)}:${formEncoded(secret)}`).toString('base64')}`;
    else {
      body.set('client_id', id);
      body.set('client_secret', secret);
    }
    try {
      return await exchange({ method: 'POST', url: this.url, headers, body: body.toString(), agent: this.agent, signal }, maxAnswerBytes);
    } catch (error) {
      if (!(error instanceof SinkError) || error.why[0].startsWith('proxy_')) throw error;
      const why = ['token_unreachable', error.why] as const;
      throw error instanceof Misconfigured ? new Misconfigured(why, ['token_url']) : new NotSent(why, ['token_wait']);
    }
  }

  private failureOf(answer: Answer): SinkError {
    const { status } = answer;
    const code = codeOf(answer);
    const now = this.context.now();
    const byStatus = classifyStatus(status, answer.retryAfter, now);
    const why: Explanation =
      code !== null ? ['token_answered_word', status, code] : byStatus ? ['token_answered', status] : ['token_missing'];
    const isTemporary = !byStatus || byStatus instanceof TryAgain || code === 'temporarily_unavailable';
    const byClass: Explanation = [isTemporary ? 'token_wait' : status >= 300 && status < 400 ? 'token_final_url' : 'token_settings'];
    const advice = code !== null && Object.hasOwn(advices, code) ? advices[code]! : byClass;
    const error = isTemporary
      ? new TryAgain(why, advice, status, retryAfterMs(answer.retryAfter, now))
      : new Misconfigured(why, advice, status);
    // What a 2xx without a token means is unknown: its body may contain one in any form.
    return byStatus ? withResponse(error, answer, this.context.clean, [...this.recentTokens, ...tokensIn(answer)]) : error;
  }
}

function fieldsOf({ body }: Answer): Record<string, unknown> {
  return Object(parseJson(body)) as Record<string, unknown>;
}

/** Values with a name such as `access_token`, in JSON of any depth, a form, XML or prose; without quotes only what is as long as a token. */
const namedTokens = /token[\\"']*\s*[:=>]\s*(?:\\*["']((?:[^\\"']|\\+\/)+)|([^\s\\"'<>&,;]{8,}))/gi;

/** The tokens of a response, which some servers send even with an error. */
function tokensIn({ body }: Answer): string[] {
  return Array.from(body.slice(0, maxSearched).matchAll(namedTokens), ([, quoted, plain]) => quoted ?? plain!);
}

/** The OAuth error code (RFC 6749, section 5.2). */
function codeOf(answer: Answer): string | null {
  const { error } = fieldsOf(answer);
  return typeof error === 'string' && /^[a-z_]{1,60}$/.test(error) ? error : null;
}

/** @param requestedAt from when `expires_in` is counted */
function tokenOf(answer: Answer, requestedAt: number): Token | null {
  const { access_token: text, expires_in: seconds } = fieldsOf(answer);
  if (answer.status < 200 || answer.status >= 300 || typeof text !== 'string' || !/^[\x21-\x7e]+$/.test(text)) return null;
  const lifeMs = (typeof seconds === 'number' || typeof seconds === 'string' ? Number(seconds) : NaN) * 1000;
  if (!(lifeMs > 0)) return { text, renewAt: null };
  return { text, renewAt: requestedAt + (lifeMs < 2 * renewalLeadMs ? lifeMs / 2 : lifeMs - renewalLeadMs) };
}

function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}
