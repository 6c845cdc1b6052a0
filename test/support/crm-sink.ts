import { crmWebhook } from '../../src/sinks/crm-webhook/crm-webhook.sink.ts';
import { CrmWebhookSettings } from '../../src/sinks/crm-webhook/crm-webhook.settings.ts';
import type { Checkable, SingleSink } from '../../src/sinks/sink.ts';
import { readClass } from '../../src/settings/setting.ts';
import { cleanerOf } from './clean.ts';
import { noActions, noLookup } from './no-actions.ts';
import { noProxies } from './proxy.ts';

/** A webhook sink with these settings, by the ends of their names. @throws if they are wrong */
export async function crmSink(texts: Record<string, string>, now: () => number = Date.now): Promise<SingleSink & Checkable> {
  const { value, mistakes } = readClass(CrmWebhookSettings, new Map(Object.entries(texts)), 'SINK_CRM_');
  if (mistakes.length > 0) throw new Error(mistakes.join('\n'));
  const outside = {
    proxies: noProxies,
    sdkAppIds: ['1400000001'],
    actions: noActions,
    lookup: noLookup,
    interaction: () => Promise.resolve(''),
  };
  return (await crmWebhook.open(value, { name: 'crm', now, warn: () => {}, clean: cleanerOf(value), ...outside })) as SingleSink &
    Checkable;
}
