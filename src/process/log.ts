import type { LoggerService } from '@nestjs/common';

const weights = { error: 0, warn: 1, info: 2, debug: 3 } as const;
export type LogLevel = keyof typeof weights;
const longestStack = 10_000;

/** The program's log: JSON lines on standard output. Never given a secret, a profile text or an operator. */
export class Log implements LoggerService {
  constructor(
    private readonly level: LogLevel,
    private readonly now: () => number = Date.now,
    private readonly write: (line: string) => void = line => void process.stdout.write(line),
    private readonly clean: (text: string, more: readonly string[], most: number) => string = text => text,
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

  /** Nest calls this with a stack as text; ours give fields. */
  error(msg: unknown, fields: unknown = {}): void {
    const text = msg instanceof Error ? msg.message : String(msg);
    this.line('error', text, typeof fields === 'object' && fields !== null ? fields : { stack: fields });
  }

  /** An error that nobody foresaw, with its stack. What it says was not made for a log: secrets are taken out. */
  unexpected(msg: string, error: unknown): void {
    this.line('error', msg, { error: this.clean(stackOf(error), [], longestStack) });
  }

  /** Nest's own word for what goes on inside it. */
  log(msg: string): void {
    this.line('debug', msg, {});
  }

  private line(level: LogLevel, msg: string, fields: object): void {
    if (weights[level] > weights[this.level]) return;
    this.write(`${JSON.stringify({ level, time: new Date(this.now()).toISOString(), msg, ...fields })}\n`);
  }
}

/** The stack of whatever was thrown, which need not be an error. */
export function stackOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.stack ?? error.message) : String(error);
  } catch {
    return 'something that cannot be shown was thrown';
  }
}
