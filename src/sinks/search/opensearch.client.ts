import { type ClientRequest, type IncomingMessage, Agent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';

/** How to reach and enter a cluster. */
export interface Access {
  url: string;
  /** The value of the Authorization header. */
  authorization: string | null;
  ca: string | undefined;
  timeoutMs: number;
}

/** One call of the API; `json` or `lines` (newline-delimited JSON) is its body. */
export interface ClusterCall {
  method: 'GET' | 'PUT' | 'POST';
  path: string;
  query?: Record<string, string>;
  json?: object;
  lines?: string;
}

/** What the cluster said; `body` is `undefined` if it is not JSON. */
export interface ClusterAnswer {
  status: number;
  retryAfter: unknown;
  body: unknown;
}

/** The part of a search engine's API that its sink needs. */
export interface Cluster {
  request(call: ClusterCall, signal: AbortSignal): Promise<ClusterAnswer>;
  close(): void;
}

/** A bulk answer of 500 documents takes a fraction of this; whatever goes on longer is no answer of a cluster. */
const answerLimit = 16 * 1024 * 1024;

/** The official client, kept from retrying, from hiding what failed, and from writing to standard output. */
export async function openSearchCluster({ url, authorization, ca, timeoutMs }: Access): Promise<Cluster> {
  const { Client, Connection } = await import('@opensearch-project/opensearch');

  class PlainSpokenConnection extends Connection {
    /** Adds the network's own error as cause, since the client keeps only its text, and classes are told by codes. */
    override request(...[params, callback]: Parameters<InstanceType<typeof Connection>['request']>): ClientRequest {
      let cause: unknown;
      const request = super.request(params, (error, response) => {
        if (error) error.cause = cause;
        // The client prints what fails after the head of an answer; whoever reads the answer is told of it anyway.
        else request.removeAllListeners('error').on('error', () => {});
        callback(error, response);
      });
      return request.prependListener('error', error => (cause = error));
    }
  }

  const agent = url.startsWith('https:')
    ? new TlsAgent({ keepAlive: true, ...(ca !== undefined && { ca }) })
    : new Agent({ keepAlive: true });
  const client = new Client({
    node: url,
    Connection: PlainSpokenConnection,
    agent: () => agent,
    headers: authorization === null ? {} : { authorization },
    maxRetries: 0,
    resurrectStrategy: 'none',
    requestTimeout: timeoutMs,
  });

  async function request({ method, path, query = {}, json, lines }: ClusterCall, signal: AbortSignal): Promise<ClusterAnswer> {
    signal.throwIfAborted();
    const params = { method, path, querystring: query, ...(json && { body: json }), ...(lines !== undefined && { bulkBody: lines }) };
    // As a stream: then no status throws, and neither does a body that claims to be JSON.
    const sent = client.transport.request(params, { asStream: true });
    // In a block: abort returns the promise, and Node ends the process when a listener returns one that rejects.
    const abort = () => {
      sent.abort();
    };
    signal.addEventListener('abort', abort, { once: true });
    try {
      const { statusCode, headers, body } = await sent;
      return { status: statusCode ?? 0, retryAfter: headers?.['retry-after'], body: parsed(await textOf(body as IncomingMessage)) };
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }
  return { request, close: () => agent.destroy() };
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > answerLimit) return '';
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
