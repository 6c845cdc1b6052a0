import { randomUUID } from 'node:crypto';
import { rm, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { reasonOf, syncFolder, unsyncable, writeWhole } from '../../intake/spool-files.js';
import { makeFolder } from '../../process/make-folder.js';
import { type Finding, failure, ok, warning } from './finding.js';

/** Checks that SPOOL_DIR is usable: writes a file as the spool does, then removes it with the folders that were created for it. */
export async function examineSpool(directory: string): Promise<Finding> {
  const folder = resolve(directory);
  const file = join(folder, `doctor-${randomUUID()}`);
  let made: string | undefined;
  try {
    made = await makeFolder(folder);
    await writeWhole(file, Buffer.from('written by channel-sync doctor'));
    await syncFolder(folder);
    return ok('spool', `${folder} is writable, and syncs to disk`);
  } catch (error) {
    const reason = reasonOf(error);
    if (unsyncable.has(reason) && (error as NodeJS.ErrnoException).syscall === 'fsync')
      return warning(
        'spool',
        `${folder} is writable, but cannot sync folders (${reason})`,
        'A power cut may lose webhooks: use a local disk.',
      );
    return failure(
      'spool',
      `${folder} cannot be written (${reason})`,
      "Set SPOOL_DIR to a folder that the service's user may write to, on a disk with free space.",
    );
  } finally {
    for (const path of [file, `${file}.new`]) await rm(path, { force: true }).catch(() => undefined);
    // rmdir fails for a folder that a service has started to use.
    if (made !== undefined)
      for (let path = folder; path.length >= made.length; path = dirname(path)) await rmdir(path).catch(() => undefined);
  }
}
