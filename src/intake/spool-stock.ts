import { createHash } from 'node:crypto';
import { lstat, mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { InboundWebhook } from '../channel/recorder.js';
import * as files from './spool-files.js';
import type { Heartbeats } from './spool-heartbeats.js';
import { decodeRecords, encodeRecord } from './spool-record.js';

/** When a file that could not be read or removed is tried again. */
const tryAgainMs = 60_000;
/** What was damaged or refused, for people. */
const quarantineFolder = 'refused';
const ownName = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** What a spool tells the log. */
export interface SpoolEvents {
  /** It cannot be written any more; `null`: it can again. */
  problem(problem: string | null): void;
  /** Records that are damaged, or that the database refuses, were put aside into this file. */
  aside(file: string, reason: string): void;
  /** What cannot be read, taken over or removed stays, and is tried again. Told once. */
  stuck(path: string, reason: string): void;
  /** The file system cannot fsync folders: a power cut may cost a file that was made just before. Told once. */
  unsynced(folder: string, reason: string): void;
}

/** A file that is to be taken in. */
interface Held {
  /** How many of its webhooks are nowhere else. */
  webhooks: number;
  /** Not before this, in monotonic milliseconds. */
  dueAt: number;
}

/** The files of a spool that wait to be taken in: our own, and those of processes that are gone. */
export class SpoolStock {
  private readonly held = new Map<string, Held>();
  private readonly told = new Set<string>();

  constructor(
    private readonly root: string,
    private readonly heartbeats: Heartbeats,
    private readonly events: SpoolEvents,
    private readonly monotonic: () => number,
    private readonly sync: (folder: string) => Promise<void>,
  ) {}

  /** How many webhooks wait here. */
  get size(): number {
    return [...this.held.values()].reduce((sum, { webhooks }) => sum + webhooks, 0);
  }

  has(path: string): boolean {
    return this.held.has(path);
  }

  add(path: string, webhooks: number): void {
    this.held.set(path, { webhooks, dueAt: 0 });
  }

  clear(): void {
    this.held.clear();
  }

  /** Takes over the folders of processes that are gone. */
  async takeOver(folder: string): Promise<void> {
    await this.renameSilent(folder).catch(error => this.stuck(this.root, error));
    await this.find(folder).catch(error => this.stuck(folder, error));
  }

  private async renameSilent(folder: string): Promise<void> {
    for (const name of await files.foldersIn(this.root)) {
      const [other, mine] = [join(this.root, name), join(folder, name)];
      if (!ownName.test(name) || other === folder || !(await this.heartbeats.isSilent(other))) continue;
      try {
        await rename(other, mine);
        // Side by side: what cannot be removed would else lie deeper with each process that takes it over.
        for (const nested of await files.foldersIn(mine)) await rename(join(mine, nested), join(folder, nested));
      } catch (error) {
        // Whoever comes second finds nothing to rename.
        this.stuck(other, error);
      }
    }
  }

  /** What was taken over, now or at a time when it could not be looked at. */
  private async find(folder: string): Promise<void> {
    for (const name of await files.foldersIn(folder)) {
      const found = (await files.recordFiles(join(folder, name))).filter(path => !this.held.has(path));
      if (found.length > 0) await this.sync(folder);
      for (const path of found) this.add(path, await countOf(path));
    }
  }

  /**
   * Takes a file in and drops it once everything in it is kept elsewhere. Cut short anywhere, it is taken in again: messageRefs have ids.
   * @param open the file that is being written
   * @returns how many were taken in; `null` if there is no file
   */
  async takeIn(open: string | undefined, record: (messageRefs: InboundWebhook[]) => Promise<InboundWebhook[]>): Promise<number | null> {
    const now = this.monotonic();
    const [path, held] = [...this.held].find(([one, { dueAt }]) => one !== open && dueAt <= now) ?? [];
    if (path === undefined || !held) return null;
    const bytes = await this.attempt(path, held, () => files.readWhole(path));
    if (!bytes) return 0;
    const { messageRefs, damaged } = decodeRecords(bytes);
    const refused = messageRefs.length > 0 ? await record(messageRefs) : [];
    held.webhooks = 0;
    await this.attempt(path, held, () => this.drop(path, damaged, refused));
    return messageRefs.length;
  }

  /** What fails here is the spool's own trouble, which may pass (a lack of descriptors, a read-only disk), and keeps no other file waiting. */
  private async attempt<T>(path: string, held: Held, work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      held.dueAt = this.monotonic() + tryAgainMs;
      if (!this.stuck(path, error)) this.held.delete(path);
      return null;
    }
  }

  private async drop(path: string, damaged: readonly Buffer[], refused: readonly InboundWebhook[]): Promise<void> {
    if (damaged.length > 0) {
      const lines = Buffer.concat(damaged.flatMap(line => [line, Buffer.from('\n')]));
      // Its name tells its content, so that it is put aside once, however often this is tried.
      await this.quarantine(`${createHash('sha256').update(lines).digest('hex')}.damaged`, lines, `${damaged.length} damaged`);
    }
    for (const webhook of refused) await this.quarantine(`${webhook.id}.json`, encodeRecord(webhook), 'the database refuses it');
    await rm(path);
    this.held.delete(path);
    // What was taken over lies one folder deeper than our own.
    if (dirname(dirname(path)) !== this.root) await files.removeEmpty(dirname(path)).catch(() => undefined);
  }

  private async quarantine(name: string, bytes: Buffer, reason: string): Promise<void> {
    const folder = join(this.root, quarantineFolder);
    await mkdir(folder, { recursive: true, mode: files.folderMode });
    if (!(await lstat(folder)).isDirectory()) throw new Error(`${quarantineFolder} is no folder`);
    const file = join(folder, name);
    if (await lstat(file).catch(() => null)) return;
    await files.writeWhole(file, bytes);
    await this.sync(folder);
    this.events.aside(file, reason);
  }

  /** @returns false if it is not there any more: it is somebody else's then */
  private stuck(path: string, error: unknown): boolean {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    if (!this.told.has(path)) this.events.stuck(path, reasonOf(error));
    this.told.add(path);
    return true;
  }
}

/** An error's code, or else its text. */
export function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
}

/** How many webhooks a file holds; of one that cannot be read nobody knows. */
function countOf(path: string): Promise<number> {
  return files.readWhole(path).then(
    bytes => decodeRecords(bytes).messageRefs.length,
    () => 1,
  );
}
