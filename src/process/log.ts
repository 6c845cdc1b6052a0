import type { LoggerService } from '@nestjs/common';

const weights = { error: 0, warn: 1, info: 2, debug: 3 } as const;
export type LogLevel = keyof typeof weights;
/** The fields with texts that are not ours, and how much of each is logged, in characters. */
const foreign = { error: 10_000, path: 200 } as const;

/**
 * Logs JSON lines to standard output. Callers never pass secrets, profile texts or operators. The field `error` is for the text of an error
 * that is not ours, which may repeat what its program was given, and `path` for the path of a request: secrets are removed from both.
 */
export class Log implements LoggerService {
  constructor(
    private readonly level: LogLevel,
    private readonly now: () => number = Date.now,
    private readonly write: (line: string) => void = line => void process.stdout.write(line),
    private readonly clean: (text: string, more: readonly string[], maxLength: number) => string = text => text,
  ) {}

  info(msg: string, fields: object = {}): void {
    this.line('info', msg, fields);
  }

  debug(msg: string, fields: object = {}): void {
    this.line('debug', msg, fields);
  }

  warn(msg: string, fields: object = {}): void {
    this.line('warn', msg, fields);
  }

  /** Nest passes a stack as string, our code passes fields. */
  error(msg: unknown, fields: unknown = {}): void {
    const text = msg instanceof Error ? msg.message : String(msg);
    this.line('error', text, typeof fields === 'object' && fields !== null ? fields : { error: stackOf(fields) });
  }

  /** Logs an unexpected error with its stack. */
  unexpected(msg: string, error: unknown): void {
    this.line('error', msg, { error: stackOf(error) });
  }

  /** Nest's info level: what it reports about itself is only of interest for debugging. */
  log(msg: string): void {
    this.line('debug', msg, {});
  }

  private line(level: LogLevel, msg: string, fields: { error?: string; path?: string }): void {
    if (weights[level] > weights[this.level]) return;
    const cleaned: typeof fields = {};
    for (const name of ['error', 'path'] as const)
      if (fields[name] !== undefined) cleaned[name] = this.clean(fields[name], [], foreign[name]);
    this.write(`${JSON.stringify({ level, time: new Date(this.now()).toISOString(), msg, ...fields, ...cleaned })}\n`);
  }
}

/** The stack of a thrown value, which need not be an Error. */
export function stackOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.stack ?? error.message) : String(error);
  } catch {
    return 'something that cannot be shown was thrown';
  }
}
