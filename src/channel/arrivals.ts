const dayMs = 86_400_000;
/** Maximum distance between an arrival and the latest known one: a day, less an hour because that one may itself be off. */
const maxDriftMs = dayMs - 3_600_000;

/**
 * Limits arrival times that replace a missing EventTime, so that a wrong local clock cannot make a webhook win, or lose, for years.
 * SQLite has no server clock to compare with, so earlier arrivals serve as the reference.
 */
export class Arrivals {
  private knownAt: number;

  /**
   * @param latest the latest known arrival (ms), `null` if there is none
   * @param confirmed whether the vendor's clock has confirmed it, which also limits how far back an arrival may lie
   */
  constructor(
    private latest: number | null,
    private readonly monotonic: () => number,
    private confirmed = false,
  ) {
    this.knownAt = monotonic();
  }

  /**
   * Moves an arrival time to within a day of the latest known one.
   * @param eventTime the webhook's own EventTime, if any: when it is close, the vendor's clock confirms ours
   */
  clamp(at: number, eventTime: number | null): number {
    const now = this.monotonic();
    const expected = this.latest === null ? at : this.latest + Math.round(now - this.knownAt);
    const [min, max] = [this.confirmed ? expected - maxDriftMs : 0, expected + maxDriftMs];
    const confirms = eventTime !== null && Math.abs(at - eventTime) <= dayMs;
    if (confirms || (at <= max && at > (this.latest ?? 0))) [this.latest, this.knownAt] = [at, now];
    this.confirmed ||= confirms;
    return Math.max(min, Math.min(at, max));
  }
}
