import { type SinkType, defineSink } from '../sink-type.js';
import { ClusterEngine, type Product } from './cluster.engine.js';
import { MeilisearchApi } from './meilisearch.api.js';
import { MeilisearchEngine } from './meilisearch.engine.js';
import { RestClient } from './rest-client.js';
import { ClusterSettings, MeilisearchSettings, authorizationOf, exclusiveIndex } from './search.settings.js';
import { ChannelIndex } from './search.sink.js';

function clusterSink({ summary, ...product }: Product & Pick<SinkType, 'summary'>): SinkType {
  return defineSink({
    type: product.name.toLowerCase(),
    summary,
    settings: ClusterSettings,
    mode: () => 'state',
    exclusiveTarget: exclusiveIndex,
    async open(settings, context) {
      const client = new RestClient(settings, authorizationOf(settings), context);
      return new ChannelIndex(new ClusterEngine(client, product, settings), settings, context);
    },
  });
}

export const opensearch = clusterSink({
  name: 'OpenSearch',
  minMajor: 1,
  summary: 'One document per channel in an OpenSearch index, in its latest state',
});
export const elasticsearch = clusterSink({
  name: 'Elasticsearch',
  minMajor: 8,
  summary: 'One document per channel in an Elasticsearch index (8 or 9), in its latest state',
});

export const meilisearch = defineSink({
  type: 'meilisearch',
  summary: 'One document per channel in a Meilisearch index, in its latest state',
  settings: MeilisearchSettings,
  mode: () => 'state',
  exclusiveTarget: exclusiveIndex,
  async open(settings, context) {
    const { API_KEY, INDEX } = settings;
    const client = new RestClient(settings, API_KEY === undefined ? null : `Bearer ${API_KEY}`, context);
    return new ChannelIndex(new MeilisearchEngine(new MeilisearchApi(client), INDEX), settings, context);
  },
});
