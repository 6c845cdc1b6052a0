import { constants } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

export { makeFolder } from '../process/make-folder.js';

/** Of files: made for their owner alone. */
export const fileMode = 0o600;

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = constants;

/** What file systems say that cannot fsync a folder, or of one that we may not open: some network shares, FUSE. */
export const unsyncable: ReadonlySet<unknown> = new Set('EINVAL ENOTSUP EOPNOTSUPP ENOSYS EPERM EACCES EBADF EISDIR'.split(' '));

/** Opens a file to be read. @throws ELOOP for a symbolic link, and for what is no file */
export async function openFile(path: string): Promise<FileHandle> {
  // A pipe would be waited for without O_NONBLOCK.
  const handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw new Error('this is no file');
}

/** A whole file, of 256 MB at most: no file of ours is larger. */
export async function readWhole(path: string): Promise<Buffer> {
  await using handle = await openFile(path);
  if ((await handle.stat()).size > 2 ** 28) throw new Error('it is larger than any file of a spool');
  return await handle.readFile();
}

/** Writes a file, fsynced, so that it is there as a whole or not at all. */
export async function writeWhole(path: string, bytes: Buffer): Promise<void> {
  await using handle = await open(`${path}.new`, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, fileMode);
  await handle.writeFile(bytes);
  await handle.datasync();
  await rename(`${path}.new`, path);
}

/** A new name is on disk only once its folder is. */
export async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r');
  await handle.sync();
}

/** The names of the folders in a folder; a symbolic link is none. */
export async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter(entry => entry.isDirectory()).map(({ name }) => name);
}

/** The names of the files of records in a folder, the oldest first; a symbolic link is none. */
export async function recordFilesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const files = entries.filter(entry => entry.isFile() && entry.name.endsWith('.log'));
  return files.map(({ name }) => name).sort();
}

/** Removes a folder in which nothing but a heartbeat is left; whatever else there is stays. */
export async function removeEmpty(folder: string): Promise<void> {
  for (const name of ['heartbeat', 'heartbeat.new']) await rm(join(folder, name), { force: true });
  await rmdir(folder).catch(() => undefined);
}

/** An error's code, or else its text. */
export function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
}

export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
