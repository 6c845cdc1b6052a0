/** The most bytes of one write; a single record may be larger. */
const groupBytes = 4 * 1024 * 1024;

interface Waiting extends PromiseWithResolvers<void> {
  record: Buffer;
}

/** Does one thing at a time. Records that arrive meanwhile go together into the next write. */
export class WriteQueue {
  private waiting: Waiting[] = [];
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly write: (records: readonly Buffer[]) => Promise<void>) {}

  get empty(): boolean {
    return this.waiting.length === 0;
  }

  append(record: Buffer): Promise<void> {
    const one = { record, ...Promise.withResolvers<void>() };
    if (this.waiting.push(one) === 1) void this.inTurn(() => this.writeGroup());
    return one.promise;
  }

  /** Does something that no write may come between. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.last.then(work);
    this.last = done.catch(() => undefined);
    return done;
  }

  private async writeGroup(): Promise<void> {
    let [bytes, count] = [0, 0];
    while (count < this.waiting.length && (count === 0 || bytes + this.waiting[count]!.record.length <= groupBytes))
      bytes += this.waiting[count++]!.record.length;
    const group = this.waiting.splice(0, count);
    if (this.waiting.length > 0) void this.inTurn(() => this.writeGroup());
    try {
      await this.write(group.map(({ record }) => record));
      for (const one of group) one.resolve();
    } catch (error) {
      for (const one of group) one.reject(error as Error);
    }
  }
}
