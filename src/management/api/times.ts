import { isISO8601 } from 'class-validator';

/** What ISO 8601 writes with a year of four digits. */
const [earliest, latest] = [Date.parse('0000-01-01T00:00Z'), Date.parse('9999-12-31T23:59:59.999Z')];

/** Our milliseconds as a time, which JSON writes as ISO 8601 in UTC. Of a damaged row the nearest that can be written: one row must not fail a list. */
export function toDate(ms: number): Date {
  return new Date(Math.min(Math.max(Number(ms) || 0, earliest), latest));
}

/** The same for a time that may not be known. */
export function toDateOrNull(ms: number | null): Date | null {
  return ms === null ? null : toDate(ms);
}

/** An ISO 8601 date or time in milliseconds, NaN for anything else. Without a zone it is UTC, wherever the service runs. */
export function fromIso(text: unknown): number {
  if (typeof text !== 'string') return Number.NaN;
  // A + that was not percent-encoded in the query arrives as a blank.
  const written = text.replace(/ (?=\d{2}(:?\d{2})?$)/, '+');
  // Years with days, weeks or a sign are ISO 8601, too, but Date would take them for something else.
  const [, date, time, zone] = /^(\d{4}(?:-\d{2}){0,2})(?:T([\d:.]+)(Z|[+-]\d{2}(?::?\d{2})?)?)?$/i.exec(written) ?? [];
  if (date === undefined || !isISO8601(written, { strict: true, strictSeparator: true })) return Number.NaN;
  if (time === undefined) return Date.parse(date);
  return Date.parse(`${date}T${time}${zone === undefined ? 'Z' : zone.length === 3 ? `${zone}:00` : zone}`);
}
