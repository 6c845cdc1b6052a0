/** Returns a fallback if a stored value is damaged, so that one row cannot fail a whole list. */
export function orElse<T>(read: () => T, fallback: T): T {
  try {
    return read();
  } catch {
    return fallback;
  }
}
