import { isISO8601 } from 'class-validator';
import { validate as isUuid } from 'uuid';

/** Maximum bytes of stored texts in one answer; a single item may exceed it. */
export const maxPageBytes = 4 * 1024 * 1024;

/** The range of times that ISO 8601 writes with a four-digit year. */
const [earliest, latest] = [Date.parse('0000-01-01T00:00Z'), Date.parse('9999-12-31T23:59:59.999Z')];

/** Converts stored milliseconds. Invalid values of damaged rows are clamped, so that one row cannot fail a whole list. */
export function toDate(ms: number): Date {
  return new Date(Math.min(Math.max(Number(ms) || 0, earliest), latest));
}

export function toDateOrNull(ms: number | null): Date | null {
  return ms === null ? null : toDate(ms);
}

/** Parses an ISO 8601 date or time to milliseconds; NaN if invalid. Without a time zone it is UTC, wherever the service runs. */
export function fromIso(text: unknown): number {
  if (typeof text !== 'string') return Number.NaN;
  // A + that was not percent-encoded in the query arrives as a space.
  const written = text.replace(/ (?=\d{2}(:?\d{2})?$)/, '+');
  // Ordinal dates, weeks and signed years are also ISO 8601, but Date would misread them.
  const [, date, time, zone] = /^(\d{4}(?:-\d{2}){0,2})(?:T([\d:.]+)(Z|[+-]\d{2}(?::?\d{2})?)?)?$/i.exec(written) ?? [];
  if (date === undefined || !isISO8601(written, { strict: true, strictSeparator: true })) return Number.NaN;
  if (time === undefined) return Date.parse(date);
  return Date.parse(`${date}T${time}${zone === undefined ? 'Z' : zone.length === 3 ? `${zone}:00` : zone}`);
}

/** A UUID as it is stored; `null` for any other text. In upper case it would sort before all stored ones. */
export function storedUuid(text: string): string | null {
  return isUuid(text) && text === text.toLowerCase() ? text : null;
}

/** Returns a fallback if a stored value is damaged, so that one row cannot fail a whole list. */
export function orElse<T>(read: () => T, fallback: T): T {
  try {
    return read();
  } catch {
    return fallback;
  }
}
