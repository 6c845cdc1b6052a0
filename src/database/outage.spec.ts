import { outage } from './outage.js';

const { jest } = import.meta;

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

function stage() {
  const lines: string[] = [];
  const report = outage(
    () => lines.push('begins'),
    () => lines.push('ends'),
  );
  return { lines, report };
}

test('an outage is told when it begins, each minute while it lasts, and when all has gone well for a second', () => {
  const { lines, report } = stage();
  report(null);
  for (let second = 0; second < 130; second++) {
    report(new Error('away'));
    jest.advanceTimersByTime(1000);
  }
  expect(lines).toEqual(['begins', 'begins', 'begins']);
  report(null);
  jest.advanceTimersByTime(999);
  report(null);
  expect(lines).toHaveLength(3);
  jest.advanceTimersByTime(1);
  expect(lines.slice(3)).toEqual(['ends']);
});

// Guards against a log line every few seconds while connections are closed again and again.
test('one that comes and goes for an hour is told a few times at first, and then each minute', () => {
  const { lines, report } = stage();
  for (let second = 0; second < 3600; second++) {
    report(second % 4 === 0 ? new Error('away') : null);
    jest.advanceTimersByTime(1000);
  }
  expect(lines.slice(0, 6)).toEqual(['begins', 'ends', 'begins', 'ends', 'begins', 'begins']);
  expect(lines.length).toBeLessThan(65);
  report(null);
  jest.advanceTimersByTime(60_000);
  expect(lines.at(-1)).toBe('ends');
  // Much later, a short outage ends after a second again.
  jest.advanceTimersByTime(60_000);
  report(new Error('away'));
  report(null);
  jest.advanceTimersByTime(1000);
  expect(lines.slice(-2)).toEqual(['begins', 'ends']);
});
