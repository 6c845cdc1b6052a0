import type { BigIntStats } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { fileMode } from './spool-files.js';

/** It is closed from this size on, so that taking it in needs little memory. */
const fullBytes = 8 * 1024 * 1024;

/** The file of a spool that is written now. */
export class Segment {
  webhooks = 0;
  private bytes = 0;

  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    /** As the file was when it was made: whoever takes our folder over moves it. */
    private readonly identity: BigIntStats,
  ) {}

  static async create(path: string): Promise<Segment> {
    const handle = await open(path, 'ax', fileMode);
    return new Segment(path, handle, await handle.stat({ bigint: true }));
  }

  get full(): boolean {
    return this.bytes > fullBytes;
  }

  /** Appends and fsyncs. @returns false if the file was not ours any more afterwards */
  async append(records: readonly Buffer[]): Promise<boolean> {
    const bytes = Buffer.concat(records);
    await this.handle.appendFile(bytes);
    await this.handle.datasync();
    const found = await lstat(this.path, { bigint: true }).catch(() => null);
    if (found?.ino !== this.identity.ino || found.dev !== this.identity.dev) return false;
    this.bytes += bytes.length;
    this.webhooks += records.length;
    return true;
  }

  async close(): Promise<void> {
    await this.handle.close().catch(() => undefined);
  }
}
