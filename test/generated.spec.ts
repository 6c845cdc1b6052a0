import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chartSchemaWith } from './support/chart-schema.ts';
import { dashboard } from './support/dashboard.ts';
import { envExample, settingsPageWith } from './support/settings-reference.ts';

// `npm run generate` writes what these tests compare.
const root = join(import.meta.dirname, '..');
const files: [string, (old: string) => string][] = [
  ['.env.example', () => envExample()],
  ['docs/settings.md', settingsPageWith],
  ['deploy/chart/values.schema.json', chartSchemaWith],
  ['deploy/monitoring/dashboard.json', () => dashboard()],
];

test.each(files)('%s is up to date', (name, render) => {
  const path = join(root, name);
  const old = readFileSync(path, { encoding: 'utf8', flag: 'a+' });
  if (process.env['UPDATE']) writeFileSync(path, render(old));
  expect(readFileSync(path, 'utf8')).toBe(render(old));
});
