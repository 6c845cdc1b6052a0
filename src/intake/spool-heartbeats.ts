import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { openFile, writeWhole } from './spool-files.js';

/** A process whose heartbeat has not changed for so long is gone: any other takes over what it spooled. */
const silentMs = 60_000;
/** More than nothing, so that a full disk fails the heartbeat, too. */
const heartbeatBytes = 4096;
/** The heartbeat of a process that has ended and left its folder to whoever comes. */
const left = 'left';

const fileOf = (folder: string): string => join(folder, 'heartbeat');

/** Which of the processes that share a spool live. Only changes count, by our own monotonic time: their clocks and ours may differ. */
export class Heartbeats {
  /** The last heartbeat seen in each folder, and since when it has been this one. */
  private readonly seen = new Map<string, { beat: string; since: number }>();

  /** @param monotonic milliseconds that no change of the clock moves */
  constructor(private readonly monotonic: () => number) {}

  /** Other content each time: the date of a file may come out of a cache of a network share. */
  async beat(folder: string): Promise<void> {
    await writeWhole(fileOf(folder), Buffer.from(randomUUID().padEnd(heartbeatBytes)));
  }

  async leave(folder: string): Promise<void> {
    await writeWhole(fileOf(folder), Buffer.from(left));
  }

  async isSilent(folder: string): Promise<boolean> {
    const before = this.seen.get(folder);
    const beat = await readBeat(folder).catch(() => before?.beat);
    if (beat === undefined) return false;
    const since = before?.beat === beat ? before.since : this.monotonic();
    this.seen.set(folder, { beat, since });
    return beat === left || this.monotonic() - since >= silentMs;
  }
}

/** What tells one heartbeat from another; empty before the first. @throws if it cannot be read */
async function readBeat(folder: string): Promise<string> {
  await using handle = await openFile(fileOf(folder)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (!handle) return '';
  const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(64) });
  return buffer.toString('utf8', 0, bytesRead).trim();
}
