import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { nodeOptions } from '../support/process.ts';
import { setTimeout as sleep } from 'node:timers/promises';

/** One line of the service's standard output. */
export interface LogLine {
  level: string;
  msg: string;
  [field: string]: unknown;
}

/** What the service needs of the machine; nothing else of our environment reaches it, so that no setting of the reader's does. */
const inherited = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'SystemRoot', 'TZ'];

/** The built service as a child process, run as a user runs it. */
export class Service {
  readonly log: LogLine[] = [];
  #child: ChildProcess;
  #stderr = '';
  #ended = false;
  /** Tells how it ended. */
  readonly exit: Promise<string>;

  constructor(folder: string, settings: Record<string, string>) {
    const base = Object.fromEntries(inherited.flatMap(name => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
    const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
    this.#child = spawn(process.execPath, [...nodeOptions, main], {
      cwd: folder,
      env: { ...base, ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.exit = new Promise<string>(resolve => {
      this.#child.once('error', error => resolve(error.message));
      // Not at its exit: then its last words may still be under way.
      this.#child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    void this.exit.then(() => (this.#ended = true));
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    createInterface({ input: this.#child.stdout! }).on('line', line => this.#hear(line));
  }

  #hear(line: string): void {
    try {
      this.log.push(JSON.parse(line) as LogLine);
    } catch {
      this.#stderr += `${line}\n`;
    }
  }

  /** What it said on standard error, and its warnings and errors. */
  complaints(): string {
    const lines = this.log.filter(({ level }) => level !== 'info' && level !== 'debug').map(line => JSON.stringify(line));
    return [this.#stderr.trim(), ...lines].filter(Boolean).join('\n');
  }

  /** Waits until webhooks can be kept. */
  async ready(readyUrl: string, signal: AbortSignal): Promise<void> {
    const deadline = Date.now() + 30_000;
    while (!(await answers(readyUrl))) {
      if (this.#ended) throw new Error(`The service ended at its start (${await this.exit}):\n${this.complaints()}`);
      if (Date.now() > deadline) throw new Error(`The service was not ready within 30 s:\n${this.complaints()}`);
      await sleep(50, undefined, { signal });
    }
  }

  /** Asks it to end; the second signal skips the 5 s that it gives to load balancers. Insists after 15 s. */
  async stop(): Promise<void> {
    this.#signal('SIGTERM');
    const timers = [setTimeout(() => this.#signal('SIGTERM'), 200), setTimeout(() => this.kill(), 15_000)];
    await this.exit;
    timers.forEach(timer => clearTimeout(timer));
  }

  kill(): void {
    this.#signal('SIGKILL');
  }

  #signal(signal: NodeJS.Signals): void {
    if (!this.#ended) this.#child.kill(signal);
  }
}

function answers(url: string): Promise<boolean> {
  return fetch(url, { signal: AbortSignal.timeout(2000) }).then(
    response => response.ok,
    () => false,
  );
}

/** This port of loopback if it is free right now; else any that is. */
export async function freePort(preferred: number): Promise<number> {
  const server = createServer();
  const listening = (port: number) => once(server.listen(port, '127.0.0.1'), 'listening');
  await listening(preferred).catch(() => listening(0));
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
