/** Columns of `sink` about checks. Times in milliseconds. */
export interface CheckColumns {
  /** Result of the latest check, `misconfigured` or `retrying`; `null` if fine or disproved by an attempt. Does not stop deliveries. */
  check_state: string | null;
  check_reason: string | null;
  check_advice: string | null;
  check_since: number | null;
  /** When the next check is due if the sink is idle; during a check, its deadline. */
  next_check_at: number | null;
  /** When the latest check started whose result is reported at once: at a start of the service, or on a user's request. */
  start_check_at: number | null;
}
