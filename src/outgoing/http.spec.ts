import fc from 'fast-check';
import { expectNoLeak } from '../../test/sink.contract.ts';
import { classifyNetworkError, classifyStatus, retryAfterMs, userAgent } from './http.js';
import { Misconfigured, Refused, SinkError, TryAgain } from '../sinks/errors.js';

const hourMs = 3_600_000;
const now = Date.parse('2026-11-23T12:00:00Z');

describe('Retry-After', () => {
  it('is never negative, never over an hour, never NaN, whatever the header', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.anything(), fc.date().map(String), fc.bigInt().map(String)), header => {
        const ms = retryAfterMs(header, now);
        expect(ms).toBeGreaterThanOrEqual(0);
        expect(ms).toBeLessThanOrEqual(hourMs);
      }),
    );
  });

  it('is seconds, up to an hour', () => {
    fc.assert(
      fc.property(fc.nat(), seconds => {
        expect(retryAfterMs(String(seconds), now)).toBe(Math.min(seconds * 1000, hourMs));
        expect(retryAfterMs(` ${seconds} `, now)).toBe(Math.min(seconds * 1000, hourMs));
      }),
    );
  });

  it('is a date, up to an hour ahead', () => {
    fc.assert(
      fc.property(fc.integer({ min: -2_000_000, max: 2_000_000 }), seconds => {
        const date = new Date(now + seconds * 1000).toUTCString();
        expect(retryAfterMs(date, now)).toBe(Math.min(Math.max(seconds * 1000, 0), hourMs));
      }),
    );
  });

  it('may have a fraction', () => expect(retryAfterMs('1.5', now)).toBe(1500));

  it('is a date in any of the formats of HTTP, or in ISO 8601, and UTC without a zone', () => {
    const dates = ['Mon, 23 Nov 2026 12:00:30 GMT', 'Monday, 23-Nov-26 12:00:30 GMT', 'Mon Nov 23 12:00:30 2026', '2026-11-23T12:00:30Z'];
    dates.push('Mon, 23 Nov 2026 12:00:30', 'Mon, 23 Nov 2026 20:00:30 +0800', '2026-11-23T12:00:30', '2026-11-23T20:00:30.000+08:00');
    for (const date of dates) expect([date, retryAfterMs(date, now)]).toEqual([date, 30_000]);
  });

  it.each([
    undefined,
    null,
    '',
    '  ',
    'soon',
    '1.5 h',
    '-40',
    '-40.5',
    '35.5 s',
    '+40',
    '2040-',
    'try 2027',
    'Mon 5',
    'June 2040',
    5,
    ['5'],
    '9'.repeat(400) + 'x',
  ])('is 0 for %p', header => {
    expect(retryAfterMs(header, now)).toBe(0);
  });
});

describe('the status table', () => {
  const misconfigured = [...Array.from({ length: 100 }, (_, index) => 300 + index), 401, 403, 404, 410];
  const retried = (status: number): boolean => [408, 425, 429].includes(status) || status >= 500 || status < 200;

  it('gives each status one class, its advice and itself', () => {
    fc.assert(
      fc.property(fc.oneof(fc.integer({ min: 0, max: 199 }), fc.integer({ min: 300, max: 999 })), status => {
        const error = classifyStatus(status, undefined, now);
        expect(error).toBeInstanceOf(misconfigured.includes(status) ? Misconfigured : retried(status) ? TryAgain : Refused);
        expect(error).toMatchObject({ status, message: expect.stringContaining(String(status)) });
      }),
      { numRuns: 1000 },
    );
  });

  it('has advice of its own for a target that limits how fast we may send', () => {
    expect([429, 503].map(status => classifyStatus(status, undefined, now)?.advice)).toEqual([['slow_down'], ['wait']]);
  });

  it('counts every 2xx as delivered', () => {
    for (let status = 200; status < 300; status += 1) expect(classifyStatus(status, '60', now)).toBeNull();
  });

  it('obeys Retry-After only where it is tried again', () => {
    fc.assert(
      fc.property(fc.integer({ min: 300, max: 599 }), status => {
        const error = classifyStatus(status, '60', now);
        expect(error instanceof TryAgain ? error.retryAfterMs : null).toBe(retried(status) ? 60_000 : null);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('failures below HTTP', () => {
  it.each([
    ['ECONNREFUSED', TryAgain, 'connection refused'],
    ['ECONNRESET', TryAgain, 'connection reset'],
    ['ETIMEDOUT', TryAgain, 'timed out'],
    ['EAI_AGAIN', TryAgain, 'the host name cannot be looked up at the moment'],
    ['EMFILE', TryAgain, 'this service has no file descriptors left'],
    ['ENFILE', TryAgain, 'this service has no file descriptors left'],
    ['constructor', TryAgain, 'network error'],
    ['ENOTFOUND', Misconfigured, 'unknown host'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', Misconfigured, 'TLS failed (DEPTH_ZERO_SELF_SIGNED_CERT)'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', Misconfigured, 'TLS failed (ERR_TLS_CERT_ALTNAME_INVALID)'],
    ['CERT_HAS_EXPIRED', Misconfigured, 'TLS failed (CERT_HAS_EXPIRED)'],
    ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', Misconfigured, 'TLS failed (ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE)'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', Misconfigured, 'TLS failed (UNABLE_TO_VERIFY_LEAF_SIGNATURE)'],
  ])('%s', (code, kind, message) => {
    const plain = Object.assign(new Error('x'), { code });
    const wrappings = [plain, new Error('fetch failed', { cause: plain }), { original: plain }, new AggregateError([plain])];
    for (const error of wrappings) {
      const classified = classifyNetworkError(error);
      expect(classified).toBeInstanceOf(kind);
      expect(classified.message).toBe(message);
    }
  });

  it('are told without a word of the original, whatever was thrown', () => {
    fc.assert(
      fc.property(fc.anything(), fc.string(), (thrown, code) => {
        expect(classifyNetworkError(thrown)).toBeInstanceOf(SinkError);
        const error = Object.assign(new Error('planted-text'), { code, url: 'http://planted-text' });
        expectNoLeak(classifyNetworkError(error), ['planted-text']);
      }),
    );
  });

  it('do not follow causes for ever', () => {
    const error: { cause?: unknown } = {};
    error.cause = error;
    expect(classifyNetworkError(error).message).toBe('network error');
  });
});

it('names itself with its version', () => {
  expect(userAgent).toMatch(/^channel-sync\/\d+\.\d+\.\d+/);
});
