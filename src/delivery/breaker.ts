import type { Row } from '../database/tables.js';
import { stored } from '../explanations/explanation.js';
import type { SinkError } from '../sinks/errors.js';

/** How a sink is, as its row holds it: shared by all processes. Times in milliseconds. */
export interface Health
  extends
    Pick<Row<'sink'>, 'state_since' | 'reason' | 'advice' | 'failures' | 'config_error_seq' | 'cleared_up_to'>,
    Pick<Row<'sink'>, 'next_probe_at' | 'next_round_robin_probe_at' | 'paused_at' | 'stopped_since' | 'stopped_ms'> {
  state: 'ok' | 'misconfigured' | 'down';
}

/** What one attempt says of the sink as a whole: `null` is a success. */
export type Verdict = Pick<SinkError, 'outcome' | 'reason' | 'advice'> | null;

/** So many answers "try again" in a row, and the sink is down. */
const downFrom = 5;

/** What is not kept of a time in which it was stopped. */
const well = { state: 'ok', state_since: null, reason: null, advice: null, next_probe_at: null, next_round_robin_probe_at: null } as const;

/** How the sink is after this verdict. */
export function healthAfter(health: Health, verdict: Verdict, now: number): Health {
  if (verdict === null) {
    if (health.state === 'ok') return { ...health, failures: 0 };
    const clock = health.paused_at === null && { stopped_since: null, stopped_ms: stoppedMs(health, now) };
    return { ...health, ...well, ...clock, failures: 0 };
  }
  const { outcome } = verdict;
  if (outcome === 'refused') return health;
  const failures = outcome === 'retry' ? health.failures + 1 : health.failures;
  const state = outcome === 'misconfigured' ? 'misconfigured' : failures >= downFrom ? 'down' : health.state;
  if (state === 'ok') return { ...health, failures };
  // A misconfigured sink that does not answer just now is still misconfigured: the reason to mend stays in sight.
  const stays = health.state === 'misconfigured' && state === 'misconfigured' && outcome === 'retry';
  const counts = { failures, config_error_seq: health.config_error_seq + Number(outcome === 'misconfigured') };
  const since = { state_since: state === health.state ? health.state_since : now, stopped_since: health.stopped_since ?? now };
  return { ...health, ...counts, state, ...since, ...(!stays && { reason: stored(verdict.reason), advice: stored(verdict.advice) }) };
}

/** For how long in all the sink was misconfigured, down or paused: time that does not count towards RETRY_MAX_AGE. */
export function stoppedMs({ stopped_since: since, stopped_ms: before }: Pick<Health, 'stopped_since' | 'stopped_ms'>, now: number): number {
  return before + (since === null ? 0 : Math.max(0, now - since));
}

/**
 * When the next probe may start after one that failed, or after the sink stopped (contract, section 5: 15 s with jitter; within 1 s for a lane
 * that has not failed yet).
 * @param fresh true after the probe of a lane that had not failed yet: it was none of the round's
 */
export function nextProbe(
  now: number,
  random: number,
  fresh: boolean,
): Partial<Pick<Health, 'next_probe_at' | 'next_round_robin_probe_at'>> {
  const soon = { next_probe_at: now + Math.round(500 + 400 * random) };
  return fresh ? soon : { ...soon, next_round_robin_probe_at: now + Math.round(12_000 + 6000 * random) };
}
