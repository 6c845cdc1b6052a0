import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a folder for its owner alone, with those above it. Node's own `recursive` never ends below a folder that lets nobody make anything in it and calls that
 * ENOENT, as /proc does.
 * @returns the first folder that was missing; `undefined` if none was
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

/** @returns false if it is there already */
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
