import type { Agent } from 'node:http';
import type { Readable } from 'node:stream';
import type { AxiosResponse } from 'axios';
import { Webhook } from 'standardwebhooks';
import { agentFor } from '../../outgoing/agents.js';
import { classifyNetworkError, classifyStatus } from '../../outgoing/http.js';
import { type Answered, readAnswer, withResponse } from '../../outgoing/response.js';
import { send } from '../../outgoing/send.js';
import { within } from '../../outgoing/within.js';
import type { Delivery, SingleSink } from '../sink.js';
import { type SinkContext, defineSink } from '../sink-type.js';
import { TryAgain } from '../errors.js';
import { checkTarget } from './check-target.js';
import { CrmWebhookSettings } from './crm-webhook.settings.js';

/** Many servers close an idle connection after 5 s without a word; a delivery sent just then would be lost and sent twice. */
const idleConnectionMs = 4000;

/** Posts changes to a CRM, or to anything else that takes Standard Webhooks. */
export const crmWebhook = defineSink<CrmWebhookSettings>({
  type: 'webhook',
  summary: 'Posts every change to a CRM, signed as Standard Webhooks define it',
  settings: CrmWebhookSettings,
  mode: settings => settings.MODE,
  async open(settings, context) {
    if (!settings.SECRETS) context.warn(`SINK_${context.name.toUpperCase()}_SECRETS is not set: the webhooks of this sink go out unsigned`);
    return Object.assign(new CrmWebhookSink(settings, context), { check: checkTarget(settings, context) });
  },
});

type Answer = Answered & { status: number; retryAfter: unknown };

class CrmWebhookSink implements SingleSink {
  private readonly agent: Agent;
  private readonly signers: Webhook[];

  constructor(
    private readonly settings: CrmWebhookSettings,
    private readonly context: SinkContext,
  ) {
    const { URL: url, CA: ca, CERT: cert, KEY: key, CONCURRENCY, SECRETS = [], TIMEOUT_MS: attemptMs } = settings;
    // The interval that axios sets: with another one, each request would set the socket's twice.
    const pool = { keepAlive: true, keepAliveMsecs: 60_000, maxSockets: CONCURRENCY, timeout: idleConnectionMs };
    this.agent = agentFor(url, context.proxies, { ...pool, ca, cert, key, attemptMs });
    this.signers = SECRETS.map(secret => new Webhook(secret));
  }

  async deliver(delivery: Delivery, signal: AbortSignal): Promise<void> {
    const answer = await this.tryOnce(delivery, signal);
    const error = classifyStatus(answer.status, answer.retryAfter, this.context.now());
    if (error) throw withResponse(error, answer, this.context.clean);
  }

  async close(): Promise<void> {
    this.agent.destroy();
  }

  /** One request within its total time. Throws only until there is a status, which then decides. */
  private async tryOnce(delivery: Delivery, signal: AbortSignal): Promise<Answer> {
    const exchange = async (inTime: AbortSignal): Promise<Answer> => {
      const { status, headers, data } = await this.post(delivery, inTime);
      return { status, retryAfter: headers['retry-after'] as unknown, ...(await readAnswer(data, headers, status >= 300)) };
    };
    const { TIMEOUT_MS } = this.settings;
    try {
      return await within(TIMEOUT_MS, signal, exchange, () => new TryAgain(['timed_out_after', TIMEOUT_MS], ['check_answers_in_time']));
    } catch (error) {
      signal.throwIfAborted();
      throw classifyNetworkError(error);
    }
  }

  private post({ id, event }: Delivery, signal: AbortSignal): Promise<AxiosResponse<Readable>> {
    const body = JSON.stringify(event);
    const time = new Date(this.context.now());
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      ...this.settings.HEADERS,
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(time.getTime() / 1000)),
      'idempotency-key': id,
    };
    if (this.signers.length > 0) headers['webhook-signature'] = this.signers.map(signer => signer.sign(id, time, body)).join(' ');
    return send({ method: 'POST', url: this.settings.URL, headers, body, agent: this.agent, signal });
  }
}
