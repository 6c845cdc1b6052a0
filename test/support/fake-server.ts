import { type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { type ServerOptions, createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** One request that a fake server got, its body whole. */
export interface ReceivedRequest {
  method: string;
  /** Path and query, as sent. */
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
  /** The port at the other end: equal ports are one kept-alive connection. */
  remotePort: number;
}

/** What a fake server says; no status is 200, an object as body is sent as JSON. */
export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: string | object;
}

/** Returns the answer, or nothing after it has dealt with the response itself (or will never answer). */
export type Handler = (
  request: ReceivedRequest,
  response: ServerResponse,
) => Answer | undefined | void | Promise<Answer | undefined | void>;

export interface FakeServer {
  /** `http://127.0.0.1:<port>`, without a slash at its end. */
  url: string;
  port: number;
  /** The server itself, for what is not a plain request. */
  http: Server;
  /** Every request in the order of their arrival. */
  requests: ReceivedRequest[];
  close(): Promise<void>;
}

export interface FakeServerOptions {
  /** Called with the head of a request, before its body is read. */
  onHead?: (message: IncomingMessage) => void;
  /** Serve https with these. */
  tls?: ServerOptions;
}

/** A real HTTP server on a free port of 127.0.0.1 that keeps what it is sent. Imports nothing of ours: it runs natively, too. */
export async function fakeServer(handler: Handler, { onHead, tls }: FakeServerOptions = {}): Promise<FakeServer> {
  const requests: ReceivedRequest[] = [];
  async function answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    onHead?.(message);
    const chunks: Buffer[] = [];
    for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk);
    const { method = '', url: path = '', headers, socket } = message;
    const request = { method, path, headers, body: Buffer.concat(chunks).toString(), remotePort: socket.remotePort ?? 0 };
    requests.push(request);
    const told = await handler(request, response);
    if (told) send(response, told);
  }
  function listener(message: IncomingMessage, response: ServerResponse): void {
    // What fails here is a connection that one of both sides cut on purpose.
    answer(message, response).catch(() => message.socket.destroy());
  }
  const server: Server = tls ? createTlsServer(tls, listener) : createServer(listener);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  async function close(): Promise<void> {
    const closed = new Promise(resolve => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }
  return { url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`, port, http: server, requests, close };
}

function send(response: ServerResponse, { status = 200, headers = {}, body = '' }: Answer): void {
  const json = typeof body === 'object';
  response.writeHead(status, { ...(json && { 'content-type': 'application/json' }), ...headers });
  response.end(json ? JSON.stringify(body) : body);
}
