import { type ICruiseResult, cruise } from 'dependency-cruiser';

const sink = '^src/sinks/([^/]+)/';

/** Who may not import whom, in the words of the layout: dependencies point one way, type imports count. */
const forbidden = [
  { name: 'no circles', from: {}, to: { circular: true } },
  { name: 'nothing of src imports tests', from: { path: '^src', pathNot: 'spec\\.ts$' }, to: { path: '^test' } },
  {
    name: 'the pure parts of channel import nothing of ours',
    from: { path: '^src/channel/(profile|merge|change|arrivals)\\.ts$' },
    to: { path: '^src', pathNot: '^src/channel/(profile|merge|change|arrivals)\\.ts$' },
  },
  {
    name: 'the recorder imports the pure parts, the database and what is owed',
    from: { path: '^src/channel/recorder\\.ts$' },
    to: { path: '^src', pathNot: '^src/(channel/(profile|merge|change|arrivals|group)|database/|delivery/owe)' },
  },
  {
    name: 'delivery knows no concrete sink, no webhook, no settings',
    from: { path: '^src/delivery', pathNot: 'spec\\.ts$' },
    to: { path: '^src/(sinks/(sinks\\.ts|[^/]+/)|webhook|settings|operations)' },
  },
  {
    name: 'a sink knows the contract, http.ts, the way out, the declaration of settings and itself',
    from: { path: sink, pathNot: 'spec\\.ts$' },
    to: { path: '^src', pathNot: '^src/(sinks/(sink|http)\\.ts|outgoing/|settings/setting\\.ts|sinks/$1/)' },
  },
  // Seen failing with a client that is imported at the head of a file.
  {
    name: "a target's client is loaded only when a sink of its type is opened",
    from: { path: '^src', pathNot: 'spec\\.ts$' },
    to: {
      path: '^node_modules/(@slack/web-api|@slack/socket-mode)/',
      dynamic: false,
      dependencyTypesNot: ['type-only' as const],
    },
  },
  {
    name: 'the webhook side never sees sinks or deliveries',
    from: { path: '^src/webhook', pathNot: 'spec\\.ts$' },
    to: { path: '^src/(sinks|delivery)' },
  },
  { name: 'the database knows nothing of ours', from: { path: '^src/database' }, to: { path: '^src', pathNot: '^src/database' } },
  {
    name: 'nobody imports the wiring',
    from: { path: '^src', pathNot: '^src/(main|program|service|app\\.module)\\.ts$' },
    to: { path: '^src/(main|program|service|app\\.module)\\.ts$' },
  },
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
