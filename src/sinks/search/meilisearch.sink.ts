import { defineSink } from '../sink.js';
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
    const { URL: url, API_KEY: key, CA: ca, INDEX, TIMEOUT_MS: timeoutMs } = settings;
    const client = new RestClient({ url, authorization: key === undefined ? null : `Bearer ${key}`, ca, timeoutMs }, context.proxies);
    return new ChannelIndex(new MeilisearchEngine(new MeilisearchApi(client, context.now), INDEX), settings, context);
  },
});
