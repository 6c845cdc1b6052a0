import { fakeVendor } from './support/fake-vendor.ts';
import { mark } from './support/planted.js';
import { newDatabase } from './support/postgres.ts';
import { ServiceProcess } from './support/process.js';
import { send } from './support/service.js';
import { until } from './support/until.js';
import { commands } from './support/vendor.ts';

const [app, idsPerCall] = ['1400000001', 50];
const management = { authorization: `Bearer ${mark}-management`, 'content-type': 'application/json' };

test('processes with different settings on one store: those with a key compare for all, within the greater of their rates', async () => {
  const [vendor, DATABASE_URL] = [await fakeVendor(app), await newDatabase(process.env['TEST_POSTGRES_URL']!)];
  const start = async (more: Record<string, string>) => {
    const common = { DATABASE_URL, MANAGEMENT_TOKEN: `${mark}-management`, SINK_OUT_TYPE: 'log', COMPARE_EVERY: 'off' };
    const service = new ServiceProcess({ ...common, ...more });
    const { url, managementUrl } = await service.listening();
    const call = async (method: string, path: string, body?: object) => {
      const { status, text } = await send(method, `${managementUrl}/api/v1/${path}`, body && JSON.stringify(body), management);
      // The test reads whatever the answer should have.
      return { status, body: JSON.parse(text) };
    };
    return { service, url, call };
  };
  const slow = await start({ ...vendor.environment, COMPARE_RATE_PER_SECOND: '0.5' });
  const fast = await start({ ...vendor.environment, COMPARE_RATE_PER_SECOND: '6' });
  const keyless = await start({});
  try {
    vendor.channels.set('a', { Name: 'A', Introduction: 'I' });
    const query = new URLSearchParams({ SdkAppid: app, CallbackCommand: commands.created });
    const webhook = JSON.stringify({ Official_Account: 'a', Name: 'A', EventTime: Date.now() });
    expect((await send('POST', `${keyless.url}/webhooks/tencent-chat?${query.toString()}`, webhook)).status).toBe(200);
    await until(async () => (await keyless.call('GET', `channels/${app}/a`)).body.profile?.introduction === 'I', 'it is completed');
    expect(await keyless.call('POST', 'comparisons', { sdkAppId: app })).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining(`APP_${app}_SECRET_KEY`) },
    });
    expect((await keyless.call('GET', 'apps')).body.items).toMatchObject([{ comparisons: 'off', state: 'off' }]);
    expect((await slow.call('GET', 'apps')).body.items).toMatchObject([{ comparisons: 'on', state: 'ok' }]);

    // Many short ones, so that now the one and now the other process has its turn.
    const imports = Array.from({ length: 12 }, (_, index) => Array.from({ length: idsPerCall }, (_, id) => `c${index} ${id}`));
    for (const id of imports.flat()) vendor.channels.set(id, { Name: id });
    for (const channelIds of imports) await slow.call('POST', 'imports', { sdkAppId: app, channelIds });
    const isOver = async () => (await keyless.call('GET', 'apps')).body.items[0].channels === 1 + imports.flat().length;
    await until(isOver, 'all are imported', 60_000);
    const times = vendor.calls.map(({ at }) => at);
    for (const [index, at] of times.entries()) expect(times.slice(index).filter(other => other - at < 1000).length).toBeLessThanOrEqual(6);
  } finally {
    for (const { service } of [slow, fast, keyless]) await service.kill();
    await vendor.close();
  }
}, 120_000);
