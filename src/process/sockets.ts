import { closeSync, openSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { devNull } from 'node:os';

/** How long a socket that Node has detached from HTTP stays open for pending answers and for the client to read the last one. */
const lingerMs = 3000;
const descriptorCheckMs = 1000;
const badRequest = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n';
/** Clients offer these upgrades with ordinary requests and continue with HTTP/1.1 if they are ignored. */
const ignoredUpgrade = /^(h2c|TLS\/)/i;

/** Reads further input and drops it: closing a socket with unread data sends a reset, which can overtake the answer. */
function drain(socket: Socket): Socket {
  const cut = setTimeout(() => socket.destroy(), lingerMs);
  return socket.once('close', () => clearTimeout(cut)).resume();
}

export interface SocketRules {
  /** The answer to CONNECT and Upgrade. */
  notFound: { type: string; body: string };
  /** How long a request may take to arrive completely. */
  requestTimeoutMs: number;
  /** How long a socket may be inactive while a request or its answer is being transferred. Our own processing time does not count. */
  socketTimeoutMs: number;
  /** How long an idle connection is kept open after an answer. */
  keepAliveTimeoutMs: number;
  /** Called if a connection cannot be accepted. */
  onError: (error: Error) => void;
}

/** Properties missing from Node's types. */
type HttpServer = Server & {
  connectionsCheckingInterval: number;
  httpAllowHalfOpen: boolean;
  requireHostHeader: boolean;
  shouldUpgradeCallback(request: IncomingMessage): boolean;
};

/**
 * Ensures that no client can hold a socket beyond the timeouts or crash the process. After CONNECT, Upgrade and parse errors Node hands
 * over the raw socket: the final answer is sent after all pending ones, and the socket is closed soon after.
 */
export function guardSockets(plain: Server, rules: SocketRules): void {
  const { notFound, requestTimeoutMs, socketTimeoutMs, keepAliveTimeoutMs, onError } = rules;
  const server = plain as HttpServer;
  server.requestTimeout = requestTimeoutMs;
  server.headersTimeout = requestTimeoutMs;
  // How often Node checks for timed-out requests; its default is 30 s.
  server.connectionsCheckingInterval = 500;
  // For clients that do not read their answer, which `requestTimeout` does not cover.
  server.timeout = socketTimeoutMs;
  server.keepAliveTimeout = keepAliveTimeoutMs;
  // A client that has half-closed its connection still gets its answers.
  server.httpAllowHalfOpen = true;
  // Node's built-in refusal would not have our format.
  server.requireHostHeader = false;
  server.shouldUpgradeCallback = ({ headers }) => !ignoredUpgrade.test(headers.upgrade ?? '');

  const connections = new WeakMap<Socket, Connection>();
  // Not closed while we are still processing a complete request.
  const end = (socket: Socket): void => {
    const { due, idle } = connections.get(socket)!;
    if ([...due].some(({ req, headersSent }) => req.complete && !headersSent)) idle.refresh();
    else socket.destroy();
  };
  server.on('timeout', end);
  server.on('connection', socket => {
    // Node counts blank lines between requests as activity, so they could hold a connection open for ever.
    const idle = setTimeout(() => end(socket), keepAliveTimeoutMs + requestTimeoutMs + socketTimeoutMs).unref();
    connections.set(socket, { idle, due: new Set() });
    socket.once('close', () => clearTimeout(idle));
    // Node calls this after the last answer. What else arrives is no request any more.
    socket.destroySoon = () => drain(socket.removeAllListeners('data').on('data', () => undefined)).end();
  });
  server.prependListener('request', (request, response) => {
    // Strip scheme and host of an absolute URL: an invalid host would be answered in HTML.
    request.url = request.url!.replace(/^[a-z][^/?]*:\/\/[^/?#]*\/?/i, '/');
    const { idle, due } = connections.get(request.socket)!;
    idle.refresh();
    due.add(response);
    response.once('close', () => due.delete(response));
    if (request.headers.upgrade === undefined) return;
    // Node drops data that follows an ignored upgrade in the same packet, so later requests on this connection could not be parsed.
    response.shouldKeepAlive = false;
    request.once('end', () => request.socket.pause());
  });

  // Node would answer an unknown `Expect` header with 417.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));

  /** Sends a last answer, after those that are still due, and closes the socket. */
  const leave = (socket: Socket, answer: string): void => {
    const connection = connections.get(socket)!;
    if (connection.leaving) return;
    connection.leaving = true;
    if (!socket.writable) return socket.destroySoon();
    drain(socket);
    // Incomplete requests will never complete on this socket.
    const last = [...connection.due].findLast(({ req }) => req.complete);
    const answerLast = (): unknown => socket.writable && socket.end(answer);
    if (last) last.once('close', answerLast);
    else answerLast();
  };
  const refuse = (_request: IncomingMessage, socket: Socket): void => {
    // Node has removed its own listener; without one, a connection reset would crash the process.
    socket.on('error', () => socket.destroy());
    const head = ['HTTP/1.1 404 Not Found', `Content-Type: ${notFound.type}`, `Content-Length: ${Buffer.byteLength(notFound.body)}`];
    leave(socket, `${[...head, 'Connection: close'].join('\r\n')}\r\n\r\n${notFound.body}`);
  };
  server.on('connect', refuse).on('upgrade', refuse);
  // Drop timed-out requests: any answer here would not be an answer packet.
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') socket.destroy();
    else leave(socket, badRequest);
  });

  // Errors while binding go to the caller of `listen`; later ones, such as EMFILE, would crash the process without a listener.
  server.once('listening', () => server.on('error', onError));
}

/**
 * Without free file descriptors libuv closes new connections and Node hears nothing of it, so this tries to open one each second.
 * @param report called with the error if there is none, else with `null`
 */
export function watchDescriptors(server: Server, report: (error: Error | null) => void): void {
  const timer = setInterval(() => {
    try {
      closeSync(openSync(devNull, 'r'));
      report(null);
    } catch (error) {
      if (['EMFILE', 'ENFILE'].includes((error as NodeJS.ErrnoException).code!)) report(error as Error);
    }
  }, descriptorCheckMs).unref();
  server.once('close', () => clearInterval(timer));
}

interface Connection {
  idle: NodeJS.Timeout;
  /** Answers that are not completely sent yet. */
  due: Set<ServerResponse>;
  leaving?: true;
}
