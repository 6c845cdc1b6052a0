import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { mistakesAndWarnings } from '../../test/support/mistakes.ts';
import { sinkTypes } from '../sinks/sinks.js';
import { distance } from './names.js';
import { settingsOf } from './setting.js';
import { Settings, readSettings } from './settings.js';

const crm = { SINK_CRM_TYPE: 'webhook', SINK_CRM_URL: 'http://crm/' };
const minimal = { SDK_APP_IDS: '1400000001', WEBHOOK_TOKENS: 'token', ...crm };

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'channel-sync-names-'))));
afterAll(() => rmSync(folder, { recursive: true }));

// Regression: WEBHOOK_TOKEN only caused a warning that there is no token, and every webhook was accepted.
test.each([
  ['WEBHOOK_TOKEN', 'WEBHOOK_TOKEN is no setting: did you mean WEBHOOK_TOKENS?'],
  ['WEBHOOK_TOKEN_FILE', 'WEBHOOK_TOKEN_FILE is no setting: did you mean WEBHOOK_TOKENS_FILE?'],
  ['WEBHOOK_TOKENS_FIEL', 'WEBHOOK_TOKENS_FIEL is no setting: did you mean WEBHOOK_TOKENS_FILE?'],
  ['WEBHOOK_tokens', 'WEBHOOK_tokens is no setting: did you mean WEBHOOK_TOKENS?'],
  ['WEBHOOK_PORT', /^WEBHOOK_PORT is no setting; those that begin like it are WEBHOOK_TOKENS, .*WEBHOOK_PATH/],
  ['MANAGEMENT_TOKNE', 'MANAGEMENT_TOKNE is no setting: did you mean MANAGEMENT_TOKEN?'],
  ['MANAGEMENT_HOSTS', 'MANAGEMENT_HOSTS is no setting: did you mean MANAGEMENT_HOST?'],
  ['MANAGEMENT_URL', /^MANAGEMENT_URL is no setting; those that begin like it are MANAGEMENT_PORT, MANAGEMENT_HOST, MANAGEMENT_TOKEN$/],
  ['APP_1400000001_SECRET_KYE', 'APP_1400000001_SECRET_KYE is no setting of an app: did you mean APP_1400000001_SECRET_KEY?'],
  [
    'APP_1400000001_SECRET_KEYS_FILE',
    'APP_1400000001_SECRET_KEYS_FILE is no setting of an app: did you mean APP_1400000001_SECRET_KEY_FILE?',
  ],
  ['APP_1400000001_REGION', /^APP_1400000001_REGION is no setting of an app, which has SECRET_KEY, IDENTIFIER, REST_URL, DISCOVER_AS$/],
  ['APP_1400000010_SECRET_KEY', 'APP_1400000010_SECRET_KEY belongs to no app of SDK_APP_IDS: did you mean APP_1400000001_SECRET_KEY?'],
  ['APP_77_SECRET_KEY', 'APP_77_SECRET_KEY belongs to no app of SDK_APP_IDS'],
  ['APP_1400000001_IDENTIFIER', 'APP_1400000001_SECRET_KEY is required'],
  ['APP_1400000001_', /^APP_1400000001_ is no setting of an app, which has/],
  ['SINK_CRM_SECRET', 'SINK_CRM_SECRET is not a setting of webhook sinks: did you mean SINK_CRM_SECRETS?'],
  ['SINK_CRM_URLS_FILE', 'SINK_CRM_URLS_FILE is not a setting of webhook sinks: did you mean SINK_CRM_URL_FILE?'],
  ['SINK_CRM__MODE', 'SINK_CRM__MODE is not a setting of webhook sinks: did you mean SINK_CRM_MODE?'],
  ['SINK_CRM_INDEX', 'SINK_CRM_INDEX is not a setting of webhook sinks, only of opensearch, elasticsearch, meilisearch'],
  ['SINK_CRM_BOT_TOKEN', 'SINK_CRM_BOT_TOKEN is not a setting of webhook sinks, only of slack'],
  ['SINK_CRM_ADDRESS', /^SINK_CRM_ADDRESS is not a setting of webhook sinks, which have TYPE, URL, METHOD, /],
  ['SINK_CRM_PORT', /^SINK_CRM_PORT is not a setting of webhook sinks/],
  ['SINK_CMR_MODE', 'SINK_CMR_MODE belongs to no sink: declare it with SINK_CMR_TYPE, or did you mean SINK_CRM_MODE?'],
  ['SINK_crm_MODE', 'SINK_crm_MODE belongs to no sink: did you mean SINK_CRM_MODE?'],
  ['SINK_TEAM_WEBHOOK_URL', 'SINK_TEAM_WEBHOOK_URL belongs to no sink: declare it with SINK_TEAM_TYPE'],
  ['SINK_TEAM_TYP', 'SINK_TEAM_TYP belongs to no sink: did you mean SINK_TEAM_TYPE?'],
  ['SINK_team_TYPE', 'SINK_team_TYPE belongs to no sink: did you mean SINK_TEAM_TYPE?'],
  // Seen failing: it said "did you mean SINK_TIMEOUT_CA?".
  ['SINK_TIMEOUT_MS', 'SINK_TIMEOUT_MS names no sink: write SINK_<NAME>_TIMEOUT_MS'],
  ['SINK_TIMOUT_MS', 'SINK_TIMOUT_MS names no sink: write SINK_<NAME>_TIMEOUT_MS'],
  ['SINK_BOT_TOKEN_FILE', 'SINK_BOT_TOKEN_FILE names no sink: write SINK_<NAME>_BOT_TOKEN_FILE'],
  ['SINK_TYPE', 'SINK_TYPE names no sink: write SINK_<NAME>_TYPE'],
  ['SINK__TYPE', 'SINK__TYPE names no sink: write SINK_<NAME>_TYPE'],
  ['SINK__CRM_MODE', 'SINK__CRM_MODE belongs to no sink: declare it with SINK__CRM_TYPE, or did you mean SINK_CRM_MODE?'],
  ['SINK_API_KEY', 'SINK_API_KEY belongs to no sink: declare it with SINK_API_TYPE, or did you mean SINK_<NAME>_API_KEY?'],
  ['WEBHOOK_FILE', /^WEBHOOK_FILE is no setting; those that begin like it are WEBHOOK_TOKENS/],
  ['SINK_FILE', 'SINK_FILE is no setting of this version'],
  ['SINK_', 'SINK_ belongs to no sink: declare one with SINK_<NAME>_TYPE, or correct the name'],
  ['SINK_A\nB', 'SINK_A\ufffdB belongs to no sink: declare one with SINK_<NAME>_TYPE, or correct the name'],
])('%j is a mistake that says which was meant', (name, message) => {
  const path = join(folder, 'value');
  writeFileSync(path, 'planted');
  const { mistakes } = mistakesAndWarnings({ ...minimal, [name]: name.endsWith('_FILE') ? path : 'planted' });
  expect([mistakes.length, mistakes[0]]).toEqual([1, expect.stringMatching(message)]);
});

describe('a sink of a type that does not exist', () => {
  const types = 'webhook, slack, opensearch, elasticsearch, meilisearch or log';
  const read = (environment: Record<string, string>) => mistakesAndWarnings({ ...minimal, ...environment }).mistakes;

  // Seen failing: nothing more was told before the type was right.
  test.each(['webhok', 'Webhook', 'webhooks'])('is checked as what was probably meant: %s', type => {
    const said = `SINK_A_TYPE must be ${types}: did you mean webhook?`;
    expect(read({ SINK_A_TYPE: type, SINK_A_URL: 'http://a/' })).toEqual([said]);
    expect(read({ SINK_A_TYPE: type, SINK_A_ULR: 'http://planted/', SINK_A_TIMEOUT_MS: '0', SINK_A_CARDS: 'all' })).toEqual([
      'SINK_A_ULR is not a setting of webhook sinks: did you mean SINK_A_URL?',
      'SINK_A_CARDS is not a setting of webhook sinks, only of slack',
      said,
      'SINK_A_URL is required',
      expect.stringMatching(/^SINK_A_TIMEOUT_MS /),
    ]);
  });
  test('is checked for names that no sink has', () =>
    expect(read({ SINK_A_TYPE: 'planted', SINK_A_ULR: 'http://a/', SINK_A_ADDRESS: 'a', SINK_A_CARDS: 'all', SINK_A_URL: 'a' })).toEqual([
      'SINK_A_ULR is not a setting of any sink: did you mean SINK_A_URL?',
      'SINK_A_ADDRESS is not a setting of any sink',
      `SINK_A_TYPE must be ${types}`,
    ]));
});

test('a name is missing, whatever the sinks are called', () => {
  for (const name of ['SINK_TYPE', 'SINK__TYPE', 'SINK_TIMEOUT_MS'])
    expect(mistakesAndWarnings({ ...minimal, SINK_A_TYPE: 'log', [name]: 'log' }).mistakes).toEqual([
      `${name} names no sink: write ${name.replace(/_+/, '_<NAME>_')}`,
    ]);
});

test.each([
  ['WEBHOK_TOKENS', 'WEBHOOK_TOKENS'],
  ['webhook_tokens', 'WEBHOOK_TOKENS'],
  ['WEBHOOKTOKENS', 'WEBHOOK_TOKENS'],
  ['SDK_APP_ID', 'SDK_APP_IDS'],
  ['DATABASE_URI', 'DATABASE_URL'],
  ['DATABSE_URL_FILE', 'DATABASE_URL_FILE'],
  ['LOGLEVEL', 'LOG_LEVEL'],
  ['SPOOL-DIR', 'SPOOL_DIR'],
  ['WEBHOOK-SIGN-WINDOW-SECONDS', 'WEBHOOK_SIGN_WINDOW_SECONDS'],
  ['sink.crm.retry.max.age', 'SINK_CRM_RETRY_MAX_AGE'],
  ['MANAGMENT_TOKEN', 'MANAGEMENT_TOKEN'],
  ['COMPARE_EVRY', 'COMPARE_EVERY'],
  ['app_1400000001_secret_key', 'APP_1400000001_SECRET_KEY'],
  ['AP_1400000001_REST_URL', 'APP_1400000001_REST_URL'],
  ['sink_crm_secrets', 'SINK_CRM_SECRETS'],
  ['SINKS_CRM_URL', 'SINK_CRM_URL'],
  ['sink_team_type', 'SINK_TEAM_TYPE'],
  // Sinks that are not declared because the declaration itself is misspelled.
  ['INK_TEAM_TYPE', 'SINK_TEAM_TYPE'],
  ['SNIK_TEAM_BOT_TOKEN', 'SINK_TEAM_BOT_TOKEN'],
  ['INK_TEAM_TYP', 'SINK_TEAM_TYPE'],
  ['SINKS_TEAM_TYPE', 'SINK_TEAM_TYPE'],
  ['SINKTEAM_TYPE', 'SINK_TEAM_TYPE'],
  ['sink-eu-team-type', 'SINK_EU_TEAM_TYPE'],
])('%s is a warning that names %s', (name, ours) =>
  expect(mistakesAndWarnings({ ...minimal, [name]: 'planted' })).toEqual({
    mistakes: [],
    warnings: [`${name} is no setting: did you mean ${ours}?`],
  }),
);

test('what is required names what was meant for it', () => {
  const { SDK_APP_IDS: _, ...others } = minimal;
  for (const name of ['SDK_APP_ID', 'sdk_app_ids', 'SDKAPPIDS'])
    expect(mistakesAndWarnings({ ...others, [name]: '1400000001' }).mistakes).toEqual([
      `SDK_APP_IDS is required: is it what ${name} was meant for?`,
    ]);
  expect(mistakesAndWarnings({ ...minimal, SINK_CRM_URL: '', sink_crm_url: 'http://planted/' }).mistakes).toEqual([
    'SINK_CRM_URL is required: is it what sink_crm_url was meant for?',
  ]);
});

test('names that other programs have are none of our business', () => {
  const others =
    `PATH HOME HOSTNAME PORTS HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY http_proxy FTP_PROXY HTTPS_PROXIES NODE_ENV NODE_OPTIONS TZ LANG LOG_FORMAT
    DATABASE_NAME APP_NAME APP_ENV APP_KEY_1 SINKHOLE host port POSTGRES_PASSWORD WEBHOOKS MANAGEMENT KUBERNETES_PORT KUBERNETES_SERVICE_HOST npm_config_cache
    SSL_CERT_FILE CHANNEL_SYNC_MANAGEMENT_PORT CHANNEL_SYNC_SERVICE_PORT_WEBHOOKS SPRING_DATASOURCE_URL RETENTION SLACK_WEBHOOK_URL SINGLE_URL THINKING_MODE`.split(
      /\s+/,
    );
  expect(mistakesAndWarnings({ ...minimal, ...Object.fromEntries(others.map(name => [name, 'http://other:3128'])) })).toEqual({
    mistakes: [],
    warnings: [],
  });
});

describe('what Kubernetes injects for Services', () => {
  /** As the kubelet builds them. */
  function injected(service: string, ports: { name?: string; port: number; protocol: string }[]): Record<string, string> {
    const name = service.toUpperCase().replaceAll('-', '_');
    const first = ports[0]!;
    const variables: Record<string, string> = {
      [`${name}_SERVICE_HOST`]: '10.0.0.1',
      [`${name}_SERVICE_PORT`]: String(first.port),
      [`${name}_PORT`]: `${first.protocol}://10.0.0.1:${first.port}`,
    };
    for (const { name: port, port: number, protocol } of ports) {
      if (port !== undefined) variables[`${name}_SERVICE_PORT_${port.toUpperCase().replaceAll('-', '_')}`] = String(number);
      const prefix = `${name}_PORT_${number}_${protocol.toUpperCase()}`;
      Object.assign(variables, {
        [prefix]: `${protocol}://10.0.0.1:${number}`,
        [`${prefix}_PROTO`]: protocol,
        [`${prefix}_PORT`]: String(number),
        [`${prefix}_ADDR`]: '10.0.0.1',
      });
    }
    return variables;
  }

  const word = fc.constantFrom(
    'webhook',
    'sink',
    'management',
    'app',
    '1400000001',
    'crm',
    'type',
    'url',
    'file',
    'port',
    'service',
    'host',
    'tokens',
  );
  const service = fc.array(word, { minLength: 1, maxLength: 4 }).map(words => words.join('-'));
  const ports = fc.array(
    fc.record(
      {
        name: fc.constantFrom('http', 'file', 'type', 'url', 'web-hook', 'tcp', 'port', 'a-file'),
        port: fc.integer({ min: 1, max: 65_535 }),
        protocol: fc.constantFrom('tcp', 'udp', 'sctp'),
      },
      { requiredKeys: ['port', 'protocol'] },
    ),
    { minLength: 1, maxLength: 3 },
  );

  // Regression: a port called `type` declared a sink. Also covers Services that are not called `sink-…`.
  test('is no mistake, whatever they are called, but for the port that one called management takes', () => {
    const services = fc.oneof(
      service,
      fc.constantFrom('webhook', 'webhook-api', 'management-api', 'sink-crm', 'sink-other', 'app-1400000001-x'),
    );
    fc.assert(
      fc.property(services, ports, (name, list) => {
        const { MANAGEMENT_PORT: _, PORT: __, ...variables } = injected(name, list);
        expect([name, mistakesAndWarnings({ ...minimal, ...variables })]).toEqual([name, { mistakes: [], warnings: [] }]);
        expect(readSettings({ ...minimal, ...variables }).sinks.map(sink => sink.name)).toEqual(['crm']);
      }),
      { numRuns: 100 },
    );
  });

  test.each(['PORT', 'MANAGEMENT_PORT'])('is told where it takes the place of %s', name => {
    const message = `${name} is set by Kubernetes for a Service of that name: set enableServiceLinks: false in the pod`;
    for (const address of ['tcp://10.0.0.1:3001', ' udp://10.0.0.1:53\n', 'sctp://[fd00::1]:1'])
      expect(mistakesAndWarnings({ ...minimal, [name]: address }).mistakes).toEqual([message]);
    writeFileSync(join(folder, 'port'), 'tcp://10.0.0.1:3001\n');
    expect(mistakesAndWarnings({ ...minimal, [`${name}_FILE`]: join(folder, 'port') }).mistakes).toEqual([message]);
    expect(mistakesAndWarnings({ ...minimal, ...injected('management', [{ port: 80, protocol: 'tcp' }]) }).mistakes).toHaveLength(1);
  });

  test('sinks whose names look like it are sinks', () => {
    const environment = {
      SINK_A_SERVICE_PORT_TYPE: 'webhook',
      SINK_A_SERVICE_PORT_URL: 'http://a/',
      SINK_PORT_TYPE: 'log',
      SINK_X_FILE_TYPE: 'log',
    };
    const { sinks } = readSettings({ ...minimal, ...environment });
    expect(sinks.map(({ name }) => name)).toEqual(['a_service_port', 'crm', 'port', 'x_file']);
    expect(mistakesAndWarnings({ ...minimal, SINK_CRM_PORT: 'http://10.0.0.1' }).mistakes).toEqual([
      expect.stringMatching(/^SINK_CRM_PORT is not/),
    ]);
  });
});

describe('near misses', () => {
  const letter = fc.constantFrom(...'ABEIOSTX_019-');
  const names = [
    ...settingsOf(Settings).map(({ property }) => property),
    ...settingsOf(sinkTypes.find(({ type }) => type === 'webhook')!.settings).map(({ property }) => `SINK_CRM_${property}`),
  ];
  /** One letter inserted, deleted, changed, or swapped with its neighbour. */
  const slip = fc.record({ at: fc.nat(), kind: fc.constantFrom('in', 'out', 'change', 'swap'), letter });
  function slipped(name: string, { at, kind, letter: other }: { at: number; kind: string; letter: string }): string {
    const place = at % name.length;
    const [before, here, after] = [name.slice(0, place), name[place]!, name.slice(place + 1)];
    if (kind === 'in') return before + other + here + after;
    if (kind === 'out') return before + after;
    return kind === 'change' ? before + other + after : before + after.slice(0, 1) + here + after.slice(1);
  }

  test('of every setting are a mistake where they begin like ours, else a warning if ours is long enough; none is taken in silence', () => {
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.array(slip, { minLength: 1, maxLength: 2 }), fc.boolean(), (name, slips, asFile) => {
        const near = slips.reduce(slipped, name) + (asFile ? '_FILE' : '');
        const base = near.replace(/_FILE$/, '');
        fc.pre(base !== '' && !names.includes(base) && base !== 'SINK_CRM_TYPE');
        writeFileSync(join(folder, 'near'), 'planted');
        const { mistakes, warnings } = mistakesAndWarnings({ ...minimal, [near]: asFile ? join(folder, 'near') : 'planted' });
        const lines = [...mistakes, ...warnings];
        const ours = /^(SINK|WEBHOOK|MANAGEMENT)_/.test(near);
        const long = name.length >= 8 && distance(base, name) <= 2;
        expect([near, mistakes.length, lines.length]).toEqual([near, Number(ours), Number(ours || long || lines.length > 0)]);
        for (const line of lines) expect([line.startsWith(near), line.includes('planted')]).toEqual([true, false]);
      }),
      { numRuns: 400 },
    );
  });

  test('are counted in letters put in, left out, changed and swapped', () => {
    const text = fc.string({ unit: letter, minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(text, text, slip, (one, other, once) => {
        expect(distance(one, other)).toBe(distance(other, one));
        expect(distance(one, one)).toBe(0);
        expect(distance(one, other)).toBeGreaterThanOrEqual(Math.abs(one.length - other.length));
        expect(distance(one, other)).toBeLessThanOrEqual(Math.max(one.length, other.length));
        expect(distance(one, slipped(one, once))).toBeLessThanOrEqual(1);
      }),
    );
    const known: [string, string, number][] = [
      ['', 'AB', 2],
      ['WEBHOOK', 'WEBHOKO', 1],
      ['KITTEN', 'SITTING', 3],
      ['CA', 'ABC', 3],
    ];
    for (const [one, other, away] of known) expect([one, other, distance(one, other)]).toEqual([one, other, away]);
  });
});
