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
      const believed = arrivals.believed(at + monotonic, null);
      expect(believed).toBeGreaterThan(before);
      expect(believed).toBeLessThanOrEqual(start + day);
      // Webhooks that tell an EventTime do not make it any better.
      arrivals.believed(at + monotonic, start + monotonic);
      before = believed;
      monotonic += 60_000;
    }
  },
);

test('with a clock that is right every arrival is believed, also after days without any, and after an old EventTime', () => {
  let monotonic = 0;
  const arrivals = new Arrivals(start, () => monotonic);
  for (const waited of [0, 1, day, 40 * day, 5]) {
    monotonic += waited;
    arrivals.believed(start + monotonic, Date.UTC(2022, 11, 9));
    expect(arrivals.believed(start + monotonic, null)).toBe(start + monotonic);
  }
});

test('the first arrival ever is believed, and one that the vendor confirms, after a long time without the service', () => {
  expect(new Arrivals(null, () => 0).believed(start, null)).toBe(start);
  const arrivals = new Arrivals(start, () => 0);
  expect(arrivals.believed(start + 90 * day, start + 90 * day - 300)).toBeLessThanOrEqual(start + day);
  expect(arrivals.believed(start + 90 * day, null)).toBe(start + 90 * day);
});

test('a clock that is years behind what the vendor has confirmed is believed a day of it, and no other', () => {
  const behind = start - 10 * 365 * day;
  const arrivals = new Arrivals(start, () => 0);
  expect(arrivals.believed(behind, null)).toBe(behind);
  arrivals.believed(start + 5, start);
  for (const one of [arrivals, new Arrivals(start, () => 0, true)]) expect(one.believed(behind, null)).toBeGreaterThanOrEqual(start - day);
  expect(arrivals.believed(start - 8 * 3_600_000, null)).toBe(start - 8 * 3_600_000);
});
