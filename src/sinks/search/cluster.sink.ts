import type { Agent } from 'node:http';
import { agentFor } from '../../outgoing/agents.js';
import { type SinkType, defineSink } from '../sink.js';
import type { Access, Cluster } from './cluster.js';
import { ClusterEngine, type Product } from './cluster.engine.js';
import { ClusterSettings, exclusiveIndex, clusterAccess } from './search.settings.js';
import { ChannelIndex } from './search.sink.js';

interface ClusterSink extends Pick<SinkType, 'summary'> {
  product: Product;
  /** Loads its client. */
  connect: (access: Access, agent: Agent) => Promise<Cluster['request']>;
}

/** A sink for one of the two. */
export function clusterSink({ product, summary, connect }: ClusterSink): SinkType {
  return defineSink({
    type: product.name.toLowerCase(),
    summary,
    settings: ClusterSettings,
    mode: () => 'state',
    exclusiveTarget: exclusiveIndex,
    async open(settings, context) {
      const { INDEX, ANALYZER, TIMEOUT_MS } = settings;
      const access = clusterAccess(settings);
      const agent = agentFor(access.url, context.proxies, { keepAlive: true, ca: access.ca, attemptMs: access.timeoutMs });
      const cluster = { request: await connect(access, agent), close: () => agent.destroy() };
      return new ChannelIndex(new ClusterEngine(cluster, product, INDEX, ANALYZER, context.now), INDEX, TIMEOUT_MS, context);
    },
  });
}
