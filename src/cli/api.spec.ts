import { env } from 'node:process';
import { mark } from '../../test/support/planted.js';
import { type FakeServer, type Handler, fakeServer } from '../../test/support/fake-server.js';
import { Api } from './api.js';

describe('answers that the management API never gives', () => {
  let server: FakeServer;
  beforeAll(() => void (env['MANAGEMENT_TOKEN'] = `${mark}-management`));
  afterAll(() => void delete env['MANAGEMENT_TOKEN']);
  afterEach(() => server.close());

  const apiOf = async (handler: Handler): Promise<Api> => {
    server = await fakeServer(handler);
    return new Api(server.url, { GET: 300, POST: 300 });
  };

  test('who says nothing, or never comes to an end, is not waited for', async () => {
    const silent = await apiOf(() => new Promise(() => undefined));
    for (const call of [silent.get('sinks'), silent.post('replays'), silent.ready()])
      await expect(call).rejects.toThrow(`${server.url} does not answer (nothing in 0.3 s)`);
    await server.close();
    const endless = await apiOf((_, response) => void response.writeHead(200, { 'content-type': 'application/json' }).write('{'));
    await expect(endless.get('sinks')).rejects.toThrow('does not answer (nothing in 0.3 s)');
  });

  test('a list that is none, and one that never goes on, end', async () => {
    const none = await apiOf(() => ({ body: { items: 'x', nextCursor: 5 } }));
    await expect(none.list('sinks', {}, 10)).rejects.toThrow('is not the management port');
    await server.close();
    const still = await apiOf(() => ({ body: { items: [], nextCursor: 'same' } }));
    expect(await still.list('sinks', {}, 10)).toEqual([]);
    expect(server.requests).toHaveLength(1);
  });
});
