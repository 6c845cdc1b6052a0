import { randomUUID } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, readdir, rename, rm, rmdir, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Receipt } from './recorder.js';
import { decodeRecords, encodeRecord } from './spool-record.js';

/** A file is closed from this size on, so that taking it in needs little memory. */
const segmentBytes = 8 * 1024 * 1024;
/** The most bytes of one write; a single webhook may be larger. */
const groupBytes = 4 * 1024 * 1024;
/** A process whose heartbeat is older is gone: any other takes over what it spooled. */
const silentMs = 60_000;
/** More than nothing, so that a full disk fails the heartbeat, too. */
const heartbeatBytes = 4096;
/** What was damaged or refused, for people. */
const asideFolder = 'refused';
const ownName = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

interface Segment {
  path: string;
  handle: FileHandle;
  /** As the file was when it was made: whoever takes our folder over moves it. */
  identity: BigIntStats;
  bytes: number;
}

interface Waiting {
  record: Buffer;
  resolve(): void;
  reject(error: Error): void;
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
  /** Webhooks by file. */
  private readonly held = new Map<string, number>();

  /**
   * @param directory SPOOL_DIR; made when it is missing
   * @param onProblem told when it cannot be written any more, and with `null` when it can again
   * @param onAside told of records that are damaged or that the database refuses, and where they were put
   * @param onUnreadable told of a file that cannot be read and stays where it is
   */
  constructor(
    directory: string,
    private readonly onProblem: (problem: string | null) => void,
    private readonly onAside: (file: string, reason: string) => void,
    private readonly onUnreadable: (file: string, reason: string) => void,
  ) {
    this.root = resolve(directory);
  }

  /** How many webhooks wait here. */
  get size(): number {
    return [...this.held.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Keeps one webhook. @throws whatever the disk says */
  append(receipt: Receipt): Promise<void> {
    return new Promise((kept, reject) => {
      this.waiting.push({ record: encodeRecord(receipt), resolve: kept, reject });
      if (!this.writing) void this.write();
    });
  }

  /** Those that arrive while a write is under way go together into the next one. */
  private async write(): Promise<void> {
    this.writing = true;
    while (this.waiting.length > 0) {
      const group = this.nextGroup();
      try {
        await this.keep(group.map(({ record }) => record));
        this.told(null);
        for (const one of group) one.resolve();
      } catch (error) {
        // What a failed write or fsync left behind is not to be trusted: the next one goes to a new file.
        await this.seal();
        this.told(error as Error);
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
    const bytes = Buffer.concat(records);
    for (let tries = 0; tries < 3; tries++) {
      if (this.segment && (this.sealing || this.segment.bytes > segmentBytes)) await this.seal();
      this.segment ??= await this.newSegment();
      const segment = this.segment;
      await segment.handle.appendFile(bytes);
      await segment.handle.datasync();
      if (await isStill(segment)) {
        segment.bytes += bytes.length;
        this.held.set(segment.path, (this.held.get(segment.path) ?? 0) + records.length);
        return;
      }
      await this.leave();
    }
    throw new Error('other processes keep taking this folder over');
  }

  private async newSegment(): Promise<Segment> {
    const folder = await this.ownFolder();
    const path = join(folder, `${String(++this.segments).padStart(9, '0')}.log`);
    const handle = await open(path, 'ax');
    try {
      await syncFolder(folder);
      return { path, handle, identity: await handle.stat({ bigint: true }), bytes: 0 };
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  private async ownFolder(): Promise<string> {
    if (this.folder !== null) return this.folder;
    const folder = join(this.root, randomUUID());
    await mkdir(folder, { recursive: true });
    await syncFolder(this.root);
    await syncFolder(dirname(this.root));
    this.folder = folder;
    return folder;
  }

  /** Closes the open file; what it holds can be taken in. */
  private async seal(): Promise<void> {
    const segment = this.segment;
    this.segment = null;
    this.sealing = false;
    await segment?.handle.close().catch(() => undefined);
  }

  /** Somebody took our folder over, since we were silent for too long: what it holds is theirs now. */
  private async leave(): Promise<void> {
    await this.seal();
    this.folder = null;
    this.held.clear();
  }

  /** Shows that this process is alive, finds out whether the disk takes anything, and takes over the folders of processes that are gone. */
  async beat(): Promise<void> {
    try {
      const folder = await this.ownFolder();
      const file = join(folder, 'heartbeat');
      await writeFile(`${file}.new`, Buffer.alloc(heartbeatBytes, ' '), { flush: true });
      await rename(`${file}.new`, file);
      await this.takeOver(folder, (await stat(file)).mtimeMs);
      if (this.waiting.length === 0) this.told(null);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return this.leave();
      this.told(error as Error);
    }
  }

  /** @param now the time by the clock of the file system, which the other heartbeats were written by */
  private async takeOver(folder: string, now: number): Promise<void> {
    for (const name of await readdir(this.root)) {
      const other = join(this.root, name);
      if (!ownName.test(name) || other === folder || now - (await heartbeatOf(other)) < silentMs) continue;
      const mine = join(folder, name);
      // Whoever comes second finds nothing to rename.
      const taken = await rename(other, mine).then(
        () => true,
        () => false,
      );
      if (!taken) continue;
      await syncFolder(folder);
      for (const path of await recordFiles(mine)) this.held.set(path, await countOf(path));
    }
  }

  /**
   * Takes the oldest file in and drops it once everything in it is kept elsewhere. Cut short anywhere, it is taken in again: receipts have ids.
   * @param record gives those that will never be taken; a throw leaves the file as it is
   * @returns how many were taken in; `null` if there is nothing
   */
  async takeIn(record: (receipts: Receipt[]) => Promise<Receipt[]>): Promise<number | null> {
    const open = this.segment?.path;
    const path = [...this.held.keys()].find(one => one !== open);
    if (path === undefined) {
      if (open === undefined || !this.held.has(open)) return null;
      if (this.writing) this.sealing = true;
      else await this.seal();
      return 0;
    }
    const bytes = await this.read(path);
    if (bytes === null) return 0;
    const { receipts, damaged } = decodeRecords(bytes);
    const refused = await record(receipts);
    for (const [index, line] of damaged.entries()) await this.putAside(`${randomUUID()}-${index}.damaged`, line, 'it is damaged');
    for (const receipt of refused) await this.putAside(`${receipt.id}.json`, encodeRecord(receipt), 'the database refuses it');
    await rm(path, { force: true });
    this.held.delete(path);
    if (dirname(path) !== this.folder) await removeEmpty(dirname(path));
    return receipts.length;
  }

  /** A file that cannot be read stays where it is, for the next process, and keeps no other waiting; one that is gone is somebody else's now. */
  private async read(path: string): Promise<Buffer | null> {
    try {
      return await readFile(path);
    } catch (error) {
      this.held.delete(path);
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') this.onUnreadable(path, String(code));
      return null;
    }
  }

  private async putAside(name: string, bytes: Buffer, reason: string): Promise<void> {
    const folder = join(this.root, asideFolder);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, name), bytes, { flush: true });
    this.onAside(join(folder, name), reason);
  }

  /** Leaves the folder to whoever comes next, at once and not after a minute of silence; nothing may be appended any more. */
  async close(): Promise<void> {
    await this.seal();
    if (this.folder === null) return;
    // A file that could not be read is still there.
    if ((await recordFiles(this.folder)).length === 0) return rm(this.folder, { recursive: true, force: true });
    await utimes(join(this.folder, 'heartbeat'), 0, 0).catch(() => undefined);
  }

  private told(error: Error | null): void {
    const problem = error === null ? null : ((error as NodeJS.ErrnoException).code ?? error.message);
    if (problem !== this.problem) this.onProblem(problem);
    this.problem = problem;
  }
}

async function isStill({ path, identity }: Segment): Promise<boolean> {
  const found = await stat(path, { bigint: true }).catch(() => null);
  return found !== null && found.ino === identity.ino && found.dev === identity.dev;
}

/** When its process last showed that it lives; a folder without a heartbeat was made just now. */
async function heartbeatOf(folder: string): Promise<number> {
  const found = await stat(join(folder, 'heartbeat'))
    .catch(() => stat(folder))
    .catch(() => null);
  return found?.mtimeMs ?? Infinity;
}

/** How many webhooks a file holds; of one that cannot be read nobody knows, but it is to be looked at. */
function countOf(path: string): Promise<number> {
  return readFile(path).then(
    bytes => decodeRecords(bytes).receipts.length,
    () => 1,
  );
}

/** A folder that was taken over may hold others that its owner had taken over. */
async function recordFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter(entry => entry.isFile() && entry.name.endsWith('.log'))
    .map(entry => join(entry.parentPath, entry.name))
    .sort();
}

/** Removes a folder that was taken over once nothing but heartbeats is left in it. */
async function removeEmpty(folder: string): Promise<void> {
  if ((await recordFiles(folder)).length > 0) return;
  await rm(join(folder, 'heartbeat'), { force: true });
  await rmdir(folder).catch(() => undefined);
}

/** A new name is on disk only once its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
