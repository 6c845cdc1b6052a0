/** Formats of numbers, durations and times in one language. */
export function formatsOf(locale: string) {
  const numbers = new Intl.NumberFormat(locale);
  const plurals = new Intl.PluralRules(locale);
  const words = new Intl.ListFormat(locale, { type: 'conjunction' });
  const spans = new Intl.ListFormat(locale, { type: 'unit', style: 'narrow' });
  const units = Object.fromEntries(
    (['millisecond', 'second', 'minute', 'hour', 'day'] as const).map(unit => [
      unit,
      new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: 1 }),
    ]),
  );
  const times = new Map<string, (ms: number) => string>();
  const unit = (name: string, value: number) => spaced(units[name]?.format(value) ?? '');
  return {
    number: (value: number) => numbers.format(value),
    /** A number with its noun, singular or plural. */
    counted: (value: number, one: string, other: string) => `${numbers.format(value)} ${plurals.select(value) === 'one' ? one : other}`,
    list: (all: readonly string[]) => words.format(all),
    /** A duration in its one or two largest units. */
    duration: (ms: number): string => {
      if (ms < 999.5) return unit('millisecond', Math.round(ms));
      if (ms < 59_950) return unit('second', ms / 1000);
      const seconds = Math.round(ms / 1000);
      const parts = [
        ['day', Math.floor(seconds / 86_400)],
        ['hour', Math.floor(seconds / 3600) % 24],
        ['minute', Math.floor(seconds / 60) % 60],
        ['second', seconds % 60],
      ] as const;
      const first = parts.findIndex(([, value]) => value > 0);
      return spaced(spans.format(parts.slice(first, first + 2).flatMap(([name, value]) => (value > 0 ? [unit(name, value)] : []))));
    },
    time: (ms: number, timeZone: string): string => {
      // Creating a formatter takes longer than rendering the rest of a message.
      if (!times.has(timeZone)) times.set(timeZone, timeFormat(locale, timeZone));
      return times.get(timeZone)!(ms);
    },
  };
}

/** Adds spaces between numbers and Chinese words, as in all our texts. */
function spaced(text: string): string {
  return text.replace(/(?<=\d)(?=\p{Script=Han})|(?<=\p{Script=Han})(?=\d)/gu, ' ');
}

/** Puts the zone last; the default in Chinese is between the date and the time. */
function timeFormat(locale: string, timeZone: string): (ms: number) => string {
  const time = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23', timeZone });
  const zone = new Intl.DateTimeFormat(locale, { timeZoneName: 'short', timeZone });
  return ms => `${time.format(ms)} ${zone.formatToParts(ms).find(({ type }) => type === 'timeZoneName')?.value}`;
}
