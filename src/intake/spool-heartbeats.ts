import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { openFile, writeWhole } from './spool-files.js';

/** A process whose heartbeat has not changed for this long counts as dead; another one takes over its files. */
const timeoutMs = 60_000;
/** Large enough that the heartbeat also fails when the disk is full. */
const heartbeatBytes = 4096;
/** Content of the heartbeat once its process has stopped and released its folder. */
const released = 'left';

const fileOf = (folder: string): string => join(folder, 'heartbeat');

/**
 * Tells which of the processes that share a spool are alive. Clocks may differ between machines, so only changes of a heartbeat count,
 * timed by our own monotonic clock.
 */
export class Heartbeats {
  /** The latest heartbeat seen in each folder, and when it was first seen. */
  private readonly seen = new Map<string, { beat: string; since: number }>();

  constructor(private readonly monotonic: () => number) {}

  /** Writes new content each time, since a network share may serve a file's date from a cache. */
  async write(folder: string): Promise<void> {
    await writeWhole(fileOf(folder), Buffer.from(randomUUID().padEnd(heartbeatBytes)));
  }

  async release(folder: string): Promise<void> {
    await writeWhole(fileOf(folder), Buffer.from(released));
  }

  async isDead(folder: string): Promise<boolean> {
    const before = this.seen.get(folder);
    const beat = await readBeat(folder).catch(() => before?.beat);
    if (beat === undefined) return false;
    const since = before?.beat === beat ? before.since : this.monotonic();
    this.seen.set(folder, { beat, since });
    return beat === released || this.monotonic() - since >= timeoutMs;
  }
}

/** The content of a heartbeat; empty before the first. @throws if it cannot be read */
async function readBeat(folder: string): Promise<string> {
  await using handle = await openFile(fileOf(folder)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (!handle) return '';
  const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(64) });
  return buffer.toString('utf8', 0, bytesRead).trim();
}
