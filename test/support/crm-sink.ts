import { crmWebhook } from '../../src/sinks/crm-webhook/crm-webhook.sink.ts';
import { CrmWebhookSettings } from '../../src/sinks/crm-webhook/crm-webhook.settings.ts';
import type { SinkContext } from '../../src/sinks/sink-type.ts';
import type { Checkable, SingleSink } from '../../src/sinks/sink.ts';
import type { SinkSettings } from '../../src/sinks/settings.ts';
import { readClass } from '../../src/settings/setting.ts';
import { cleanerOf } from './clean.ts';
import { type FakeServer, type FakeServerOptions, type Handler, fakeServer } from './fake-server.ts';
import { noActions, noLookup } from './no-actions.ts';
import { noProxies } from './proxy.ts';

type Outside = Partial<Pick<SinkContext, 'now' | 'warn' | 'proxies'>>;

/** A webhook sink with these settings, by the ends of their names. @throws if they are wrong */
export async function crmSink(
  texts: Record<string, string>,
  outside: Outside = {},
  overrides: Partial<SinkSettings> = {},
): Promise<SingleSink & Checkable> {
  const { value, mistakes } = readClass(CrmWebhookSettings, new Map(Object.entries(texts)), 'SINK_CRM_');
  if (mistakes.length > 0) throw new Error(mistakes.join('\n'));
  const context = {
    name: 'crm',
    now: Date.now,
    warn: () => {},
    proxies: noProxies,
    sdkAppIds: ['1400000001'],
    clean: cleanerOf(value),
    actions: noActions,
    lookup: noLookup,
    interaction: () => Promise.resolve(''),
    ...outside,
  };
  return (await crmWebhook.open(Object.assign(value, overrides), context)) as SingleSink & Checkable;
}

/** Webhook sinks and their targets, which are closed after each test. */
export function crmStage() {
  const ends: (() => Promise<unknown> | undefined)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });

  async function target(handler: Handler = () => ({ status: 204 }), options: FakeServerOptions = {}): Promise<FakeServer> {
    const opened = await fakeServer(handler, options);
    ends.push(() => opened.close());
    return opened;
  }

  async function sinkAt(URL: string, texts: Record<string, string> = {}, outside: Outside = {}): Promise<SingleSink & Checkable> {
    const sink = await crmSink({ URL, ...texts }, outside);
    ends.push(() => sink.close?.());
    return sink;
  }

  return { ends, target, sinkAt };
}
