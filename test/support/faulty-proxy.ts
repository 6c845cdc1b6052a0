import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';

/** A way to a server on loopback that can be broken as networks break. */
export class FaultyProxy {
  private readonly sockets = new Set<Socket>();
  private server: Server | null = null;
  private port = 0;
  private holding = false;
  private answered = true;
  /** How often something was sent after an answer had come. */
  roundTrips = 0;

  /** @param roundTripMs how long the way there and back takes */
  constructor(
    private target: number,
    private readonly roundTripMs = 0,
  ) {}

  /** Leads elsewhere from now on; the connections that there are stay where they are. */
  leadTo(target: number): void {
    this.target = target;
  }

  /** Opens the way, at the same port as before. */
  async open(): Promise<number> {
    const server = createServer({ pauseOnConnect: true }, socket => this.join(socket));
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(this.port, '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
    this.server = server;
    return this.port;
  }

  private join(near: Socket): void {
    const far = connect(this.target, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.sockets.add(one);
      one.on('error', () => undefined).on('close', () => (this.sockets.delete(one), other.destroy()));
      if (this.roundTripMs === 0) one.pipe(other);
      else one.on('data', (chunk: Buffer) => setTimeout(() => other.writable && other.write(chunk), this.roundTripMs / 2)).resume();
      one.on('data', () => this.count(one === near));
      if (this.holding) this.hold(one);
    }
  }

  private count(asked: boolean): void {
    if (asked && this.answered) this.roundTrips += 1;
    this.answered = !asked;
  }

  private hold(socket: Socket): void {
    socket.unpipe();
    socket.pause();
  }

  /** Nothing gets through any more, and nobody is told: of the connections that there are, or also of those to come. */
  freeze(newOnes: boolean): void {
    this.holding = newOnes;
    for (const socket of this.sockets) this.hold(socket);
  }

  /** Cuts every connection; new ones are refused until it is opened again. */
  async cut(): Promise<void> {
    const closed = new Promise(resolve => (this.server ? this.server.close(resolve) : resolve(null)));
    for (const socket of this.sockets) socket.destroy();
    await closed;
    [this.holding, this.server] = [false, null];
  }
}
