import fc from 'fast-check';
import { SharedTime } from './shared-time.js';

const start = Date.UTC(2026, 0, 1);

/** A shared clock that is `ahead` of a monotonic clock, which the test moves. */
function stage() {
  const at = { monotonic: 5000, ahead: start };
  const time = new SharedTime({ monotonic: () => at.monotonic, now: () => 42 });
  const clock = (): number => at.monotonic + at.ahead;
  /** Reads the shared clock with this latency in each direction. */
  const read = (there = 0, back = 0): void => {
    const from = at.monotonic;
    at.monotonic += there;
    const answer = clock();
    at.monotonic += back;
    time.read(answer, from, at.monotonic);
  };
  return { at, time, clock, read };
}

test('before that clock was read the wall time of this process has to do', () => expect(stage().time.now()).toBe(42));

test('however long the readings take, on either way, it is as sure as the surest of them', () => {
  const ways = fc.array(
    fc.tuple(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 20_000 })),
  );
  fc.assert(
    fc.property(ways, later => {
      const { at, time, clock, read } = stage();
      read(1, 1);
      for (const [there, back, rest] of later) {
        read(there, back);
        at.monotonic += rest;
        expect(time.jump).toBe(0);
        // Rounding to milliseconds, plus the permitted drift.
        expect(Math.abs(time.now() - clock())).toBeLessThanOrEqual(2 + (at.monotonic - 5000) * 0.0005);
      }
    }),
  );
});

test.each([60_000, -60_000, 8 * 3_600_000, -8 * 3_600_000, 10 * 365 * 86_400_000, -10 * 365 * 86_400_000])(
  'a jump by %d ms moves nothing until it is adopted, and is told in full, once',
  jump => {
    const { at, time, clock, read } = stage();
    read(2, 1);
    at.ahead += jump;
    at.monotonic += 1000;
    for (let looks = 0; looks < 3; looks++) read(3, 8);
    expect(Math.abs(time.jump - jump)).toBeLessThan(10);
    expect(Math.abs(time.now() - (clock() - jump))).toBeLessThan(10);
    expect([time.jumpedWithin(100), time.jumpedWithin(10)]).toEqual([true, false]);
    time.adopt(time.jump);
    expect([time.jump, Math.abs(time.now() - clock()) < 10]).toEqual([0, true]);
  },
);

test('what jumps back before it was adopted has moved nothing', () => {
  const { at, time, read } = stage();
  read();
  for (const ahead of [3_600_000, -3_600_000]) {
    at.ahead += ahead;
    read();
  }
  expect([time.jump, time.now()]).toEqual([0, start + at.monotonic]);
});
