import { secretsOf } from './secrets.js';
import { readSettings } from './settings.js';

test('every secret is found: in lists, in objects, in URLs as sent and as meant', () => {
  const found = secretsOf(
    readSettings({
      SDK_APP_IDS: '1400000001',
      WEBHOOK_TOKENS: 'first-token,second-token,abc',
      DATABASE_URL: 'postgres://postgres:p%40ss-word@127.0.0.1/db',
      SINK_CRM_TYPE: 'webhook',
      SINK_CRM_URL: 'https://user:pass%zz@crm.example.com/hook',
      SINK_CRM_HEADERS: '{"X-Api-Key":"header-key"}',
    }),
  );
  const [database, crm] = ['postgres://postgres:p%40ss-word@127.0.0.1/db', 'https://user:pass%zz@crm.example.com/hook'];
  const texts = [database, crm, 'first-token', 'second-token', 'p%40ss-word', 'p@ss-word', 'pass%zz', 'user', 'header-key'];
  expect(found.toSorted()).toEqual(texts.toSorted());
  // A shorter one may be part of a longer one.
  expect(found.map(text => text.length)).toEqual(found.map(text => text.length).toSorted((one, other) => other - one));
});
