import type { SettingsClass } from '../../settings/setting.js';
import { type SinkContext, type SinkType, defineSink } from '../sink-type.js';
import { ClusterEngine, type Product } from './cluster.engine.js';
import type { Engine } from './engine.js';
import { MeilisearchApi } from './meilisearch.api.js';
import { MeilisearchEngine } from './meilisearch.engine.js';
import { RestClient } from './rest-client.js';
import { ClusterSettings, MeilisearchSettings, type SearchSettings, authorizationOf, exclusiveIndex } from './search.settings.js';
import { ChannelIndex } from './search.sink.js';

function searchSink<S extends SearchSettings>(
  type: string,
  index: string,
  settings: SettingsClass<S>,
  engineOf: (settings: S, context: SinkContext) => Engine,
): SinkType {
  return defineSink<S>({
    type,
    summary: `One document per channel in ${index}, in its latest state`,
    settings,
    mode: () => 'state',
    exclusiveTarget: exclusiveIndex,
    open: async (settings, context) => new ChannelIndex(engineOf(settings, context), settings, context),
  });
}

function cluster(index: string, product: Product): SinkType {
  return searchSink(product.name.toLowerCase(), index, ClusterSettings, (settings, context) => {
    const client = new RestClient(settings, authorizationOf(settings), context);
    return new ClusterEngine(client, product, settings.INDEX, settings.ANALYZER);
  });
}

export const opensearch = cluster('an OpenSearch index', { name: 'OpenSearch', minMajor: 1 });
export const elasticsearch = cluster('an Elasticsearch index (8 or 9)', { name: 'Elasticsearch', minMajor: 8 });
export const meilisearch = searchSink('meilisearch', 'a Meilisearch index', MeilisearchSettings, (settings, context) => {
  const { API_KEY, INDEX } = settings;
  const client = new RestClient(settings, API_KEY === undefined ? null : `Bearer ${API_KEY}`, context);
  return new MeilisearchEngine(new MeilisearchApi(client), INDEX);
});
