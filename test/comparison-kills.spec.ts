import { fakeVendor } from './support/fake-vendor.ts';
import { mark } from './support/planted.js';
import { ServiceProcess } from './support/process.js';
import { send } from './support/service.js';
import { eachStore } from './support/stores.js';
import { until } from './support/until.js';

const [app, pages, idsPerCall] = ['1400000001', 8, 50];
const management = { authorization: `Bearer ${mark}-management`, 'content-type': 'application/json' };

eachStore('kills during comparisons', store => {
  test('an import goes on within 60 s under its id and with its counts, and nothing is recorded twice', async () => {
    const [vendor, DATABASE_URL] = [await fakeVendor(app), await store.url()];
    const ids = Array.from({ length: idsPerCall * pages }, (_, index) => `channel ${index}`);
    for (const id of ids) vendor.channels.set(id, { Name: `name of ${id}` });
    const start = async () => {
      const service = new ServiceProcess({
        DATABASE_URL,
        MANAGEMENT_TOKEN: `${mark}-management`,
        SINK_OUT_TYPE: 'log',
        COMPARE_EVERY: 'off',
        COMPARE_RATE_PER_SECOND: '200',
        ...vendor.environment,
      });
      const { managementUrl } = await service.listening();
      // The test reads whatever the answer should have.
      const call = async (method: string, path: string, body?: object) =>
        JSON.parse((await send(method, `${managementUrl}/api/v1/${path}`, body && JSON.stringify(body), management)).text);
      return { service, call };
    };

    const first = await start();
    // Half of the pages are recorded by then; this call never gets its answer.
    vendor.fault = () => {
      if (vendor.calls.length <= pages / 2) return undefined;
      vendor.fault = null;
      void first.service.kill('SIGKILL');
      return new Promise(() => undefined);
    };
    const { id } = await first.call('POST', 'imports', { sdkAppId: app, channelIds: ids });
    await first.service.exited;

    const second = await start();
    const now = () => second.call('GET', `comparisons/${id}`);
    const before = await now();
    expect(before.finishedAt).toBeNull();
    await until(async () => (await now()).compared > before.compared, 'it goes on', 60_000);
    await until(async () => (await now()).finishedAt !== null, 'it is over', 20_000);
    expect(await now()).toMatchObject({ state: 'done', total: ids.length, compared: ids.length, imported: ids.length, failed: 0 });
    // Only the call that was under way is made again.
    expect(vendor.calls).toHaveLength(pages + 1);
    const { items } = await second.call('GET', 'changes?source=import&limit=500');
    expect(new Set(items.map((one: { channelId: string }) => one.channelId)).size).toBe(ids.length);
    expect(items).toHaveLength(ids.length);
    await second.service.kill();
    await vendor.close();
  }, 120_000);
});
