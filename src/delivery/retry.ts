import type { Row } from '../database/tables.js';

const firstMs = { from: 1000, to: 5000 };
/** The longest wait between two tries. */
export const longestMs = 15 * 60_000;

/**
 * How long to wait before the next try.
 * @param failures in a row, 1 for the first
 * @param random from 0 to below 1
 * @returns milliseconds: 1–5 s after the first failure, then doubling with jitter, 15 min at most
 */
export function backOffMs(failures: number, random: number): number {
  const ceiling = Math.min(firstMs.to * 2 ** Math.min(failures - 1, 30), longestMs);
  const floor = failures <= 1 ? firstMs.from : ceiling / 2;
  return Math.round(floor + random * (ceiling - floor));
}

/**
 * Pacing: attempts start evenly at `perSecond`, in bursts of a twentieth of a second's worth at most. All that is to be known is
 * `usedUpAt`: when the attempts that were started so far are used up at this rate (milliseconds; `null` before the first).
 */
export function paceFree(usedUpAt: number | null, perSecond: number, now: number): number {
  const intervalMs = 1000 / perSecond;
  return Math.max(0, Math.floor((now + burst(perSecond) * intervalMs - Math.max(usedUpAt ?? 0, now)) / intervalMs + 1e-6));
}

/** `usedUpAt` after so many attempts more. */
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

/** How far ahead each stored time can be set at most, in milliseconds. */
export const furthest = {
  /** A lane that waits: its back-off, or a Retry-After. */
  laneMs: 3_600_000 + longestMs,
  /** A sink that asked to be left alone: the longest Retry-After that is obeyed. */
  holdMs: 3_600_000,
  /** A lease; a living worker renews it in time. */
  leaseMs: 10_000,
  /** The next lane of the round of a stopped sink. */
  probeMs: 18_000,
};

/** How far ahead the pacing of a sink can be: a minute, or sixty attempts' worth where that is more. */
export function longestLeadMs(perSecond: number | null): number {
  return 60_000 / Math.min(1, perSecond ?? 1);
}

/** A stored time, or `null` if it is further ahead than it can have been set: then whoever set it had a clock that was wrong, and nobody waits for that. */
export function believable(at: number | null, now: number, mostMs: number): number | null {
  return at !== null && at > now + mostMs ? null : at;
}

/** What `nextAttemptAt` goes by, of a lane and its sink. */
export const standing = [
  'lane.due_at',
  'lane.lease',
  'sink.state as sink_state',
  'sink.next_round_robin_probe_at',
  'sink.held_until',
  'sink.paused_at',
  'sink.removed_at',
] as const;

/** When a lane is tried next, in milliseconds; `null` while it is being tried, has nothing to do, or its sink stands still. */
export function nextAttemptAt(
  lane: Pick<Row<'lane'>, 'due_at' | 'lease'> &
    Pick<Row<'sink'>, 'next_round_robin_probe_at' | 'held_until' | 'paused_at' | 'removed_at'> & { sink_state: string },
): number | null {
  if (lane.due_at === null || lane.lease !== null || lane.paused_at !== null || lane.removed_at !== null) return null;
  // A stopped sink is probed, whatever the lane waits for.
  return Math.max(lane.sink_state === 'ok' ? lane.due_at : (lane.next_round_robin_probe_at ?? lane.due_at), lane.held_until ?? 0);
}
