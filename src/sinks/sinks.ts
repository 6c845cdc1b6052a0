import { crmWebhook } from './crm-webhook/crm-webhook.sink.js';
import { log } from './log/log.sink.js';
import { elasticsearch, meilisearch, opensearch } from './search/search-types.js';
import type { SinkType } from './sink-type.js';
import { slack } from './slack/slack.sink.js';

/** Every type of sink there is. To add one: its folder, and its line here. */
export const sinkTypes: readonly SinkType[] = [crmWebhook, slack, opensearch, elasticsearch, meilisearch, log];
