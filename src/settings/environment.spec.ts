import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { mistakesOf } from '../../test/support/mistakes.ts';
import { clean } from './environment.js';
import { readSettings } from './settings.js';

const minimal = { SDK_APP_IDS: '1400000001' };

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'channel-sync-settings-'))));
afterAll(() => rmSync(folder, { recursive: true }));
function file(name: string, text: string | Buffer): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

/** Characters that editors, shells and copying leave around a value. */
const around = ['\n', '\r\n', '\r', ' ', '\t', '\n\n', '\ufeff', '\u200b', '\u00a0', '\u3000', '\u2028', '\u2060', '\ufeff \r\n'];

/** One setting of each kind, with its text and the parsed value. */
const kinds: [variable: string, value: string, as: unknown][] = [
  ['SDK_APP_IDS', '1400000001', ['1400000001']],
  ['WEBHOOK_TOKENS', 'one,two', ['one', 'two']],
  ['WEBHOOK_BODY_LIMIT', '2mb', 2_097_152],
  ['WEBHOOK_PATH', '/a', '/a'],
  ['PORT', '4000', 4000],
  ['HOST', '127.0.0.1', '127.0.0.1'],
  ['MANAGEMENT_TOKEN', '0123456789abcdef', '0123456789abcdef'],
  ['DATABASE_URL', 'sqlite:a b.db', 'sqlite:a b.db'],
  ['SPOOL_DIR', 'a b', 'a b'],
  ['SILENCE_ALERT_AFTER', '6h', 21_600_000],
  ['COMPARE_EVERY', 'off', null],
  ['COMPARE_RATE_PER_SECOND', '0.5', 0.5],
  ['SINK_S_USERNAME', 'user', 'user'],
  ['SINK_S_PASSWORD', 'pass word', 'pass word'],
  ['SINK_S_INDEX', 'channels', 'channels'],
  ['SINK_S_RATE_PER_SECOND', '0.5', 0.5],
  ['SINK_S_URL', 'https://search:9200', 'https://search:9200'],
  ['SINK_S_TYPE', 'opensearch', undefined],
];

// Regression: user names and paths kept characters that other settings trimmed or rejected.
test.each(around)('every setting is the same with %j around it, as a variable and as a file', edge => {
  for (const [before, after] of [
    ['', edge],
    [edge, ''],
    [edge, edge],
  ] as const) {
    const surround = (value: string): string => before + value + after;
    const variables = kinds.map(([name, value]) => [name, surround(value)]);
    const files = kinds.map(([name, value]) => [`${name}_FILE`, surround(file(name, surround(value)))]);
    for (const environment of [variables, files]) {
      const settings = readSettings(Object.fromEntries(environment) as Record<string, string>);
      const all = {
        ...settings,
        ...Object.fromEntries(Object.entries(settings.sinks[0]!.settings).map(([name, as]) => [`SINK_S_${name}`, as])),
      };
      for (const [name, , as] of kinds) expect([name, all[name as keyof typeof all]]).toEqual([name, as]);
    }
  }
});

test('nothing but what is invisible goes, and only around the value', () => {
  const edge = fc.array(fc.constantFrom(...around, '\0', '\u200f')).map(parts => parts.join(''));
  const visible = fc.string({ minLength: 1, unit: 'grapheme-ascii' }).filter(text => /^\S(.*\S)?$/.test(text));
  const whole = fc.tuple(visible, edge, visible).map(parts => parts.join(''));
  fc.assert(fc.property(edge, whole, edge, (before, value, after) => expect(clean(before + value + after)).toBe(value)));
});

// Regression: the start hung on 150 kB of blanks inside a value.
test('a long run of blanks inside costs no more than its length', () => {
  const value = `x${' \n'.repeat(200_000)}x`;
  const before = performance.now();
  expect(clean(value)).toBe(value);
  expect(performance.now() - before).toBeLessThan(1000);
});

test('set but empty is unset, also with nothing but white space, and as a file', () => {
  for (const empty of ['', ' ', '\r\n', '\ufeff', '\u200b']) {
    expect(readSettings({ ...minimal, PORT: empty, WEBHOOK_TOKENS: empty, WEBHOOK_TOKNES: empty })).toMatchObject({ PORT: 3000 });
    expect(readSettings({ ...minimal, PORT_FILE: file('empty', empty), HOST_FILE: empty })).toMatchObject({ PORT: 3000 });
    expect(mistakesOf({ SDK_APP_IDS: empty })).toEqual(['SDK_APP_IDS is required']);
  }
  expect(readSettings({ ...minimal, PORT: ' ', PORT_FILE: file('port', '4000') }).PORT).toBe(4000);
});

describe('_FILE', () => {
  test('both given, or a file that cannot be read, is a mistake', () => {
    expect(mistakesOf({ ...minimal, PORT: '1', PORT_FILE: file('port', '2') })).toEqual([
      'PORT and PORT_FILE are both set: keep one of them',
    ]);
    expect(mistakesOf({ SDK_APP_IDS_FILE: join(folder, 'none'), SINK_A_TYPE_FILE: folder })).toEqual([
      'SDK_APP_IDS_FILE names a file that cannot be read (ENOENT)',
      'SINK_A_TYPE_FILE names a file that cannot be read (EISDIR)',
    ]);
  });

  // Regression: the start waited forever for the other end of the pipe.
  test('what may never end or is far too large is a mistake', () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const large = file('large', 'x'.repeat(2 ** 20 + 1));
    expect(mistakesOf({ SDK_APP_IDS_FILE: pipe, HOST_FILE: '/dev/zero', MANAGEMENT_TOKEN_FILE: large })).toEqual([
      'SDK_APP_IDS_FILE names a file that is no regular file',
      'HOST_FILE names a file that is no regular file',
      'MANAGEMENT_TOKEN_FILE names a file that is larger than 1 MB',
    ]);
  });

  test('a file that is not UTF-8, such as what PowerShell writes, is a mistake', () => {
    const utf16 = Buffer.from('\ufeff1400000001\r\n', 'utf16le');
    for (const bytes of [utf16, utf16.subarray(2), Buffer.from('密', 'utf8').subarray(1)])
      expect(mistakesOf({ SDK_APP_IDS_FILE: file('utf16', bytes) })).toEqual(['SDK_APP_IDS_FILE names a file that is not text in UTF-8']);
  });
});

describe('as people type them', () => {
  test.each(['1_000', '10 000', '1e3', '0x10', '٣', '１０', '5.0', '+5', '1,000', 'ten', '5s'])(
    'the whole number %s is a mistake',
    text => {
      const mistakes = mistakesOf({ ...minimal, RETENTION_DAYS: text, PORT: text, SINK_A_TYPE: 'log', SINK_A_TIMEOUT_MS: text });
      expect(mistakes.map(line => line.split(' ', 1)[0])).toEqual(['PORT', 'RETENTION_DAYS', 'SINK_A_TIMEOUT_MS']);
    },
  );

  // Seen failing: "must be an integer number" did not say what is wrong with 90d.
  test('the range and the unit of a whole number are told', () => {
    const given = { WEBHOOK_SIGN_WINDOW_SECONDS: '1m', PORT: '65536', RETENTION_DAYS: '90d', SINK_A_TYPE: 'log', SINK_A_TIMEOUT_MS: '5s' };
    expect(mistakesOf({ ...minimal, ...given, SINK_A_CONCURRENCY: '0' })).toEqual([
      'WEBHOOK_SIGN_WINDOW_SECONDS must be a whole number from 1 to 86400, in seconds, without a unit',
      'PORT must be a whole number from 0 to 65535',
      'RETENTION_DAYS must be a whole number from 1 to 36500, in days, without a unit',
      'SINK_A_TIMEOUT_MS must be a whole number from 1 to 300000, in milliseconds, without a unit',
      'SINK_A_CONCURRENCY must be a whole number from 1 to 1000',
    ]);
  });

  test('one of several words is told in one way', () => {
    const sinks = { SINK_A_TYPE: 'slack', SINK_A_WEBHOOK_URL: 'http://a/', SINK_A_LOCALE: 'de', SINK_A_CARDS: 'some', SINK_B_TYPE: 'none' };
    expect(mistakesOf({ ...minimal, ...sinks, LOG_LEVEL: 'loud' })).toEqual([
      'LOG_LEVEL must be error, warn, info or debug',
      'SINK_A_CARDS must be all, problems or none',
      'SINK_A_LOCALE must be en or zh-CN',
      'SINK_B_TYPE must be webhook, slack, opensearch, elasticsearch, meilisearch or log',
    ]);
  });

  // Seen failing: HOST=localhost:3000 passed `check`.
  test.each(['localhost:3000', 'http://localhost', '127.0.0.1:3000', '[::1]:3000', '[::]', 'a b', '10.0.0.0/8'])(
    'the host %s is a mistake',
    text =>
      expect(mistakesOf({ ...minimal, HOST: text, MANAGEMENT_HOST: text })).toEqual(
        ['HOST', 'MANAGEMENT_HOST'].map(name => `${name} must be an IP address or a host name, without scheme and port`),
      ),
  );
  test.each(['localhost', '::', 'fe80::1%eth0', 'my_host.example.com.'])('the host %s is none', HOST =>
    expect(mistakesOf({ ...minimal, HOST })).toEqual([]),
  );

  // Seen failing: the blank was not told, and is easily overlooked.
  test('a blank in a URL is told', () => {
    const sinks = {
      SINK_A_TYPE: 'webhook',
      SINK_A_URL: 'https://crm.example.com/a b',
      SINK_S_TYPE: 'opensearch',
      SINK_S_URL: 'http://s: 9200',
    };
    expect(mistakesOf({ ...minimal, ...sinks, PUBLIC_URL: 'https://a /', MANAGEMENT_TOKEN: '0123456789abcdef' })).toEqual(
      ['PUBLIC_URL', 'SINK_A_URL', 'SINK_S_URL'].map(
        name => `${name} must be an http or https URL without blanks: in a path or query write %20`,
      ),
    );
    expect(mistakesOf({ ...minimal, SINK_A_TYPE: 'webhook', SINK_A_URL: 'https://crm.example.com/{{ data.channelId }}' })).toEqual([]);
  });

  // Regression: the rate was read as 16 a second.
  test.each(['0x10', '1e3', '1_0', '0,5', '٣', '5/s', '.'])('a rate of %s is a mistake', text =>
    expect(mistakesOf({ ...minimal, SINK_A_TYPE: 'log', SINK_A_RATE_PER_SECOND: text })).toHaveLength(1),
  );

  test('a list may end with a comma and have blanks; other separators are a mistake and never one long word', () => {
    const read = (WEBHOOK_TOKENS: string) => readSettings({ ...minimal, WEBHOOK_TOKENS }).WEBHOOK_TOKENS;
    for (const text of ['one,two,', ' one ,, two', 'one,\r\ntwo\n', '\ufeffone,\ufefftwo']) expect(read(text)).toEqual(['one', 'two']);
    for (const text of ['one，two', 'one、two', 'one\ntwo', 'one\rtwo,three'])
      expect(mistakesOf({ ...minimal, WEBHOOK_TOKENS: text, SINK_A_TYPE: 'log', SINK_A_CHANNELS: text })).toEqual([
        'WEBHOOK_TOKENS must be separated by commas (,) alone, not by line breaks or Chinese commas',
        'SINK_A_CHANNELS must be separated by commas (,) alone, not by line breaks or Chinese commas',
      ]);
    expect(mistakesOf({ ...minimal, WEBHOOK_TOKENS: ',' })).toEqual([expect.stringMatching(/^WEBHOOK_TOKENS /)]);
  });

  test('quotes that docker run --env-file has kept are a mistake; those of a file are part of the value', () => {
    for (const quoted of [
      '"planted-planted-1"',
      "'planted-planted-1'",
      ' `planted-planted-1` ',
      '“planted-planted-1”',
      '„planted-planted-1“',
      '‘planted-planted-1’',
      '「planted-planted-1」',
      '""',
    ]) {
      expect(mistakesOf({ ...minimal, MANAGEMENT_TOKEN: quoted, WEBHOOK_TOKENS: quoted, SINK_A_TYPE: quoted })).toEqual(
        ['MANAGEMENT_TOKEN', 'WEBHOOK_TOKENS', 'SINK_A_TYPE'].map(
          name => `${name} is in quotes, which count as part of the value: remove them`,
        ),
      );
    }
    expect(readSettings({ ...minimal, WEBHOOK_TOKENS_FILE: file('quoted', '"a"\n') }).WEBHOOK_TOKENS).toEqual(['"a"']);
    for (const kept of [`it's`, '"a"b', 'a"b"', '{"a":"b"}']) expect(mistakesOf({ ...minimal, WEBHOOK_TOKENS: kept })).toEqual([]);
  });

  // Regression: the quote was part of the token, and every webhook was lost as 401.
  describe('half of a pair of quotes', () => {
    const remedy = (name: string) => `: remove it, or put the value into the file of ${name}_FILE if it belongs to it`;

    test.each([`'planted`, '"planted', '`planted', '“planted', '"', `"planted'`])('at the start is a mistake: %s', text =>
      expect(mistakesOf({ ...minimal, WEBHOOK_TOKENS: text, SINK_A_TYPE: text })).toEqual(
        ['WEBHOOK_TOKENS', 'SINK_A_TYPE'].map(name => `${name} begins with a quote that nothing closes${remedy(name)}`),
      ),
    );
    test.each([`planted'`, 'planted"', 'pl[ant]ed`', 'planted”', `it"s planted'`])('at the end is a mistake: %s', text =>
      expect(mistakesOf({ ...minimal, MANAGEMENT_TOKEN: text })).toEqual([
        `MANAGEMENT_TOKEN ends with a quote that nothing opens${remedy('MANAGEMENT_TOKEN')}`,
      ]),
    );

    test('is none where it may belong to the value', () => {
      const search = { SINK_S_TYPE: 'opensearch', SINK_S_URL: `http://us:it's@search`, SINK_A_TYPE: 'webhook', SINK_A_URL: 'http://a/' };
      for (const SINK_A_SUCCESS of ['answer.code == "0"', `"0" == answer.code`, `answer contains '"'`])
        expect(mistakesOf({ ...minimal, ...search, SINK_A_SUCCESS })).toEqual([]);
      const text = { SINK_A_TEMPLATE: `'Tis {{ data.channelId }}`, SINK_A_CONTENT_TYPE: 'text/plain' };
      expect(mistakesOf({ ...minimal, ...search, ...text })).toEqual([]);
      expect(readSettings({ ...minimal, WEBHOOK_TOKENS_FILE: file('half', `'a\n`) }).WEBHOOK_TOKENS).toEqual([`'a`]);
    });
  });

  // Regression: a quote in .env that a later line closed took all lines between into the value.
  test('a line break is a mistake where a value has one line, also in a file', () => {
    const lines = 'a\nB=planted\r\nC=c';
    const log = { SINK_A_TYPE: 'log' };
    const problem = 'must be one line: in .env, close its quotes where they open';
    for (const name of ['DATABASE_URL', 'SPOOL_DIR', 'HOST', 'LOG_LEVEL', 'SINK_A_TIMEOUT_MS'])
      for (const given of [{ [name]: lines }, { [`${name}_FILE`]: file('lines', lines) }])
        expect(mistakesOf({ ...minimal, ...log, ...given })).toEqual([`${name} ${problem}`]);
    for (const name of ['HTTPS_PROXY', 'SINK_A_SDK_APP_IDS', 'WEBHOOK_TOKENS', 'SINK_A_TYPE'])
      expect(mistakesOf({ ...minimal, ...log, [name]: name === 'HTTPS_PROXY' ? `http://${lines}` : lines })).toEqual([
        expect.stringMatching(`^${name} must be `),
      ]);
    const own = { SINK_W_TYPE: 'webhook', SINK_W_URL: 'http://crm/{% if true %}\n{% endif %}', SINK_W_HEADERS: '{\n"a":"b"\n}' };
    expect(mistakesOf({ ...minimal, ...own, SINK_W_TEMPLATE: '{\n}', SINK_W_SUCCESS: 'status\n== 200' })).toEqual([]);
  });

  test.each([
    'https://crm.example.com/a b',
    'crm.example.com',
    'https：//crm.example.com',
    'https//crm',
    'ftp://crm',
    'https://',
    'https://cr m/',
  ])('the URL %s is a mistake', url => {
    const [one, ...others] = mistakesOf({ ...minimal, SINK_A_TYPE: 'webhook', SINK_A_URL: url });
    expect([one, others]).toEqual([expect.stringMatching(/^SINK_A_URL must be /), []]);
  });
});
