import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { parentPort } from 'node:worker_threads';
import type { Job, Outcome } from './load.ts';
import { WebhookBuffer, monotonicMs } from './webhooks.ts';

/** How long answers may take after the last webhook was sent. */
const holdMs = 30_000;
/** How far an open loop may fall behind before the rest of it is given up: the vendor waits no longer. */
const overloadedMs = 2000;

/** Grows over all jobs of the process, so that no webhook is a repeat of another. */
let nextNumber = 0;

class Connection {
  readonly #socket: Socket;
  readonly #webhook = new WebhookBuffer();
  #received: Buffer | null = null;
  dueAt = 0;
  sentAt = 0;
  busy = false;

  constructor(socket: Socket, answered: (connection: Connection, failure: string | null) => void) {
    this.#socket = socket.setNoDelay(true);
    const lost = () => this.busy && answered(this, 'connection closed without an answer');
    socket.on('error', lost).on('close', lost);
    socket.on('data', chunk => {
      const data = this.#received ? Buffer.concat([this.#received, chunk]) : chunk;
      const bodyAt = data.indexOf('\r\n\r\n') + 4;
      const length = bodyAt < 4 ? null : /^content-length: (\d+)/im.exec(data.toString('latin1', 0, bodyAt));
      const whole = length !== null && data.length >= bodyAt + Number(length[1]);
      this.#received = whole ? null : data;
      if (!whole) return;
      const text = data.toString('latin1', 0, data.length);
      answered(this, text.startsWith('HTTP/1.1 200') && text.includes('"ErrorCode":0') ? null : text);
    });
  }

  get usable(): boolean {
    return !this.#socket.destroyed && !this.#socket.readableEnded;
  }

  send(dueAt: number, channels: number): void {
    this.busy = true;
    this.dueAt = dueAt;
    this.sentAt = monotonicMs();
    this.#socket.write(this.#webhook.number(nextNumber++, channels));
  }

  close(): void {
    this.#socket.destroy();
  }
}

class Run {
  readonly #job: Job;
  #total: number;
  readonly #idle: Connection[] = [];
  readonly #done = Promise.withResolvers<void>();
  readonly #outcome: Outcome = {
    ok: 0,
    failed: 0,
    givenUp: 0,
    firstFailure: null,
    perSecond: 0,
    sinceDue: [],
    sinceSent: [],
    firstNumber: nextNumber,
    sentAt: [],
  };
  #start = 0;
  #issued = 0;
  #inTime = 0;
  #lastAnswer = 0;

  constructor(job: Job) {
    this.#job = job;
    this.#total = job.rate === undefined ? (job.count ?? Number.POSITIVE_INFINITY) : Math.round(job.rate * (job.seconds ?? 1));
  }

  async run(): Promise<Outcome> {
    const { connections, port, seconds, rate } = this.#job;
    const ports = [port].flat();
    const sockets = await Promise.all(
      Array.from({ length: connections }, async (_, index) => {
        const socket = connect(ports[index % ports.length] ?? 0, '127.0.0.1');
        await once(socket, 'connect');
        return socket;
      }),
    );
    this.#idle.push(...sockets.map(socket => new Connection(socket, this.#answered)));
    const all = [...this.#idle];
    this.#start = monotonicMs();
    const lasts = Math.max((seconds ?? 0) * 1000, 1);
    const tick = setInterval(() => this.#sendDue(), rate === undefined ? 50 : 1);
    const patience = setTimeout(() => this.#done.resolve(), lasts + holdMs);
    this.#sendDue();
    await this.#done.promise;
    clearInterval(tick);
    clearTimeout(patience);
    for (const connection of all) connection.close();
    return this.#result(all.filter(connection => connection.busy).length);
  }

  #result(unanswered: number): Outcome {
    const outcome = this.#outcome;
    outcome.failed += unanswered;
    if (unanswered > 0) outcome.firstFailure ??= `no answer within ${holdMs / 1000} s`;
    const { rate, seconds } = this.#job;
    const closedLoop = rate === undefined && seconds !== undefined;
    outcome.perSecond = closedLoop ? this.#inTime / seconds : (outcome.ok * 1000) / (this.#lastAnswer - this.#start);
    for (const list of [outcome.sinceDue, outcome.sinceSent]) list.sort((a, b) => a - b);
    return outcome;
  }

  /** When webhook `index` is due; `null` if there is none. */
  #dueAt(index: number, now: number): number | null {
    const { rate, count, seconds = 0 } = this.#job;
    if (index >= this.#total) return null;
    if (rate !== undefined) return this.#start + (index * 1000) / rate;
    if (count !== undefined) return this.#start;
    return now < this.#start + seconds * 1000 ? now : null;
  }

  #giveUpIfOverloaded(now: number): void {
    const dueAt = this.#dueAt(this.#issued, now);
    if (this.#job.rate === undefined || dueAt === null || dueAt > now - overloadedMs) return;
    this.#outcome.failed += this.#total - this.#issued;
    this.#outcome.givenUp = this.#total - this.#issued;
    this.#outcome.firstFailure ??= `overloaded: no connection was free for ${overloadedMs / 1000} s`;
    this.#total = this.#issued;
  }

  #sendDue(): void {
    const now = monotonicMs();
    this.#giveUpIfOverloaded(now);
    while (this.#idle.length > 0) {
      const dueAt = this.#dueAt(this.#issued, now);
      if (dueAt === null || dueAt > now) break;
      const connection = this.#idle.pop();
      if (!connection?.usable) continue;
      this.#issued++;
      connection.send(dueAt, this.#job.channels ?? 1000);
      this.#outcome.sentAt.push(connection.sentAt);
    }
    const nothingLeft = this.#dueAt(this.#issued, now) === null;
    const answers = this.#outcome.ok + this.#outcome.failed - this.#outcome.givenUp;
    const inFlight = this.#issued - answers;
    if (inFlight === 0 && (nothingLeft || this.#idle.length === 0)) this.#done.resolve();
  }

  readonly #answered = (connection: Connection, failure: string | null) => {
    const now = monotonicMs();
    const outcome = this.#outcome;
    connection.busy = false;
    this.#idle.push(connection);
    if (failure === null) outcome.ok++;
    else outcome.failed++;
    outcome.firstFailure ??= failure;
    outcome.sinceDue.push(now - connection.dueAt);
    outcome.sinceSent.push(now - connection.sentAt);
    if (failure === null && now <= this.#start + (this.#job.seconds ?? 0) * 1000) this.#inTime++;
    this.#lastAnswer = now;
    this.#sendDue();
  };
}

parentPort?.on('message', (job: Job) => {
  new Run(job).run().then(
    outcome => parentPort?.postMessage(outcome),
    (error: unknown) => parentPort?.postMessage({ error: String(error) }),
  );
});
