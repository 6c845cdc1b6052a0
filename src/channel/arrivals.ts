const dayMs = 86_400_000;
/** How far from the newest arrival known another one is believed: a day, less what that one may be off by. */
const mostMs = dayMs - 3_600_000;

/**
 * Which arrival times can be believed, so that a webhook without an EventTime does not win for years because our clock was ahead, and does not count as
 * years old because it was behind: with no server's clock to ask, what is known is when others arrived.
 */
export class Arrivals {
  private knownAt: number;

  /**
   * @param newest the newest arrival known (ms), `null` if there is none
   * @param sure whether the vendor's clock has confirmed it, so that nothing arrives long before it
   */
  constructor(
    private newest: number | null,
    private readonly monotonic: () => number,
    private sure = false,
  ) {
    this.knownAt = monotonic();
  }

  /**
   * The arrival time as far as it can be believed: at most a day from the newest one known, and in the order of arrival.
   * @param eventTime what the webhook tells itself, if it does: where that is near, the vendor's clock confirms ours
   */
  believed(at: number, eventTime: number | null): number {
    const now = this.monotonic();
    const known = this.newest === null ? at : this.newest + Math.round(now - this.knownAt);
    const [least, most] = [this.sure ? known - mostMs : 0, known + mostMs];
    const confirmed = eventTime !== null && Math.abs(at - eventTime) <= dayMs;
    if (confirmed || (at <= most && at > (this.newest ?? 0))) [this.newest, this.knownAt] = [at, now];
    this.sure ||= confirmed;
    return Math.max(least, Math.min(at, most));
  }
}
