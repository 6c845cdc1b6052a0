import { type ClientRequest, type IncomingMessage } from 'node:http';
import { agentFor } from '../../outgoing/agents.js';
import type { Proxies } from '../../outgoing/proxies.js';
import { defineSink } from '../sink.js';
import { type Access, type Cluster, answerOf } from './cluster.js';
import { ClusterEngine } from './cluster.engine.js';
import { ClusterSettings, aloneOnIndex, clusterAccess } from './search.settings.js';
import { ChannelIndex } from './search.sink.js';

/** The official client, kept from retrying, from hiding what failed, and from writing to standard output. */
async function openSearchCluster(access: Access, proxies: Proxies): Promise<Cluster> {
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

  const agent = agentFor(access.url, proxies, { keepAlive: true, ca: access.ca });
  const client = new Client({
    node: access.url,
    Connection: PlainSpokenConnection,
    agent: () => agent,
    headers: access.authorization === null ? {} : { authorization: access.authorization },
    maxRetries: 0,
    resurrectStrategy: 'none',
    requestTimeout: access.timeoutMs,
  });

  return {
    async request({ method, path, query = {}, json, lines }, signal) {
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
        return await answerOf((await sent).body as IncomingMessage, agent, signal);
      } finally {
        signal.removeEventListener('abort', abort);
      }
    },
    close: () => agent.destroy(),
  };
}

export const opensearch = defineSink({
  type: 'opensearch',
  summary: 'One document per channel in an OpenSearch index, in its newest state.',
  settings: ClusterSettings,
  mode: () => 'state',
  alone: aloneOnIndex,
  async open(settings, context) {
    const { INDEX, ANALYZER, TIMEOUT_MS } = settings;
    const cluster = await openSearchCluster(clusterAccess(settings), context.proxies);
    const engine = new ClusterEngine(cluster, { name: 'OpenSearch', least: 1 }, INDEX, ANALYZER, context.now);
    return new ChannelIndex(engine, INDEX, TIMEOUT_MS, context);
  },
});
