import { Arrivals } from './arrivals.js';

const day = 86_400_000;
const start = Date.UTC(2026, 0, 1);

test.each([start + 10 * 365 * day, start + 2 * day, start + 8 * 365 * day])(
  'a clock at %d is ahead: a day is believed at most, in order',
  at => {
    let monotonic = 0;
    const arrivals = new Arrivals(start, () => monotonic);
    let before = start;
    for (let count = 0; count < 20; count++) {
      const clamped = arrivals.clamp(at + monotonic, null);
      expect(clamped).toBeGreaterThan(before);
      expect(clamped).toBeLessThanOrEqual(start + day);
      // Webhooks with an EventTime do not change that.
      arrivals.clamp(at + monotonic, start + monotonic);
      before = clamped;
      monotonic += 60_000;
    }
  },
);

test('with a clock that is right every arrival is believed, also after days without any, and after an old EventTime', () => {
  let monotonic = 0;
  const arrivals = new Arrivals(start, () => monotonic);
  for (const waited of [0, 1, day, 40 * day, 5]) {
    monotonic += waited;
    arrivals.clamp(start + monotonic, Date.UTC(2022, 11, 9));
    expect(arrivals.clamp(start + monotonic, null)).toBe(start + monotonic);
  }
});

test('the first arrival ever is believed, and one that the vendor confirms, after a long time without the service', () => {
  expect(new Arrivals(null, () => 0).clamp(start, null)).toBe(start);
  const arrivals = new Arrivals(start, () => 0);
  expect(arrivals.clamp(start + 90 * day, start + 90 * day - 300)).toBeLessThanOrEqual(start + day);
  expect(arrivals.clamp(start + 90 * day, null)).toBe(start + 90 * day);
});

test('a clock that is years behind what the vendor has confirmed is believed a day of it, and no other', () => {
  const behind = start - 10 * 365 * day;
  const arrivals = new Arrivals(start, () => 0);
  expect(arrivals.clamp(behind, null)).toBe(behind);
  arrivals.clamp(start + 5, start);
  for (const one of [arrivals, new Arrivals(start, () => 0, true)]) expect(one.clamp(behind, null)).toBeGreaterThanOrEqual(start - day);
  expect(arrivals.clamp(start - 8 * 3_600_000, null)).toBe(start - 8 * 3_600_000);
});
