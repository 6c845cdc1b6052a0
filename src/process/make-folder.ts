import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Creates a folder and its missing parents, accessible to their owner only. Node's `recursive` option never returns below a folder
 * such as /proc, which allows no new entries and reports that as ENOENT.
 * @returns the topmost folder that was created; `undefined` if none was missing
 */
export async function makeFolder(folder: string): Promise<string | undefined> {
  if (await isFolder(folder)) return undefined;
  const parent = dirname(folder);
  const isMissing = (error: NodeJS.ErrnoException): boolean => error.code === 'ENOENT';
  const first = (await stat(parent).then(() => false, isMissing)) ? await makeFolder(parent) : undefined;
  try {
    await mkdir(folder, 0o700);
    return first ?? folder;
  } catch (error) {
    // Another process may have made it meanwhile.
    if (!(await isFolder(folder))) throw error;
    return first;
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() ?? false;
}
