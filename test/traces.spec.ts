import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FakeServer, fakeServer } from './support/fake-server.ts';
import { send, startTestService } from './support/service.js';
import { until } from './support/until.ts';

interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  status: { code?: number };
  attributes: { key: string; value: { stringValue?: string; intValue?: number } }[];
}
interface Exported {
  resourceSpans: { scopeSpans: { spans: Span[] }[] }[];
}

let folder: string;
let crm: FakeServer;
let collector: FakeServer;
/** What the CRM answers next; 200 after that. */
let answers: number[];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'channel-sync-traces-'));
  answers = [];
  crm = await fakeServer(() => ({ status: answers.shift() ?? 200 }));
  collector = await fakeServer(() => ({ body: {} }));
});
afterEach(async () => {
  await Promise.all([crm.close(), collector.close()]);
  rmSync(folder, { recursive: true });
});

function start(tracing: Record<string, string>): ReturnType<typeof startTestService> {
  return startTestService({
    DATABASE_URL: `sqlite:${join(folder, 'test.db')}`,
    SINK_CRM_TYPE: 'webhook',
    SINK_CRM_URL: crm.url,
    ...tracing,
  });
}
async function change(url: string, app = '1400000001', channel = '@TOA#_shop'): Promise<number> {
  const query = `SdkAppid=${app}&CallbackCommand=OfficialAccount.CallbackAfterOfficialAccountInfoChanged&Sign=secret-of-the-query`;
  const body = { Official_Account: channel, Name: 'text-of-the-profile', Operator_Account: 'who-did-it', EventTime: Date.now() };
  return (await send('POST', `${url}/webhooks/tencent-chat?${query}`, JSON.stringify(body))).status;
}
const spans = (): Span[] =>
  collector.requests.flatMap(({ body }) =>
    (JSON.parse(body) as Exported).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(scope => scope.spans)),
  );
const valueOf = ({ attributes }: Span, key: string): unknown => {
  const value = attributes.find(one => one.key === key)?.value;
  return value?.stringValue ?? Number(value?.intValue);
};

test('a webhook and all its attempts are one trace, which the target is told, and spans hold nothing that is private', async () => {
  answers = [503];
  const service = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`, OTEL_EXPORTER_OTLP_HEADERS: 'api-key=a%20key' });
  expect(await change(service.url)).toBe(200);
  await until(() => crm.requests.length === 2, 'a second attempt', 10_000);
  expect(await change(service.url, '1')).toBe(403);
  await service.stop();
  const [first] = collector.requests;
  expect(first).toMatchObject({ method: 'POST', path: '/v1/traces', headers: { 'api-key': 'a key' } });
  const [webhook] = spans().filter(span => valueOf(span, 'channel_sync.result') === 'recorded');
  const attempts = spans().filter(({ name }) => name === 'deliver to crm');
  expect(webhook!.parentSpanId).toBeUndefined();
  expect(attempts.map(({ traceId, parentSpanId }) => [traceId, parentSpanId])).toEqual([
    [webhook!.traceId, webhook!.spanId],
    [webhook!.traceId, webhook!.spanId],
  ]);
  expect(attempts.map(span => [valueOf(span, 'channel_sync.outcome'), valueOf(span, 'channel_sync.tries'), span.status.code])).toEqual([
    ['retry', 1, 2],
    ['delivered', 2, 0],
  ]);
  const { changeId } = (JSON.parse(crm.requests[0]!.body) as { data: { changeId: string } }).data;
  expect(webhook!.traceId).toBe(changeId.replaceAll('-', ''));
  for (const { headers } of crm.requests) expect(headers['traceparent']).toBe(`00-${webhook!.traceId}-${webhook!.spanId}-01`);
  const [rejected] = spans().filter(span => valueOf(span, 'channel_sync.result') === 'forbidden');
  expect(rejected).toMatchObject({ status: { code: 2 } });
  expect(rejected!.traceId).not.toBe(webhook!.traceId);
  expect(JSON.stringify(collector.requests)).not.toMatch(/secret-of-the-query|text-of-the-profile|who-did-it|Sign=/);
}, 30_000);

test('a part of the traces is sent, whole or not at all, and the target is told which', async () => {
  const service = await start({
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/own/path`,
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0.5',
  });
  for (let index = 0; index < 60; index++) expect(await change(service.url, '1400000001', `channel-${index}`)).toBe(200);
  await until(() => crm.requests.length === 60, 'all attempts', 20_000);
  await service.stop();
  expect(new Set(collector.requests.map(({ path }) => path))).toEqual(new Set(['/own/path']));
  const told = new Map(
    crm.requests.map(({ headers }) => [String(headers['traceparent']).split('-')[1]!, headers['traceparent'] as string]),
  );
  const sampled = [...told].filter(([, traceparent]) => traceparent.endsWith('-01')).map(([traceId]) => traceId);
  // Of 60 tosses fewer than 10 or more than 50 do not happen.
  expect(sampled.length).toBeGreaterThan(10);
  expect(sampled.length).toBeLessThan(50);
  const traces = Map.groupBy(spans(), ({ traceId }) => traceId);
  expect([...traces.keys()].toSorted()).toEqual(sampled.toSorted());
  for (const [, own] of traces) expect(own.map(({ name }) => name).toSorted()).toEqual(['deliver to crm', 'receive webhook']);
}, 40_000);

test('without an endpoint nothing is traced, and the target is told nothing', async () => {
  const service = await start({ OTEL_TRACES_SAMPLER: 'always_on' });
  expect(await change(service.url)).toBe(200);
  await until(() => crm.requests.length === 1, 'an attempt');
  await service.stop();
  expect(crm.requests[0]!.headers['traceparent']).toBeUndefined();
  expect(collector.requests).toEqual([]);
}, 20_000);

test('a collector that is away costs nobody anything', async () => {
  await collector.close();
  const service = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  expect(await change(service.url)).toBe(200);
  await until(() => crm.requests.length === 1, 'an attempt');
  const before = Date.now();
  const log = await service.stop();
  expect(Date.now() - before).toBeLessThan(10_000);
  // Advice would be about the database.
  expect(log).toMatch(/"msg":"traces cannot be sent, and are dropped","error":"[^"]+"}/);
  collector = await fakeServer(() => ({ body: {} }));
}, 30_000);
