import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { sinkTypes } from '../sinks/sinks.js';
import { AppSettings } from './declared-apps.js';
import { ignoredNames, repeatedNames, truncatedNames, withEnvFile } from './env-file.js';
import { settingsOf } from './setting.js';
import { Settings, readSettings } from './settings.js';

const root = join(import.meta.dirname, '../..');
const home = process.cwd();
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'channel-sync-env-'));
  process.chdir(folder);
});
afterAll(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true });
});
function read(text: string | Buffer, given: Record<string, string> = {}) {
  writeFileSync('.env', text);
  const [variables, warnings] = withEnvFile(given);
  return { variables, warnings };
}

// Regression: dotenv cuts SINK_CRM_CHANNELS=@TOA#_shop_* to @TOA, and the filter matched no channel.
test('every example of .env.example survives its own reader', () => {
  const example = readFileSync(join(root, '.env.example'), 'utf8');
  const { variables, warnings } = read(example.replaceAll(/^#(?! )/gm, ''));
  expect(warnings).toEqual([]);
  const declared = [
    ...settingsOf(Settings),
    ...[...sinkTypes.map(one => one.settings), AppSettings]
      .flatMap(settingsOf)
      .map(setting => ({ ...setting, property: `_${setting.property}` })),
  ];
  const names = Object.keys(variables).filter(name => !name.endsWith('_TYPE'));
  expect(names.length).toBeGreaterThan(40);
  for (const name of names) {
    const values = declared.filter(({ property }) => (property.startsWith('_') ? name.endsWith(property) : name === property));
    expect([name, values.map(one => one.default ?? one.example ?? '')]).toEqual([name, expect.arrayContaining([variables[name]])]);
  }
  expect(variables).toMatchObject({ SINK_CRM_CHANNELS: '@TOA#_shop_*', SINK_CRM_TYPE: 'webhook' });
});

test('what can be used as it stands is no mistake', () => {
  // Leaves out placeholders (…) and the Slack sink, which is there in two alternative forms.
  const text = readFileSync(join(root, '.env.example'), 'utf8').replaceAll(/^#(?! )/gm, '');
  const { variables } = read(text.replaceAll(/^.*….*$/gm, '').replace(/^SINK_CHAT.*$/gm, ''));
  const one = (_: string, index: number): string => `channels-${index}`;
  const apart = Object.entries(variables).map(([name, value]) => [name, name.endsWith('_INDEX') ? one(name, name.length) : value] as const);
  expect(readSettings(Object.fromEntries(apart)).sinks.map(({ name }) => name)).toEqual([
    'audit',
    'crm',
    'elasticsearch',
    'meilisearch',
    'search',
  ]);
});

test.each<[string, string[]]>([
  ['A=@TOA#_shop_*', ['A']],
  ['A=a#', ['A']],
  ['A=#general', ['A']],
  ['export A=a#b', ['A']],
  ['A: a#b', ['A']],
  ['\ufeffA=a#b\r\nB=c\r\n', ['A']],
  ['  A = a b#c # and a comment', ['A']],
  ['A=密#b', ['A']],
  ['A="a#b', ['A']],
  ["A='it's#1'", ['A']],
  ['A=1\nA=a#b', ['A']],
  ['B=x#y\nA=a#b', ['B', 'A']],
  ['A=a#b\nA=1', []],
  ['A=a #b', []],
  ['A=a\t# b#c', []],
  ['A= # b', []],
  ['A=# a comment', []],
  ['A="a#b"', []],
  ["A='a#b' # c#d", []],
  ['A=`a#b`', []],
  ['A="a"# a comment', []],
  ["A='a'#b", []],
  ['# A=a#b\n#B=c#d', []],
  ['A="-----BEGIN\nx#y\n#z\n-----END"\nB=1', []],
  ['A=a\n#b', []],
  ['', []],
])('of %j the names %j are cut', (text, names) => expect(truncatedNames(text)).toEqual(names));

test('whatever a line holds, its name is told exactly if an unquoted value lost a # right after a character', () => {
  const plain = fc.string({ unit: fc.constantFrom('a', '#', ' ', '=', '$', '密') });
  fc.assert(
    fc.property(plain, fc.constantFrom('', '"', "'", '`'), plain, (text, quote, comment) => {
      const line = quote === '' ? text : `${quote}${text}${quote}#${comment}`;
      const before = text.split('#', 1)[0]!;
      const lost = before === '' ? /^#\S/.test(text) : before !== text && /\S$/.test(before);
      expect([line, truncatedNames(`A=${line}\nB=1`)]).toEqual([line, quote === '' && lost ? ['A'] : []]);
    }),
    { numRuns: 500 },
  );
});

// Regression: there was no warning, and the service accepted unsigned webhooks.
test.each([
  'WEBHOOK_TOKENS：planted',
  'WEBHOOK_TOKENS＝planted',
  'WEBHOOK_TOKENS:planted',
  'WEBHOOK_TOKENS planted',
  'WEBHOOK_TOKENS',
  '"WEBHOOK_TOKENS"=planted',
  'set WEBHOOK_TOKENS=planted',
  '$env:WEBHOOK_TOKENS="planted"',
  '- WEBHOOK_TOKENS=planted',
  'A=1\n\u200bWEBHOOK_TOKENS=planted',
  'A=1\nEXPORT WEBHOOK_TOKENS=planted\nB=2',
])('a line that sets nothing is told: %j', line => {
  expect(read(line).warnings).toEqual(['WEBHOOK_TOKENS is not set by its line in .env: write WEBHOOK_TOKENS=value']);
  expect(read(line, { WEBHOOK_TOKENS: 'set' }).warnings).toEqual([]);
  expect(read(`${line}\nWEBHOOK_TOKENS=b`).warnings).toEqual([]);
});

test.each([
  '# WEBHOOK_TOKENS',
  '  #WEBHOOK_TOKENS=a',
  'A=WEBHOOK_TOKENS=a',
  'export WEBHOOK_TOKENS=a',
  'WEBHOOK_TOKENS:  a',
  'PATH',
  'set A_B=c',
  '',
])('nothing is told of %j', line => expect(ignoredNames(line)).toEqual([]));

// Seen failing: the first token was lost, which nothing told.
test.each<[string, string[]]>([
  ['A=1\nA=2', ['A']],
  ['A=1\r\n  export A = 1\nB=1\nA:  2', ['A']],
  ['A=1\nA=\nB=2\nB=3', ['A', 'B']],
  ['A=1\n#A=2\nAA=3\nA.1=4\na=5', []],
  ['A="1\nB=2\nA=3"\nB=4', []],
  ['A=1\nA', []],
  ['', []],
])('of %j the names %j are set twice', (text, names) => expect(repeatedNames(text)).toEqual(names));

test('a name that is set twice is told, unless the process sets it', () => {
  const warning = 'A is set more than once in .env: the last value counts';
  expect(read('A=planted\nA=2\n')).toEqual({ variables: { A: '2' }, warnings: [warning] });
  expect(read('A=1\nA=2\n', { A: '3' })).toEqual({ variables: { A: '3' }, warnings: [] });
});

test('what the process sets wins, and is then not told to be cut; nothing is expanded', () => {
  const { variables, warnings } = read('A=1\nexport B="x\ny#z"\nC=$A${B}\\$\nD=a#b\nE=c#d\n', { A: '2', E: '' });
  expect(variables).toEqual({ A: '2', B: 'x\ny#z', C: '$A${B}\\$', D: 'a', E: '' });
  expect(warnings).toEqual(['D is cut at a # in .env: put its value in quotes']);
  expect(readSettings({ SDK_APP_IDS: '1' }, warnings).warnings).toEqual(expect.arrayContaining(warnings));
});

test('a file that cannot be read is a mistake, none is no matter', () => {
  expect(() => read(Buffer.from('A=1', 'utf16le'))).toThrow('.env is not text in UTF-8');
  expect(read('\ufeffA=1\r\nB=2').variables).toEqual({ A: '1', B: '2' });
  rmSync('.env');
  expect(withEnvFile({ A: '1' })).toEqual([{ A: '1' }, []]);
});

// Seen failing: the start took minutes, and no signal ended it.
test('a long line of capitals is read at once', () => {
  const startedAt = performance.now();
  expect(ignoredNames('A'.repeat(200_000))).toEqual([]);
  expect(performance.now() - startedAt).toBeLessThan(1000);
});

// Seen failing: the start took half a minute.
test.each(['\n', '  \r\n', '#\n', '# A=b#c\n', 'A=\n', 'A_B\n', "A='b\n", 'A=b#c\n'])('60,000 lines are read at once: %j', line => {
  const startedAt = performance.now();
  const { variables } = read(`FIRST=1${'\n'}${line.repeat(60_000)}LAST="2\n\n  \n3"`);
  expect(performance.now() - startedAt).toBeLessThan(2000);
  expect(variables).toMatchObject({ FIRST: '1', LAST: '2\n\n  \n3' });
});
