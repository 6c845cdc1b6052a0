import { crmWebhook } from './crm-webhook/crm-webhook.sink.js';
import { log } from './log/log.sink.js';
import { elasticsearch, meilisearch, opensearch } from './search/search-types.js';
import type { SinkType } from './sink-type.js';
import { slack } from './slack/slack.sink.js';

/** All sink types. To add one, create its folder and list it here. */
export const sinkTypes: readonly SinkType[] = [crmWebhook, slack, opensearch, elasticsearch, meilisearch, log];
