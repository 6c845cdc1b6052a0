import fc from 'fast-check';
import { matches, wants } from '../sinks/filters.js';
import { backOffMs, paceFree, paceNextAt, paceTake } from './retry.js';

describe('back-off', () => {
  const dice = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

  test('starts with 1–5 s, grows, and never exceeds 15 min', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), dice, (failures, random) => {
        const ms = backOffMs(failures, random);
        expect(ms).toBeGreaterThanOrEqual(1000);
        expect(ms).toBeLessThanOrEqual(failures === 1 ? 5000 : 900_000);
        expect(backOffMs(failures + 1, random)).toBeGreaterThanOrEqual(ms);
      }),
    );
  });
});

describe('pace', () => {
  test('lets start what the rate allows and a twentieth of a second more, and tells when the next may', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.1, max: 100, noNaN: true }), fc.array(fc.integer({ min: 0, max: 3000 })), (perSecond, steps) => {
        let usedUpAt: number | null = null;
        let [now, started] = [0, 0];
        for (const step of steps) {
          now += step;
          const free = paceFree(usedUpAt, perSecond, now);
          usedUpAt = paceTake(usedUpAt, perSecond, now, free);
          started += free;
          expect(started).toBeLessThanOrEqual(Math.max(1, perSecond / 20) + (now / 1000) * perSecond + 1e-6);
          now = Math.max(now, paceNextAt(usedUpAt, perSecond));
          expect(paceFree(usedUpAt, perSecond, now)).toBeGreaterThanOrEqual(1);
        }
      }),
    );
  });
});

describe('filters', () => {
  test.each([
    ['*', 'anything', true],
    ['@TOA#_shop_*', '@TOA#_shop_news', true],
    ['@TOA#_shop_*', '@TOA#_other', false],
    ['a?c', 'abc', true],
    ['a?c', 'a😀c', true],
    ['a?c', 'ac', false],
    ['*a*b', 'xaxxb', true],
    ['*a*b', 'xaxxbc', false],
    ['a.c', 'abc', false],
  ])('%s on %s: %s', (pattern, text, expected) => expect(matches(pattern, text)).toBe(expected));

  test('no pattern is slow', () => {
    const startedAt = performance.now();
    matches('*a'.repeat(100), 'a'.repeat(255) + 'b');
    expect(performance.now() - startedAt).toBeLessThan(200);
  });

  // Regression: this took 30 ms per webhook with 30,000 ids.
  test('no list is slow', () => {
    const filters = { channels: [...Array.from({ length: 100_000 }, (_, index) => `@TOA#_shop_${index}`), '@TOA#_news_*'] };
    const change = { sdkAppId: '1', existenceChanged: true, fields: [] };
    const wanted = (channelId: string): boolean => wants(filters, { ...change, channelId });
    const startedAt = performance.now();
    for (let index = 0; index < 2000; index++) expect(wanted(`@TOA#_shop_${99_000 + index}`)).toBe(index < 1000);
    expect([wanted('@TOA#_news_1'), wanted('@TOA#_new')]).toEqual([true, false]);
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });

  test('a change of existence is wanted whatever the fields, but not of another channel or app', () => {
    const change = { sdkAppId: '1', channelId: 'a', existenceChanged: true, fields: [] };
    expect(wants({ fields: ['name'] }, change)).toBe(true);
    expect(wants({ fields: ['name'] }, { ...change, existenceChanged: false })).toBe(false);
    expect(wants({ channels: ['b*'] }, change)).toBe(false);
    expect(wants({ sdkAppIds: ['2'] }, change)).toBe(false);
  });
});
