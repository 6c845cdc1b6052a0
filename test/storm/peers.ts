import { METHODS } from 'node:http';
import zlib from 'node:zlib';
import { commands } from '../support/vendor.ts';
import type { Dice } from './dice.ts';

const path = '/webhooks/tencent-chat';
const query = `SdkAppid=1400000001&CallbackCommand=${commands.changed}`;

/** One request as it goes over the wire. */
interface Message {
  bytes: Buffer;
  /** The status that it must be answered with; `null` where HTTP leaves more than one open, or none. */
  status: string | null;
  /** The operator of a webhook that must be kept if it is answered 200. */
  operator?: string;
  /** Whether nothing behind it is answered. */
  last?: boolean;
}

/** What one peer does with its connection. */
export interface Peer {
  port: 'public' | 'management';
  messages: Message[];
  /** What it sends: all of the messages, or the beginning of them. */
  bytes: Buffer;
  whole: boolean;
  /** How many bytes it sends at a time; the next ones come a turn later. */
  chunk: number;
  /** Whether it reads what it is told. */
  reads: boolean;
  /** What it does once it has sent everything. A peer that holds says nothing more and keeps its end open. */
  end: 'waits' | 'half-closes' | 'resets' | 'holds';
}

const request = (line: string, headers: string[] = [], body: Buffer | string = ''): Buffer =>
  Buffer.concat([Buffer.from(`${[line, 'Host: a', ...headers].join('\r\n')}\r\n\r\n`, 'latin1'), Buffer.from(body)]);
const probe: Message = { bytes: request(`GET ${path} HTTP/1.1`), status: '200' };
const connecting: Message = { bytes: request('CONNECT a:1 HTTP/1.1'), status: '404', last: true };
const upgrading = (method: string): Message => ({
  bytes: request(`${method} ${path} HTTP/1.1`, ['Connection: keep-alive, Upgrade', 'Upgrade: websocket']),
  status: '404',
  last: true,
});

let webhooks = 0;
/** A webhook that is to be kept, in one of the ways that HTTP has of sending it. */
export function webhookMessage(way: number): Message {
  const operator = `p${webhooks++}`;
  const body = Buffer.from(JSON.stringify({ Official_Account: `@TOA#_${webhooks % 7}`, Operator_Account: operator, Name: operator }));
  const zipped = zlib.gzipSync(body);
  const length = `Content-Length: ${body.length}`;
  const line = `POST ${path}?${query} HTTP/1.1`;
  const chunked = Buffer.concat([Buffer.from(`${body.length.toString(16)};x=y\r\n`), body, Buffer.from('\r\n0\r\nX-Trailer: 1\r\n\r\n')]);
  const ways: Omit<Message, 'status' | 'operator'>[] = [
    { bytes: request(line, [length], body) },
    { bytes: request(line, ['transfer-encoding: chunked'], chunked) },
    { bytes: request(line, ['Content-Encoding: gzip', `Content-Length: ${zipped.length}`], zipped) },
    { bytes: request(line, ['Expect: 100-continue', length], body), last: true },
    { bytes: request(line, ['Expect: wonders', length], body) },
    { bytes: request(line.replace('POST ', 'POST http://a:1'), [length], body) },
    { bytes: request(line.replace('1.1', '1.0'), [length], body), last: true },
    { bytes: request(line.replace('1.1', '1.0'), ['Connection: keep-alive', length], body) },
    { bytes: request(line, ['Connection: close', length], body), last: true },
    { bytes: request(line, ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk', length], body), last: true },
    { bytes: request(line, ['X: a', 'X: b', 'Cookie: c', 'Cookie: d', 'Content-Type: a', 'Content-Type: b', 'Accept:', length], body) },
  ];
  return { ...ways[way % ways.length]!, status: '200', operator };
}

/** What only nonsense, old or hostile software sends. */
const odd = [
  'GET / HTTP/1.1\r\n\r\n',
  'GET / HTTP/0.9\r\n\r\n',
  'GET /\r\n',
  'get / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET  / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET //a//../%00?%=&&&SdkAppid HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET * HTTP/1.1\r\nHost: a\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  '\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.1\nHost: a\n\n',
  'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
  'GET / HTTP/1.1\r\nHost : a\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: \xff\xfe\r\nX: \xff\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nConnection: close, keep-alive, Upgrade\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n',
  `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  `GET /?${'a&'.repeat(7000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: a\r\n${'X: a\r\n'.repeat(2500)}\r\n`,
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n',
  `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;${'a'.repeat(17_000)}\r\n`,
  `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${'X: a\r\n'.repeat(2500)}\r\n`,
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na',
  'CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n',
  'CONNECT a:1 HTTP/1.0\r\n\r\n',
  'CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc',
].map((text): Message => ({ bytes: Buffer.from(text, 'latin1'), status: null, last: true }));

const paths = [path, '/', '/slack/interactions', '/metrics', '/%E0%A4%A'];
function plain(method: string, at: string): Message {
  if (method === 'CONNECT') return connecting;
  // The last of its connection: its answer tells the length of a body that does not follow.
  if (method === 'HEAD') return { bytes: request(`HEAD ${path} HTTP/1.1`, ['Connection: close']), status: '200', last: true };
  const onPath = ({ GET: '200', POST: '403' } as Record<string, string>)[method] ?? '404';
  return { bytes: request(`${method} ${at} HTTP/1.1`), status: at === path ? onPath : '404' };
}

function message(dice: Dice): Message {
  const kind = dice.below(12);
  if (kind < 4) return webhookMessage(dice.below(20));
  if (kind < 6) return probe;
  if (kind === 6) return connecting;
  if (kind === 7) return upgrading(dice.pick(METHODS));
  if (kind === 8) return dice.pick(odd);
  if (kind === 9) return { bytes: request(`POST ${path}?SdkAppid=2 HTTP/1.1`, ['Content-Length: 5'], '12345'), status: '403' };
  return plain(dice.pick(METHODS), dice.pick(paths));
}

/** Every method on every path, every upgrade and all that is odd, alone and behind a request, on both ports. */
export function* everyPeer(): Generator<Peer> {
  const each = [...METHODS.flatMap(method => [...paths.map(at => plain(method, at)), upgrading(method)]), ...odd];
  for (const one of each) {
    for (const messages of [[one], [webhookMessage(0), one, probe]]) {
      const bytes = Buffer.concat(messages.map(({ bytes: part }) => part));
      const rest = { messages, bytes, whole: true, chunk: bytes.length, reads: true, end: 'half-closes' } as const;
      yield { port: 'public', ...rest };
      if (one.status === null) yield { port: 'management', ...rest };
    }
  }
}

/** A peer as the dice have it. */
export function somePeer(dice: Dice): Peer {
  const messages = Array.from({ length: 1 + dice.below(4) }, () => message(dice));
  const all = Buffer.concat(messages.map(({ bytes }) => bytes));
  const cut = dice.chance(0.4) ? dice.below(all.length) : all.length;
  const end = dice.pick(['waits', 'half-closes', 'resets', 'holds'] as const);
  return {
    port: dice.chance(0.85) ? 'public' : 'management',
    messages,
    bytes: all.subarray(0, cut),
    whole: cut === all.length,
    chunk: dice.pick([all.length, all.length, 1 + dice.below(all.length), 100, 7]),
    reads: dice.chance(0.9),
    // A whole connection may stay idle for as long as it likes: nothing is learnt from one.
    end: end === 'holds' && !holdable(messages, cut) ? 'half-closes' : end,
  };
}

/** Whether a connection that falls silent after so many bytes must be ended by the service: in the middle of a request, or after the last one that it takes. */
function holdable(messages: Message[], cut: number): boolean {
  let at = 0;
  for (const { bytes, status, last } of messages) {
    // Who can tell where one that is odd ends?
    if (status === null) return false;
    if (last && at + bytes.length <= cut) return true;
    if (at < cut && cut < at + bytes.length) return true;
    at += bytes.length;
  }
  return cut === 0;
}

/** A webhook that is cut after each of its bytes, with each end. */
export function* cutPeers(way: number): Generator<Peer> {
  const { length } = webhookMessage(way).bytes;
  for (let cut = 0; cut < length; cut++) {
    for (const end of ['half-closes', 'resets', 'holds'] as const) {
      const one = webhookMessage(way);
      yield {
        port: 'public',
        messages: [one],
        bytes: one.bytes.subarray(0, Math.min(cut, one.bytes.length - 1)),
        whole: false,
        chunk: 1e6,
        reads: true,
        end,
      };
    }
  }
}

/** The statuses that a peer which reads must be told, or `null` if more than one list is right. */
export function expectedStatuses({ port, messages, whole, end }: Peer): string[] | null {
  if (port !== 'public' || !whole || end === 'resets') return null;
  const lastAt = messages.findIndex(({ last }) => last);
  const answered = lastAt === -1 ? messages : messages.slice(0, lastAt + 1);
  return answered.some(({ status }) => status === null) ? null : answered.map(({ status }) => status!);
}
