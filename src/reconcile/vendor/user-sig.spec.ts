import { inflateSync } from 'node:zlib';
import { userSigFault } from '../../../test/support/fake-vendor.ts';
import { userSigOf } from './user-sig.js';

const key = '0123456789abcdef'.repeat(4);
const published =
  'eJxVyjELwjAUBOD-8mYpqUSNAZd2kNbooqJr5KX2UZqGNNaA*N*FWgdvu*-uBSd1TAbjQcI8YTAbO6GxgSoaWWNLlvrgdej8dOix0c4Rgkw5m-JdArUGZLr6VxMdeQNSLPmPerqDhLV*XsxZiX2Mt8wKrDNWDo*Olbui5njIVbMtrtwuKmQbeH8Atbkz1Q__';
const inflated = (userSig: string): string =>
  inflateSync(Buffer.from(userSig.replaceAll('*', '+').replaceAll('-', '/').replaceAll('_', '='), 'base64')).toString();

test('the published vector', () => {
  // Different zlib builds may compress differently.
  expect(inflated(userSigOf('1400000000', 'administrator', key, 1_700_000_000_999))).toBe(inflated(published));
  expect(inflated(published)).toContain('"TLS.sig":"9awWeUL8MxxbBn8dhB0Jvuo0JKIh4dNCLkGIX4n5fd0="');
});

test.each(['administrator', 'a "quoted" name', '管理员'])('another implementation of the check takes it: %s', identifier => {
  for (const appId of ['1400000001', '12345678901234567890']) {
    const userSig = userSigOf(appId, identifier, key, Date.now());
    expect(userSig).toMatch(/^[A-Za-z0-9*_-]+$/);
    expect(userSigFault(userSig, identifier, appId, key)).toBeNull();
    expect(userSigFault(userSig, identifier, appId, `${key}0`)).toBe(70009);
    expect(userSigFault(userSig, 'someone', appId, key)).toBe(70013);
    expect(userSigFault(userSig, identifier, '1400000002', key)).toBe(70014);
    expect(userSigFault(userSigOf(appId, identifier, key, Date.now() - 86_402_000), identifier, appId, key)).toBe(70001);
  }
  expect(userSigFault('nonsense', identifier, '1', key)).toBe(70003);
});
