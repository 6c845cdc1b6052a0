import { Webhook } from 'standardwebhooks';
import { attempt, exampleDelivery, exampleEvent } from '../../../test/sink.contract.ts';
import { crmStage } from '../../../test/support/crm-sink.ts';
import { Shape } from './templates.js';

const { target, sinkAt } = crmStage();
const delivery = exampleDelivery({ event: exampleEvent({ channelId: '@TOA#_a/b c', revision: 7 }) });

it('sends what the template makes, by its method, to its URL, signed as sent', async () => {
  const { url, requests } = await target();
  const secret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
  const TEMPLATE =
    '{"名字": {{ data.profile.name | json }}, "at": {{ timestamp | json }}, "from": {{ origin.platform | json }}, "test": {{ data.test }}}';
  const sink = await sinkAt(`${url}/channels/{{ data.channelId }}?r={{ data.revision }}`, {
    TEMPLATE,
    METHOD: 'PATCH',
    CONTENT_TYPE: 'application/merge-patch+json',
    SECRETS: secret,
  });
  expect(await attempt(sink, delivery)).toBeNull();
  const [{ method, path, headers, body }] = requests as [(typeof requests)[0]];
  expect([method, path, headers['content-type']]).toEqual(['PATCH', '/channels/%40TOA%23_a%2Fb%20c?r=7', 'application/merge-patch+json']);
  const made = { 名字: 'NewName', at: delivery.event.timestamp, from: delivery.origin.platform, test: false };
  expect(new Webhook(secret).verify(body, headers as Record<string, string>)).toEqual(made);
  expect(headers['content-length']).toBe(String(Buffer.byteLength(body)));
  expect([headers['webhook-id'], headers['idempotency-key']]).toEqual([delivery.id, delivery.id]);
});

it('sends a form', async () => {
  const { url, requests } = await target();
  const sink = await sinkAt(url, {
    TEMPLATE: 'name={{ data.profile.name | url_encode }}',
    CONTENT_TYPE: 'application/x-www-form-urlencoded',
    METHOD: 'PUT',
  });
  const event = exampleEvent();
  expect(
    await attempt(
      sink,
      exampleDelivery({ event: { ...event, data: { ...event.data, profile: { ...event.data.profile, name: 'a&b 名' } } } }),
    ),
  ).toBeNull();
  expect([requests[0]!.method, new URLSearchParams(requests[0]!.body).get('name')]).toEqual(['PUT', 'a&b 名']);
});

it('sends nothing where the template says skip', async () => {
  const { url, requests } = await target();
  const sink = await sinkAt(url, { TEMPLATE: '{% unless data.exists %}{}{% else %} skip\n{% endunless %}' });
  expect(await sink.deliver(delivery, new AbortController().signal)).toBe('skipped');
  expect(requests).toEqual([]);
});

it.each<[string, Record<string, string>, string, object]>([
  [
    'what is no JSON',
    { TEMPLATE: '{"a": {% if data.revision == 7 %}x{% else %}1{% endif %}}' },
    '',
    { message: 'what the template made is not JSON' },
  ],
  ['an empty rendering', { TEMPLATE: '{% if data.revision != 7 %}{}{% endif %}' }, '', { message: 'the template made an empty text' }],
  [
    'an unknown variable',
    { TEMPLATE: '{% if data.revision == 7 %}{{ data.nothing }}{% else %}1{% endif %}' },
    '',
    { message: 'TEMPLATE cannot be rendered: undefined variable: data.nothing, line 1, column 31' },
  ],
  [
    'a value that is no part of a path',
    {},
    '/a/{{ data.channelId | replace: "@TOA#_a/b c", ".." }}',
    { message: 'a value makes a part of the URL path empty, `.` or `..`' },
  ],
])('refuses %s, and sends nothing', async (_, texts, path, expected) => {
  const { url, requests } = await target();
  const error = await attempt(await sinkAt(url + path, texts), delivery);
  expect(error).toMatchObject({ outcome: 'refused', status: null, ...expected });
  expect(JSON.stringify(error)).not.toContain('NewName');
  expect(requests).toEqual([]);
});

it('tries once more what takes too long, and refuses it the second time in a row', () => {
  const slow = '{% for i in (1..99999) %}{% for j in (1..99999) %}{% endfor %}{% endfor %}{}';
  const shape = new Shape({ URL: 'http://127.0.0.1/', CONTENT_TYPE: 'application/json', TEMPLATE: slow });
  const other = exampleDelivery();
  const outcomes = [delivery, other, delivery, delivery, other].map(one => {
    try {
      return shape.body(one);
    } catch (error) {
      return (error as Error).name;
    }
  });
  expect(outcomes).toEqual(['NotSent', 'NotSent', 'Refused', 'NotSent', 'Refused']);
});

describe('SUCCESS', () => {
  it.each([
    ['{"code":0,"msg":"success"}', null],
    ['{"code":19001,"msg":"param invalid: planted-query-token"}', '{"code":19001,"msg":"param invalid: ***"}'],
    ['<h1>OK</h1>', '<h1>OK</h1>'],
    ['', null],
  ])('a 200 with %s', async (body, response) => {
    const { url } = await target(() => ({ body, headers: { 'content-type': body.startsWith('<') ? 'text/html' : 'application/json' } }));
    const error = await attempt(await sinkAt(`${url}/hook?key=planted-query-token`, { SUCCESS: 'answer.code == 0' }), delivery);
    const refused = { outcome: 'refused', status: 200, response, message: 'answered 200, but the condition in SUCCESS is false' };
    expect({ ...error, message: error?.message }).toMatchObject(body.includes('success') ? { message: undefined } : refused);
  });

  it('waits for an answer that comes late', async () => {
    const { url } = await target((_, response) => {
      response.writeHead(200).write('{"code":');
      setTimeout(() => response.end('0}'), 1500);
    });
    expect(await attempt(await sinkAt(url, { SUCCESS: 'answer.code == 0' }), delivery)).toBeNull();
  });

  it.each([
    ['breaks off', 'connection reset', 5000],
    ['does not end in time', 'timed out after 1.5 s', 1500],
  ])('is unknown where the answer %s: it is tried again', async (how, message, timeoutMs) => {
    const { url } = await target((_, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('{"code":');
      if (how === 'breaks off') setTimeout(() => response.socket?.resetAndDestroy(), 20);
    });
    const sink = await sinkAt(url, { SUCCESS: 'answer.code == 0', TIMEOUT_MS: String(timeoutMs) });
    expect(await attempt(sink, delivery)).toMatchObject({ outcome: 'retry', message });
  });

  it.each([
    [422, 'answer.code == 0', 'refused'],
    [200, 'status != 207', null],
  ])('waits for no answer that does not matter: %i, %s', async (status, SUCCESS, outcome) => {
    const { url } = await target((_, response) => response.writeHead(status, { 'content-length': '10' }).flushHeaders());
    const start = performance.now();
    expect((await attempt(await sinkAt(url, { SUCCESS }), delivery))?.outcome ?? null).toBe(outcome);
    expect(performance.now() - start).toBeLessThan(2500);
  });

  it('is asked of a 2xx alone', async () => {
    const { url } = await target(() => ({ status: 503, body: { code: 0 } }));
    expect(await attempt(await sinkAt(url, { SUCCESS: 'answer.code == 0' }), delivery)).toMatchObject({
      outcome: 'retry',
      message: 'answered 503',
    });
  });
});

it.each([404, 410])('%i is about one record where the URL has Liquid, and about the settings where it has none', async status => {
  const { url } = await target(() => ({ status, body: { message: 'no such contact' } }));
  const refused = { outcome: 'refused', status, response: '{"message":"no such contact"}' };
  expect(await attempt(await sinkAt(`${url}/{{ data.channelId }}`, {}), delivery)).toMatchObject(refused);
  expect(await attempt(await sinkAt(url, { TEMPLATE: '{{ data | json }}' }), delivery)).toMatchObject({ outcome: 'misconfigured' });
});

it('without a template the body of a revision never changes', async () => {
  const { url, requests } = await target();
  const sink = await sinkAt(url, {});
  for (const one of [delivery, delivery]) await attempt(sink, one);
  expect(requests.map(({ body }) => body)).toEqual([JSON.stringify(delivery.event), JSON.stringify(delivery.event)]);
  expect(requests[0]!.body).not.toContain('"test"');
});
