import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Webhook } from 'standardwebhooks';

/** The body of a CRM webhook (docs/crm.md). */
export interface CrmBody {
  type: string;
  timestamp: string;
  data: {
    changeId: string;
    sdkAppId: string;
    channelId: string;
    revision: number;
    exists: boolean;
    operator: string | null;
    changes: { field: string; from: string | null; to: string | null }[];
    profile: Record<string, string | null>;
  };
}

/** One event that the CRM took. Only what bears a valid signature becomes one. */
export interface CrmEvent {
  id: string;
  revision: number;
  /** How often it was sent to us, the refused tries and any repeats too. */
  tries: number;
  body: CrmBody;
}

/** One request, whatever we answered. */
export interface CrmRequest {
  id: string;
  status: number;
  at: number;
}

/** How a CRM says no, and why. */
interface Failure {
  status: number;
  error?: string;
}

/** A CRM on loopback that checks Standard Webhooks signatures, and fails or goes away when told. */
export class CrmCatcher {
  /** What was taken, each id once, in the order in which it was taken. */
  readonly events: CrmEvent[] = [];
  readonly requests: CrmRequest[] = [];
  readonly #webhook: Webhook;
  readonly #server = createServer((request, response) => {
    this.#take(request, response).catch(() => response.destroy());
  });
  #port = 0;
  /** What the next requests with a valid signature are answered instead of 204, the first first. */
  readonly #failures: Failure[] = [];
  /** What all of them are answered, while it is set. */
  failing: Failure | null = null;

  /** @param secret a `whsec_…` secret */
  constructor(secret: string) {
    this.#webhook = new Webhook(secret);
  }

  /** Opens on a free port; after a close, on the same one again. */
  async open(): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(this.#port, '127.0.0.1', () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  /** Goes away as a crashed server does: open connections are cut, new ones refused. */
  async close(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/webhooks/channels`;
  }

  /** Answers the next requests with a valid signature like that. */
  failNext(requests: number, failure: Failure = { status: 503 }): void {
    this.#failures.push(...Array.from({ length: requests }, () => failure));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const payload = await text(request);
    const id = String(request.headers['webhook-id']);
    const { status, error } = this.#answer(payload, request);
    this.requests.push({ id, status, at: Date.now() });
    if (status === 204) this.#record(id, JSON.parse(payload) as CrmBody);
    response.writeHead(status, { 'content-type': 'application/json' }).end(error === undefined ? undefined : JSON.stringify({ error }));
  }

  #answer(payload: string, request: IncomingMessage): Failure {
    try {
      this.#webhook.verify(payload, request.headers as Record<string, string>);
    } catch {
      return { status: 401 };
    }
    return this.#failures.shift() ?? this.failing ?? { status: 204 };
  }

  #record(id: string, body: CrmBody): void {
    const tries = this.requests.filter(request => request.id === id).length;
    const known = this.events.find(event => event.id === id);
    if (known) known.tries = tries;
    else this.events.push({ id, revision: body.data.revision, tries, body });
  }
}
