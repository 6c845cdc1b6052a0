import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** What a socket that has left HTTP gets for the answers still due on it and for its peer to read the last one. */
const lingerMs = 3000;
const badRequest = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n';
/** Clients make these offers on ordinary requests, and stay with HTTP/1.1 where they are ignored. */
const ignoredUpgrade = /^(h2c|TLS\/)/i;

export interface SocketRules {
  /** The answer to CONNECT and Upgrade. */
  notFound: { type: string; body: string };
  /** What a request gets to arrive whole. */
  requestTimeoutMs: number;
  /** How long nothing may move while a request or its answer is on its way. What we take to work on a whole request does not count. */
  socketTimeoutMs: number;
  /** How long a connection is kept open after an answer. */
  keepAliveTimeoutMs: number;
  /** Told that a connection could not be accepted. */
  onError: (error: Error) => void;
}

/** What Node's types leave out. */
type HttpServer = Server & {
  connectionsCheckingInterval: number;
  httpAllowHalfOpen: boolean;
  requireHostHeader: boolean;
  shouldUpgradeCallback(request: IncomingMessage): boolean;
};

/**
 * Lets no peer keep a socket of this server for longer than it may, or end the process through one. Node hands sockets over bare after CONNECT and
 * Upgrade and where it cannot parse: each of them gets its last answer behind those that are due before it, and is gone soon after.
 */
export function guardSockets(
  plain: Server,
  { notFound, requestTimeoutMs, socketTimeoutMs, keepAliveTimeoutMs, onError }: SocketRules,
): void {
  const server = plain as HttpServer;
  server.requestTimeout = requestTimeoutMs;
  server.headersTimeout = requestTimeoutMs;
  // How often Node looks for requests that take too long; its own default is 30 s.
  server.connectionsCheckingInterval = 500;
  // An answer that its peer does not read is no request that takes too long.
  server.timeout = socketTimeoutMs;
  server.keepAliveTimeout = keepAliveTimeoutMs;
  // Who sends nothing more can still be answered.
  server.httpAllowHalfOpen = true;
  // Node's own refusal would not be our answer.
  server.requireHostHeader = false;
  server.shouldUpgradeCallback = ({ headers }) => !ignoredUpgrade.test(headers.upgrade ?? '');

  const connections = new WeakMap<Socket, Connection>();
  // What takes long may be our own work on a request.
  const end = (socket: Socket): void => {
    const { due, idle } = connections.get(socket)!;
    if ([...due].some(({ req, headersSent }) => req.complete && !headersSent)) idle.refresh();
    else socket.destroy();
  };
  server.on('timeout', end);
  server.on('connection', socket => {
    // Blank lines between requests are activity for Node, which would let them hold a connection for ever.
    const idle = setTimeout(() => end(socket), keepAliveTimeoutMs + requestTimeoutMs + socketTimeoutMs).unref();
    connections.set(socket, { idle, due: new Set() });
    socket.once('close', () => clearTimeout(idle));
  });
  server.prependListener('request', (request, response) => {
    // Whom it names does not matter. A name that cannot be read would get an answer in HTML.
    request.url = request.url!.replace(/^[a-z][^/?]*:\/\/[^/?#]*\/?/i, '/');
    const { idle, due } = connections.get(request.socket)!;
    idle.refresh();
    due.add(response);
    response.once('close', () => due.delete(response));
    if (request.headers.upgrade === undefined) return;
    // Node drops what stands behind an ignored offer in the same packet: no later request of this connection can be understood.
    response.shouldKeepAlive = false;
    request.once('end', () => request.socket.pause());
  });

  // An expectation that nobody knows is no reason for Node's own refusal.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));

  const leave = (socket: Socket, answer: string): void => {
    const connection = connections.get(socket)!;
    if (connection.leaving) return;
    connection.leaving = true;
    if (!socket.writable) return socket.destroySoon();
    const cut = setTimeout(() => socket.destroy(), lingerMs);
    // What else the peer says is thrown away: unread, it would make the end of the connection a reset, which can overtake the answer.
    socket.once('close', () => clearTimeout(cut)).resume();
    // A request that is not whole will never be.
    const last = [...connection.due].findLast(({ req }) => req.complete);
    if (last) last.once('close', () => socket.end(answer));
    else socket.end(answer);
  };
  const refuse = (_request: IncomingMessage, socket: Socket): void => {
    // Node has taken its own listener away; without one a reset would end the process.
    socket.on('error', () => socket.destroy());
    const head = ['HTTP/1.1 404 Not Found', `Content-Type: ${notFound.type}`, `Content-Length: ${Buffer.byteLength(notFound.body)}`];
    leave(socket, `${[...head, 'Connection: close'].join('\r\n')}\r\n\r\n${notFound.body}`);
  };
  server.on('connect', refuse).on('upgrade', refuse);
  // A request that took too long is dropped: the answer to that would not be the packet.
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') socket.destroy();
    else leave(socket, badRequest);
  });

  // Whoever listens is told of the errors before; later ones, such as no descriptor for a connection, would end the process.
  server.once('listening', () => server.on('error', onError));
}

interface Connection {
  idle: NodeJS.Timeout;
  /** Answers that have not been sent whole. */
  due: Set<ServerResponse>;
  leaving?: true;
}
