import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { agentFor } from './agents.js';
import { cleaner } from '../settings/cleaner.js';
import { inEnglish, stored, withoutAnswer } from '../explanations/explanation.js';
import { Refused } from '../sinks/errors.js';
import { decodeText, exchange, responseOf, withResponse } from './send.js';

const clean = cleaner(['planted-token']);

test.each([
  ['text', 'text/plain', 'no room', 'no room'],
  ['HTML', 'text/html; charset=utf-8', '<h1>Bad\r\n\r\n gateway</h1>', '<h1>Bad  gateway</h1>'],
  ['JSON', 'application/json', '{\n  "error": "é"\n}', '{   "error": "é" }'],
  ['a problem', 'application/problem+json', '{"title":"no"}', '{"title":"no"}'],
  ['what has no type', undefined, 'no room', 'no room'],
  ['what has an empty type', '', 'no room', 'no room'],
  ['what has no proper type', 'utf-8', 'no room', 'no room'],
  ['control characters', 'text/plain', '\u0000\u001ba\u0007\u2028b\t', 'a b'],
  ['a secret', 'text/plain', 'bad planted-\ntoken!', 'bad ***!'],
  ['nothing', 'text/plain', ' \r\n', null],
  ['an image', 'image/png', 'text all the same', null],
  ['bytes of no type', undefined, Buffer.from([0x1f, 0x8b, 8, 0, 0xff, 0xfe, 0x80, 1]).toString(), null],
  ['compressed bytes that call themselves text', 'text/plain', Buffer.from([0x1f, 0x8b, 8, 0, 0xff, 0xfe, 0x80, 1]).toString(), null],
])('what people see of %s', (_, contentType, answer, expected) => {
  expect(responseOf(answer, contentType, clean)).toBe(expected);
});

test('500 characters, and 120 in the reason, none of them half', () => {
  const answer = `planted-token${'😀'.repeat(1000)}`;
  const error = withResponse(new Refused(['answered', 400], ['wait']), { body: answer, contentType: 'text/plain' }, clean);
  expect(error.response).toBe(`***${'😀'.repeat(497)}`);
  expect(inEnglish(error.reason)).toBe(`answered 400 — ***${'😀'.repeat(117)}`);
  expect(withoutAnswer(stored(['gave_up', error.reason]))).toBe('gave up: answered 400');
  expect(new Refused(['answered', 400], ['wait']).reason).toEqual(['answered', 400]);
});

test('the charset of the answer', () => {
  const gbk = Buffer.from([0xc4, 0xfa, 0xba, 0xc3]);
  expect(decodeText(gbk, 'text/html; charset=GBK')).toBe('您好');
  for (const parameter of ["charset='gbk'", 'charset = "GBK"']) expect(decodeText(gbk, `text/html; ${parameter}`)).toBe('您好');
  expect(decodeText(Buffer.from('é'), 'text/plain; charset="utf-8"')).toBe('é');
  expect(decodeText(Buffer.from('é'), 'text/plain; charset=nonsense')).toBe('é');
  expect(decodeText(Buffer.from('é'), undefined)).toBe('é');
});

/** What is read of a target that answers any request with these bytes. */
async function answerTo(bytes: string): ReturnType<typeof exchange> {
  const server = createServer(socket => {
    socket.on('error', () => undefined).once('data', () => socket.write(bytes));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const agent = agentFor(url, { https: null, http: null, direct: [] }, { keepAlive: true });
  const request = { method: 'POST', url, headers: {}, body: '{}', agent, signal: AbortSignal.timeout(2000) };
  try {
    return await exchange(request, 1000);
  } finally {
    agent.destroy();
    server.close();
  }
}

// Seen failing: Node closes its connection, and the request ended only with the attempt's timeout.
test.each(['Connection: Upgrade\r\nUpgrade: h2c\r\n', ''])('a 101 is an answer (%j)', async fields => {
  expect((await answerTo(`HTTP/1.1 101 Switching Protocols\r\n${fields}\r\nrest`)).status).toBe(101);
});

// Seen failing: nothing told why its words are not shown.
test.each([
  ['gzip, br', '(Content-Encoding: gzip, br)'],
  ['gzip\r\nContent-Encoding: gzip', '(Content-Encoding: gzip, gzip)'],
  ['unknown', '(Content-Encoding: unknown)'],
  ['identity', 'the words'],
])('an answer whose encoding is not decoded says so (%j)', async (encoding, body) => {
  const fields = `Content-Encoding: ${encoding}\r\nContent-Type: application/json\r\nContent-Length: 9`;
  const answer = await answerTo(`HTTP/1.1 400 Bad Request\r\n${fields}\r\n\r\nthe words`);
  expect(answer.status).toBe(400);
  expect(responseOf(answer.body, answer.contentType, clean)).toBe(body);
});

// Seen failing: a refusal counted as a failed connection, and was retried.
test.each(['gzip', 'deflate', 'br', 'zstd'].flatMap(encoding => ['not compressed', ''].map(body => [encoding, body])))(
  'the status counts of an answer that only claims to be compressed (%s, %j)',
  async (encoding, body) => {
    const fields = `Content-Encoding: ${encoding}\r\nContent-Length: ${body!.length}`;
    expect(await answerTo(`HTTP/1.1 401 Unauthorized\r\n${fields}\r\n\r\n${body}`)).toMatchObject({ status: 401, body: '' });
  },
);
