import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { AppSettings } from '../src/settings/declared-apps.js';
import { settingsOf } from '../src/settings/setting.js';
import { Settings } from '../src/settings/settings.js';
import { sinkTypes } from '../src/sinks/sinks.js';
import { labelsOfMetrics } from './support/metrics.ts';

const root = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const paths = [...globSync('*.md', { cwd: root }), ...globSync('docs/**/*.md', { cwd: root }), 'deploy/chart/README.md'];
const pages = paths.map(path => ({ path, text: read(path) }));

/** What is written as code: between backticks, or in a block. */
function codeOf(text: string): string[] {
  const blocks = [...text.matchAll(/```\w*\n([^]*?)```/g)].map(([, block]) => block!);
  const inline = [...text.replaceAll(/```\w*\n[^]*?```/g, '').matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!);
  return [...blocks, ...inline];
}

/** The anchor of a heading, as GitHub makes it. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

test('there are pages', () => expect(pages.length).toBeGreaterThan(12));

test.each(pages)('every link of $path leads somewhere', ({ path, text }) => {
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!).filter(link => !/^https?:/.test(link));
  const lost = links.filter(link => {
    const [file = '', at] = link.split('#');
    const target = file === '' ? path : join(dirname(path), file);
    if (!existsSync(join(root, target))) return true;
    return at !== undefined && ![...read(target).matchAll(/^#+ (.+)$/gm)].some(([, heading]) => anchor(heading!) === at);
  });
  expect(lost).toEqual([]);
});

const ofApps = settingsOf(AppSettings).map(({ property }) => property);
const ofSinks = sinkTypes.flatMap(({ settings }) => settingsOf(settings).map(({ property }) => property));
const known = new Set([
  ...settingsOf(Settings).map(({ property }) => property),
  'HTTPS_PROXY',
  'HTTP_PROXY',
  'NO_PROXY',
  'NODE_EXTRA_CA_CERTS',
  'NO_COLOR',
]);
/** Words of this form that are no settings. */
const others = new Set(['BUILD_IMAGE', 'RUN_IMAGE', 'CRM_SECRET', 'X_FILE']);

test.each(pages)('every setting that $path names is one', ({ text }) => {
  const named = codeOf(text).flatMap(code =>
    [...code.matchAll(/(?<![\w@#/.-])_?[A-Z][A-Z\d]*(?:_(?:[A-Z\d]+|<[A-Z]+>))+/g)].map(([name]) => name),
  );
  const strange = [...new Set(named)].filter(name => {
    const base = name.replace(/_FILE$/, '');
    if (known.has(base) || others.has(name) || name === '_FILE') return false;
    const ofApp = /^APP_(?:<SDKAPPID>|\d+)_(.+)$/.exec(base)?.[1];
    if (ofApp !== undefined) return !ofApps.includes(ofApp);
    if (base.startsWith('_')) return !ofSinks.includes(base.slice(1)) && base !== '_TYPE';
    const end = /^SINK_(?:<NAME>|[A-Z\d_]*?[A-Z\d])_(.+)$/.exec(base)?.[1];
    return end !== 'TYPE' && !ofSinks.some(property => end === property || (end?.endsWith(`_${property}`) ?? false));
  });
  expect(strange).toEqual([]);
});

const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

test.each(pages)('every command and path of $path is there', ({ text }) => {
  const code = codeOf(text);
  const named = code.flatMap(one => [...one.matchAll(/\bnpm (?:run (?:--silent )?)([\w:]+)/g)].map(([, script]) => script!));
  expect(named.filter(script => !(script in scripts))).toEqual([]);
  const files = code.flatMap(one => [...one.matchAll(/(?<![\w./:-])(?:src|test|docs|deploy|\.ci)\/[\w./-]*\w/g)].map(([path]) => path));
  expect(files.filter(path => !existsSync(join(root, path)))).toEqual([]);
});

const metrics = [...labelsOfMetrics().keys()].filter(name => name.startsWith('channel_sync_'));
const whole = metrics.filter(name => !/_(bucket|sum|count)$/.test(name));

test('every metric has its entry, and every metric that a page names is one', () => {
  expect(whole.length).toBeGreaterThanOrEqual(12);
  const entries = [...read('docs/metrics.md').matchAll(/^\| `(channel_sync_\w+)` \|/gm)].map(([, name]) => name!);
  expect(entries.toSorted((one, other) => one.localeCompare(other))).toEqual(whole.toSorted((one, other) => one.localeCompare(other)));
  const named = pages.flatMap(({ text }) => [...text.matchAll(/channel_sync_\w+/g)].map(([name]) => name));
  expect(named.filter(name => !metrics.includes(name))).toEqual([]);
});

test('every line of the log has its entry, and every entry its line', () => {
  const sources = globSync('src/**/*.ts', { cwd: root }).filter(path => !path.endsWith('.spec.ts'));
  const code = sources.map(read).join('\n');
  const table = read('docs/metrics.md').split('## Log lines')[1]!.split('\n## ')[0]!;
  const first = [...table.matchAll(/^\| (`.+?`) \|/gm)].flatMap(([, cell]) => [...cell!.matchAll(/`([^`]+)`/g)].map(([, line]) => line!));
  // Those that are put together say which part begins, ends or is paused.
  const entries = first.filter(line => !/^(…|sink (probed|paused|resumed)|verify of)/.test(line));
  const logged = [...code.matchAll(/\blog\.(?:error|warn|unexpected|info)\(\s*(['"])(.+?)\1/g)].map(([, , line]) => line!);
  expect(logged.length).toBeGreaterThan(15);
  expect([...new Set(logged)].filter(line => !entries.includes(line))).toEqual([]);
  expect(entries.filter(line => !code.includes(`'${line}'`) && !code.includes(`"${line}"`))).toEqual([]);
});
