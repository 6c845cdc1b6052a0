import { createHash } from 'node:crypto';
import { type ReceivedRequest, fakeServer } from './support/fake-server.js';
import { mark } from './support/planted.js';
import { send, startTestService } from './support/service.js';
import { eachStore } from './support/stores.js';
import { until } from './support/until.js';

const changed = 'OfficialAccount.CallbackAfterOfficialAccountInfoChanged';
const query = `SdkAppid=1400000001&CallbackCommand=${changed}`;
const token = createHash('sha256').update(mark).digest('base64url');

interface Shown {
  deliveries: { state: string; reason: string; attempts: { status: number; error: string; response: string | null }[] }[];
}

/** What a target may say that repeats what it was sent. */
const echoes: Record<string, (all: string) => string> = {
  'as JSON': all => all,
  'as HTML': all => `<pre>${all.replaceAll('"', '&quot;')}</pre>`,
  'as a query': all => encodeURIComponent(all),
  'in base64': all => Buffer.from(all).toString('base64'),
  'in narrow lines': all => all.replace(/.{7}/g, '$&\n'),
};

eachStore('the answer of a target that repeats what it was sent', ({ url }) => {
  test('is shown with the attempt and in the reason, and tells no secret', async () => {
    let echo = echoes['as JSON']!;
    const told = ({ headers, path, body }: ReceivedRequest): string => {
      const { data } = JSON.parse(body) as { data: { channelId: string } };
      const { authorization, 'x-api-key': key } = headers;
      return `no "room" for ${data.channelId}: ${echo(JSON.stringify({ authorization, key, path }))}`;
    };
    const target = await fakeServer(request => ({ status: 422, headers: { 'content-type': 'text/plain' }, body: told(request) }));
    const service = await startTestService({
      DATABASE_URL: await url(),
      SINK_CRM_TYPE: 'webhook',
      SINK_CRM_URL: `${target.url.replace('//', `//${mark}-user:${mark}-password@`)}/hook?key=${token}`,
    });
    try {
      const get = async (path: string): Promise<string> =>
        (await send('GET', `${service.managementUrl}/api/v1/${path}`, undefined, { authorization: `Bearer ${mark}-management` })).text;
      for (const [how, write] of Object.entries(echoes)) {
        echo = write;
        const body = JSON.stringify({ Official_Account: how, Name: 'x', EventTime: Date.now() });
        expect((await send('POST', `${service.url}/webhooks/tencent-chat?${query}`, body)).status).toBe(200);
        let id = '';
        const parked = async (): Promise<boolean> => {
          const { items } = JSON.parse(await get(`deliveries?state=parked&channelId=${encodeURIComponent(how)}`)) as {
            items: { changeId: string }[];
          };
          id = items[0]?.changeId ?? '';
          return id !== '';
        };
        await until(parked, how);
        const { deliveries } = JSON.parse(await get(`changes/${id}`)) as Shown;
        const [{ reason, attempts }] = deliveries as [Shown['deliveries'][0]];
        expect(attempts).toHaveLength(1);
        const [{ status, error, response }] = attempts as [Shown['deliveries'][0]['attempts'][0]];
        expect([status, error]).toEqual([422, 'answered 422']);
        expect(response).toContain(`no "room" for ${how}: `);
        expect(response).toContain('***');
        expect(response).not.toContain(token.slice(0, 12));
        expect(reason).toBe(`answered 422 — ${response!.slice(0, 120)}`);
      }
    } finally {
      await service.stop();
      await target.close();
    }
  });
});
