import { mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFolder } from './make-folder.js';

let root: string;
beforeEach(async () => (root = await mkdtemp(join(tmpdir(), 'channel-sync-'))));
afterEach(() => rm(root, { recursive: true, force: true }));

test('makes what is missing, for its owner alone', async () => {
  expect(await makeFolder(join(root, 'a', 'b', 'c'))).toBe(join(root, 'a'));
  for (const path of ['a', 'a/b', 'a/b/c']) expect((await stat(join(root, path))).mode & 0o777).toBe(0o700);
  expect(await makeFolder(join(root, 'a', 'd'))).toBe(join(root, 'a', 'd'));
  expect(await makeFolder(join(root, 'a', 'd'))).toBeUndefined();
  expect(await makeFolder('/')).toBeUndefined();
});

test('several at once make it together', async () => {
  const made = await Promise.all(Array.from({ length: 20 }, () => makeFolder(join(root, 'a', 'b', 'c'))));
  expect(made).toContain(join(root, 'a'));
  // Who takes folders back again must not take those of others.
  const topmost = made.filter(path => path !== undefined);
  expect(new Set(topmost).size).toBe(topmost.length);
  expect((await stat(join(root, 'a', 'b', 'c'))).isDirectory()).toBe(true);
});

test('a link to a folder is one', async () => {
  await symlink(tmpdir(), join(root, 'link'));
  expect(await makeFolder(join(root, 'link'))).toBeUndefined();
});

test.each([
  ['/proc/spool', 'ENOENT'],
  ['/proc/spool/below', 'ENOENT'],
  ['file', 'EEXIST'],
  ['file/below', 'ENOTDIR'],
  ['nowhere', 'EEXIST'],
])('%s fails with %s, and ends', async (path, code) => {
  await writeFile(join(root, 'file'), '');
  await symlink(join(root, 'gone'), join(root, 'nowhere'));
  await expect(makeFolder(path.startsWith('/') ? path : join(root, path))).rejects.toMatchObject({ code });
});
