import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { ServerOptions } from 'node:https';
import { type Duplex } from 'node:stream';
import { type Answer, fakeServer } from './fake-server.ts';

/** Slack's side of Socket Mode as far as a client sees it: `apps.connections.open`, and the connection that its answer leads to. */
export async function fakeSocketMode(appToken: string, tls?: ServerOptions) {
  /** What `apps.connections.open` says; `null`: where to connect to, if the token is right. */
  let refusal: Answer | null = null;
  let greets = true;
  let answered = Promise.resolve();
  let opened = 0;
  const connections: Duplex[] = [];
  const received: unknown[] = [];
  const server = await fakeServer(
    async ({ headers }) => {
      await answered;
      if (refusal) return refusal;
      if (headers.authorization !== `Bearer ${appToken}`) return { body: { ok: false, error: 'invalid_auth' } };
      return { body: { ok: true, url: `${server.url.replace('http', 'ws')}/link/?ticket=letsOneIn` } };
    },
    tls ? { tls } : {},
  );
  server.http.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    const accept = createHash('sha1')
      .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    opened += 1;
    connections.push(socket);
    socket.on('close', () => connections.splice(connections.indexOf(socket), 1));
    socket.on('error', () => socket.destroy());
    // Node leaves the socket of an upgrade half open.
    socket.on('end', () => socket.end());
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (let frame = readFrame(rest); frame; frame = readFrame(rest)) {
        rest = rest.subarray(frame.bytes);
        if (frame.opcode === opcodes.text) received.push(JSON.parse(frame.payload.toString()));
        if (frame.opcode === opcodes.ping) socket.write(frameOf(opcodes.pong, frame.payload));
        if (frame.opcode === opcodes.close) socket.end(frameOf(opcodes.close, frame.payload));
      }
    });
    if (greets) send({ type: 'hello' }, [socket]);
  });
  const send = (message: object, to: readonly Duplex[] = connections): void => {
    for (const socket of to) socket.write(frameOf(opcodes.text, Buffer.from(JSON.stringify(message))));
  };
  return {
    apiUrl: `${server.url}/api/`,
    /** How often a connection was asked for. */
    asked: () => server.requests.length,
    connections,
    /** How many connections there were. */
    opened: () => opened,
    /** What the clients sent, acks that is. */
    received,
    refuse: (answer: Answer | null) => (refusal = answer),
    /** Answers nothing until the promise is fulfilled. */
    hold: (until: Promise<void>) => void (answered = until),
    greet: (whether: boolean) => (greets = whether),
    /** To all connections, or to those. */
    send,
    cut: () => connections.forEach(socket => socket.destroy()),
    close: async () => {
      connections.forEach(socket => socket.destroy());
      await server.close();
    },
  };
}

const opcodes = { text: 1, close: 8, ping: 9, pong: 10 };

/** One whole frame from a client, which always masks; frames beyond 64 kB are none of ours. */
function readFrame(bytes: Buffer): { opcode: number; payload: Buffer; bytes: number } | null {
  if (bytes.length < 8) return null;
  const short = bytes[1]! & 127;
  const start = short === 126 ? 4 : 2;
  const length = short === 126 ? bytes.readUInt16BE(2) : short;
  const end = start + 4 + length;
  if (bytes.length < end) return null;
  const payload = Buffer.from(bytes.subarray(start + 4, end).map((byte, index) => byte ^ bytes[start + (index % 4)]!));
  return { opcode: bytes[0]! & 15, payload, bytes: end };
}

function frameOf(opcode: number, payload: Buffer): Buffer {
  const head = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 255];
  return Buffer.concat([Buffer.from([128 | opcode, ...head]), payload]);
}
