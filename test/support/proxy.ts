import type { IncomingMessage, ServerResponse } from 'node:http';
import { request } from 'node:http';
import { type ServerOptions } from 'node:https';
import { type Socket, connect } from 'node:net';
import { type Proxies, proxiesFrom } from '../../src/outgoing/proxies.ts';
import { fakeServer } from './fake-server.ts';

/** Nothing in the environment. */
export const noProxies: Proxies = proxiesFrom(new Map()).proxies;

/** What the environment says, where it is right. */
export function proxiesOf(environment: Record<string, string>): Proxies {
  return proxiesFrom(new Map(Object.entries(environment))).proxies;
}

/** A forward proxy as they are: forwards plain HTTP and opens tunnels, whatever the name, to loopback. */
export async function forwardProxy({ authorization, tls }: { authorization?: string; tls?: ServerOptions } = {}) {
  /** What came, as `CONNECT host:port` or a method and an absolute URL. */
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  /** A status that it answers to everything; `reset` and `hang` instead of an answer. */
  let says: number | 'reset' | 'hang' | null = null;

  function refusal(message: IncomingMessage): typeof says {
    seen.push(`${message.method} ${message.url}`);
    return says ?? (authorization !== undefined && message.headers['proxy-authorization'] !== authorization ? 407 : null);
  }

  function forward(message: IncomingMessage, response: ServerResponse): void {
    const refused = refusal(message);
    if (refused === 'reset') message.socket.resetAndDestroy();
    if (typeof refused === 'number') response.writeHead(refused).end('planted-words-of-the-proxy');
    if (refused !== null) return;
    const { pathname, search, port } = new URL(message.url ?? '');
    const { 'proxy-authorization': _, 'proxy-connection': __, ...headers } = message.headers;
    const onward = request({ host: '127.0.0.1', port, path: pathname + search, method: message.method, headers, agent: false }, answer => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.writeHead(502).end());
    message.pipe(onward);
  }

  const server = await fakeServer(() => {}, { ...(tls && { tls }) });
  server.http.removeAllListeners('request').on('request', forward);
  server.http.on(tls ? 'secureConnection' : 'connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
  });
  server.http.on('connect', (message: IncomingMessage, near: Socket) => {
    const refused = refusal(message);
    if (refused === 'reset') near.resetAndDestroy();
    // Kept open, as good proxies do: the client is to close it.
    if (typeof refused === 'number') near.write(`HTTP/1.1 ${refused} planted-words-of-the-proxy\r\ncontent-length: 0\r\n\r\n`);
    if (refused !== null) return void near.resume().on('end', () => near.destroy());
    const far = connect(Number(message.url?.split(':').at(-1)), '127.0.0.1', () => {
      near.write('HTTP/1.1 200 Connection established\r\n\r\n');
      near.pipe(far).pipe(near);
    });
    far.on('error', () => near.resetAndDestroy()).on('close', () => near.destroy());
    near.on('error', () => far.destroy()).on('close', () => far.destroy());
    sockets.add(far.on('close', () => sockets.delete(far)));
  });
  return {
    /** With these credentials in it. */
    url: (credentials = '') => `${tls ? 'https' : 'http'}://${credentials}127.0.0.1:${server.port}`,
    seen,
    /** Those open now, to both sides. */
    sockets,
    say: (what: typeof says) => void (says = what),
    cut: () => sockets.forEach(socket => socket.resetAndDestroy()),
    close: async () => {
      sockets.forEach(socket => socket.destroy());
      await server.close();
    },
  };
}
