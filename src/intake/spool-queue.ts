import { fitting } from '../database/limits.js';

/** Limit for one write; a single record may exceed it. */
const maxGroupBytes = 4 * 1024 * 1024;

interface Waiting extends PromiseWithResolvers<void> {
  record: Buffer;
}

/** Runs one operation at a time. Records that arrive meanwhile are written together. */
export class WriteQueue {
  private waiting: Waiting[] = [];
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly write: (records: readonly Buffer[]) => Promise<void>) {}

  get empty(): boolean {
    return this.waiting.length === 0;
  }

  append(record: Buffer): Promise<void> {
    const entry = { record, ...Promise.withResolvers<void>() };
    if (this.waiting.push(entry) === 1) void this.exclusive(() => this.writeGroup());
    return entry.promise;
  }

  /** Runs an operation that must not overlap with a write. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.last.then(work);
    this.last = done.catch(() => undefined);
    return done;
  }

  private async writeGroup(): Promise<void> {
    const sizes = this.waiting.map(({ record }) => record.length);
    const group = this.waiting.splice(0, fitting(sizes, maxGroupBytes));
    if (this.waiting.length > 0) void this.exclusive(() => this.writeGroup());
    try {
      await this.write(group.map(({ record }) => record));
      for (const { resolve } of group) resolve();
    } catch (error) {
      for (const { reject } of group) reject(error as Error);
    }
  }
}
