import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A disk of its own of so many megabytes; only root can make one. */
export function smallDisk(megabytes: number): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'channel-sync-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path], { stdio: 'pipe' });
  const remove = (): void => {
    execFileSync('umount', ['--lazy', path]);
    rmSync(path, { recursive: true });
  };
  return { path, remove };
}

const canMakeDisks = ((): boolean => {
  try {
    smallDisk(1).remove();
    return true;
  } catch (error) {
    console.warn(`SKIPPED: what needs a disk of its own, since this machine lets us mount none: ${String(error)}`);
    return false;
  }
})();

export const testWithDisks = canMakeDisks ? test : test.skip;

/** Takes all the room that is left. */
export function fill(file: string): void {
  const handle = openSync(file, 'a');
  for (let chunk = Buffer.alloc(1 << 20); chunk.length > 0;) {
    try {
      writeSync(handle, chunk);
    } catch {
      chunk = chunk.subarray(0, chunk.length >> 1);
    }
  }
  closeSync(handle);
}
