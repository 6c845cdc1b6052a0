import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ICruiseResult, cruise } from 'dependency-cruiser';

const sink = '^src/sinks/([^/]+)/';
const spec = 'spec\\.ts$';
const engine = '^src/(engine|engine\\.module|main|program|service|app\\.module|platform\\.module)\\.ts$';

/** What each room may import of ours beside itself; type imports count. What is not named here is forbidden. */
const rooms: Record<string, string> = {
  explanations: '',
  process: '',
  database: '^src/process/',
  outgoing: '^src/(explanations/|sinks/errors\\.ts|settings/cleaner\\.ts)',
  settings: '^src/(outgoing|sinks)/',
  channel: '^src/(database|process)/|^src/delivery/enqueue\\.ts',
  intake: '^src/(channel|database|process)/',
  delivery:
    '^src/(explanations|channel|database|process)/|^src/sinks/[^/]+\\.ts|^src/outgoing/within\\.ts|^src/reports/(refresh-queue|results)\\.ts',
  reports:
    '^src/(explanations|database|process|delivery|intake|settings)/|^src/sinks/[^/]+\\.ts|^src/outgoing/within\\.ts|^src/(reconcile/comparison|search-index/index-job|webhook/rejections)\\.ts',
  'search-index': '^src/(explanations|channel|database|process|delivery)/|^src/sinks/[^/]+\\.ts|^src/outgoing/within\\.ts',
  checks: '^src/(explanations|database|process|delivery|settings)/|^src/sinks/[^/]+\\.ts|^src/outgoing/within\\.ts',
  reconcile: '^src/(explanations|channel|database|outgoing|process|settings)/|^src/sinks/errors\\.ts|^src/delivery/enqueue\\.ts',
  maintenance: '^src/(explanations|database|process|delivery|settings)/|^src/sinks/[^/]+\\.ts|^src/reports/refresh-queue\\.ts',
  management:
    '^src/(checks|explanations|channel|database|process|delivery|intake|reconcile|reports|search-index|settings)/|^src/sinks/[^/]+\\.ts|^src/outgoing/(within|http)\\.ts',
  cli: '^src/(explanations|checks|database|outgoing|settings|reconcile/vendor)/|^src/process/(clock|engine-events|log|make-folder)\\.ts|^src/sinks/[^/]+\\.ts|^src/intake/spool-files\\.ts|^src/webhook/commands\\.ts|^src/management/api/(values|.+\\.dto)\\.ts',
  webhook: '^src/(channel|process|intake|settings)/|^src/management/(metrics|readiness)\\.ts|^src/sinks/report-sink\\.ts',
};

/** Who may not import whom: dependencies point one way. */
const forbidden = [
  { name: 'no circles', from: {}, to: { circular: true } },
  { name: 'nothing of src imports tests', from: { path: '^src', pathNot: spec }, to: { path: '^test' } },
  ...Object.entries(rooms).map(([room, may]) => ({
    name: `what ${room} may import`,
    from: { path: `^src/${room}/`, pathNot: spec },
    to: { path: '^src', pathNot: [`^src/${room}/`, may].filter(Boolean).join('|') },
  })),
  {
    name: 'the pure parts of channel import nothing of ours',
    from: { path: '^src/channel/(profile|merge|change|arrivals)\\.ts$' },
    to: { path: '^src', pathNot: '^src/channel/(profile|merge|change|arrivals)\\.ts$' },
  },
  {
    name: 'of delivery, only what is about report sinks knows of reports',
    from: { path: '^src/delivery', pathNot: `^src/delivery/(modes/report|lanes)\\.ts$|${spec}` },
    to: { path: '^src/reports' },
  },
  {
    name: 'a sink knows its contract, the way out, the declaration of settings and itself',
    from: { path: sink, pathNot: spec },
    to: {
      path: '^src',
      pathNot: '^src/(sinks/(?!sinks|served-sinks|registry)[^/]+\\.ts|outgoing/|explanations/|settings/setting\\.ts|sinks/$1/)',
    },
  },
  {
    name: 'only the list of sinks knows the sinks',
    from: { path: '^src', pathNot: `^src/sinks/(sinks\\.ts|[^/]+/)|${spec}` },
    to: { path: '^src/sinks/[^/]+/' },
  },
  // Seen failing with a client that is imported at the head of a file.
  {
    name: "a target's client is loaded only when a sink of its type is opened, what traces only when there are traces",
    from: { path: '^src', pathNot: spec },
    to: {
      path: '^node_modules/(meilisearch|@slack/web-api|@slack/socket-mode|@opentelemetry/[^/]+)/',
      dynamic: false,
      dependencyTypesNot: ['type-only' as const],
    },
  },
  { name: 'nobody imports the wiring', from: { path: '^src', pathNot: engine }, to: { path: engine } },
];

test('dependencies point one way', async () => {
  const { output } = await cruise(['src'], {
    validate: true,
    ruleSet: { forbidden: forbidden.map(rule => ({ severity: 'error' as const, ...rule })) },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'default'] },
  });
  const { summary } = output as ICruiseResult;
  // An unreadable parser would mean "all fine".
  expect(summary.totalCruised).toBeGreaterThan(40);
  expect(summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`)).toEqual([]);
});

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter(path => path.endsWith('.ts') && !path.endsWith('.spec.ts'))
  .map(path => ({ path, lines: readFileSync(join('src', path), 'utf8').trimEnd().split('\n') }));

test('every room is known here', () => {
  const found = new Set(sources.flatMap(({ path }) => (path.includes('/') ? path.split('/')[0]! : [])));
  expect([...found].toSorted()).toEqual([...Object.keys(rooms), 'sinks'].toSorted());
});

test('a file has 250 lines at most, a folder a dozen files', () => {
  expect(sources.filter(({ lines }) => lines.length > 250).map(({ path }) => path)).toEqual([]);
  const folders = Map.groupBy(sources, ({ path }) => path.split('/').slice(0, -1).join('/'));
  const large = [...folders].filter(([, files]) => files.length > 12).map(([folder, files]) => [folder, files.length]);
  expect(large).toEqual([]);
});

/** The way of a delivery to a webhook sink, from the request to the settled attempt. */
const way = [
  'webhook/webhook.controller.ts',
  'webhook/guards.ts',
  'webhook/webhook.pipe.ts',
  'intake/intake.ts',
  'channel/recorder.ts',
  'channel/record.ts',
  'channel/inbound-webhook.ts',
  'channel/change.ts',
  'channel/merge.ts',
  'delivery/enqueue.ts',
  'delivery/work.ts',
  'delivery/worker.ts',
  'delivery/attempts.ts',
  'sinks/crm-webhook/crm-webhook.sink.ts',
  'delivery/lanes.ts',
  'delivery/settlement.ts',
  'delivery/breaker.ts',
  'delivery/write-settlements.ts',
];

test('the way of a webhook to its CRM is short, and knows nothing of Slack or search', () => {
  expect(way.length).toBeLessThanOrEqual(20);
  const files = way.map(path => sources.find(one => one.path === path)!);
  const code = files.flatMap(({ lines }) => lines.filter(line => !/^\s*($|\/\/|\/?\*|import |\} from )/.test(line)));
  expect(code.length).toBeLessThanOrEqual(1500);
  const foreign = way.filter(path => /slack|search|elastic|meili/i.test(readFileSync(join('src', path), 'utf8')));
  expect(foreign).toEqual([]);
});

test('the service is built on its chosen stack, with Nest of one major version', () => {
  const { dependencies, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, Record<string, string>>;
  const nest = ['core', 'common', 'platform-express', 'config'].map(name => `@nestjs/${name}`);
  expect(Object.keys(dependencies!)).toEqual(expect.arrayContaining([...nest, 'class-validator', 'class-transformer', 'axios']));
  expect(devDependencies).toHaveProperty('jest');
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, { version: string }> };
  const versions = nest.map(name => packages[`node_modules/${name}`]!.version);
  expect(versions.filter(version => !version.startsWith('12.'))).toEqual([]);
});
