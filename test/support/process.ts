import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expectNoSecret, plant } from './planted.ts';
import { until } from './until.ts';

/** Node keeps what it compiled: many processes start the same code. */
export const compiled = { NODE_COMPILE_CACHE: join(tmpdir(), 'channel-sync-compiled') };

const main = join(import.meta.dirname, '../../dist/main.js');
const { scripts } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as { scripts: { start: string } };
/** Those of `npm start`. */
export const nodeOptions = scripts.start.split(' ').slice(1, -1);

/** The built service as a process of its own, as a user runs it. Whatever it says must not hold a secret that it was given. */
export class ServiceProcess {
  readonly lines: Record<string, unknown>[] = [];
  stderr = '';
  /** Rejects if it has told a secret. */
  readonly exited: Promise<number | null>;
  private readonly child: ChildProcess;

  constructor(environment: Record<string, string>) {
    const spool = mkdtempSync(join(tmpdir(), 'channel-sync-spool-'));
    this.child = spawn(process.execPath, [...nodeOptions, main], {
      env: {
        PATH: process.env['PATH'],
        ...compiled,
        SDK_APP_IDS: '1400000001',
        PORT: '0',
        MANAGEMENT_PORT: '0',
        HOST: '127.0.0.1',
        SPOOL_DIR: spool,
        LOG_LEVEL: 'debug',
        ...plant(environment),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let rest = '';
    let told: Error | undefined;
    const scan = (text: string): void => {
      try {
        expectNoSecret(text);
      } catch (error) {
        told ??= error as Error;
      }
    };
    this.child.stdout!.on('data', (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop()!;
      for (const line of parts) {
        scan(line);
        this.lines.push(JSON.parse(line) as Record<string, unknown>);
      }
    });
    this.child.stderr!.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.exited = new Promise((resolve, reject) =>
      this.child.once('close', code => {
        rmSync(spool, { recursive: true, force: true });
        scan(rest + this.stderr);
        if (told) reject(told);
        else resolve(code);
      }),
    );
    // Whoever ends it, or waits for its end, is told.
    this.exited.catch(() => undefined);
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Waits until it listens. */
  async listening(): Promise<{ url: string; managementUrl: string }> {
    let exitCode: number | null | undefined;
    this.exited.then(code => (exitCode = code)).catch(() => (exitCode = null));
    for (let waited = 0; waited < 20_000; waited += 10) {
      const line = this.lines.find(one => one['msg'] === 'listening');
      if (line)
        return { url: `http://127.0.0.1:${String(line['port'])}`, managementUrl: `http://127.0.0.1:${String(line['managementPort'])}` };
      if (exitCode !== undefined) throw new Error(`the service ended with ${exitCode}: ${this.stderr}`);
      await new Promise(resolve => setTimeout(resolve, 10));
    }
    throw new Error(`the service does not listen: ${this.stderr}`);
  }

  /** Waits until its tables are up to date and its workers run. */
  async delivering(): Promise<void> {
    await until(() => this.lines.some(line => line['msg'] === 'delivering'), 'delivering', 20_000);
  }

  /** Ends it as Kubernetes does, but without the 5 s for load balancers. The second signal must not come before the first was seen. */
  async stop(): Promise<number | null> {
    this.child.kill('SIGTERM');
    await until(() => this.lines.some(line => line['msg'] === 'stopping') || this.child.exitCode !== null, 'stopping');
    this.child.kill('SIGTERM');
    return this.exited;
  }

  /** As if whoever reads its standard output had gone. */
  closeOutput(): void {
    this.child.stdout!.destroy();
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    this.child.kill(signal);
    return this.exited;
  }
}
