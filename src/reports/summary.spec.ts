import fc from 'fast-check';
import { summaryDue } from './summary.js';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

function wallIn(timeZone: string): (ms: number) => string {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' });
  return ms => format.format(ms);
}

/** When the clocks of a zone change in a year, to the hour before; in a zone without changes, an ordinary day. */
function changesOf(timeZone: string): number[] {
  const wall = wallIn(timeZone);
  const found: number[] = [];
  const offset = (at: number): number => Date.parse(`${wall(at).replace(' ', 'T')}Z`) - at;
  for (let at = Date.UTC(2026, 0, 1); at < Date.UTC(2027, 0, 1); at += hourMs) if (offset(at + hourMs) !== offset(at)) found.push(at);
  return found.length > 0 ? found : [Date.UTC(2026, 2, 29)];
}

/** The local times in each minute of the days around a change. */
function minutesAround(change: number, timeZone: string): { start: number; shown: string[] } {
  const [start, wall] = [change - 60 * hourMs, wallIn(timeZone)];
  return { start, shown: Array.from({ length: 120 * 60 }, (_, minute) => wall(start + minute * minuteMs)) };
}

describe('the summary of a day', () => {
  it('is due from its time on, in its zone, and two hours late at most', () => {
    const at = (time: string, timeZone = 'Europe/Berlin') => summaryDue({ hour: 9, minute: 30, timeZone }, Date.parse(time));
    expect(at('2026-07-01T07:29:59Z')).toBeNull();
    expect(at('2026-07-01T07:30:00Z')).toBe('2026-07-01');
    expect(at('2026-07-01T09:29:59Z')).toBe('2026-07-01');
    expect(at('2026-07-01T09:30:00Z')).toBeNull();
    expect(at('2026-12-01T07:30:00Z')).toBeNull();
    expect(at('2026-12-01T08:30:00Z')).toBe('2026-12-01');
    expect(at('2026-12-01T00:30:00Z', 'Asia/Tokyo')).toBe('2026-12-01');
  });

  it('may come after midnight, for the day that it was due', () => {
    const at = (time: string) => summaryDue({ hour: 23, minute: 30, timeZone: 'UTC' }, Date.parse(time));
    expect(at('2026-12-31T23:29:59Z')).toBeNull();
    expect(at('2027-01-01T00:05:00Z')).toBe('2026-12-31');
    expect(at('2027-01-01T01:29:59Z')).toBe('2026-12-31');
    expect(at('2027-01-01T01:30:00Z')).toBeNull();
  });

  it('is due at the next minute where its time is skipped, and the first time where it comes twice', () => {
    const at = (hour: number, time: string) => summaryDue({ hour, minute: 30, timeZone: 'Europe/Berlin' }, Date.parse(time));
    expect(at(2, '2026-03-29T00:59:59Z')).toBeNull();
    expect(at(2, '2026-03-29T01:00:00Z')).toBe('2026-03-29');
    expect(at(2, '2026-03-29T03:00:00Z')).toBeNull();
    expect(at(2, '2026-10-25T00:30:00Z')).toBe('2026-10-25');
    expect(at(2, '2026-10-25T02:29:59Z')).toBe('2026-10-25');
    // An hour and a half after its second occurrence.
    expect(at(2, '2026-10-25T03:00:00Z')).toBeNull();
  });

  // Changes of one, half an hour and two hours, at and around midnight, in both hemispheres, or none.
  it.each([
    'Europe/Berlin',
    'America/New_York',
    'Australia/Lord_Howe',
    'Africa/Cairo',
    'America/Havana',
    'Atlantic/Azores',
    'Asia/Beirut',
    'America/Nuuk',
    'America/Santiago',
    'Antarctica/Troll',
    'Pacific/Chatham',
    'Asia/Kolkata',
  ])('is due once a day in %s, for two hours from the first minute that shows its time or a later one', timeZone => {
    const around = changesOf(timeZone).map(change => minutesAround(change, timeZone));
    const minuteOfDay = fc.oneof(
      fc.integer({ min: 0, max: 1439 }),
      fc.integer({ min: -90, max: 239 }).map(minute => (minute + 1440) % 1440),
    );
    const property = fc.property(
      fc.constantFrom(...around),
      minuteOfDay,
      fc.array(fc.nat({ max: 7199 })),
      ({ start, shown }, time, looks) => {
        const [hour, minute] = [Math.floor(time / 60), time % 60];
        const clock = `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`;
        const dues = [...new Set(shown.map(one => one.slice(0, 10)))].map(date => ({
          date,
          at: shown.findIndex(one => one >= `${date} ${clock}`),
        }));
        // In the first two days, the time may have been earlier.
        const known = dues.slice(1).filter(({ at }) => at > 0);
        const near = known.flatMap(({ at }) => [at - 1, at, at + 60, at + 119, at + 120]).filter(at => at < 7200);
        for (const at of [...near, ...looks].filter(look => look >= known[0]!.at - 1)) {
          const expected = known.find(due => due.at <= at && at < due.at + 120)?.date ?? null;
          const seen = summaryDue({ hour, minute, timeZone }, start + at * minuteMs);
          if (seen !== expected) throw new Error(`${clock} at ${shown[at]}: ${seen} instead of ${expected}`);
        }
      },
    );
    fc.assert(property, { numRuns: 60 });
  });
});
