import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, type Server, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cli } from './support/cli.js';
import { mark } from './support/planted.js';
import { ServiceProcess } from './support/process.js';
import { until } from './support/until.js';
import { sendWebhook } from './support/vendor.js';

const folder = mkdtempSync(join(tmpdir(), 'channel-sync-foreign-'));
const servers: Server[] = [];
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => servers.splice(0).forEach(server => server.close()));

async function portOf(server: Server): Promise<number> {
  servers.push(server.listen(0, '127.0.0.1'));
  await until(() => server.listening, 'a port');
  return (server.address() as AddressInfo).port;
}

/** A PostgreSQL, or a pooler before it, that refuses every login with this message. */
function refusingPostgres(message: string): Promise<number> {
  const fields = Buffer.from(`SFATAL\0C28P01\0M${message}\0\0`);
  const length = Buffer.alloc(4);
  length.writeInt32BE(fields.length + 4);
  return portOf(
    createServer(socket =>
      socket.on('error', () => undefined).once('data', () => socket.end(Buffer.concat([Buffer.from('E'), length, fields]))),
    ),
  );
}

// Whatever these processes say is searched for the mark.
describe('the error of another program that repeats a secret', () => {
  test('PostgreSQL: told without it, by the service and by doctor', async () => {
    const port = await refusingPostgres(`no pool for app:${mark}-database@here`);
    const url = `postgres://app:${mark}-database@127.0.0.1:${port}/none`;
    const service = new ServiceProcess({ DATABASE_URL: url });
    await until(() => service.lines.some(({ error }) => error !== undefined), 'the error', 20_000);
    expect(service.lines.filter(({ error }) => error !== undefined)[0]).toMatchObject({ error: 'no pool for app:***@here' });
    expect(await service.stop()).toBe(0);
    const doctor = await new Cli(folder, { DATABASE_URL: url, SDK_APP_IDS: '1400000001' }).run(['doctor']);
    expect(doctor.out).toContain('no pool for app:***@here');
  }, 60_000);

  test('the collector of traces: told without it', async () => {
    const collector = createHttpServer(({ headers }, response) => response.writeHead(400, `bad key ${String(headers['api-key'])}`).end());
    const service = new ServiceProcess({
      DATABASE_URL: `sqlite:${join(folder, 'test.db')}`,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await portOf(collector)}`,
      OTEL_EXPORTER_OTLP_HEADERS: `api-key=${mark}-traces`,
    });
    const { url } = await service.listening();
    await sendWebhook(
      { url: `${url}/webhooks/tencent-chat`, appId: '1400000001', token: '' },
      { CallbackCommand: 'OfficialAccount.CallbackAfterOfficialAccountInfoChanged', Official_Account: 'a', EventTime: Date.now() },
    );
    const told = () => service.lines.find(({ msg }) => msg === 'traces cannot be sent, and are dropped');
    await until(() => told() !== undefined, 'the error', 20_000);
    expect(told()).toMatchObject({ error: 'bad key ***' });
    expect(await service.stop()).toBe(0);
  }, 60_000);
});
