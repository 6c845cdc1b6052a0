import { constants } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Only the owner can read and write our files. */
export const fileMode = 0o600;

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = constants;

/** Error codes of file systems that cannot fsync a directory (some network shares, FUSE), or where we may not open it. */
export const unsyncable: ReadonlySet<unknown> = new Set('EINVAL ENOTSUP EOPNOTSUPP ENOSYS EPERM EACCES EBADF EISDIR'.split(' '));

/** Opens a file for reading. @throws ELOOP for a symbolic link, an Error for anything else that is not a regular file */
export async function openFile(path: string): Promise<FileHandle> {
  // Without O_NONBLOCK, opening a named pipe would block.
  const handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw new Error('this is no file');
}

/** Reads a whole file of at most 256 MB; ours are never larger. */
export async function readWhole(path: string): Promise<Buffer> {
  await using handle = await openFile(path);
  if ((await handle.stat()).size > 2 ** 28) throw new Error('it is larger than any file of a spool');
  return await handle.readFile();
}

/** Writes and fsyncs a file atomically. */
export async function writeWhole(path: string, bytes: Buffer): Promise<void> {
  await using handle = await open(`${path}.new`, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, fileMode);
  await handle.writeFile(bytes);
  await handle.datasync();
  await rename(`${path}.new`, path);
}

/** A new file name is durable only after its directory was fsynced. */
export async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r');
  await handle.sync();
}

/** The names of the subfolders, without symbolic links. */
export async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter(entry => entry.isDirectory()).map(({ name }) => name);
}

/** The names of the record files in a folder, oldest first, without symbolic links. */
export async function recordFilesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const files = entries.filter(entry => entry.isFile() && entry.name.endsWith('.log'));
  return files.map(({ name }) => name).sort();
}

/** Removes the heartbeat, and the folder if nothing else is in it. */
export async function removeEmpty(folder: string): Promise<void> {
  for (const name of ['heartbeat', 'heartbeat.new']) await rm(join(folder, name), { force: true });
  await rmdir(folder).catch(() => undefined);
}

/** The error's code, or its message if it has none. */
export function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
}

export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
