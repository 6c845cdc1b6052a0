import { agentFor } from '../../outgoing/agents.js';
import { defineSink } from '../sink.js';
import { meilisearchClient } from './meilisearch.client.js';
import { MeilisearchEngine } from './meilisearch.engine.js';
import { MeilisearchSettings, exclusiveIndex } from './search.settings.js';
import { ChannelIndex } from './search.sink.js';

export const meilisearch = defineSink({
  type: 'meilisearch',
  summary: 'One document per channel in a Meilisearch index, in its newest state.',
  settings: MeilisearchSettings,
  mode: () => 'state',
  exclusiveTarget: exclusiveIndex,
  async open({ URL: url, API_KEY: key, CA: ca, INDEX, TIMEOUT_MS }, context) {
    const agent = agentFor(url, context.proxies, { keepAlive: true, ca, attemptMs: TIMEOUT_MS });
    const client = await meilisearchClient({ url, key, agent, now: context.now });
    return new ChannelIndex(new MeilisearchEngine(client, INDEX), INDEX, TIMEOUT_MS, context);
  },
});
