import { randomUUID } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { outage } from '../database/outage.js';
import type { Log } from '../process/log.js';
import { makeFolder } from '../process/make-folder.js';
import type { InboundWebhook } from '../channel/inbound-webhook.js';
import * as files from './spool-files.js';
import { Heartbeats } from './spool-heartbeats.js';
import { quarantine } from './spool-quarantine.js';
import { decodeRecords, encodeRecord } from './spool-record.js';
import { WriteQueue } from './spool-queue.js';
import { Segment } from './spool-segment.js';

/** A file that could not be read or removed is retried after this time. */
const retryAfterMs = 60_000;
const folderName = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

interface HeldFile {
  /** How many of its webhooks are not stored elsewhere yet. */
  webhooks: number;
  /** Monotonic time in milliseconds before which it is not drained. */
  dueAt: number;
}

/**
 * Stores webhooks on disk while the database is unavailable. Each process writes checksummed lines to its own folder below a root that
 * several processes may share, and moves the files of dead processes into its folder. When `append` resolves, the record is fsynced in a
 * file that was still in our folder afterwards, so a process that takes the file over later reads it too.
 */
export class Spool {
  /** Why the spool cannot be written; `null` if it can. */
  problem: string | null = null;
  private readonly root: string;
  private folder: string | null = null;
  private segment: Segment | null = null;
  private segments = 0;
  private readonly queue = new WriteQueue(records => this.write(records));
  private readonly held = new Map<string, HeldFile>();
  private readonly reported = new Set<string>();
  private readonly heartbeats: Heartbeats;
  private readonly reportOutage: (error: Error | null) => void;

  /** @param directory SPOOL_DIR; created if it is missing */
  constructor(
    directory: string,
    private readonly log: Log,
    private readonly monotonic: () => number = () => performance.now(),
    private readonly syncFolder = files.syncFolder,
  ) {
    this.root = resolve(directory);
    this.heartbeats = new Heartbeats(monotonic);
    this.reportOutage = outage(
      (_, { message: error }) => log.error('SPOOL_DIR is not writable: webhooks are rejected while the database is unavailable', { error }),
      () => log.info('SPOOL_DIR is writable again'),
    );
  }

  get size(): number {
    return [...this.held.values()].reduce((sum, { webhooks }) => sum + webhooks, 0);
  }

  /** Writes one webhook. @throws the file system's error */
  append(webhook: InboundWebhook): Promise<void> {
    return this.queue.append(encodeRecord(webhook));
  }

  private async write(records: readonly Buffer[]): Promise<void> {
    try {
      await this.appendToSegment(records);
      this.report(null);
    } catch (error) {
      // After a failed write or fsync the file cannot be trusted: the next write goes to a new one.
      const failed = this.segment;
      await this.seal();
      // Failed attempts must not fill the disk.
      if (failed && !this.held.has(failed.path)) await rm(failed.path, { force: true }).catch(() => undefined);
      this.report(error as Error);
      throw error;
    }
  }

  private async appendToSegment(records: readonly Buffer[]): Promise<void> {
    for (let tries = 0; tries < 3; tries++) {
      try {
        if (this.segment?.full) await this.seal();
        const segment = this.segment ?? (await this.newSegment());
        await segment.append(records);
        const before = this.held.get(segment.path)?.webhooks ?? 0;
        this.held.set(segment.path, { webhooks: before + records.length, dueAt: 0 });
        return;
      } catch (error) {
        if (!files.isMissing(error)) throw error;
        await this.abandonFolder();
      }
    }
    throw new Error('its folders are removed or taken over again and again');
  }

  private async newSegment(): Promise<Segment> {
    const folder = await this.ownFolder();
    this.segment = await Segment.create(join(folder, `${String(++this.segments).padStart(9, '0')}.log`));
    await this.sync(folder);
    return this.segment;
  }

  private async ownFolder(): Promise<string> {
    if (this.folder !== null) return this.folder;
    const folder = join(this.root, randomUUID());
    await makeFolder(folder);
    await this.sync(this.root);
    await this.sync(dirname(this.root));
    return (this.folder = folder);
  }

  private async sync(folder: string): Promise<void> {
    try {
      await this.syncFolder(folder);
    } catch (error) {
      if (!files.unsyncable.has(files.reasonOf(error))) throw error;
      const fields = { folder, reason: files.reasonOf(error) };
      if (!this.reported.has('unsynced')) this.log.warn('SPOOL_DIR cannot fsync folders: a power cut may cost webhooks', fields);
      this.reported.add('unsynced');
    }
  }

  /** Closes the open file, so that it can be drained. */
  private async seal(): Promise<void> {
    const segment = this.segment;
    this.segment = null;
    await segment?.close();
  }

  /** Another process took over our folder, since our heartbeat was late: the webhooks in it are no longer ours. */
  private async abandonFolder(): Promise<void> {
    await this.seal();
    this.folder = null;
    this.held.clear();
  }

  /** Shows that this process is alive, checks that the disk is writable, and takes over the files of dead processes. */
  async heartbeat(): Promise<void> {
    try {
      const folder = await this.queue.exclusive(() => this.ownFolder());
      await this.heartbeats.write(folder);
      if (this.queue.empty) this.report(null);
      await this.takeOver(folder).catch(error => this.reportStuck(this.root, error));
    } catch (error) {
      if (files.isMissing(error)) await this.queue.exclusive(() => this.abandonFolder());
      else this.report(error as Error);
    }
  }

  /** Moves the files of dead processes into our folder. If several processes try, the second finds none. */
  private async takeOver(own: string): Promise<void> {
    for (const name of await files.foldersIn(this.root)) {
      const folder = join(this.root, name);
      if (!folderName.test(name) || folder === own || !(await this.heartbeats.isDead(folder))) continue;
      try {
        for (const file of await files.recordFilesIn(folder)) {
          // Prefixed with the folder it was created in, also if it is moved several times.
          const path = join(own, file.includes('-') ? file : `${name}-${file}`);
          await rename(join(folder, file), path);
          this.held.set(path, { webhooks: await countOf(path), dueAt: 0 });
        }
        await this.sync(own);
        await files.removeEmpty(folder);
      } catch (error) {
        this.reportStuck(folder, error);
      }
    }
  }

  /**
   * Records the oldest file that is due, and removes it once all its webhooks are stored elsewhere. If interrupted, the whole file is
   * recorded again; ids make that idempotent.
   * @param record returns the webhooks that can never be stored. Only its errors are thrown, and leave the file in place
   * @returns the number of webhooks recorded; `null` if nothing is due
   */
  async drain(record: (webhooks: InboundWebhook[]) => Promise<InboundWebhook[]>): Promise<number | null> {
    const open = this.segment?.path;
    const now = this.monotonic();
    const [path, held] = [...this.held].find(([file, { dueAt }]) => file !== open && dueAt <= now) ?? [];
    if (path === undefined || !held) {
      if (open === undefined || !this.held.has(open)) return null;
      await this.queue.exclusive(() => this.seal());
      return 0;
    }
    const bytes = await this.attempt(path, held, () => files.readWhole(path));
    if (!bytes) return 0;
    const { webhooks, damaged } = decodeRecords(bytes);
    const refused = webhooks.length > 0 ? await record(webhooks) : [];
    held.webhooks = 0;
    await this.attempt(path, held, async () => {
      await quarantine(join(this.root, 'refused'), damaged, refused, async (file, reason) => {
        await this.sync(dirname(file));
        this.log.error('spooled webhooks cannot be recorded and were moved to SPOOL_DIR/refused', { file, reason });
      });
      await rm(path);
      this.held.delete(path);
    });
    return webhooks.length;
  }

  /** Errors of the spool itself (too many open files, a read-only disk) may pass: this file is retried later and blocks no other. */
  private async attempt<T>(path: string, held: HeldFile, work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      held.dueAt = this.monotonic() + retryAfterMs;
      // Another process has taken the file over.
      if (files.isMissing(error)) this.held.delete(path);
      this.reportStuck(path, error);
      return null;
    }
  }

  /** Releases the folder, so that the next process need not wait for a heartbeat timeout. Nothing may be appended afterwards. */
  async close(): Promise<void> {
    await this.queue.exclusive(() => this.seal());
    if (this.folder === null) return;
    // Looks at the disk: a file that could not be read is still there. A folder that another process has taken over is gone.
    const left = await files.recordFilesIn(this.folder).catch(() => null);
    if (left?.length === 0) return files.removeEmpty(this.folder);
    await this.heartbeats.release(this.folder).catch(() => undefined);
  }

  private report(error: Error | null): void {
    this.problem = error === null ? null : files.reasonOf(error);
    this.reportOutage(this.problem === null ? null : new Error(this.problem));
  }

  private reportStuck(path: string, error: unknown): void {
    const fields = { file: path, reason: files.reasonOf(error) };
    if (!files.isMissing(error) && !this.reported.has(path))
      this.log.error('a spooled file cannot be read or removed; it stays and is retried', fields);
    this.reported.add(path);
  }
}

/** The number of webhooks in a file; 1 if it cannot be read. */
function countOf(path: string): Promise<number> {
  return files.readWhole(path).then(
    bytes => decodeRecords(bytes).webhooks.length,
    () => 1,
  );
}
