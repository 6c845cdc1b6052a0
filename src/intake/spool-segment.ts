import { type FileHandle, lstat, open } from 'node:fs/promises';
import { fileMode } from './spool-files.js';

/** A segment is closed at this size, so that draining it needs little memory. */
const fullBytes = 8 * 1024 * 1024;

/** The spool file that is currently being written. */
export class Segment {
  private bytes = 0;

  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
  ) {}

  static async create(path: string): Promise<Segment> {
    return new Segment(path, await open(path, 'ax', fileMode));
  }

  get full(): boolean {
    return this.bytes > fullBytes;
  }

  /** Appends and fsyncs. @throws ENOENT if the file is gone afterwards: another process took over our folder and moved it */
  async append(records: readonly Buffer[]): Promise<void> {
    const bytes = Buffer.concat(records);
    await this.handle.appendFile(bytes);
    await this.handle.datasync();
    await lstat(this.path);
    this.bytes += bytes.length;
  }

  async close(): Promise<void> {
    await this.handle.close().catch(() => undefined);
  }
}
