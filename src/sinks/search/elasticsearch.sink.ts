import type { Agent, IncomingMessage, RequestOptions } from 'node:http';
import { type Access, type Cluster, answerOf, clientOptions, paramsOf } from './cluster.js';
import { clusterSink } from './cluster.sink.js';

/** The official client of version 8, which Elasticsearch 9 takes too, kept from retrying and from hiding what failed. */
async function connect(access: Access, agent: Agent): Promise<Cluster['request']> {
  const { Client, HttpConnection, Transport } = await import('@elastic/elasticsearch');
  /** Who wants the network's own errors, by the signal of a request: the client keeps only their texts, and classes are told by codes; one of them it ignores. */
  const listeners = new WeakMap<AbortSignal, (error: Error) => void>();

  class ErrorPreservingConnection extends HttpConnection {
    // The client's types tell two forms of this; a stream is the only one that is asked for here.
    override request(...[params, options]: Parameters<InstanceType<typeof HttpConnection>['request']>): never {
      const { makeRequest } = this;
      this.makeRequest = (told: RequestOptions | string | URL) => makeRequest(told).once('error', listeners.get(options.signal!)!);
      const sent = super.request(params, options);
      this.makeRequest = makeRequest;
      return sent as never;
    }
  }

  /** Leaves out the client's own check of the product: ours also says what else is there. */
  class PlainTransport extends Transport {
    constructor(options: ConstructorParameters<typeof Transport>[0]) {
      super({ ...options, productCheck: null as never });
    }
  }

  const client = new Client({ ...clientOptions(access, agent), Connection: ErrorPreservingConnection, Transport: PlainTransport });

  return async (call, signal) => {
    signal.throwIfAborted();
    // Not AbortSignal.any: the client never takes its listener off, and one that follows another is held for as long as that one lives.
    const own = new AbortController();
    const { promise: failed, reject } = Promise.withResolvers<never>();
    listeners.set(own.signal, reject);
    // The client would first wait for the connection.
    const abort = (): void => (own.abort(), reject(own.signal.reason as Error));
    signal.addEventListener('abort', abort, { once: true });
    // As a stream: then no status throws, and neither does a body that claims to be JSON.
    const sent = client.transport.request(paramsOf(call), { asStream: true, signal: own.signal });
    try {
      return await answerOf((await Promise.race([failed, sent])) as IncomingMessage, agent, signal);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  };
}

export const elasticsearch = clusterSink({
  product: { name: 'Elasticsearch', least: 8 },
  summary: 'One document per channel in an Elasticsearch index (8 or 9), in its newest state.',
  connect,
});
