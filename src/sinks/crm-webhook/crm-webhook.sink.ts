import type { Agent } from 'node:http';
import { Webhook } from 'standardwebhooks';
import { agentFor } from '../../outgoing/agents.js';
import { classifyStatus } from '../../outgoing/http.js';
import { reach } from '../../outgoing/reach.js';
import { type Answer, exchange, withResponse } from '../../outgoing/send.js';
import { within } from '../../outgoing/within.js';
import type { CheckResult, Checkable, Delivery, SingleSink } from '../sink.js';
import { type SinkContext, defineSink } from '../sink-type.js';
import { SinkError, TryAgain } from '../errors.js';
import { OAuthToken } from './oauth.js';
import { marksTests } from './template-check.js';
import { Shape } from './templates.js';
import { CrmWebhookSettings } from './crm-webhook.settings.js';

/** Below the 5 s after which many servers silently close idle connections: a request sent just then would fail and be repeated. */
const idleConnectionMs = 4000;
/** Answers are read up to these limits, so that the connection can be reused; beyond them it is closed. */
const maxAnswerBytes = 64 * 1024;
/** Where the status decides; an answer that SUCCESS asks for has all the time of its attempt. */
const answerTimeoutMs = 1000;

/** Posts changes to a CRM or any other receiver of Standard Webhooks. */
export const crmWebhook = defineSink<CrmWebhookSettings>({
  type: 'webhook',
  summary: 'Posts every change to a CRM, signed as Standard Webhooks define it',
  settings: CrmWebhookSettings,
  mode: settings => settings.MODE,
  async open(settings, context) {
    if (!settings.SECRETS) context.warn(`SINK_${context.name.toUpperCase()}_SECRETS is not set: the webhooks of this sink go out unsigned`);
    if (settings.TEMPLATE !== undefined && !marksTests(settings.TEMPLATE, settings.CONTENT_TYPE))
      context.warn(`SINK_${context.name.toUpperCase()}_TEMPLATE never writes data.test: the target cannot tell a test from a change`);
    return new CrmWebhookSink(settings, context);
  },
});

type Message = Record<'id' | 'url' | 'body', string> & { traceparent: string | undefined };

class CrmWebhookSink implements SingleSink, Checkable {
  private readonly agent: Agent;
  private readonly signers: Webhook[];
  private readonly shape: Shape;
  private readonly oauth: OAuthToken | null;

  constructor(
    private readonly settings: CrmWebhookSettings,
    private readonly context: SinkContext,
  ) {
    const { URL: url, CA: ca, CERT: cert, KEY: key, CONCURRENCY, SECRETS = [], TIMEOUT_MS: tunnelTimeoutMs, OAUTH_TOKEN_URL } = settings;
    // The same keep-alive interval as axios uses; with another one, each request would set the socket option twice.
    const pool = { keepAlive: true, keepAliveMsecs: 60_000, maxSockets: CONCURRENCY, timeout: idleConnectionMs };
    this.agent = agentFor(url, context.proxies, { ...pool, ca, cert, key, tunnelTimeoutMs });
    this.signers = SECRETS.map(secret => new Webhook(secret));
    this.shape = new Shape(settings);
    this.oauth = OAUTH_TOKEN_URL === undefined ? null : new OAuthToken(OAUTH_TOKEN_URL, settings, context);
  }

  async deliver(delivery: Delivery, signal: AbortSignal): Promise<'skipped' | number> {
    const body = this.shape.body(delivery);
    if (body === null) return 'skipped';
    const traceparent = this.context.traceparent?.(delivery.event.data.changeId);
    const answer = await this.tryOnce({ id: delivery.id, url: this.shape.url(delivery), body, traceparent }, signal);
    const error = this.shape.failureOf(answer, classifyStatus(answer.status, answer.retryAfter, this.context.now()));
    if (error) throw withResponse(error, answer, this.context.clean, this.oauth?.recentTokens);
    return answer.status;
  }

  /** Checks the token endpoint and the connection to the target. Sends it no request, so path and credentials stay unverified. */
  async check(signal: AbortSignal): Promise<CheckResult> {
    const { URL: url, CA: ca, CERT: cert, KEY: key } = this.settings;
    const reached = reach(url, this.context.proxies, { ca, cert, key }, signal);
    const [target, token] = await Promise.allSettled([reached, this.oauth?.get(signal)]);
    const errors: unknown[] = [target, token].flatMap(result => (result.status === 'rejected' ? [result.reason] : []));
    const problems = errors.filter(error => error instanceof SinkError);
    if (problems.length < errors.length) throw errors.find(error => !(error instanceof SinkError));
    const isProxy = target.status === 'fulfilled' && target.value === 'proxy';
    const summary = isProxy ? 'its proxy is reachable; the target behind it, its path' : 'reachable; its path';
    return { problems, summary: `${summary} and credentials are not tried until the first delivery or \`test\`` };
  }

  async close(): Promise<void> {
    this.oauth?.close();
    this.agent.destroy();
  }

  /** One attempt within its timeout. Throws only while there is no status, or not yet the answer that SUCCESS asks for. */
  private async tryOnce(message: Message, signal: AbortSignal): Promise<Answer> {
    const { oauth } = this;
    const { TIMEOUT_MS } = this.settings;
    let waitsForToken = false;
    const request = async (inTime: AbortSignal, rejected?: string): Promise<Answer> => {
      waitsForToken = oauth !== null;
      const token = await oauth?.get(inTime, rejected);
      waitsForToken = false;
      const answer = await this.post(message, inTime, token);
      // A token may be revoked before it expires: after the first 401, try once with a new one.
      const isFinal = answer.status !== 401 || token === undefined || rejected !== undefined;
      return isFinal ? answer : request(inTime, token);
    };
    const timeoutError = () =>
      waitsForToken ? oauth!.timeoutError() : new TryAgain(['timed_out_after', TIMEOUT_MS], ['check_answers_in_time']);
    return within(TIMEOUT_MS, signal, inTime => request(inTime), timeoutError);
  }

  private post({ id, url, body, traceparent }: Message, signal: AbortSignal, token?: string): Promise<Answer> {
    const { METHOD: method, CONTENT_TYPE, HEADERS } = this.settings;
    const time = new Date(this.context.now());
    const headers: Record<string, string> = {
      'content-type': CONTENT_TYPE,
      ...HEADERS,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(time.getTime() / 1000)),
      'idempotency-key': id,
    };
    if (traceparent !== undefined) headers['traceparent'] = traceparent;
    if (this.signers.length > 0) headers['webhook-signature'] = this.signers.map(signer => signer.sign(id, time, body)).join(' ');
    return exchange({ method, url, headers, body, agent: this.agent, signal }, maxAnswerBytes, status =>
      this.shape.readsAnswer(status) ? undefined : answerTimeoutMs,
    );
  }
}
