import { fakeServer } from './support/fake-server.js';
import { mark } from './support/planted.js';
import { send, startTestService } from './support/service.js';
import { eachStore } from './support/stores.js';
import { until } from './support/until.js';

const changed = 'OfficialAccount.CallbackAfterOfficialAccountInfoChanged';
const query = `SdkAppid=1400000001&CallbackCommand=${changed}`;
const template = '{% if data.profile.name contains "quiet" %}skip{% else %}{{ data.changes | json }}{% endif %}';

interface Item {
  id: string;
  state: string;
  reason: string | null;
  tries: number;
  changeId: string;
}

eachStore('what a template leaves out', ({ url }) => {
  test('counts as delivered without being sent, spends no rate, and tells nothing of its sink', async () => {
    const target = await fakeServer(() => ({ status: 204 }));
    const service = await startTestService({
      DATABASE_URL: await url(),
      SINK_CRM_TYPE: 'webhook',
      SINK_CRM_URL: target.url,
      SINK_CRM_MODE: 'state',
      SINK_CRM_TEMPLATE: template,
      // Who sends at all must wait for minutes before the next.
      SINK_CRM_RATE_PER_SECOND: '0.005',
    });
    try {
      const get = async <T>(path: string): Promise<T> => {
        const { text } = await send('GET', `${service.managementUrl}${path}`, undefined, { authorization: `Bearer ${mark}-management` });
        return (path.startsWith('/api') ? JSON.parse(text) : text) as T;
      };
      const deliveries = async (): Promise<Item[]> => (await get<{ items: Item[] }>('/api/v1/deliveries')).items;
      const change = async (name: string, count: number): Promise<Item> => {
        const body = JSON.stringify({ Official_Account: 'a', Name: name, EventTime: Date.now() });
        expect((await send('POST', `${service.url}/webhooks/tencent-chat?${query}`, body)).status).toBe(200);
        await until(async () => (await deliveries()).filter(({ state }) => state !== 'pending').length === count, `${name} has ended`);
        return (await deliveries())[0]!;
      };
      for (const [index, name] of ['quiet 1', 'quiet 2', 'quiet 3'].entries()) {
        const delivery = await change(name, index + 1);
        expect(delivery).toMatchObject({ state: 'delivered', reason: 'not sent (template)', advice: null, tries: 0 });
        const { deliveries: shown } = await get<{ deliveries: { attempts: unknown[] }[] }>(`/api/v1/changes/${delivery.changeId}`);
        expect(shown.map(({ attempts }) => attempts)).toEqual([[]]);
      }
      expect(target.requests).toEqual([]);
      // What the sink counts as having is what was left out last.
      expect(await change('loud', 4)).toMatchObject({ state: 'delivered', reason: null, tries: 1 });
      expect(target.requests.map(({ body }) => JSON.parse(body) as unknown)).toEqual([[{ field: 'name', from: 'quiet 3', to: 'loud' }]]);
      const metrics = await get<string>('/metrics');
      expect(metrics).toContain('channel_sync_deliveries_total{sink="crm",outcome="delivered"} 4');
      expect(metrics).toContain('channel_sync_attempt_seconds_count{sink="crm",outcome="delivered"} 1');
      expect((await get<{ items: object[] }>('/api/v1/sinks')).items).toMatchObject([{ state: 'ok', counts: { owed: 4, delivered: 4 } }]);
    } finally {
      await service.stop();
      await target.close();
    }
  });

  test('does not heal a sink that is stopped', async () => {
    const target = await fakeServer(() => ({ status: 401 }));
    const service = await startTestService({
      DATABASE_URL: await url(),
      SINK_CRM_TYPE: 'webhook',
      SINK_CRM_URL: target.url,
      SINK_CRM_TEMPLATE: template,
    });
    try {
      const get = async <T>(path: string): Promise<T> =>
        JSON.parse(
          (await send('GET', `${service.managementUrl}/api/v1/${path}`, undefined, { authorization: `Bearer ${mark}-management` })).text,
        ) as T;
      const change = async (channel: string, name: string): Promise<void> => {
        const body = JSON.stringify({ Official_Account: channel, Name: name, EventTime: Date.now() });
        expect((await send('POST', `${service.url}/webhooks/tencent-chat?${query}`, body)).status).toBe(200);
      };
      const sinkIs = async (): Promise<string> => (await get<{ items: { state: string }[] }>('sinks')).items[0]!.state;
      await change('a', 'loud');
      await until(async () => (await sinkIs()) === 'misconfigured', 'the sink is stopped');
      await change('b', 'quiet');
      const delivered = async (): Promise<boolean> => (await get<{ items: Item[] }>('deliveries?state=delivered')).items.length === 1;
      await until(delivered, 'a probe found nothing to send');
      expect(await sinkIs()).toBe('misconfigured');
    } finally {
      await service.stop();
      await target.close();
    }
  });
});
