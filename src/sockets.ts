import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** What a socket that has left HTTP gets for the answers still due on it and for the peer to read the last one. */
const lingerMs = 3000;
const badRequest = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n';

/**
 * Takes care of the sockets that Node hands over bare: after CONNECT, and after what HTTP cannot parse. Each gets its last answer behind those
 * that are due before it, and is gone soon after, whatever its peer does.
 * @param notFound what CONNECT is answered with
 */
export function guardSockets(server: Server, notFound: { type: string; body: string }): void {
  const open = new WeakMap<Socket, Set<ServerResponse>>();
  const leaving = new WeakSet<Socket>();
  server.prependListener('request', ({ socket }, response) => {
    const responses = open.get(socket) ?? new Set();
    open.set(socket, responses.add(response));
    response.once('close', () => responses.delete(response));
  });

  const leave = (socket: Socket, answer: string): void => {
    if (leaving.has(socket)) return;
    leaving.add(socket);
    const cut = setTimeout(() => socket.destroy(), lingerMs);
    // What else the peer says is thrown away: unread, it would turn the end of the connection into a reset, which can overtake the answer.
    socket.once('close', () => clearTimeout(cut)).resume();
    // A request that is not whole will never be.
    const due = [...(open.get(socket) ?? [])].findLast(({ req }) => req.complete);
    if (due) due.once('close', () => socket.end(answer));
    else socket.end(answer);
  };

  server.on('connect', (_request, socket: Socket) => {
    // Node has taken its own listener away; without one a reset would end the process.
    socket.on('error', () => socket.destroy());
    const head = ['HTTP/1.1 404 Not Found', `Content-Type: ${notFound.type}`, `Content-Length: ${Buffer.byteLength(notFound.body)}`];
    leave(socket, `${[...head, 'Connection: close'].join('\r\n')}\r\n\r\n${notFound.body}`);
  });
  // A request that took too long is dropped: the answer to that would not be the packet.
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' || !socket.writable) socket.destroy();
    else leave(socket, badRequest);
  });
}
