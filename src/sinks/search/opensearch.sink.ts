import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import { type Access, type Cluster, answerOf, clientOptions, paramsOf } from './cluster.js';
import { clusterSink } from './cluster.sink.js';

/** The official client, kept from retrying, from hiding what failed, and from writing to standard output. */
async function connect(access: Access, agent: Agent): Promise<Cluster['request']> {
  const { Client, Connection } = await import('@opensearch-project/opensearch');

  class ErrorPreservingConnection extends Connection {
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

  const client = new Client({ ...clientOptions(access, agent), Connection: ErrorPreservingConnection, resurrectStrategy: 'none' });

  return async (call, signal) => {
    signal.throwIfAborted();
    // As a stream: then no status throws, and neither does a body that claims to be JSON.
    const sent = client.transport.request(paramsOf(call), { asStream: true });
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
  };
}

export const opensearch = clusterSink({
  product: { name: 'OpenSearch', least: 1 },
  summary: 'One document per channel in an OpenSearch index, in its newest state.',
  connect,
});
