import { secretsOf } from './secrets.js';
import { readSettings } from './settings.js';

const user = Buffer.from('admin:basic-password').toString('base64');

test('every secret is found: in lists, in objects, in URLs as sent and as meant', () => {
  const found = secretsOf(
    readSettings({
      SDK_APP_IDS: '1400000001',
      WEBHOOK_TOKENS: 'first-token,second-token,abc',
      DATABASE_URL: 'postgres://postgres:p%40ss-word@127.0.0.1/db',
      HTTPS_PROXY: 'http://proxy-user:proxy%2Fword@127.0.0.1:3128',
      SINK_CRM_TYPE: 'webhook',
      SINK_CRM_URL: 'https://user:pass%zz@crm.example.com/hooks/0123456789abcdef?key=query%2Fkey&v=2',
      SINK_CRM_HEADERS: `{"X-Api-Key":"header-key","Accept":"application/json","X-Tenant":"main","X-Bearer":"Bearer bearer-token","X-Basic":"Basic ${user}"}`,
      SINK_CRM_SECRETS: `whsec_${'A'.repeat(32)}`,
    }),
  );
  const [database, crm] = [
    'postgres://postgres:p%40ss-word@127.0.0.1/db',
    'https://user:pass%zz@crm.example.com/hooks/0123456789abcdef?key=query%2Fkey&v=2',
  ];
  const texts = [database, crm, 'first-token', 'second-token', 'p%40ss-word', 'p@ss-word', 'pass%zz', 'user', 'header-key'];
  texts.push(
    'proxy-user',
    'proxy%2Fword',
    'proxy/word',
    '0123456789abcdef',
    'query%2Fkey',
    'query/key',
    'Bearer bearer-token',
    'bearer-token',
  );
  texts.push(`Basic ${user}`, user, 'admin:basic-password', 'basic-password', `whsec_${'A'.repeat(32)}`, 'A'.repeat(32));
  expect(found.toSorted()).toEqual(texts.toSorted());
  // A shorter one may be part of a longer one.
  expect(found.map(text => text.length)).toEqual(found.map(text => text.length).toSorted((one, other) => other - one));
});

test.each([
  ['postgres://app:socket%2Fword@/db?host=/run/postgresql', ['socket%2Fword', 'socket/word']],
  ['postgres://app@127.0.0.1/db?password=query%2Fword', ['query/word']],
])('the password of a database is found wherever its URL has it: %s', (DATABASE_URL, passwords) => {
  const found = secretsOf(readSettings({ SDK_APP_IDS: '1400000001', DATABASE_URL }));
  expect(found.toSorted()).toEqual([DATABASE_URL, ...passwords].toSorted());
});

test('what the address of a collector holds is found', () => {
  const OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = 'https://trace-user:trace-word@collector.example.com/0123456789abcdef?key=trace-key';
  const found = secretsOf(readSettings({ SDK_APP_IDS: '1400000001', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT }));
  expect(found).toEqual(expect.arrayContaining(['trace-user', 'trace-word', 'trace-key', '0123456789abcdef']));
});
