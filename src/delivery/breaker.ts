import type { Row } from '../database/tables.js';
import { stored } from '../explanations/explanation.js';
import type { Misconfigured, TryAgain } from '../sinks/errors.js';

export const healthColumns = [
  ...(['state', 'state_since', 'reason', 'advice', 'failures', 'config_error_seq', 'cleared_up_to'] as const),
  ...(['next_probe_at', 'next_round_robin_probe_at', 'paused_at', 'stopped_since', 'stopped_ms'] as const),
] as const;
/** The health of a sink, as columns of its row, shared by all processes. */
export type Health = Pick<Row<'sink'>, (typeof healthColumns)[number]>;

/** What an attempt means for the sink as a whole; `null` means success. A refused delivery says nothing about its sink. */
export type Verdict = TryAgain | Misconfigured | null;

const downThreshold = 5;

const ok = { state: 'ok', state_since: null, reason: null, advice: null, next_probe_at: null, next_round_robin_probe_at: null } as const;

/** The health of the sink after this verdict. */
export function healthAfter(health: Health, verdict: Verdict, now: number): Health {
  if (verdict === null) {
    if (health.state === 'ok') return { ...health, failures: 0 };
    const stopEnd = health.paused_at === null && { stopped_since: null, stopped_ms: stoppedMs(health, now) };
    return { ...health, ...ok, ...stopEnd, failures: 0 };
  }
  const { outcome } = verdict;
  const failures = outcome === 'retry' ? health.failures + 1 : health.failures;
  const state = outcome === 'misconfigured' ? 'misconfigured' : failures >= downThreshold ? 'down' : health.state;
  if (state === 'ok') return { ...health, failures };
  // A misconfigured sink that times out is still misconfigured: keep showing the reason to fix.
  const stays = health.state === 'misconfigured' && state === 'misconfigured' && outcome === 'retry';
  const counts = { failures, config_error_seq: health.config_error_seq + Number(outcome === 'misconfigured') };
  const since = { state_since: state === health.state ? health.state_since : now, stopped_since: health.stopped_since ?? now };
  return { ...health, ...counts, state, ...since, ...(!stays && { reason: stored(verdict.reason), advice: stored(verdict.advice) }) };
}

/** How long in total the sink was misconfigured, down or paused; this time does not count towards RETRY_MAX_AGE. */
export function stoppedMs({ stopped_since: since, stopped_ms: before }: Pick<Health, 'stopped_since' | 'stopped_ms'>, now: number): number {
  return before + (since === null ? 0 : Math.max(0, now - since));
}

/**
 * When the next probe may start after a failed one, or after the sink stopped: after 15 s with jitter, or within 1 s for a lane that
 * has not failed yet (see docs/failures.md).
 * @param fresh true after the probe of a lane that had not failed before, which does not count as a turn of the round-robin
 */
export function nextProbe(
  now: number,
  random: number,
  fresh: boolean,
): Partial<Pick<Health, 'next_probe_at' | 'next_round_robin_probe_at'>> {
  const soon = { next_probe_at: now + Math.round(500 + 400 * random) };
  return fresh ? soon : { ...soon, next_round_robin_probe_at: now + Math.round(12_000 + 6000 * random) };
}
