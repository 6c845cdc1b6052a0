import { randomUUID } from 'node:crypto';
import { rm, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { makeFolder, reasonOf, syncFolder, unsyncable, writeWhole } from '../../intake/spool-files.js';
import { type Finding, failure, ok, warning } from './finding.js';

/** Whether webhooks could be kept in SPOOL_DIR: writes a file there as the spool does, and takes it away again, with the folders that it needed. */
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
    for (const one of [file, `${file}.new`]) await rm(one, { force: true }).catch(() => undefined);
    // A service that has begun to use one of them keeps it: none that holds anything is removed.
    if (made !== undefined) for (let one = folder; one.length >= made.length; one = dirname(one)) await rmdir(one).catch(() => undefined);
  }
}
