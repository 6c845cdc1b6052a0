import { type Refusals, isDue, withRefusal } from './refusals.js';

const [second, minute, hour] = [1000, 60_000, 3_600_000];
const refusedAt = (...times: [number, string?][]): Refusals =>
  times.reduce<Refusals | undefined>((before, [at, result = 'unavailable']) => withRefusal(before, result, at), undefined)!;

test('once a minute has passed without another, ten minutes after the first at the latest', () => {
  expect(isDue(refusedAt([0]), minute - 1, Infinity)).toBe(false);
  expect(isDue(refusedAt([0]), minute, Infinity)).toBe(true);
  expect(isDue(refusedAt([0], [50 * second]), minute, Infinity)).toBe(false);
  const going = refusedAt(...Array.from({ length: 13 }, (_, index): [number] => [index * 50 * second]));
  expect([isDue(going, 599 * second, Infinity), isDue(going, 600 * second, Infinity)]).toEqual([false, true]);
});

test('because of what anybody can have refused once an hour at most, because of ours always', () => {
  for (const result of ['unauthorized', 'invalid', 'too_large']) {
    expect(isDue(refusedAt([0, result]), minute, hour - 1)).toBe(false);
    expect(isDue(refusedAt([0, result]), minute, hour)).toBe(true);
    expect(isDue(refusedAt([0, result], [1, 'unavailable'], [2, result]), minute + 2, 0)).toBe(true);
  }
});
