import type { Row } from '../database/tables.js';

const firstMs = { from: 1000, to: 5000 };
/** Maximum delay between two attempts. */
export const maxBackOffMs = 15 * 60_000;

/** The delay before the next attempt: 1–5 s after the first of these failures in a row, then doubling with jitter, 15 min at most. */
export function backOffMs(failures: number, random: number): number {
  const ceiling = Math.min(firstMs.to * 2 ** Math.min(failures - 1, 30), maxBackOffMs);
  const floor = failures <= 1 ? firstMs.from : ceiling / 2;
  return Math.round(floor + random * (ceiling - floor));
}

/**
 * Pacing spreads attempts evenly at `perSecond`, with bursts of up to a twentieth of a second's worth. Its only state is `usedUpAt`: the
 * time (ms) by which the attempts started so far are due at this rate; `null` before the first.
 * @returns how many attempts may start now
 */
export function paceFree(usedUpAt: number | null, perSecond: number, now: number): number {
  const intervalMs = 1000 / perSecond;
  return Math.max(0, Math.floor((now + burst(perSecond) * intervalMs - Math.max(usedUpAt ?? 0, now)) / intervalMs + 1e-6));
}

/** The new `usedUpAt` after more attempts have started. */
export function paceTake(usedUpAt: number | null, perSecond: number, now: number, attempts: number): number {
  return Math.max(usedUpAt ?? 0, now) + (attempts * 1000) / perSecond;
}

/** When the next attempt may start. */
export function paceNextAt(usedUpAt: number | null, perSecond: number): number {
  return Math.ceil((usedUpAt ?? 0) - ((burst(perSecond) - 1) * 1000) / perSecond);
}

function burst(perSecond: number): number {
  return Math.max(1, Math.floor(perSecond / 20));
}

/** The duration of a lease, and how often running workers renew it. */
export const leaseMs = 10_000;
export const renewIntervalMs = 3000;

/** How far ahead of now each stored time can be set at most. */
export const maxAhead = {
  /** The next attempt of a lane: back-off and Retry-After. */
  laneMs: 3_600_000 + maxBackOffMs,
  /** A sink held back by Retry-After. */
  holdMs: 3_600_000,
  /** The next round-robin probe of a stopped sink. */
  probeMs: 18_000,
};

/** How far ahead of now a sink's pacing can be: a minute, or sixty attempts' worth if that is longer. */
export function maxPaceLeadMs(perSecond: number | null): number {
  return 60_000 / Math.min(1, perSecond ?? 1);
}

/** A stored time; `null` if it is too far ahead, so that a time set by a wrong clock is not waited for. */
export function plausibleTime(at: number | null, now: number, maxAheadMs: number): number | null {
  return at !== null && at > now + maxAheadMs ? null : at;
}

export const nextAttemptColumns = [
  'lane.due_at',
  'lane.lease',
  'sink.state as sink_state',
  'sink.next_round_robin_probe_at',
  'sink.held_until',
  'sink.paused_at',
  'sink.removed_at',
] as const;

/** The time of a lane's next attempt (ms); `null` if an attempt is in progress, the lane is idle, or its sink is paused or removed. */
export function nextAttemptAt(
  lane: Pick<Row<'lane'>, 'due_at' | 'lease'> &
    Pick<Row<'sink'>, 'next_round_robin_probe_at' | 'held_until' | 'paused_at' | 'removed_at'> & { sink_state: string },
): number | null {
  if (lane.due_at === null || lane.lease !== null || lane.paused_at !== null || lane.removed_at !== null) return null;
  // The probes of a stopped sink ignore the lane's back-off.
  return Math.max(lane.sink_state === 'ok' ? lane.due_at : (lane.next_round_robin_probe_at ?? lane.due_at), lane.held_until ?? 0);
}
