import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { InboundWebhook } from '../channel/recorder.js';
import * as files from './spool-files.js';
import { Heartbeats } from './spool-heartbeats.js';
import { encodeRecord } from './spool-record.js';
import { Segment } from './spool-segment.js';
import { type SpoolEvents, SpoolStock, reasonOf } from './spool-stock.js';

/** The most bytes of one write; a single webhook may be larger. */
const groupBytes = 4 * 1024 * 1024;

interface Waiting extends PromiseWithResolvers<void> {
  record: Buffer;
}

/**
 * Webhooks on disk, for as long as the database does not take them: files of self-checking lines in a folder of this process's own, below
 * one that several processes may share. A promise of `append` that resolves means that the bytes are fsynced in a folder that was still ours
 * afterwards, so that whoever takes it over finds them.
 */
export class Spool {
  /** Why nothing can be written; `null` while something can. */
  problem: string | null = null;
  private readonly root: string;
  private folder: string | null = null;
  private segment: Segment | null = null;
  private segments = 0;
  private waiting: Waiting[] = [];
  private writing = false;
  /** The open file is to be closed before the next write, so that it can be taken in. */
  private sealing = false;
  private toldUnsynced = false;
  private readonly heartbeats: Heartbeats;
  private readonly stock: SpoolStock;

  /**
   * @param directory SPOOL_DIR; made when it is missing
   * @param monotonic milliseconds that no change of the clock moves
   */
  constructor(
    directory: string,
    private readonly events: SpoolEvents,
    monotonic: () => number = () => performance.now(),
    private readonly syncFolder = files.syncFolder,
  ) {
    this.root = resolve(directory);
    this.heartbeats = new Heartbeats(monotonic);
    this.stock = new SpoolStock(this.root, this.heartbeats, events, monotonic, folder => this.sync(folder));
  }

  /** How many webhooks wait here. */
  get size(): number {
    return this.stock.size;
  }

  /** Keeps one webhook. @throws whatever the disk says */
  async append(webhook: InboundWebhook): Promise<void> {
    const one = { record: encodeRecord(webhook), ...Promise.withResolvers<void>() };
    this.waiting.push(one);
    if (!this.writing) void this.write();
    return one.promise;
  }

  /** Those that arrive while a write is under way go together into the next one. */
  private async write(): Promise<void> {
    this.writing = true;
    while (this.waiting.length > 0) {
      const group = this.nextGroup();
      try {
        await this.keep(group.map(({ record }) => record));
        this.report(null);
        for (const one of group) one.resolve();
      } catch (error) {
        // What a failed write or fsync left behind is not to be trusted: the next one goes to a new file.
        const failed = this.segment;
        await this.seal();
        // Nor may the tries fill the disk.
        if (failed?.webhooks === 0) await rm(failed.path, { force: true }).catch(() => undefined);
        this.report(error as Error);
        for (const one of group) one.reject(error as Error);
      }
    }
    this.writing = false;
  }

  private nextGroup(): Waiting[] {
    let [bytes, count] = [0, 0];
    while (count < this.waiting.length && (count === 0 || bytes + this.waiting[count]!.record.length <= groupBytes))
      bytes += this.waiting[count++]!.record.length;
    return this.waiting.splice(0, count);
  }

  private async keep(records: readonly Buffer[]): Promise<void> {
    for (let tries = 0; tries < 3; tries++) {
      if (this.segment && (this.sealing || this.segment.full)) await this.seal();
      const segment = (this.segment ??= await this.newSegment());
      if (await segment?.append(records)) {
        this.stock.add(segment!.path, segment!.webhooks);
        return;
      }
      await this.leave();
    }
    throw new Error('its folders are removed or taken over again and again');
  }

  /** @returns `null` if our folder is not there any more */
  private async newSegment(): Promise<Segment | null> {
    const folder = await this.ownFolder();
    const segment = await Segment.create(join(folder, `${String(++this.segments).padStart(9, '0')}.log`)).catch(unlessMissing);
    if (!segment) return null;
    try {
      await this.sync(folder);
      return segment;
    } catch (error) {
      await segment.close();
      await rm(segment.path, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  private async ownFolder(): Promise<string> {
    if (this.folder !== null) return this.folder;
    const folder = join(this.root, randomUUID());
    await mkdir(folder, { recursive: true, mode: files.folderMode });
    await this.sync(this.root);
    await this.sync(dirname(this.root));
    this.folder = folder;
    return folder;
  }

  private async sync(folder: string): Promise<void> {
    try {
      await this.syncFolder(folder);
    } catch (error) {
      if (!files.unsyncable.has(reasonOf(error))) throw error;
      if (!this.toldUnsynced) this.events.unsynced(folder, reasonOf(error));
      this.toldUnsynced = true;
    }
  }

  /** Closes the open file; what it holds can be taken in. */
  private async seal(): Promise<void> {
    const segment = this.segment;
    this.segment = null;
    this.sealing = false;
    await segment?.close();
  }

  /** Somebody took our folder over, since we were silent for too long: what it holds is theirs now. */
  private async leave(): Promise<void> {
    await this.seal();
    this.folder = null;
    this.stock.clear();
  }

  /** Shows that this process is alive, finds out whether the disk takes anything, and takes over the folders of processes that are gone. */
  async heartbeat(): Promise<void> {
    try {
      await this.heartbeats.beat(await this.ownFolder());
      if (this.waiting.length === 0) this.report(null);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') await this.leave();
      else this.report(error as Error);
      return;
    }
    await this.stock.takeOver(this.folder!);
  }

  /**
   * Takes in the oldest file that can be.
   * @param record gives those that will never be taken; only what it throws is thrown here, and leaves the file as it is
   * @returns how many were taken in; `null` if there is nothing
   */
  async drain(record: (messageRefs: InboundWebhook[]) => Promise<InboundWebhook[]>): Promise<number | null> {
    const taken = await this.stock.takeIn(this.segment?.path, record);
    if (taken !== null) return taken;
    if (!this.segment || !this.stock.has(this.segment.path)) return null;
    if (this.writing) this.sealing = true;
    else await this.seal();
    return 0;
  }

  /** Leaves the folder to whoever comes next, at once and not after a minute of silence; nothing may be appended any more. */
  async close(): Promise<void> {
    await this.seal();
    if (this.folder === null) return;
    // A file that could not be read is still there.
    if ((await files.recordFiles(this.folder)).length === 0) return files.removeEmpty(this.folder);
    await this.heartbeats.leave(this.folder);
  }

  private report(error: Error | null): void {
    const problem = error === null ? null : reasonOf(error);
    if (problem !== this.problem) this.events.problem(problem);
    this.problem = problem;
  }
}

function unlessMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}
