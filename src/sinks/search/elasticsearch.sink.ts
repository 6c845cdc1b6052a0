import type { IncomingMessage, RequestOptions } from 'node:http';
import { agentFor } from '../../outgoing/agents.js';
import type { Proxies } from '../../outgoing/proxies.js';
import { defineSink } from '../sink.js';
import { type Access, type Cluster, answerOf } from './cluster.js';
import { ClusterEngine } from './cluster.engine.js';
import { ClusterSettings, aloneOnIndex, clusterAccess } from './search.settings.js';
import { ChannelIndex } from './search.sink.js';

/** The official client of version 8, which Elasticsearch 9 takes too, kept from retrying and from hiding what failed. */
async function elasticsearchCluster(access: Access, proxies: Proxies): Promise<Cluster> {
  const { Client, HttpConnection, Transport } = await import('@elastic/elasticsearch');
  /** Who wants the network's own errors, by the signal of a request: the client keeps only their texts, and classes are told by codes; one of them it ignores. */
  const listeners = new WeakMap<AbortSignal, (error: Error) => void>();

  class PlainSpokenConnection extends HttpConnection {
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

  const agent = agentFor(access.url, proxies, { keepAlive: true, ca: access.ca });
  const client = new Client({
    node: access.url,
    Connection: PlainSpokenConnection,
    Transport: PlainTransport,
    agent: () => agent,
    headers: access.authorization === null ? {} : { authorization: access.authorization },
    maxRetries: 0,
    requestTimeout: access.timeoutMs,
  });

  return {
    async request({ method, path, query = {}, json, lines }, signal) {
      signal.throwIfAborted();
      // Not AbortSignal.any: the client never takes its listener off, and one that follows another is held for as long as that one lives.
      const own = new AbortController();
      const abort = (): void => own.abort();
      signal.addEventListener('abort', abort, { once: true });
      const failed = new Promise<never>((_, reject) => listeners.set(own.signal, reject));
      const params = { method, path, querystring: query, ...(json && { body: json }), ...(lines !== undefined && { bulkBody: lines }) };
      // As a stream: then no status throws, and neither does a body that claims to be JSON.
      const sent = client.transport.request(params, { asStream: true, signal: own.signal });
      try {
        return await answerOf((await Promise.race([failed, sent])) as IncomingMessage, agent, signal);
      } finally {
        signal.removeEventListener('abort', abort);
      }
    },
    close: () => agent.destroy(),
  };
}

export const elasticsearch = defineSink({
  type: 'elasticsearch',
  summary: 'One document per channel in an Elasticsearch index (8 or 9), in its newest state.',
  settings: ClusterSettings,
  mode: () => 'state',
  alone: aloneOnIndex,
  async open(settings, context) {
    const { INDEX, ANALYZER, TIMEOUT_MS } = settings;
    const cluster = await elasticsearchCluster(clusterAccess(settings), context.proxies);
    const engine = new ClusterEngine(cluster, { name: 'Elasticsearch', least: 8 }, INDEX, ANALYZER, context.now);
    return new ChannelIndex(engine, INDEX, TIMEOUT_MS, context);
  },
});
