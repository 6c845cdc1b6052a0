/** What the table of sinks holds of checks. Times in milliseconds. */
export interface CheckColumns {
  /** What the latest check found that no attempt has disproved since, `misconfigured` or `retrying`; `null` for nothing. It holds back no delivery. */
  check_state: string | null;
  check_reason: string | null;
  check_advice: string | null;
  check_since: number | null;
  /** When the next check is due, if the sink is idle; while one is under way: when that is over at the latest. */
  next_check_at: number | null;
  /** When a check was last begun whose findings are told at once: at a start, or since a person asked. */
  start_check_at: number | null;
}
