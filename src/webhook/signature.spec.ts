import fc from 'fast-check';
import { eventTimeOf } from './webhook.dto.js';
import { signatureFault } from './guards.js';

const signatureMatches = (...args: Parameters<typeof signatureFault>): boolean => signatureFault(...args) === null;

// The worked example of document 34354, and counterexamples: a wrong token, and an HMAC instead of the plain hash.
const vectors = [
  ['xxxxyyyy', '1669872112', '17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061', true],
  ['s3cretToken-example', '1700000000', 'dce8e0ac69e39943dd9192b7be6a7f56888c80874e4ec7d5cab42f603bd18bc3', true],
  ['令牌', '1700000000', 'f07c084b29615645866fc1be4f0541bbc8256d9910fdde2da1a5ee54d63b3792', true],
  ['xxxyyy', '1669872112', '17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061', false],
  ['xxxxyyyy', '1669872112', 'cf781b400da849aa896596faa74a65524e67e9300f9689504058d6dfb48c9184', false],
] as const;

test.each(vectors)('token %s at %s: %s is %s', (token, time, sign, expected) => {
  expect(signatureMatches(sign, time, [token], Number(time) * 1000, 60)).toBe(expected);
  expect(signatureMatches(sign.toUpperCase(), time, ['other', token], Number(time) * 1000, 60)).toBe(expected);
});

test('the window holds both ways and its edges are inside', () => {
  const [token, time, sign] = vectors[0];
  const at = (seconds: number, ms = 0) => signatureMatches(sign, time, [token], (Number(time) + seconds) * 1000 + ms, 60);
  expect([at(-60), at(60), at(60, 999), at(0)]).toEqual([true, true, true, true]);
  expect([at(-61), at(61)]).toEqual([false, false]);
});

test('nothing but a text of the right form gets as far as a comparison, and nothing throws', () => {
  fc.assert(
    fc.property(fc.anything(), fc.anything(), (sign, time) => {
      expect(signatureMatches(sign, time, ['xxxxyyyy'], 1_669_872_112_000, 60)).toBe(false);
    }),
  );
});

describe('EventTime', () => {
  const arrival = Date.UTC(2026, 0, 1);
  test.each([
    [1670574414123, 1670574414123],
    ['1670574414123', 1670574414123],
    ['00000000001670574414123', 1670574414123],
    [arrival + 600_000, arrival + 600_000],
    [Date.UTC(2010, 0, 1), Date.UTC(2010, 0, 1)],
  ])('%p is taken', (given, eventTime) => expect(eventTimeOf(given, arrival)).toEqual({ eventTime, eventTimeEstimated: false }));

  test.each([
    undefined,
    null,
    '',
    'abc',
    '16705744141.5',
    1.5,
    Number.NaN,
    -1,
    0,
    Date.UTC(2010, 0, 1) - 1,
    arrival + 600_001,
    '9'.repeat(16),
    {},
    [],
    true,
    '１６７０５７４４１４１２３',
  ])('%p is replaced by the arrival', given =>
    expect(eventTimeOf(given, arrival)).toEqual({ eventTime: arrival, eventTimeEstimated: true }),
  );
});

test('what is wrong is told, and how far the time is from our clock', () => {
  const [token, time, sign] = vectors[0];
  const at = (secondsAhead: number) => (Number(time) - secondsAhead) * 1000;
  const fault = (given: { sign?: unknown; time?: unknown }, secondsAhead = 0, by: string = token) =>
    signatureFault('sign' in given ? given.sign : sign, 'time' in given ? given.time : time, [by], at(secondsAhead), 60);
  expect(fault({})).toBeNull();
  expect(fault({}, 90)).toEqual({ cause: 'clock', secondsAhead: 90 });
  expect(fault({}, -61)).toEqual({ cause: 'clock', secondsAhead: -61 });
  expect(fault({}, 7, 'another')).toEqual({ cause: 'signature', secondsAhead: 7 });
  for (const none of [undefined, '']) expect(fault({ sign: none }, 3)).toEqual({ cause: 'unsigned', secondsAhead: 3 });
  for (const odd of [[sign, sign], 'x', `${sign}0`]) expect(fault({ sign: odd }, 3)).toEqual({ cause: 'signature', secondsAhead: 3 });
  for (const odd of [undefined, [time, time], '1', `${time}000`, '١٦٦٩٨٧٢١١٢'])
    expect(fault({ time: odd })).toEqual({ cause: 'signature', secondsAhead: null });
});
