import { readdirSync, readlinkSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { type Socket, connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ServiceProcess } from '../support/process.ts';
import { until } from '../support/until.ts';
import { commands } from '../support/vendor.ts';
import { Dice } from './dice.ts';
import { look } from './look.ts';
import { type Peer, cutPeers, everyPeer, expectedStatuses, somePeer } from './peers.ts';

const atOnce = 40;
/** A peer that waits for more is let go after so long. */
const silenceMs = 200;
/** What the contract gives a peer that fell silent, and the time between two looks of the service. */
const goneWithinMs = 10_000 + 1500;
/** The vendor gives up after 2 s. We, who measure, are busy as well: one in a hundred may be late for us. */
const inTimeMs = 2000;

export interface SocketStormOptions {
  seed: number;
  /** How many peers come by the dice, beside those of every cut. */
  peers: number;
  /** Where the service keeps its tables. */
  folder: string;
  tell?: (line: string) => void;
}

export interface SocketStormReport {
  peers: number;
  held: number;
  answers: number;
  webhooks: number;
  /** What 99 of 100 webhooks were answered within. */
  p99Ms: number;
  heapGrowthKb: number;
  goneAfterMs: number;
  breaches: string[];
}

/** Peers that do with their sockets whatever there is to do, while the vendor sends webhooks as ever. */
export class SocketStorm {
  readonly #options: SocketStormOptions;
  readonly #service: ServiceProcess;
  readonly #database: string;
  readonly #breaches: string[] = [];
  readonly #held: Socket[] = [];
  readonly #kept = new Set<string>();
  #ports = { public: 0, management: 0 };
  #counts = { peers: 0, answers: 0, webhooks: 0 };
  readonly #times: number[] = [];
  #over = false;
  #stopping = false;

  constructor(options: SocketStormOptions) {
    this.#options = options;
    this.#database = `sqlite:${join(options.folder, 'sockets.db')}`;
    this.#service = new ServiceProcess({
      DATABASE_URL: this.#database,
      LOG_LEVEL: 'info',
      WEBHOOK_BODY_LIMIT: '64kb',
      SINK_A_TYPE: 'log',
      SINK_A_CHANNELS: 'nothing',
      NODE_OPTIONS: `--import=${join(import.meta.dirname, '../support/heap.mjs')}`,
    });
  }

  async run(): Promise<SocketStormReport> {
    const ended = this.#service.exited.then(code => {
      if (!this.#stopping) throw new Error(`the service ended with ${code}: ${this.#service.stderr}`);
      return new Promise<never>(() => undefined);
    });
    try {
      return await Promise.race([this.#run(), ended]);
    } finally {
      this.#stopping = true;
      for (const socket of this.#held) socket.destroy();
      await this.#service.kill();
    }
  }

  async #run(): Promise<SocketStormReport> {
    const { url, managementUrl } = await this.#service.listening();
    this.#ports = { public: Number(new URL(url).port), management: Number(new URL(managementUrl).port) };
    const dice = new Dice(this.#options.seed);
    const before = this.#sockets();
    const vendor = this.#vendor();
    const some = (count: number): Peer[] => Array.from({ length: count }, () => somePeer(dice));
    // What is made once, such as compiled code, is no leak.
    await this.#all(some(this.#options.peers / 2));
    const heap = await this.#heap();
    await this.#all(some(this.#options.peers / 2));
    const heapGrowthKb = Math.round(((await this.#heap()) - heap) / 1024);
    await this.#all([...everyPeer(), ...cutPeers(0), ...cutPeers(1)]);
    this.#over = true;
    await vendor;

    const silentSince = Date.now();
    await until(() => this.#sockets() <= before, 'no descriptor left', goneWithinMs).catch(() =>
      this.#breaches.push(`${this.#sockets() - before} descriptors are left after ${goneWithinMs} ms`),
    );
    const goneAfterMs = Date.now() - silentSince;
    this.#stopping = true;
    const code = await this.#service.stop();
    if (code !== 0) this.#breaches.push(`SIGTERM: exit ${code}: ${this.#service.stderr}`);
    await this.#checkKept();
    const p99Ms = this.#times.sort((one, other) => one - other)[Math.floor(0.99 * this.#times.length)]!;
    if (p99Ms > inTimeMs) this.#breaches.push(`webhooks were answered within ${p99Ms} ms`);
    return { ...this.#counts, held: this.#held.length, p99Ms, heapGrowthKb, goneAfterMs, breaches: this.#breaches };
  }

  /** The service's sockets, those that it listens on among them. */
  #sockets(): number {
    const folder = `/proc/${this.#service.pid}/fd`;
    const targets = readdirSync(folder).map(name => {
      try {
        return readlinkSync(join(folder, name));
      } catch {
        return '';
      }
    });
    return targets.filter(target => target.startsWith('socket:')).length;
  }

  async #heap(): Promise<number> {
    const { lines } = this.#service;
    const told = (): Record<string, unknown>[] => lines.filter(({ msg }) => msg === 'memory');
    const count = told().length;
    void this.#service.kill('SIGUSR2');
    await until(() => told().length > count, 'what the heap holds');
    return told().at(-1)!['heap'] as number;
  }

  async #all(peers: Peer[]): Promise<void> {
    const left = peers.values();
    const one = async (): Promise<void> => {
      for (const peer of left) {
        await this.#meet(peer);
        this.#counts.peers += 1;
        if (this.#counts.peers % 5000 === 0) this.#options.tell?.(`${this.#counts.peers} peers, ${this.#counts.webhooks} webhooks`);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, one));
  }

  /** Lets a peer do what it does, and looks at what it was told. */
  async #meet(peer: Peer): Promise<void> {
    const socket = connect({ port: this.#ports[peer.port], host: '127.0.0.1', allowHalfOpen: true });
    let text = '';
    let heardAt = Date.now();
    let ended = false;
    socket.on('error', () => undefined).once('end', () => (ended = true));
    if (peer.reads) socket.on('data', chunk => ((text += chunk.toString('latin1')), (heardAt = Date.now())));
    await new Promise(resolve => socket.once('connect', resolve).once('close', resolve));
    for (let at = 0; at < peer.bytes.length && !socket.destroyed; at += peer.chunk) {
      socket.write(peer.bytes.subarray(at, at + peer.chunk));
      if (at + peer.chunk < peer.bytes.length) await new Promise(setImmediate);
    }
    if (peer.end === 'resets') return void socket.resetAndDestroy();
    if (peer.end === 'holds' && !peer.reads) return void this.#held.push(socket);
    if (peer.end === 'half-closes') socket.end();
    const expected = expectedStatuses(peer);
    const over = (): boolean => {
      if (ended || socket.destroyed || !peer.reads) return true;
      if (peer.end === 'half-closes') return false;
      return expected ? finalStatuses(text).length >= expected.length : Date.now() - heardAt > silenceMs;
    };
    await until(over, 'an end', goneWithinMs).catch(() => this.#broken(peer, text, 'was neither answered nor ended'));
    if (peer.reads) this.#check(peer, text, expected);
    if (peer.end === 'holds') this.#held.push(socket);
    else socket.destroy();
  }

  #check(peer: Peer, text: string, expected: string[] | null): void {
    const statuses = finalStatuses(text);
    this.#counts.answers += statuses.length;
    // Behind the last one that is due, Node's own answer may stand to what cannot be parsed.
    if (expected && statuses.slice(0, expected.length).join() !== expected.join()) this.#broken(peer, text, `is not ${expected.join()}`);
    const [first] = peer.messages;
    if (peer.port === 'public' && first!.operator !== undefined && statuses[0] === '200') this.#kept.add(first!.operator);
    const wrong = peer.port === 'public' ? wrongPart(text) : (/<html/i.exec(text)?.[0] ?? null);
    if (wrong !== null) this.#broken(peer, text, `has a part that is no answer: ${wrong}`);
  }

  #broken(peer: Peer, text: string, what: string): void {
    const sent = peer.bytes.toString('latin1').slice(0, 600);
    this.#breaches.push(`${JSON.stringify(text.slice(0, 600))} ${what}; ${peer.end} on ${JSON.stringify(sent)}`);
  }

  /** The vendor, which keeps its connections. */
  async #vendor(): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    while (!this.#over) {
      await Promise.all(Array.from({ length: 3 }, () => this.#send(agent)));
      await sleep(10);
    }
    agent.destroy();
  }

  async #send(agent: Agent): Promise<void> {
    const operator = `v${this.#counts.webhooks++}`;
    const startedAt = performance.now();
    const status = await new Promise<number | string>(resolve => {
      const path = `/webhooks/tencent-chat?SdkAppid=1400000001&CallbackCommand=${commands.changed}`;
      const request = httpRequest({ host: '127.0.0.1', port: this.#ports.public, path, method: 'POST', agent }, response => {
        response.resume().once('end', () => resolve(response.statusCode!));
      });
      request.once('error', error => resolve(error.message));
      request.end(JSON.stringify({ Official_Account: 'vendor', Operator_Account: operator, Name: operator }));
    });
    const ms = performance.now() - startedAt;
    if (status !== 200) this.#breaches.push(`a webhook was answered ${status}`);
    this.#times.push(Math.round(ms));
    this.#kept.add(operator);
  }

  async #checkKept(): Promise<void> {
    const errors = this.#service.lines.filter(({ level }) => level === 'error');
    if (errors.length > 0) this.#breaches.push(`the log has errors: ${JSON.stringify(errors[0])}`);
    const tables = await look(this.#database);
    const rows = await tables.ask<{ operator: string | null }>('select operator from change');
    await tables.close();
    const found = new Set(rows.map(({ operator }) => operator));
    const lost = [...this.#kept].filter(operator => !found.has(operator));
    if (lost.length > 0) this.#breaches.push(`${lost.length} webhooks were answered 200 and are not kept: ${lost.slice(0, 5).join()}`);
  }
}

/** The statuses of the answers, without those that only say that another follows. */
function finalStatuses(text: string): string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => status!).filter(status => status !== '100');
}

/** The first part that is neither the vendor's packet nor Node's 400, or `null`. */
function wrongPart(text: string): string | null {
  const parts = text.split(/(?=HTTP\/1\.1 \d{3} )/).filter(part => part !== '');
  const right = (part: string): boolean => {
    if (part === 'HTTP/1.1 100 Continue\r\n\r\n' || part === 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n') return true;
    const [head = '', body = ''] = part.split('\r\n\r\n');
    if (!/^Content-Type: application\/json/im.test(head)) return false;
    // Of HEAD, and of what was not read to its end.
    if (body === '') return true;
    return /^\{"ActionStatus":"(OK|FAIL)","ErrorCode":\d+,"ErrorInfo":"[^"]*"\}$/.test(body);
  };
  return parts.find(part => !right(part)) ?? null;
}
