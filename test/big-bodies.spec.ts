import { readFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { randomBytes } from 'node:crypto';
import { eachStore } from './support/stores.js';
import { ServiceProcess } from './support/process.js';

const changed = 'OfficialAccount.CallbackAfterOfficialAccountInfoChanged';
const bigBytes = 900_000;

/** Posts it until it is kept: a machine that is busy otherwise may take longer than the answer to one time. */
async function keep(url: string, body: string, agent: Agent): Promise<void> {
  while ((await post(url, body, agent).catch(() => null)) !== 200);
}

function post(url: string, body: string, agent: Agent): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const target = `${url}/webhooks/tencent-chat?SdkAppid=1400000001&CallbackCommand=${changed}`;
    const request = httpRequest(target, { method: 'POST', agent, headers: { 'content-length': Buffer.byteLength(body) } }, response => {
      response.resume().on('end', () => resolve(response.statusCode));
    });
    request.on('error', reject);
    request.end(body);
  });
}

function webhook(number: number, more: object): string {
  return JSON.stringify({ CallbackCommand: changed, Official_Account: `channel ${number}`, EventTime: Date.now(), ...more });
}

/** The most memory that the process ever had, in MB; only Linux tells. */
function peakMb(pid: number): number {
  if (process.platform !== 'linux') return 0;
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
}

eachStore('bodies of almost a megabyte', store => {
  // The service once took all into memory, with 200 of them 1.4 GB, and a small webhook waited for seconds.
  test.each([
    ['in a field that is not ours', 60, (text: string) => ({ Custom: text })],
    // Kept five times over.
    ['in the introduction', 25, (text: string) => ({ Introduction: text })],
  ])(
    'many at once are kept within the memory that there is, and small ones go between: %s',
    async (_, bodies, field) => {
      const service = new ServiceProcess({
        DATABASE_URL: await store.url(),
        SINK_INDEX_TYPE: 'webhook',
        SINK_INDEX_URL: 'http://127.0.0.1:1/',
        SINK_INDEX_MODE: 'state',
        LOG_LEVEL: 'info',
      });
      const { url } = await service.listening();
      await service.delivering();
      const text = randomBytes(bigBytes / 2).toString('hex');
      const agent = new Agent({ keepAlive: true });
      let over = 0;
      const big = Array.from({ length: bodies }, (_, index) => keep(url, webhook(index, field(text)), agent).finally(() => (over += 1)));
      let small = 0;
      while (over < big.length) await keep(url, webhook(1000 + small++, { Name: 'small' }), agent);
      await Promise.all(big);
      agent.destroy();
      expect(peakMb(service.pid)).toBeLessThan(400);
      await service.kill();
    },
    60_000,
  );
});
