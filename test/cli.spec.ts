import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cli, type CliRun } from './support/cli.js';
import { type FakeServer, fakeServer } from './support/fake-server.js';
import { type FakeVendor, fakeVendor } from './support/fake-vendor.js';
import { mark, signingSecret } from './support/planted.js';
import { newDatabase } from './support/postgres.js';
import { ServiceProcess } from './support/process.js';
import { startTestService } from './support/service.js';
import { until } from './support/until.js';

const names =
  'check doctor send-webhook status sinks channels changes deliveries audit apps comparisons test pause resume probe replay discard verify rebuild compare import';
const token = `${mark}-management`;
const folder = mkdtempSync(join(tmpdir(), 'channel-sync-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));
const cli = new Cli(folder, { MANAGEMENT_TOKEN: token });
const json = (text: string): unknown => JSON.parse(text);

describe('use', () => {
  test.each(names.split(' '))(
    '%s --help needs no settings, and says how it is used',
    async name => {
      const broken = new Cli(folder, { SDK_APP_IDS: 'wrong', DATABASE_URL: 'wrong' });
      const { code, out, errors } = await broken.run([name, '--help']);
      expect({ code, errors }).toEqual({ code: 0, errors: '' });
      expect(out).toContain(`Usage: channel-sync ${name} `);
    },
    60_000,
  );

  test('the commands are those of the contract', async () => {
    const { code, out } = await cli.run(['--help']);
    expect(code).toBe(0);
    expect(out.slice(out.indexOf('Commands:'))).not.toMatch(/\.$/m);
    const listed = Array.from(out.matchAll(/^ {2}([a-z-]+) (\[options\]|<)/gm), ([, name = '']) => name);
    expect(listed.toSorted()).toEqual(names.split(' ').toSorted());
  }, 60_000);

  test('it is what npm and the package call by its name', () => {
    const root = join(import.meta.dirname, '..');
    const { bin, version } = json(readFileSync(join(root, 'package.json'), 'utf8')) as { bin: object; version: string };
    expect(bin).toEqual({ 'channel-sync': 'dist/cli.js' });
    expect(readFileSync(join(root, 'dist/cli.js'), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
    expect(execFileSync('npm', ['run', '--silent', 'cli', '--', '--version'], { cwd: root, encoding: 'utf8' })).toBe(`${version}\n`);
  }, 60_000);

  test.each([
    [[], 'Usage:'],
    [['sink'], 'Did you mean sinks?'],
    [['sinks', 'crm'], 'too many arguments'],
    [['sinks', '--sink', 'crm'], "unknown option '--sink'"],
    [['sinks', '--limit', '0'], '--limit must be'],
    [['sinks', '--limit', '1.5'], '--limit must be'],
    [['sinks', '--limit'], 'argument missing'],
    [['sinks', '--url', 'ftp://127.0.0.1'], '--url must be'],
    [['sinks', '--url', `http://user:${mark}@127.0.0.1`], '--url must be'],
    [['pause'], 'missing required argument'],
    [['pause', 'a', 'b'], 'too many arguments'],
    [['discard'], 'missing required argument'],
    [['replay'], 'at least one'],
    [['replay', '--yes'], 'at least one'],
    [['channels', '--channel', 'x'], '--channel needs --app'],
    [['changes', '--change', 'x', '--app', '1'], 'leave out --app'],
    [['import', 'no-such-file'], 'cannot be read (ENOENT)'],
    [['import', '.'], 'cannot be read (EISDIR)'],
    [['import', '-'], 'has no ids'],
    [['send-webhook', '--command', 'wrong'], 'created, changed or destroyed'],
    [['send-webhook', '--time', 'yesterday'], '--time must be'],
    [['send-webhook', '--time', '2026-02-30'], '--time must be'],
    [['changes', '--change', ''], 'must not be empty'],
    [['deliveries', '--change', ''], 'must not be empty'],
    [['channels', '--app', '1', '--channel', ''], 'must not be empty'],
    [['pause', ''], 'must not be empty'],
    [['verify', ''], 'must not be empty'],
    [['check', '--yes'], 'unknown option'],
  ])(
    'wrong use exits 2 and is told on standard error: %j',
    async (words, told) => {
      const { code, out, errors } = await cli.run(words);
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(errors).toContain(told);
    },
    60_000,
  );

  test.each([
    [{ MANAGEMENT_TOKEN: '' }, 'MANAGEMENT_TOKEN is required'],
    [{ MANAGEMENT_TOKEN: `${mark} blank and long` }, 'MANAGEMENT_TOKEN must have no blanks'],
    [{ MANAGEMENT_TOKEN: 'short' }, 'MANAGEMENT_TOKEN must have 16 characters or more'],
    [{ MANAGEMENT_TOKEN_FILE: '/no/such/file' }, 'MANAGEMENT_TOKEN and MANAGEMENT_TOKEN_FILE are both set'],
    [{ MANAGEMENT_TOKEN: '', MANAGEMENT_TOKEN_FILE: '/no/such/file' }, 'MANAGEMENT_TOKEN_FILE names a file that cannot be read (ENOENT)'],
  ])(
    'without a good token it exits 78: %j',
    async (environment, told) => {
      const { code, out, errors } = await cli.run(['sinks'], { environment });
      expect({ code, out }).toEqual({ code: 78, out: '' });
      expect(errors).toContain(told);
    },
    60_000,
  );

  // What a command says is searched for the mark.
  test('a server that repeats what it is sent is shown without the token and the signature', async () => {
    const echo = await fakeServer(({ headers, path }) => ({
      status: headers['content-type'] ? 200 : 500,
      body: { detail: headers.authorization, path },
    }));
    const environment = { SDK_APP_IDS: '1', WEBHOOK_TOKENS: mark };
    const runs = [['pause', 'crm'], ['pause', 'crm', '--json'], ['sinks'], ['send-webhook']].map(words =>
      cli.run([...words, '--url', echo.url], { environment }),
    );
    const [shown, asJson, list, sent] = await Promise.all(runs);
    await echo.close();
    expect(shown!.out).toMatch(/^detail +Bearer \*\*\*$/m);
    expect(asJson!.out).toContain('"detail": "Bearer ***"');
    expect(list!.errors).toBe('Bearer ***\n');
    expect(sent!.out).toContain('&Sign=***"');
    expect(echo.requests.map(({ headers }) => headers.authorization).filter(Boolean)).toEqual([1, 2, 3].map(() => `Bearer ${token}`));
  }, 60_000);

  test('an unreadable .env exits 78', async () => {
    const other = mkdtempSync(join(folder, 'env-'));
    writeFileSync(join(other, '.env'), Buffer.from([0xff, 0xfe, 0x41]));
    const commands = ['check', 'doctor', 'send-webhook', 'sinks'];
    const runs = await Promise.all(commands.map(command => new Cli(other).run([command])));
    const found = runs.map(({ code, out, errors }, index) => [commands[index], code, errors + out]);
    expect(found).toEqual(commands.map(command => [command, 78, expect.stringContaining('.env is not text in UTF-8')]));
  }, 60_000);
});

describe('check', () => {
  const warnings = [
    'WEBHOOK_TOKENS is not set: anyone who knows the URL can send webhooks',
    'no sink is declared (SINK_<NAME>_TYPE): changes go to the log',
  ];

  test('tells warnings and exits 0', async () => {
    const own = new Cli(folder, { SDK_APP_IDS: '1400000001' });
    const [{ code, out, errors }, forPrograms] = await Promise.all([own.run(['check']), own.run(['check', '--json'])]);
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    for (const warning of warnings) expect(out).toContain(`warning  ${warning}`);
    expect(json(forPrograms.out)).toEqual({ mistakes: [], warnings });
  }, 60_000);

  test('tells all mistakes beside the warnings, those of .env and of sinks, too, and exits 78', async () => {
    const other = mkdtempSync(join(folder, 'check-'));
    writeFileSync(join(other, '.env'), 'SINK_CHAT_CHANNELS=@TOA#planted\nSINK_CRM_TYPE=webhook\nset X_Y=1\nset WEBHOOK_PATH=/a\n');
    const environment = {
      SINK_CRM_TYP: 'webhook',
      SINK_CRM_URL: `http://u:${mark}@h`,
      LOGLEVEL: 'info',
      DATABASE_URL: `mysql://u:${mark}@h/d`,
    };
    const run = await new Cli(other, environment).run(['check', '--json']);
    expect({ code: run.code, errors: run.errors }).toEqual({ code: 78, errors: '' });
    expect(json(run.out)).toEqual({
      mistakes: [
        'SDK_APP_IDS is required',
        'DATABASE_URL must be sqlite: and a path, or postgres://user:password@host:port/database, percent-encoded',
        expect.stringMatching(/^SINK_CHAT_CHANNELS belongs to no sink/),
        expect.stringMatching(/^SINK_CRM_TYP .*did you mean SINK_CRM_TYPE/),
      ],
      warnings: [
        'LOGLEVEL is no setting: did you mean LOG_LEVEL?',
        'SINK_CHAT_CHANNELS is cut at a # in .env: put its value in quotes',
        'WEBHOOK_PATH is not set by its line in .env: write WEBHOOK_PATH=value',
        warnings[0],
      ],
    });
  }, 60_000);

  test.each([
    ['{{ data | json }}', []],
    ['{% if data.test %}{}{% else %}[]{% endif %}', []],
    ['{"n": {{ data.profile.name | json }}}', ['SINK_CRM_TEMPLATE never writes data.test: the target cannot tell a test from a change']],
  ])('tells of a template that does not mark tests: %s', async (template, warnings) => {
    const sink = {
      SINK_CRM_TYPE: 'webhook',
      SINK_CRM_URL: 'http://127.0.0.1:1',
      SINK_CRM_SECRETS: signingSecret,
      SINK_CRM_TEMPLATE: template,
    };
    const { out } = await new Cli(folder, { SDK_APP_IDS: '1', WEBHOOK_TOKENS: mark, ...sink }).run(['check', '--json']);
    expect(json(out)).toEqual({ mistakes: [], warnings });
  });

  test('tells what sinks say at start', async () => {
    const environment = { SDK_APP_IDS: '1', WEBHOOK_TOKENS: mark, SINK_CRM_TYPE: 'webhook', SINK_CRM_URL: 'http://127.0.0.1:1' };
    const { out } = await new Cli(folder, environment).run(['check', '--json']);
    expect(json(out)).toEqual({ mistakes: [], warnings: ['SINK_CRM_SECRETS is not set: the webhooks of this sink go out unsigned'] });
  }, 60_000);
});

describe('doctor', () => {
  const good = { SDK_APP_IDS: '1400000001', WEBHOOK_TOKENS: mark, SINK_LOG_TYPE: 'log', SPOOL_DIR: join(folder, 'made', 'spool') };
  const findings = async (environment: Record<string, string>, code: number) => {
    const run = await new Cli(folder, { ...good, ...environment }).run(['doctor', '--json']);
    expect({ code: run.code, errors: run.errors, environment }).toEqual({ code, errors: '', environment });
    const all = json(run.out) as { what: string; state: string; message: string; advice: string | null }[];
    expect(
      all.every(one => Object.keys(one).join() === 'what,state,message,advice' && (one.state === 'ok') === (one.advice === null)),
    ).toBe(true);
    return Object.fromEntries(
      all.map(({ what, state, message, advice }) => [what, `${state}: ${message}${advice === null ? '' : ` -> ${advice}`}`]),
    );
  };

  test('all is well before the first start, and nothing is left behind', async () => {
    const DATABASE_URL = await newDatabase(process.env['TEST_POSTGRES_URL']!);
    const [embedded, postgres, { out }] = await Promise.all([
      findings({}, 0),
      findings({ DATABASE_URL }, 0),
      new Cli(folder, good).run(['doctor']),
    ]);
    expect(embedded).toEqual({
      settings: 'ok: no mistakes',
      database: `ok: SQLite ${process.versions['sqlite']}, ${join(folder, 'data/channel-sync.db')} is not there yet: the service makes it`,
      spool: 'ok: not needed: SQLite keeps all',
      clock: 'ok: not compared: no target reported its time',
      'sink log': expect.stringMatching(/^ok: /) as unknown,
    });
    expect(postgres).toMatchObject({
      database: expect.stringMatching(/^ok: PostgreSQL \d+.*, UTF8, all rights, no tables yet: the service makes them$/) as unknown,
      spool: `ok: ${good.SPOOL_DIR} is writable, and syncs to disk`,
      clock: 'ok: database agrees',
    });
    expect(existsSync(join(folder, 'made')) || existsSync(join(folder, 'data'))).toBe(false);
    expect(out).toMatch(/^state +what +message +advice\nok +settings +no mistakes +-\nok +database /);
  }, 60_000);

  test('wrong settings exit 78, and nothing else is tried', async () => {
    expect(await findings({ SDK_APP_IDS: 'x' }, 78)).toEqual({
      settings: 'failure: SDK_APP_IDS must list ids made of digits, separated by commas -> Correct it; nothing else was tried.',
    });
    // A warning is no failure.
    expect((await findings({ WEBHOOK_TOKENS: '' }, 0))['settings']).toMatch(/^warning: WEBHOOK_TOKENS is not set/);
  });

  test('what is wrong with a database is told, with what to do', async () => {
    const server = process.env['TEST_POSTGRES_URL']!;
    const file = join(folder, 'odd.db');
    writeFileSync(file, 'this is text, and no database at all');
    const newer = join(folder, 'newer.db');
    const database = new DatabaseSync(newer);
    database.exec("create table migration (version text, applied_at int); insert into migration values ('99.0', 1)");
    database.close();
    const utf16 = join(folder, 'utf16.db');
    const other = new DatabaseSync(utf16);
    other.exec("pragma encoding = 'UTF-16le'; create table t (a)");
    other.close();
    const latin = await newDatabase(server, "encoding 'LATIN1' template template0 locale 'C'");
    const readOnly = `${await newDatabase(server)}?options=-c%20default_transaction_read_only%3Don`;
    const wrong = [
      [`sqlite:${file}`, /^failure: .*odd\.db is no SQLite database/],
      [`sqlite:${newer}`, /^failure: it has schema version 99\.0.*run a newer release/],
      [`sqlite:${utf16}`, /^failure: .* is in UTF-16le/],
      [`sqlite:${file}/below.db`, /^failure: .*odd\.db is no folder/],
      [latin, /^failure: its encoding is LATIN1/],
      [readOnly, /^failure: it is read-only -> .*new primary/],
      [
        `postgres://nobody:${mark}@${new URL(server).host}/postgres`,
        /^failure: password authentication failed.* -> Check user and password/,
      ],
      [`postgres://127.0.0.1:1/x`, /^failure: .*ECONNREFUSED.* -> Check that it runs/],
      ['postgres:///x?host=/no/such/folder', /^failure: connect ENOENT .* -> Check that it runs, and the folder of its socket/],
    ] as const;
    const found = await Promise.all(wrong.map(async ([DATABASE_URL]) => [DATABASE_URL, (await findings({ DATABASE_URL }, 1))['database']]));
    expect(found).toEqual(wrong.map(([DATABASE_URL, told]) => [DATABASE_URL, expect.stringMatching(told)]));
  }, 60_000);

  test('it takes no lock of SQLite and leaves nothing there, also after a kill', async () => {
    const file = join(folder, 'locks', 'a.db');
    const environment = { ...good, DATABASE_URL: `sqlite:${file}` };
    const service = new ServiceProcess(environment);
    await service.listening();
    expect((await findings(environment, 0))['database']).toBe(
      `ok: SQLite ${process.versions['sqlite']}, UTF-8, ${file}, in use by a running service`,
    );
    await service.kill();
    const before = readdirSync(join(folder, 'locks'));
    expect((await findings(environment, 0))['database']).toBe(`ok: SQLite ${process.versions['sqlite']}, UTF-8, ${file}`);
    expect(readdirSync(join(folder, 'locks'))).toEqual(before);
    // Again and again while a service starts: that is never kept from it.
    const next = new ServiceProcess(environment);
    await Promise.all([next.listening(), ...Array.from({ length: 5 }, () => findings(environment, 0))]);
    await next.kill();
  }, 60_000);

  test('each sink is checked, and a clock that is off is told', async () => {
    const late = await fakeServer(() => ({
      headers: { date: new Date(Date.now() - 20_000).toUTCString(), 'x-oauth-scopes': 'chat:write' },
      body: { ok: false, error: 'invalid_auth' },
    }));
    const sinks = {
      SINK_CRM_TYPE: 'webhook',
      SINK_CRM_URL: `http://user:${mark}@127.0.0.1:1/`,
      SINK_CHAT_TYPE: 'slack',
      SINK_CHAT_BOT_TOKEN: `xoxb-${mark}`,
      SINK_CHAT_CHANNEL: 'C0123456789',
      SINK_CHAT_API_URL: `${late.url}/`,
    };
    // A sink that is clicked in is opened without what clicks do.
    const clicked = [{}, { SINK_CHAT_SIGNING_SECRET: mark }, { SINK_CHAT_APP_TOKEN: `xapp-${mark}` }];
    const [found, ...others] = await Promise.all(clicked.map(more => findings({ ...sinks, ...more }, 1)));
    await late.close();
    expect(found!['sink crm']).toMatch(/^failure: connection refused -> Check that the target runs/);
    for (const one of [found!, ...others]) expect(one['sink chat']).toMatch(/^failure: .*invalid_auth/);
    expect(found!['clock']).toMatch(/^warning: 127\.0\.0\.1:\d+ is 2[01] s behind ours -> Set the clock/);
  }, 60_000);

  test("each app's REST API is asked", async () => {
    const gone = { Official_Account: '@TOA#_channel-sync-test', ErrorCode: 10010 };
    let answer: object = { ActionStatus: 'OK', ErrorCode: 0, OfficialAccountInfoList: [gone] };
    const vendor = await fakeServer(() => ({ body: answer }));
    const app = { APP_1400000001_SECRET_KEY: `${mark}-key`, APP_1400000001_REST_URL: vendor.url };
    expect((await findings(app, 0))['app 1400000001']).toBe("ok: Tencent's REST API takes the secret key and the account");
    answer = { ActionStatus: 'FAIL', ErrorCode: 70003, ErrorInfo: 'usersig is illegal' };
    expect((await findings(app, 1))['app 1400000001']).toMatch(/^failure: .*70003.* -> .*APP_1400000001_SECRET_KEY/);
    await vendor.close();
    expect((await findings(app, 1))['app 1400000001']).toMatch(/^failure: .*connection refused/);
  }, 60_000);

  test('a spool that cannot be written is a failure', async () => {
    const DATABASE_URL = await newDatabase(process.env['TEST_POSTGRES_URL']!);
    writeFileSync(join(folder, 'file'), '');
    const wrong = [
      ['/sys/spool', 'EPERM'],
      ['/proc/spool', 'ENOENT'],
      [join(folder, 'file'), 'EEXIST'],
      [join(folder, 'file', 'below'), 'ENOTDIR'],
    ] as const;
    const found = await Promise.all(wrong.map(async ([SPOOL_DIR]) => (await findings({ DATABASE_URL, SPOOL_DIR }, 1))['spool']));
    expect(found).toEqual(
      wrong.map(
        ([SPOOL_DIR, reason]) =>
          `failure: ${SPOOL_DIR} cannot be written (${reason}) -> Set SPOOL_DIR to a folder that the service's user may write to, on a disk with free space.`,
      ),
    );
  }, 60_000);
});

describe('a running service', () => {
  let service: Awaited<ReturnType<typeof startTestService>>;
  let crm: FakeServer;
  let vendor: FakeVendor;
  let environment: Record<string, string>;
  let here: Cli;
  let status = 500;
  const run = (...words: string[]) => here.run([...words, '--url', service.managementUrl]);
  const listed = async (...words: string[]): Promise<Record<string, unknown>[]> => json((await run(...words, '--json')).out) as never;

  beforeAll(async () => {
    crm = await fakeServer(() => ({ status }));
    vendor = await fakeVendor();
    environment = {
      SDK_APP_IDS: '1400000001',
      WEBHOOK_TOKENS: `${mark},${mark}-older`,
      MANAGEMENT_TOKEN: token,
      DATABASE_URL: await newDatabase(process.env['TEST_POSTGRES_URL']!),
      SINK_CRM_TYPE: 'webhook',
      SINK_CRM_URL: crm.url,
      COMPARE_EVERY: 'off',
      WEBHOOK_PATH: '/hooks/vendor',
      ...vendor.environment,
    };
    service = await startTestService(environment);
    const { port } = new URL(service.url);
    here = new Cli(folder, { ...environment, HOST: '127.0.0.1', PORT: port, SPOOL_DIR: join(folder, 'some', 'spool') });
  }, 60_000);
  afterAll(async () => {
    await service.stop();
    await crm.close();
    await vendor.close();
  });

  test('send-webhook is taken, and prints the answer and the time', async () => {
    status = 422;
    const { code, out, errors } = await here.run([
      'send-webhook',
      '--name',
      'Shop\nnews\u001b[31m',
      '--operator',
      'leckie',
      '--channel',
      '@TOA#_a',
      '--avatar',
      'http://a',
      '--introduction',
      'All about tea',
      '--organization',
      'Tea & Co',
    ]);
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(out).toMatch(/^200 \{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":""\} in \d+ ms\n$/);
    const [change] = await listed('changes');
    expect(change).toMatchObject({ channelId: '@TOA#_a', operator: 'leckie', type: 'channel.profile.updated', eventTimeEstimated: false });
    expect(change!['changes']).toEqual([
      { field: 'name', from: null, to: 'Shop\nnews\u001b[31m' },
      { field: 'avatarUrl', from: null, to: 'http://a' },
      { field: 'introduction', from: null, to: 'All about tea' },
      { field: 'organization', from: null, to: 'Tea & Co' },
    ]);
  }, 60_000);

  test('send-webhook takes every command, a time and another address', async () => {
    const url = `${service.url}/hooks/vendor`;
    const times = { created: '2024-01-02T03:04:05', destroyed: String(Date.UTC(2024, 0, 2, 3, 4, 5)) };
    for (const [command, time] of Object.entries(times))
      expect(await here.run(['send-webhook', '--command', command, '--channel', 'b', '--time', time, '--url', url])).toMatchObject({
        code: 0,
      });
    const types = (await listed('changes', '--channel', 'b')).map(change => [change['type'], change['eventTime']]);
    expect(types).toEqual(['channel.destroyed', 'channel.created'].map(type => [type, '2024-01-02T03:04:05.000Z']));
  }, 60_000);

  test('what a webhook is refused for exits 1, and the answer is the result', async () => {
    const { code, out, errors } = await here.run(['send-webhook', '--app', '1']);
    expect({ code, errors }).toEqual({ code: 1, errors: '' });
    expect(out).toMatch(/^403 .*120001/);
  }, 60_000);

  test('lists are tables of one line a row, or JSON with everything as it is', async () => {
    const [{ code, out, errors }, sinks, two, none, before, gone, wrongTime, wrongState, noSink, noneOfSink] = await Promise.all([
      run('changes', '--channel', '@TOA#_a'),
      listed('sinks'),
      listed('changes', '--limit', '2'),
      listed('changes', '--since', '2100-01-01'),
      listed('changes', '--until', '2000-01-01'),
      listed('channels', '--exists', 'false'),
      run('changes', '--since', 'x'),
      run('deliveries', '--state', 'x'),
      run('deliveries', '--sink', 'nosuch'),
      listed('deliveries', '--sink', 'crm', '--until', '2000-01-01'),
    ]);
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    const lines = out.split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[1]).toContain('Shop\ufffdnews\ufffd[31m');
    expect(out).not.toContain('\u001b');
    expect(sinks).toMatchObject([{ name: 'crm', type: 'webhook', counts: { owed: 3 } }]);
    expect(two).toHaveLength(2);
    expect([none, before]).toEqual([[], []]);
    expect(gone).toMatchObject([{ channelId: 'b', exists: false }]);
    expect(noSink).toEqual({ code: 1, out: '', errors: 'no sink has this name\n' });
    expect(noneOfSink).toEqual([]);
    expect(wrongTime).toMatchObject({ code: 2, out: '', errors: 'since must be a time in ISO 8601\n' });
    expect(wrongState).toMatchObject({ code: 2, errors: expect.stringContaining('state must be one of') as unknown });
  }, 60_000);

  test('one change is shown with all of its tries', async () => {
    const [change] = await listed('changes', '--channel', '@TOA#_a');
    const id = String(change!['id']);
    await until(async () => (await listed('deliveries', '--state', 'parked')).length === 3, 'all are parked', 20_000);
    const [{ code, out }, deliveries, unknown] = await Promise.all([
      run('changes', '--change', id),
      listed('deliveries', '--change', id),
      run('changes', '--change', 'x'),
    ]);
    expect(code).toBe(0);
    expect(out).toMatch(/^channelId +@TOA#_a$/m);
    expect(out).toMatch(/ refused +422 /);
    expect(deliveries).toMatchObject([{ sink: 'crm', state: 'parked', changeId: id }]);
    expect(unknown).toEqual({ code: 1, out: '', errors: 'there is no change with this id\n' });
  }, 60_000);

  test('pause and resume', async () => {
    expect(await run('pause', 'crm')).toMatchObject({ code: 0, out: expect.stringMatching(/^state +paused$/m) as unknown });
    expect(await listed('sinks')).toMatchObject([{ state: 'paused' }]);
    expect(await run('resume', 'crm')).toMatchObject({ code: 0 });
    expect(await run('pause', 'a b/../c')).toEqual({ code: 1, out: '', errors: 'no sink has this name\n' });
  }, 60_000);

  test('what sends or gives up says how many, and does nothing without --yes or an answer', async () => {
    const before = crm.requests.length;
    const words = ['replay', '--sink', 'crm', '--url', service.managementUrl];
    const answers = ['n\n', '\n', 'yesterday\n', '\u0004', '\u0003'];
    const [change] = await listed('changes', '--channel', '@TOA#_a');
    const [refused, said, counted, ofOne, ...asked] = await Promise.all([
      run('replay', '--sink', 'crm'),
      run('replay', '--sink', 'crm', '--dry-run'),
      run('replay', '--sink', 'crm', '--dry-run', '--json'),
      run('replay', '--change', String(change!['id']), '--dry-run', '--json'),
      ...answers.map(answer => here.onTerminal(words, answer)),
    ]);
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.errors).toMatch(/^3 deliveries will be sent again.*--yes/);
    expect(said).toMatchObject({ code: 0, out: 'matched            3\nwould be replayed  3\nskippedAsStale     0\n' });
    expect(counted).toMatchObject({ code: 0, out: expect.stringContaining('"replayed": 3') as unknown });
    expect(ofOne).toMatchObject({ code: 0, out: expect.stringContaining('"replayed": 1') as unknown });
    for (const [index, { code, out }] of asked.entries()) {
      expect([answers[index], code]).toEqual([answers[index], 1]);
      expect(out).toContain('3 deliveries will be sent again.');
      expect(out).toContain('nothing was done');
    }
    const [one] = await listed('deliveries', '--state', 'parked', '--limit', '1');
    expect(await run('discard', String(one!['id']))).toMatchObject({ code: 2, out: '' });
    expect(crm.requests.length).toBe(before);
    expect(await listed('deliveries', '--state', 'parked')).toHaveLength(3);
  }, 60_000);

  test('discards each that can be, and exits 1 for the others', async () => {
    const [one] = await listed('deliveries', '--state', 'parked');
    const id = String(one!['id']);
    const { code, out, errors } = await run('discard', id, 'nonsense', id, '--yes', '--reason', 'by hand');
    expect({ code, errors }).toEqual({ code: 1, errors: 'nonsense: there is no delivery with this id\n' });
    expect(out).toBe(`2 deliveries will be discarded: only a replay can still send what is discarded.\n${id} is discarded\n`);
    expect(await listed('deliveries', '--state', 'discarded')).toMatchObject([{ id, reason: 'by hand' }]);
  }, 60_000);

  test('replays once a person agrees, or at once with --yes', async () => {
    status = 200;
    const url = service.managementUrl;
    const { code, out } = await here.onTerminal(['replay', '--channel', 'b', '--url', url], 'y\n');
    expect(code).toBe(0);
    expect(out).toMatch(/replayed +[12]/);
    const run2 = await run('replay', '--state', 'parked', '--yes', '--json');
    expect(run2).toMatchObject({ code: 0 });
    expect(json(run2.out)).toMatchObject({ skippedAsStale: 0 });
    await until(
      async () => (await listed('deliveries', '--state', 'delivered')).length === 2,
      'all but the discarded are delivered',
      20_000,
    );
    // Nothing is left: nobody is asked.
    expect(await run('replay', '--sink', 'crm')).toMatchObject({ code: 0, out: expect.stringMatching(/^replayed +0$/m) as unknown });
  }, 60_000);

  test('test, probe, apps, import, compare and what they leave on record', async () => {
    expect(await run('test', 'crm')).toMatchObject({
      code: 0,
      errors: '',
      out: expect.stringMatching(/^outcome +delivered\nstatus +200$/m) as unknown,
    });
    status = 401;
    expect(await run('test', 'crm')).toMatchObject({ code: 1, errors: '', out: expect.stringMatching(/^status +401$/m) as unknown });
    status = 200;
    expect(await run('probe', 'crm')).toMatchObject({ code: 0, out: expect.stringMatching(/^name +crm$/m) as unknown });
    vendor.channels.set('@TOA#_new', { Name: 'New', FaceUrl: '', Introduction: '', Organization: '' });
    const imported = await here.run(['import', '-', '--yes', '--json', '--url', service.managementUrl], {
      input: '@TOA#_new\nnone\n\u0001\n',
    });
    expect(imported).toMatchObject({ code: 0, errors: '' });
    expect(json(imported.out)).toMatchObject([{ state: 'done', cause: 'import', total: 3, imported: 1 }]);
    expect(await run('compare', '--dry-run', '--channel', '@TOA#_new')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^compared +1$/m) as unknown,
    });
    expect(await run('compare')).toMatchObject({
      code: 2,
      out: '',
      errors: expect.stringMatching(/^[23] channels will be compared/) as unknown,
    });
    expect(await run('compare', '--app', '9', '--dry-run')).toMatchObject({
      code: 2,
      errors: '--app must be one of the apps with a secret key: 1400000001\n',
    });
    const [apps, comparisons, channels, changes, channel, audit, shown] = await Promise.all([
      listed('apps'),
      listed('comparisons'),
      listed('channels', '--query', '#_NEW'),
      listed('changes', '--source', 'import'),
      run('channels', '--app', '1400000001', '--channel', '@TOA#_new'),
      listed('audit'),
      run('status'),
    ]);
    expect(apps).toMatchObject([{ sdkAppId: '1400000001', comparisons: 'on', state: 'ok' }]);
    expect(comparisons.map(one => [one['cause'], one['dryRun']])).toEqual(
      expect.arrayContaining([
        ['request', true],
        ['import', false],
      ]),
    );
    expect(channels).toMatchObject([{ channelId: '@TOA#_new', exists: true, name: 'New' }]);
    expect(changes).toMatchObject([{ channelId: '@TOA#_new' }]);
    expect(channel.out).toMatch(/^profile\.name +New$/m);
    expect(audit.map(one => one['action'])).toEqual(expect.arrayContaining(['test', 'import', 'pause', 'resume', 'replay', 'discard']));
    expect(shown).toMatchObject({ code: 0, errors: '' });
    expect(shown.out).toMatch(/^service +ready\n\nname .*\ncrm +webhook .*\n\nsdkAppId .*\n1400000001 +on +ok /);
  }, 60_000);

  test('doctor finds the database in use, and all well', async () => {
    const { code, out, errors } = await here.run(['doctor', '--json']);
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    const findings = json(out) as { what: string; state: string; message: string }[];
    const database = findings.find(({ what }) => what === 'database');
    expect(database).toMatchObject({ state: 'ok', advice: null });
    expect(database!.message).toMatch(/^PostgreSQL \d+.*, UTF8, all rights$/);
    expect(findings.find(({ what }) => what === 'spool')).toMatchObject({ state: 'ok' });
  }, 60_000);

  test('a token that is not the service’s exits 78, an address where nothing is exits 1', async () => {
    const [strange, nobody, another, nowhere, anywhere] = await Promise.all([
      here.run(['sinks', '--url', service.managementUrl], { environment: { MANAGEMENT_TOKEN: `${mark}-of-another` } }),
      here.run(['sinks', '--url', 'http://127.0.0.1:1']),
      here.run(['sinks', '--url', crm.url]),
      here.run(['send-webhook'], { environment: { PORT: '1' } }),
      here.run(['send-webhook'], { environment: { PORT: '0' } }),
    ]);
    expect(strange).toMatchObject({ code: 78, out: '', errors: 'MANAGEMENT_TOKEN is not the one that the service has\n' });
    expect(nobody).toMatchObject({ code: 1, errors: expect.stringContaining('connection refused') as unknown });
    expect(another).toMatchObject({ code: 1, errors: expect.stringContaining('check --url') as unknown });
    expect(nowhere).toMatchObject({ code: 1, out: '' });
    expect(anywhere).toMatchObject({ code: 2, out: '' });
  }, 60_000);

  // Once taken for the path of a list: what is no part of a path, and what a URL leaves out.
  test.each(['..', '.', '%2e%2e', 'a/b', 'a?b#c', 'a%b', '😀 "x"'])(
    'a channel is found by its id, whatever that is: %s',
    async id => {
      expect(await here.run(['send-webhook', '--channel', id, '--name', 'any', '--app', '1400000001'])).toMatchObject({ code: 0 });
      const { code, out, errors } = await run('channels', '--app', '1400000001', '--channel', id, '--json');
      expect({ code, errors, channel: json(out) }).toMatchObject({ code: 0, errors: '', channel: { channelId: id, exists: true } });
      expect((await run('changes', '--change', id)).errors).toBe('there is no change with this id\n');
      expect((await run('pause', id)).errors).toBe('no sink has this name\n');
      expect((await run('discard', id, '--yes')).errors).toBe(`${id}: there is no delivery with this id\n`);
    },
    60_000,
  );

  test('output that cannot be written is told, and exits 1', async () => {
    const full = await here.piped(`channels --url ${service.managementUrl} > /dev/full`, 'cat');
    expect(full).toEqual({ code: 1, out: '', errors: 'the output cannot be written (ENOSPC)\n' });
  }, 60_000);
});

describe('what takes long, and the calls of other services, by the shapes of the contract', () => {
  const comparison = { id: 'c1', sdkAppId: '1400000001', state: 'waiting', total: null, compared: 0, examples: [] as object[] };
  const verified = { state: 'running', compared: 3, missing: 1, older: 1, newer: 0, surplus: 1, repaired: 0, error: null, examples: [] };
  let server: FakeServer;
  /** What the calls answer, by method and path; the last answer of a list stays. */
  let answers: Record<string, object[]>;
  const called = (): string[] => server.requests.filter(({ method }) => method === 'POST').map(({ path, body }) => `${path} ${body}`);
  const run = (words: string[], input = '') => cli.run([...words, '--url', server.url], { input });
  const heldUpCommands: [name: string, words: string[]][] = [
    ['verify', ['verify', 'search']],
    ['compare, while the vendor is down,', ['compare', '--app', '1', '--yes']],
    ['compare, behind another while the vendor is down,', ['compare', '--app', '2', '--yes']],
  ];
  /** Each takes 10 s, in which the other tests run. */
  let heldUp: Record<string, Promise<CliRun>>;
  let holding: FakeServer;

  beforeAll(async () => {
    const apps = [
      { sdkAppId: '1', comparisons: 'on', state: 'ok', reason: null },
      { sdkAppId: '2', comparisons: 'on', state: 'retrying', reason: 'connection refused' },
    ];
    const held: Record<string, object> = {
      'sinks/search/verify': { ...verified, error: 'connection refused' },
      apps: { items: apps, nextCursor: null },
      'comparisons/1': { ...comparison, id: '1', sdkAppId: '1', state: 'running', reason: 'connection refused' },
      'comparisons/2': { ...comparison, id: '2', sdkAppId: '2', reason: null },
    };
    holding = await fakeServer(({ path, body }) => {
      const called = path.replace('/api/v1/', '').replace(/\?.*/, '');
      const { sdkAppId } = json(body || '{}') as { sdkAppId?: string };
      return { body: held[called === 'comparisons' ? `comparisons/${sdkAppId}` : called]! };
    });
    heldUp = Object.fromEntries(heldUpCommands.map(([name, words]) => [name, cli.run([...words, '--json', '--url', holding.url])]));
    server = await fakeServer(({ method, path }) => {
      const list = answers[`${method} ${path.replace('/api/v1/', '').replace(/\?.*/, '')}`];
      const body = list && list.length > 1 ? list.shift() : list?.[0];
      return body ? { body } : { status: 404, headers: { 'content-type': 'application/problem+json' }, body: { detail: 'no such' } };
    });
  });
  afterAll(() => Promise.all([server.close(), holding.close()]));
  beforeEach(() => {
    server.requests.length = 0;
    const app = { comparisons: 'on', state: 'ok', channels: 1200 };
    answers = {
      'GET apps': [
        {
          items: [
            { sdkAppId: '1400000001', ...app },
            { sdkAppId: '2', ...app, comparisons: 'off', state: 'off' },
          ],
          nextCursor: null,
        },
      ],
      'GET sinks/search/rebuild': [
        { state: 'idle', done: 0, total: 0 },
        { state: 'running', done: 1, total: 3 },
        { state: 'done', done: 3, total: 3 },
      ],
      'POST sinks/search/rebuild': [{ state: 'running' }],
      'POST sinks/search/verify': [{ state: 'running' }],
      'GET sinks/search/verify': [verified, { ...verified, state: 'done' }],
      'POST comparisons': [comparison],
      'POST imports': [comparison],
      'GET comparisons/c1': [
        comparison,
        { ...comparison, state: 'running', total: 3 },
        { ...comparison, state: 'done', total: 3, compared: 3 },
      ],
    };
  });

  test('compare', async () => {
    const refused = await run(['compare']);
    expect(refused).toMatchObject({ code: 2, out: '', errors: expect.stringMatching(/^1200 channels will be compared.*--yes/) as unknown });
    expect(called()).toEqual([]);
    const { code, out } = await run(['compare', '--channel', 'a', 'b', '--app', '2', '--destroy', '--yes']);
    expect(code).toBe(0);
    expect(out).toMatch(/^2 channels will be compared/);
    expect(out).toMatch(/^compared +3$/m);
    expect(await run(['compare', '--dry-run', '--json'])).toMatchObject({ code: 0, out: expect.stringMatching(/^\{/) as unknown });
    expect(called()).toEqual([
      '/api/v1/comparisons {"sdkAppId":"2","channelIds":["a","b"],"destroy":true}',
      '/api/v1/comparisons {"sdkAppId":"1400000001","dryRun":true}',
    ]);
  }, 60_000);

  test('one that failed exits 1, with its reason', async () => {
    answers['GET comparisons/c1'] = [{ ...comparison, state: 'failed', reason: 'the key is wrong', advice: 'Correct it.' }];
    const { code, out, errors } = await run(['compare', '--dry-run']);
    expect({ code, errors }).toEqual({ code: 1, errors: '' });
    expect(out).toMatch(/^reason +the key is wrong\nadvice +Correct it\.$/m);
  }, 60_000);

  test('import takes ids from a file or standard input, in calls of 10,000', async () => {
    const ids = Array.from({ length: 10_001 }, (_, index) => `id ${index}`);
    expect(await run(['import', '-'], ids.join('\n'))).toMatchObject({
      code: 2,
      out: '',
      errors: expect.stringMatching(/^10001 ids/) as unknown,
    });
    expect(called()).toEqual([]);
    writeFileSync(join(folder, 'ids.txt'), `\ufeff${ids.join('\r\n')}\r\n\r\n`);
    expect(await run(['import', 'ids.txt', '--yes', '--json'])).toMatchObject({ code: 0, errors: '' });
    const bodies = called().map(line => json(line.slice(line.indexOf('{')))) as { sdkAppId: string; channelIds: string[] }[];
    expect(bodies.map(body => body.sdkAppId)).toEqual(['1400000001', '1400000001']);
    expect(bodies.flatMap(body => body.channelIds)).toEqual(ids);
    writeFileSync(join(folder, 'utf16.txt'), Buffer.from('a\nb', 'utf16le').fill(0xff, 0, 1));
    expect(await run(['import', 'utf16.txt'])).toMatchObject({ code: 2, errors: 'utf16.txt is not text in UTF-8\n' });
    answers['GET apps'] = [{ items: [], nextCursor: null }];
    expect(await run(['import', 'ids.txt', '--yes'])).toMatchObject({
      code: 2,
      errors: '--app must be one of the apps with a secret key: there is none\n',
    });
  }, 60_000);

  test('verify tells what differs and exits 1; with --repair it says how much before it mends', async () => {
    expect(await run(['verify', 'search'])).toMatchObject({ code: 1, errors: '', out: expect.stringMatching(/^missing +1$/m) as unknown });
    expect(await run(['verify', 'search', '--repair'])).toMatchObject({
      code: 2,
      out: '',
      errors: expect.stringMatching(/^2 documents will be sent again, and 1 surplus document deleted.*--yes/) as unknown,
    });
    expect(called()).toEqual(Array(2).fill('/api/v1/sinks/search/verify {"repair":false}'));
    answers['GET sinks/search/verify'] = [
      { ...verified, state: 'done' },
      { ...verified, state: 'done', repaired: 3 },
    ];
    expect(await run(['verify', 'search', '--repair', '--yes'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^repaired +3$/m) as unknown,
    });
    expect(called().at(-1)).toBe('/api/v1/sinks/search/verify {"repair":true}');
    answers['GET sinks/search/verify'] = [{ ...verified, state: 'failed', missing: 0, older: 0, surplus: 0, error: 'it is down' }];
    expect(await run(['verify', 'search'])).toMatchObject({ code: 1, out: expect.stringMatching(/^error +it is down$/m) as unknown });
    expect(await run(['verify', 'crm'])).toMatchObject({ code: 1, out: '', errors: 'no such\n' });
  }, 60_000);

  test('rebuild says how many before it begins, and shows how far it is on a terminal alone', async () => {
    expect(await run(['rebuild', 'search'])).toMatchObject({
      code: 2,
      out: '',
      errors: expect.stringMatching(/^2400 channels will be sent/) as unknown,
    });
    expect(called()).toEqual([]);
    answers['GET sinks/search/rebuild']!.unshift({ state: 'idle' });
    const { code, out } = await run(['rebuild', 'search', '--yes']);
    expect(code).toBe(0);
    expect(out).toMatch(/^2400 channels .*\nstate +done\ndone +3\ntotal +3\n$/);
    answers['GET sinks/search/rebuild'] = [
      { state: 'idle' },
      { state: 'running', done: 1, total: 3 },
      { state: 'done', done: 3, total: 3 },
    ];
    const shown = await cli.onTerminal(['rebuild', 'search', '--url', server.url], 'y\n');
    expect(shown.code).toBe(0);
    expect(shown.out).toContain('\r\u001b[K1 of 3 channels sent\r\u001b[K');
  }, 60_000);

  test('a try of a sink exits 1 if the sample is not delivered; probe shows the sink', async () => {
    answers['POST sinks/crm/test'] = [{ outcome: 'delivered', status: 200, durationMs: 3, reason: null, advice: null, response: null }];
    expect(await run(['test', 'crm'])).toMatchObject({ code: 0, out: expect.stringMatching(/^outcome +delivered$/m) as unknown });
    answers['POST sinks/crm/test'] = [{ outcome: 'refused', status: 422, response: 'a\nb\u001b[31m' }];
    expect(await run(['test', 'crm'])).toMatchObject({
      code: 1,
      errors: '',
      out: expect.stringMatching(/^response +a\ufffdb\ufffd\[31m$/m) as unknown,
    });
    answers['POST sinks/crm/probe'] = [{ name: 'crm', state: 'down' }];
    answers['POST sinks/crm/test'] = [{ outcome: 'retry', status: 503 }];
    expect((await run(['test', 'crm'])).out).toBe('outcome  retry (a change would be sent again later; a test is not)\nstatus   503\n');
    expect(json((await run(['test', 'crm', '--json'])).out)).toEqual({ outcome: 'retry', status: 503 });
    expect(await run(['probe', 'crm'])).toMatchObject({ code: 0, out: 'name   crm\nstate  down\n' });
    answers['POST sinks/crm/probe'] = [{ name: 'crm', state: 'ok' }];
    const well = 'crm is not stopped: there is nothing to probe.\nname   crm\nstate  ok\n';
    expect(await run(['probe', 'crm'])).toMatchObject({ code: 0, errors: '', out: well });
    expect(json((await run(['probe', 'crm', '--json'])).out)).toEqual({ name: 'crm', state: 'ok' });
    answers['POST sinks/crm/probe'] = [{ name: 'crm', state: 'paused' }];
    expect(await run(['probe', 'crm'])).toEqual({ code: 1, out: '', errors: 'crm is paused: resume it first\n' });
  }, 60_000);

  test('status is 1 while webhooks cannot be kept', async () => {
    answers['GET sinks'] = [{ items: [{ name: 'crm', state: 'down' }], nextCursor: null }];
    answers['GET /readyz'] = [{ status: 'ready', reason: null }];
    expect(await run(['status'])).toMatchObject({ code: 0, errors: '', out: expect.stringMatching(/^service +ready$/m) as unknown });
    answers['GET /readyz'] = [{ status: 'not ready', reason: 'the database does not answer' }];
    const { code, out } = await run(['status', '--json']);
    expect(code).toBe(1);
    expect(json(out)).toMatchObject({ state: 'not ready', reason: 'the database does not answer', sinks: [{ name: 'crm' }] });
  }, 60_000);

  test('colours are for terminals without NO_COLOR', async () => {
    answers['GET sinks'] = [{ items: [{ name: 'crm', state: 'down' }], nextCursor: null }];
    const words = ['sinks', '--url', server.url];
    expect((await cli.onTerminal(words)).out).toContain('\u001b[31mdown\u001b[39m');
    expect((await cli.onTerminal(words, '', { NO_COLOR: '1' })).out).not.toContain('\u001b');
    expect((await cli.run(words, { environment: { FORCE_COLOR: '1' } })).out).not.toContain('\u001b');
  }, 60_000);

  test('lists go on behind an answer, and a closed pipe ends them quietly', async () => {
    const items = Array.from({ length: 500 }, (_, index) => ({ id: String(index), channelId: 'x'.repeat(100) }));
    answers['GET changes'] = [...Array<object>(20).fill({ items, nextCursor: 'on' }), { items, nextCursor: null }];
    const all = await run(['changes', '--limit', '10000']);
    expect(all.out.trimEnd().split('\n')).toHaveLength(10_001);
    expect(server.requests.map(({ path }) => path).slice(0, 2)).toEqual([
      '/api/v1/changes?limit=500',
      '/api/v1/changes?limit=500&cursor=on',
    ]);
    answers['GET changes'] = [{ items, nextCursor: 'on' }];
    for (const form of ['', '--json']) {
      const { code, out, errors } = await new Cli(folder, { MANAGEMENT_TOKEN: token }).piped(
        `changes --limit 10000 ${form} --url ${server.url}`,
        'head -1',
      );
      expect({ code, errors, lines: out.split('\n').length }).toEqual({ code: 0, errors: '', lines: 2 });
    }
  }, 60_000);

  test.each(heldUpCommands)(
    '%s waits no longer where the service is held up for long',
    async name => {
      expect(await heldUp[name]).toMatchObject({
        code: 1,
        out: '',
        errors: expect.stringMatching(/^connection refused\. The service keeps trying/) as unknown,
      });
    },
    60_000,
  );
});
