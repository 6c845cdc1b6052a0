import { type Server, createServer } from 'node:http';
import { type AddressInfo, type Socket, connect } from 'node:net';
import { guardSockets } from './sockets.js';

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n';
const connectRequest = 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n';
const upgrading = (to: string): string => `GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: ${to}\r\n\r\n`;

const shortMs = 500;
/** The linger time of the last answer, plus the check interval of half a second. */
const maxOpenMs = 4500;
const errors: Error[] = [];
let server: Server;
beforeAll(async () => {
  // Answers asynchronously after reading the request; `/long` takes long.
  server = createServer((request, response) => {
    const workMs = request.url === '/long' ? 6 * shortMs : 5;
    request.resume().once('end', () => setTimeout(() => response.end('x'.repeat(1000)), workMs));
  });
  const notFound = { type: 'text/plain', body: 'nothing' };
  guardSockets(server, {
    notFound,
    requestTimeoutMs: shortMs,
    socketTimeoutMs: shortMs,
    keepAliveTimeoutMs: shortMs,
    onError: error => errors.push(error),
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
});
afterAll(() => new Promise(resolve => server.close(resolve)));

interface Held {
  text: string;
  goneAfterMs: number;
}

/** Runs `peer` on a half-open connection and waits until the server has closed its end. */
function hold(peer: (socket: Socket) => void, reads = true): Promise<Held> {
  return new Promise(resolve => {
    const startedAt = Date.now();
    let text = '';
    const socket = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
    const mine = new Promise<Socket>(accepted => {
      const look = (theirs: Socket): void => {
        if (theirs.remotePort !== socket.localPort) return;
        server.off('connection', look);
        accepted(theirs);
      };
      server.on('connection', look);
    });
    socket.on('error', () => undefined);
    if (reads) socket.on('data', chunk => (text += chunk.toString()));
    void mine.then(theirs => {
      theirs.once('close', () => {
        const goneAfterMs = Date.now() - startedAt;
        const done = (): void => (socket.destroy(), resolve({ text, goneAfterMs }));
        if (reads && !socket.readableEnded && !socket.destroyed) socket.once('end', done).once('close', done);
        else done();
      });
      peer(socket);
    });
  });
}
const again = (socket: Socket, text: string, everyMs: number): void => {
  const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : socket.write(text)), everyMs);
  socket.once('close', () => clearInterval(timer));
};
const statuses = ({ text }: Held): string[] => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status!);

test.concurrent.each<[string, (socket: Socket) => void, string[]]>([
  ['sends nothing', () => undefined, []],
  ['sends blank lines', socket => again(socket, '\r\n', 50), []],
  ['sends a head byte by byte', socket => again(socket, 'G', 400), ['400']],
  ['does not end a head', socket => void socket.write('GET / HT'), []],
  ['ends within a head', socket => void socket.end('GET / HT'), ['400']],
  ['does not end a body', socket => void socket.write(`${post}1`), []],
  ['sends a body byte by byte', socket => (socket.write(post), again(socket, 'x', 200)), []],
  ['ends within a body', socket => void socket.end(`${post}1`), ['400']],
  [
    'sends chunks for ever',
    socket => (socket.write(post.replace(/Content.*9/, 'Transfer-Encoding: chunked')), again(socket, '1\r\nx\r\n', 50)),
    [],
  ],
  ['ends after a request', socket => void socket.end(get), ['200']],
  ['ends after several', socket => void socket.end(get + `${post}123456789` + get), ['200', '200', '200']],
  ['ends at once', socket => void socket.end(), []],
  ['is silent after a request', socket => void socket.write(get), ['200']],
  ['sends blank lines after a request', socket => (socket.write(get), again(socket, '\r\n', 100)), ['200']],
  ['holds CONNECT', socket => void socket.write(connectRequest), ['404']],
  ['talks behind CONNECT', socket => (socket.write(connectRequest), again(socket, get, 50)), ['404']],
  ['ends after CONNECT', socket => void socket.end(connectRequest), ['404']],
  ['asks for a WebSocket', socket => void socket.write(get + upgrading('websocket') + get), ['200', '404']],
  ['holds what cannot be parsed', socket => void socket.write(`${get}nonsense\r\n\r\n`), ['200', '400']],
  ['talks behind what cannot be parsed', socket => (socket.write('nonsense\r\n\r\n'), again(socket, get, 50)), ['400']],
])('a peer that %s', async (_, peer, expected) => {
  const held = await hold(peer);
  expect(statuses(held)).toEqual(expected);
  expect(held.goneAfterMs).toBeLessThan(maxOpenMs);
});

test.each([
  ['and goes on asking', (socket: Socket) => again(socket, get.repeat(1000), 1)],
  ['and asks for more than is buffered, CONNECT at last', (socket: Socket) => void socket.write(get.repeat(50_000) + connectRequest)],
])(
  'a peer that does not read %s',
  async (_, peer) => {
    expect((await hold(peer, false)).goneAfterMs).toBeLessThan(20_000);
  },
  30_000,
);

// Otherwise Node silently drops data that follows the offer in the same packet, and parses later data from the middle of a request.
test.each(['h2c', 'TLS/1.2, HTTP/1.1'])('an offer of %s is an ordinary request, and the last of its connection', async to => {
  const held = await hold(socket => {
    socket.write(upgrading(to) + get);
    again(socket, get, 20);
  });
  expect(statuses(held)).toEqual(['200']);
  expect(held.text).toContain('Connection: close');
});

test('what we take long to do is no silence of the peer', async () => {
  expect(statuses(await hold(socket => void socket.write('GET /long HTTP/1.1\r\nHost: a\r\n\r\n')))).toEqual(['200']);
});

// Guards against a 417 from Node in a format of its own.
test('an expectation that nobody knows is no reason to refuse', async () => {
  expect(statuses(await hold(socket => void socket.write(get.replace('Host', 'Expect: wonders\r\nHost'))))).toEqual(['200']);
});

test('no Host, and HTTP/1.0', async () => {
  expect(statuses(await hold(socket => void socket.write('GET / HTTP/1.1\r\n\r\nGET / HTTP/1.0\r\n\r\n')))).toEqual(['200', '200']);
});

test('a connection that cannot be accepted is told', () => {
  server.emit('error', new Error('accept EMFILE'));
  expect(errors.map(({ message }) => message)).toEqual(['accept EMFILE']);
});
