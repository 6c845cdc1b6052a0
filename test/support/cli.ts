import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { expectNoSecret } from './planted.ts';
import { compiled } from './process.ts';

const built = join(import.meta.dirname, '../../dist/cli.js');

export interface CliRun {
  code: number | null;
  out: string;
  errors: string;
}

/** The built command line as a user calls it, in an environment with nothing else. What it says must not hold a secret. */
export class Cli {
  /** @param cwd whose `.env` it reads */
  constructor(
    private readonly cwd: string,
    private readonly environment: Record<string, string> = {},
  ) {}

  run(
    words: readonly string[],
    { environment = {}, input }: { environment?: Record<string, string>; input?: string } = {},
  ): Promise<CliRun> {
    const child = spawn(process.execPath, [built, ...words], this.options(environment));
    child.stdin.on('error', () => undefined).end(input ?? '');
    return runOf(child);
  }

  /** The same on a terminal, where a person types the answer once something is asked. What it shows is all in `out`. */
  onTerminal(words: readonly string[], answer = '', environment: Record<string, string> = {}): Promise<CliRun> {
    const quoted = [process.execPath, built, ...words].map(word => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
    const child = spawn('script', ['-qec', quoted, '/dev/null'], this.options({ TERM: 'xterm', SHELL: '/bin/sh', ...environment }));
    let shown = '';
    let answered = answer === '';
    child.stdout.on('data', (chunk: Buffer) => {
      shown += chunk.toString();
      if (answered || !shown.includes('[y/N]')) return;
      answered = true;
      child.stdin.write(answer);
    });
    return runOf(child);
  }

  /** The same as the first part of a shell's pipe. */
  piped(words: string, into: string): Promise<CliRun> {
    const line = `'${process.execPath}' '${built}' ${words} | ${into}`;
    const child = spawn('bash', ['--norc', '-o', 'pipefail', '-c', line], this.options({}));
    child.stdin.end();
    return runOf(child);
  }

  private options(environment: Record<string, string>) {
    return { cwd: this.cwd, env: { PATH: process.env['PATH'], ...compiled, ...this.environment, ...environment } };
  }
}

function runOf(child: ChildProcess): Promise<CliRun> {
  const run = { out: '', errors: '' };
  child.stdout!.on('data', (chunk: Buffer) => (run.out += chunk.toString()));
  child.stderr!.on('data', (chunk: Buffer) => (run.errors += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', code => {
      try {
        expectNoSecret(run.out + run.errors);
        resolve({ code, ...run });
      } catch (error) {
        reject(error as Error);
      }
    });
  });
}
