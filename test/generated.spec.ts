import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chartSchemaWith } from './support/chart-schema.ts';
import { envExample, readmeWith } from './support/settings-reference.ts';

// `npm run generate` writes what these tests compare.
const root = join(import.meta.dirname, '..');
const files: [string, (old: string) => string][] = [
  ['.env.example', () => envExample()],
  ['README.md', readmeWith],
  ['deploy/chart/values.schema.json', chartSchemaWith],
];

test.each(files)('%s is up to date with the declaration of the settings', (name, render) => {
  const path = join(root, name);
  const old = readFileSync(path, { encoding: 'utf8', flag: 'a+' });
  if (process.env['UPDATE']) writeFileSync(path, render(old));
  expect(readFileSync(path, 'utf8')).toBe(render(old));
});

test('every test that the README names is there', () => {
  const specs = ['src', 'test'].flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map(path => join(folder, path)),
  );
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const named = [...readme.matchAll(/`([a-z-]+)\.spec`((?:(?:: |, )\*[^*]+\*)*)/g)];
  expect(named.length).toBeGreaterThan(15);
  for (const [, spec, phrases] of named) {
    const file = specs.find(path => path.endsWith(`/${spec}.spec.ts`));
    expect([spec, file]).toEqual([spec, expect.any(String)]);
    const text = readFileSync(join(root, file!), 'utf8');
    for (const [, phrase] of phrases!.matchAll(/\*([^*]+)\*/g)) expect(text).toContain(phrase!.replaceAll('…', '').trim());
  }
});
