import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { until } from './support/until.js';

const root = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const { scripts, dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;
const { packages } = JSON.parse(read('package-lock.json')) as {
  packages: Record<string, { dev?: boolean; optional?: boolean; devOptional?: boolean; dependencies?: Record<string, string> }>;
};
/** What npm leaves out with --omit=dev --omit=optional. */
const production = Object.keys(packages).filter(
  path => path !== '' && !packages[path]!.dev && !packages[path]!.optional && !packages[path]!.devOptional,
);
const nameOf = (path: string): string => path.split('node_modules/').at(-1)!;

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'channel-sync-packaging-'))));
afterAll(() => rmSync(folder, { recursive: true }));

// Guards against `npm prune --omit=dev`, which keeps what a package of ours could also use: 24 MB of typescript.
test('the image gets what the service needs at run time, and no tool', () => {
  const omit = '--omit=dev --omit=optional';
  expect(read('deploy/Dockerfile')).toContain(`npm prune ${omit} --ignore-scripts`);
  expect(read('test/support/audit.ts')).toContain("'--omit=dev', '--omit=optional'");
  const names = new Set(production.map(nameOf));
  expect(Object.keys(dependencies!).filter(name => !names.has(name))).toEqual([]);
  // At the top, and needed by something of ours.
  const needed = new Set(production.flatMap(path => Object.keys(packages[path]!.dependencies ?? {})));
  const peers = new Set(['reflect-metadata', 'rxjs']);
  expect([...names].filter(name => !(name in dependencies!) && !needed.has(name) && !peers.has(name))).toEqual([]);
  // Packages that ours bring along themselves; we use their types.
  expect(Object.keys(devDependencies!).filter(name => names.has(name))).toEqual(['@slack/types', '@slack/web-api', '@types/node']);
});

test('npm run sbom lists exactly that, as CycloneDX', () => {
  const command = /^(node .*) > (\S+)$/.exec(scripts!['sbom']!)!;
  expect(read('.gitignore')).toContain(command[2]);
  expect(read('CONTRIBUTING.md')).toContain(command[2]);
  const sbom = JSON.parse(execFileSync(command[1]!, { cwd: root, encoding: 'utf8', shell: true, maxBuffer: 1e8 })) as {
    bomFormat: string;
    metadata: { component: { name: string; purl: string } };
    components: { purl: string }[];
  };
  expect(sbom.bomFormat).toBe('CycloneDX');
  expect(sbom.metadata.component).toMatchObject({
    name: 'channel-sync',
    purl: expect.stringMatching(/^pkg:npm\/channel-sync@/) as unknown,
  });
  const listed = new Set(sbom.components.map(({ purl }) => decodeURIComponent(/^pkg:npm\/(.+)@/.exec(purl)![1]!)));
  expect([...listed].sort()).toEqual([...new Set(production.map(nameOf))].sort());
}, 30_000);

test('the service runs on it, with a sink of each type, and with what an .env beside it says', async () => {
  // As the image has it: links are not followed, so that nothing else can be found.
  for (const path of production) {
    if (path.lastIndexOf('node_modules/') > 0) continue;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    symlinkSync(join(root, path), join(folder, path));
  }
  for (const path of ['dist', 'package.json']) cpSync(join(root, path), join(folder, path), { recursive: true });
  writeFileSync(
    join(folder, '.env'),
    '\ufeffexport SDK_APP_IDS="1400000001" # a comment\r\nSINK_CHAT_CHANNELS=@TOA#planted\r\nwebhook_tokens=planted\r\n',
  );
  const sinks = ['webhook', 'opensearch', 'elasticsearch', 'meilisearch'].flatMap(type => [
    [`SINK_${type.toUpperCase()}_TYPE`, type],
    [`SINK_${type.toUpperCase()}_URL`, `http://127.0.0.1:1/${type}`],
  ]);
  const child = spawn(process.execPath, ['--preserve-symlinks', '--preserve-symlinks-main', 'dist/main.js'], {
    cwd: folder,
    env: {
      ...Object.fromEntries(sinks),
      MANAGEMENT_TOKEN: 'a-long-random-text',
      HOST: '127.0.0.1',
      PORT: '0',
      MANAGEMENT_PORT: '0',
      SINK_CHAT_TYPE: 'slack',
      SINK_CHAT_BOT_TOKEN: 'xoxb-1',
      SINK_CHAT_APP_TOKEN: 'xapp-1',
      SINK_CHAT_CHANNEL: 'C0123456789',
      SINK_CHAT_API_URL: 'http://127.0.0.1:1/',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const exited = new Promise(resolve => child.once('exit', resolve));
  try {
    await until(() => output.includes('"listening"') || child.exitCode !== null, `listening, not: ${output}`, 20_000);
    expect(output).toContain('"listening"');
    const warnings = output.matchAll(/"level":"warn".*"msg":"(\w+ is [^"]*)"/g);
    expect([...warnings].map(([, message]) => message)).toEqual([
      'webhook_tokens is no setting: did you mean WEBHOOK_TOKENS?',
      'SINK_CHAT_CHANNELS is cut at a # in .env: put its value in quotes',
      'WEBHOOK_TOKENS is not set: anyone who knows the URL can send webhooks',
      'SINK_WEBHOOK_SECRETS is not set: the webhooks of this sink go out unsigned',
    ]);
    expect(output).not.toContain('planted');
    expect(output).not.toMatch(/Cannot find|ERR_MODULE_NOT_FOUND/);
  } finally {
    child.kill('SIGKILL');
    await exited;
  }
}, 30_000);
