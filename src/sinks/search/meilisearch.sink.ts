import { defineSink } from '../sink-type.js';
import { MeilisearchApi } from './meilisearch.api.js';
import { MeilisearchEngine } from './meilisearch.engine.js';
import { RestClient } from './rest-client.js';
import { MeilisearchSettings, exclusiveIndex } from './search.settings.js';
import { ChannelIndex } from './search.sink.js';

export const meilisearch = defineSink({
  type: 'meilisearch',
  summary: 'One document per channel in a Meilisearch index, in its newest state.',
  settings: MeilisearchSettings,
  mode: () => 'state',
  exclusiveTarget: exclusiveIndex,
  async open(settings, context) {
    const { API_KEY, INDEX } = settings;
    const client = new RestClient(settings, API_KEY === undefined ? null : `Bearer ${API_KEY}`, context.proxies, context.clean);
    return new ChannelIndex(new MeilisearchEngine(new MeilisearchApi(client, context.now), INDEX), settings, context);
  },
});
