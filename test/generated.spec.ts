import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { envExample, readmeWith } from '../src/settings/reference.js';

// `npm run generate` writes what these tests compare.
const root = join(import.meta.dirname, '..');
const files: [string, (old: string) => string][] = [
  ['.env.example', () => envExample()],
  ['README.md', readmeWith],
];

test.each(files)('%s is up to date with the declaration of the settings', (name, render) => {
  const path = join(root, name);
  const old = readFileSync(path, { encoding: 'utf8', flag: 'a+' });
  if (process.env['UPDATE']) writeFileSync(path, render(old));
  expect(readFileSync(path, 'utf8')).toBe(render(old));
});
