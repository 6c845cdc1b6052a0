import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Creates a folder and its missing parents, accessible to their owner only. Node's `recursive` option never returns below a folder
 * such as /proc, which allows no new entries and reports that as ENOENT.
 * @returns the topmost folder that was created; `undefined` if none was missing
 */
export async function makeFolder(folder: string): Promise<string | undefined> {
  try {
    return (await make(folder)) ? folder : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(folder) === folder) throw error;
    const first = await makeFolder(dirname(folder));
    return (await make(folder)) ? (first ?? folder) : first;
  }
}

/** @returns false if it exists already */
async function make(folder: string): Promise<boolean> {
  try {
    await mkdir(folder, 0o700);
    return true;
  } catch (error) {
    const isThere = await stat(folder).then(
      found => found.isDirectory(),
      () => false,
    );
    if (isThere) return false;
    throw error;
  }
}
