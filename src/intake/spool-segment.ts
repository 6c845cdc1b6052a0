import { type FileHandle, lstat, open } from 'node:fs/promises';
import { fileMode } from './spool-files.js';

/** It is closed from this size on, so that taking it in needs little memory. */
const fullBytes = 8 * 1024 * 1024;

/** The file of a spool that is written now. */
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

  /** Appends and fsyncs. @throws ENOENT if the file is not there any more afterwards: whoever took our folder over has moved it */
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
