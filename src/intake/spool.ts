import { randomUUID } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { outage } from '../database/outage.js';
import type { Log } from '../process/log.js';
import type { InboundWebhook } from '../channel/inbound-webhook.js';
import * as files from './spool-files.js';
import { Heartbeats } from './spool-heartbeats.js';
import { Quarantine } from './spool-quarantine.js';
import { decodeRecords, encodeRecord } from './spool-record.js';
import { WriteQueue } from './spool-queue.js';
import { Segment } from './spool-segment.js';

/** When a file that could not be read or removed is tried again. */
const tryAgainMs = 60_000;
const folderName = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A file with webhooks. */
interface Held {
  /** How many of them are nowhere else. */
  webhooks: number;
  /** It is not taken in before this, in monotonic milliseconds. */
  dueAt: number;
}

/**
 * Webhooks on disk, for as long as the database does not take them: files of self-checking lines in a folder of this process's own, below
 * one that several processes may share. Any of them moves the files of a process that is gone into its own folder. A promise of `append` that resolves
 * means that the bytes are fsynced in a file that was still in our folder afterwards, so that whoever moves it later finds them.
 */
export class Spool {
  /** Why nothing can be written; `null` while something can. */
  problem: string | null = null;
  private readonly root: string;
  private folder: string | null = null;
  private segment: Segment | null = null;
  private segments = 0;
  private readonly queue = new WriteQueue(records => this.write(records));
  private readonly held = new Map<string, Held>();
  private readonly reported = new Set<string>();
  private readonly heartbeats: Heartbeats;
  private readonly quarantine: Quarantine;
  private readonly unusable: (error: Error | null) => void;

  /**
   * @param directory SPOOL_DIR; made when it is missing
   * @param monotonic milliseconds that no change of the clock moves
   */
  constructor(
    directory: string,
    private readonly log: Log,
    private readonly monotonic: () => number = () => performance.now(),
    private readonly syncFolder = files.syncFolder,
  ) {
    this.root = resolve(directory);
    this.heartbeats = new Heartbeats(monotonic);
    this.quarantine = new Quarantine(this.root, folder => this.sync(folder), log);
    this.unusable = outage(
      fields => log.error('SPOOL_DIR cannot be written: webhooks are refused while the database does not answer', fields),
      () => log.info('SPOOL_DIR can be written again'),
    );
  }

  /** How many webhooks wait here. */
  get size(): number {
    return [...this.held.values()].reduce((sum, { webhooks }) => sum + webhooks, 0);
  }

  /** Keeps one webhook. @throws whatever the disk says */
  append(webhook: InboundWebhook): Promise<void> {
    return this.queue.append(encodeRecord(webhook));
  }

  private async write(records: readonly Buffer[]): Promise<void> {
    try {
      await this.keep(records);
      this.report(null);
    } catch (error) {
      // What a failed write or fsync left behind is not to be trusted: the next one goes to a new file.
      const failed = this.segment;
      await this.seal();
      // Nor may the tries fill the disk.
      if (failed && !this.held.has(failed.path)) await rm(failed.path, { force: true }).catch(() => undefined);
      this.report(error as Error);
      throw error;
    }
  }

  private async keep(records: readonly Buffer[]): Promise<void> {
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
        await this.leave();
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
    await files.makeFolder(folder);
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

  /** Closes the open file; what it holds can be taken in. */
  private async seal(): Promise<void> {
    const segment = this.segment;
    this.segment = null;
    await segment?.close();
  }

  /** Somebody took our folder over, since we were silent for too long: what it held is theirs now. */
  private async leave(): Promise<void> {
    await this.seal();
    this.folder = null;
    this.held.clear();
  }

  /** Shows that this process is alive, finds out whether the disk takes anything, and takes over what processes that are gone have left. */
  async heartbeat(): Promise<void> {
    try {
      const folder = await this.queue.inTurn(() => this.ownFolder());
      await this.heartbeats.beat(folder);
      if (this.queue.empty) this.report(null);
      await this.takeOver(folder).catch(error => this.stuck(this.root, error));
    } catch (error) {
      if (files.isMissing(error)) await this.queue.inTurn(() => this.leave());
      else this.report(error as Error);
    }
  }

  /** Moves the files of processes that are gone into our folder. Whoever comes second finds none. */
  private async takeOver(own: string): Promise<void> {
    for (const name of await files.foldersIn(this.root)) {
      const folder = join(this.root, name);
      if (!folderName.test(name) || folder === own || !(await this.heartbeats.isSilent(folder))) continue;
      try {
        for (const file of await files.recordFilesIn(folder)) {
          // Named after the folder that it was made in, however often it is moved.
          const path = join(own, file.includes('-') ? file : `${name}-${file}`);
          await rename(join(folder, file), path);
          this.held.set(path, { webhooks: await countOf(path), dueAt: 0 });
        }
        await this.sync(own);
        await files.removeEmpty(folder);
      } catch (error) {
        this.stuck(folder, error);
      }
    }
  }

  /**
   * Takes in the oldest file that can be, and drops it once everything in it is kept elsewhere. Cut short anywhere, it is taken in again: webhooks have ids.
   * @param record gives those that will never be taken; only what it throws is thrown here, and leaves the file as it is
   * @returns how many were taken in; `null` if there is nothing
   */
  async drain(record: (webhooks: InboundWebhook[]) => Promise<InboundWebhook[]>): Promise<number | null> {
    const open = this.segment?.path;
    const now = this.monotonic();
    const [path, held] = [...this.held].find(([one, { dueAt }]) => one !== open && dueAt <= now) ?? [];
    if (path === undefined || !held) {
      if (open === undefined || !this.held.has(open)) return null;
      await this.queue.inTurn(() => this.seal());
      return 0;
    }
    const bytes = await this.attempt(path, held, () => files.readWhole(path));
    if (!bytes) return 0;
    const { webhooks, damaged } = decodeRecords(bytes);
    const refused = webhooks.length > 0 ? await record(webhooks) : [];
    held.webhooks = 0;
    await this.attempt(path, held, async () => {
      await this.quarantine.putAside(damaged, refused);
      await rm(path);
      this.held.delete(path);
    });
    return webhooks.length;
  }

  /** What fails here is the spool's own trouble, which may pass (a lack of descriptors, a read-only disk), and keeps no other file waiting. */
  private async attempt<T>(path: string, held: Held, work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      held.dueAt = this.monotonic() + tryAgainMs;
      // Somebody else has it.
      if (files.isMissing(error)) this.held.delete(path);
      this.stuck(path, error);
      return null;
    }
  }

  /** Leaves the folder to whoever comes next, at once and not after a minute of silence; nothing may be appended any more. */
  async close(): Promise<void> {
    await this.queue.inTurn(() => this.seal());
    if (this.folder === null) return;
    // A file that could not be read is still there.
    if ((await files.recordFilesIn(this.folder)).length === 0) return files.removeEmpty(this.folder);
    await this.heartbeats.leave(this.folder).catch(() => undefined);
  }

  private report(error: Error | null): void {
    this.problem = error === null ? null : files.reasonOf(error);
    this.unusable(this.problem === null ? null : new Error(this.problem));
  }

  private stuck(path: string, error: unknown): void {
    const fields = { file: path, reason: files.reasonOf(error) };
    if (!files.isMissing(error) && !this.reported.has(path))
      this.log.error('a spooled file cannot be taken in or removed: it stays and is tried again', fields);
    this.reported.add(path);
  }
}

/** How many webhooks a file holds; of one that cannot be read nobody knows. */
function countOf(path: string): Promise<number> {
  return files.readWhole(path).then(
    bytes => decodeRecords(bytes).webhooks.length,
    () => 1,
  );
}
