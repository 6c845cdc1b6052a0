import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { OpenAPIObject } from '@nestjs/swagger';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { type FakeServer, fakeServer } from './support/fake-server.js';
import { mark } from './support/planted.js';
import { ServiceProcess } from './support/process.js';
import { until } from './support/until.js';
import { commands, sendWebhook } from './support/vendor.js';

// The build, since its plugin writes most of the description.
const folder = mkdtempSync(join(tmpdir(), 'channel-sync-openapi-'));
const channel = '@TOA#_shop';
let service: ServiceProcess;
let crm: FakeServer;
let ports: { url: string; managementUrl: string };
let document: OpenAPIObject;

beforeAll(async () => {
  let taken = 0;
  crm = await fakeServer(() => ({ status: taken++ < 2 ? 204 : 422, body: 'not this one' }));
  service = new ServiceProcess({
    DATABASE_URL: `sqlite:${join(folder, 'a.db')}`,
    WEBHOOK_TOKENS: mark,
    SINK_CRM_TYPE: 'webhook',
    SINK_CRM_URL: crm.url,
    APP_1400000001_SECRET_KEY: mark,
    APP_1400000001_REST_URL: crm.url,
    COMPARE_EVERY: 'off',
  });
  ports = await service.listening();
  document = (await (await fetch(`${ports.managementUrl}/docs-json`)).json()) as OpenAPIObject;
}, 60_000);

afterAll(async () => {
  await service.kill();
  await crm.close();
  rmSync(folder, { recursive: true });
});

const operations = () =>
  Object.entries(document.paths).flatMap(([path, calls]) =>
    Object.entries(calls as Record<string, NonNullable<(typeof calls)['get']>>).map(([method, call]) => ({ path, method, call })),
  );

test('it has every call, with all parameters', () => {
  const { paths } = document;
  const calls = operations().map(({ path, method }) => `${method.toUpperCase()} ${path.replace('/api/v1/', '')}`);
  const expected = [
    'GET /livez, GET /readyz, GET /metrics, GET apps, GET audit, POST replays, POST imports, GET channels, GET channels/{sdkAppId}/{channelId}',
    'GET changes, GET changes/{id}, GET changes/{id}/webhook, GET deliveries, POST deliveries/{id}/discard, GET comparisons, POST comparisons',
    'GET comparisons/{id}, GET sinks, GET sinks/{name}/verify, GET sinks/{name}/rebuild',
    ['pause', 'resume', 'probe', 'check', 'test', 'verify', 'rebuild'].map(action => `POST sinks/{name}/${action}`).join(', '),
  ];
  expect(calls.toSorted()).toEqual(expected.join(', ').split(', ').toSorted());
  const parameters = paths['/api/v1/deliveries']!.get!.parameters as { name: string; required: boolean }[];
  expect(parameters.map(({ name }) => name).toSorted()).toEqual(
    ['channelId', 'cursor', 'limit', 'sdkAppId', 'since', 'sink', 'state', 'until'].toSorted(),
  );
  expect(parameters.filter(({ required }) => required)).toEqual([]);
  for (const { path, call } of operations())
    expect([path, call.security]).toEqual([path, path.startsWith('/api/v1/') ? [{ bearer: [] }] : []]);
});

test('everything has a description and an example, and every error is a problem', () => {
  const bare: string[] = [];
  for (const { path, method, call } of operations()) {
    if (!call.summary) bare.push(`${method} ${path}`);
    for (const one of (call.parameters ?? []) as { name: string; description?: string; schema: object }[])
      if (!one.description || !('example' in one.schema)) bare.push(`${path} ${one.name}`);
    for (const [status, answer] of Object.entries(call.responses) as [string, { description: string; content?: object }][]) {
      if (!answer.description) bare.push(`${path} ${status}`);
      const isProblem = Object.keys(answer.content ?? {}).join() === 'application/problem+json';
      if (status >= '400' && path.startsWith('/api/') && !isProblem) bare.push(`${path} ${status} is no problem`);
    }
  }
  for (const [name, schema] of Object.entries(document.components!.schemas!))
    for (const [field, one] of Object.entries((schema as { properties: Record<string, Record<string, unknown>> }).properties)) {
      const isMade = 'allOf' in one || one['type'] === 'array';
      if (!one['description'] || !(isMade || 'example' in one)) bare.push(`${name}.${field}`);
    }
  expect(bare).toEqual([]);
});

test('it passes the recommended rules of Redocly', async () => {
  const file = join(folder, 'openapi.json');
  writeFileSync(file, JSON.stringify(document));
  const cli = 'node_modules/@redocly/cli/bin/cli.js';
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
  const words = ['lint', '--extends', 'recommended', '--format', 'json', file];
  const { stdout } = await promisify(execFile)(process.execPath, [cli, ...words], { env });
  const { totals, problems } = JSON.parse(stdout) as { totals: { errors: number }; problems: { ruleId: string }[] };
  expect(totals.errors).toBe(0);
  // Probes and metrics refuse nobody.
  expect(new Set(problems.map(({ ruleId }) => ruleId))).toEqual(new Set(['operation-4xx-response']));
}, 60_000);

test('bodies take no other fields', () => {
  const schemas = document.components!.schemas as Record<string, { additionalProperties?: boolean }>;
  const bodies = operations().flatMap(({ call: { requestBody } }) => {
    const { content } = (requestBody ?? { content: {} }) as { content: Record<string, { schema: { $ref: string } }> };
    return Object.values(content).map(({ schema }) => schemas[schema.$ref.split('/').at(-1)!]!);
  });
  expect(bodies.map(({ additionalProperties }) => additionalProperties)).toEqual(Array(5).fill(false));
});

test('what is answered, and what a webhook sink is sent, is as described and nothing else', async () => {
  const schemas = structuredClone(document.components!.schemas!) as Record<string, { properties: object; additionalProperties?: false }>;
  for (const schema of Object.values(schemas)) schema.additionalProperties = false;
  const ajv = new Ajv2020({ strict: false, formats: { 'date-time': text => new Date(text).toJSON() === text } });
  ajv.addSchema({ $id: 'openapi', components: { schemas } });
  const wrongIn = (reference: string, value: unknown): unknown => {
    const isRight = ajv.getSchema(`openapi${reference}`)!;
    return isRight(value) ? null : isRight.errors;
  };
  const authorization = `Bearer ${mark}-management`;
  const called = new Map<string, { status: number; wrong: unknown }>();
  const call = async (method: string, path: string, template = path, body: object = {}): Promise<Record<string, never>> => {
    const request = { method, headers: { authorization }, ...(method === 'POST' && { body: JSON.stringify(body) }) };
    const response = await fetch(`${ports.managementUrl}/api/v1/${path}`, request);
    const value = (await response.json()) as Record<string, never>;
    const described = (document.paths[`/api/v1/${template}`] as Record<string, { responses: Record<string, { content?: object }> }>)[
      method.toLowerCase()
    ]!.responses[response.status];
    const [{ schema } = { schema: { $ref: 'none' } }] = Object.values(described?.content ?? {}) as { schema: { $ref: string } }[];
    called.set(`${method} ${path} ${called.size}`, { status: response.status, wrong: wrongIn(schema.$ref, value) });
    return value;
  };

  const target = { url: `${ports.url}/webhooks/tencent-chat`, appId: '1400000001', token: mark };
  for (const [index, command] of [commands.created, commands.changed, commands.changed].entries())
    await sendWebhook(target, {
      CallbackCommand: command,
      Official_Account: channel,
      EventTime: Date.now() - 5000 + index,
      Name: `${index}`,
    });
  const items = async (path: string): Promise<{ id: string; state?: string }[]> => (await call('GET', path))['items']!;
  let parked: { id: string } | undefined;
  await until(async () => (parked = (await items('deliveries')).find(({ state }) => state === 'parked')) !== undefined, 'one is parked');
  const [change] = await items('changes');
  await call('GET', `changes/${change!.id}`, 'changes/{id}');
  await call('GET', 'channels');
  await call('GET', `channels/1400000001/${encodeURIComponent(channel)}`, 'channels/{sdkAppId}/{channelId}');
  await call('GET', `channels/1400000001/none`, 'channels/{sdkAppId}/{channelId}');
  await call('GET', 'sinks');
  for (const action of ['pause', 'resume', 'probe', 'check', 'test']) await call('POST', `sinks/crm/${action}`, `sinks/{name}/${action}`);
  await call('POST', 'sinks/crm/verify', 'sinks/{name}/verify');
  await call('POST', 'replays', 'replays', { sink: 'crm', dryRun: true });
  await call('POST', 'replays');
  await call('POST', `deliveries/${parked!.id}/discard`, 'deliveries/{id}/discard');
  await call('POST', `deliveries/${parked!.id}/discard`, 'deliveries/{id}/discard');
  const { id } = await call('POST', 'comparisons');
  await call('GET', `comparisons/${String(id)}`, 'comparisons/{id}');
  await call('POST', 'imports', 'imports', { channelIds: ['x', 1] });
  for (const list of ['comparisons', 'apps', 'audit']) await call('GET', list);
  expect([...called].filter(([, { wrong }]) => wrong !== null)).toEqual([]);
  expect(new Set([...called.values()].map(({ status }) => status))).toEqual(new Set([200, 202, 400, 404, 409]));

  const { post } = (document as OpenAPIObject & { webhooks: Record<string, { post: { requestBody: unknown } }> }).webhooks['change']!;
  expect(post.requestBody).toMatchObject({ content: { 'application/json': { schema: { $ref: '#/components/schemas/EventDto' } } } });
  const bodies = crm.requests.filter(({ headers }) => headers['webhook-id']).map(({ body }) => JSON.parse(body) as unknown);
  expect(bodies.length).toBeGreaterThanOrEqual(4);
  expect(bodies.map(body => wrongIn('#/components/schemas/EventDto', body)).filter(Boolean)).toEqual([]);
}, 60_000);
