/** A count with separators, as in all texts for people; what is not a number stays as it is. */
export function count(text: string): string {
  return /^\d+$/.test(text) ? Number(text).toLocaleString('en') : text;
}

/** Milliseconds, from a second on in seconds. */
export function span(ms: string, milliseconds: string, seconds: string): string {
  return Number(ms) >= 1000 ? `${(Number(ms) / 1000).toLocaleString('en')} ${seconds}` : `${ms} ${milliseconds}`;
}
