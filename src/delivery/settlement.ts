import type { Row } from '../database/tables.js';
import { stored } from '../explanations/explanation.js';
import { Misconfigured, NotSent, Refused, type SinkError, TryAgain } from '../sinks/errors.js';
import { type Health, healthAfter, stoppedMs } from './breaker.js';
import { backOffMs, maxBackOffMs } from './retry.js';
import type { LaneWork } from './work.js';

/** Tolerated clock difference: a `failing_since` further in the future was written by a wrong clock. */
const clockToleranceMs = 60_000;

export type Answer = { messageRef: string | null } | { failure: SinkError } | { skipped: true };

/** A finished attempt; for a bulk sink it carries several deliveries. */
export interface Ended {
  at: number;
  durationMs: number;
  /** Calls beyond the first, which also count towards the sink's rate. */
  extraCalls?: number;
  answers: { work: LaneWork; answer: Answer }[];
}

/** The effect of a finished attempt on one delivery and its lane, as column values. */
export interface Settlement {
  work: LaneWork;
  delivery: Pick<Row<'delivery'>, 'tries' | 'failing_since' | 'stopped_ms' | 'doubt' | 'cause' | 'reason' | 'advice' | 'message_ref'> & {
    state: 'pending' | 'delivered' | 'parked';
  };
  lane: Pick<Row<'lane'>, 'tries' | 'config_error_seq'>;
  /** The lane's next attempt; `null` means as soon as it has work. */
  tryAgainAt: number | null;
  /** `null` if nothing was sent. */
  attempt: Omit<Row<'attempt'>, 'change_id' | 'sink'> | null;
  /** True if reports to other sinks should be updated. */
  notifyReports: boolean;
  /** Until when the whole sink is held back. */
  holdUntil: number | null;
}

/** From this pause on, reports show again when the next attempt is due, and why the last one failed: shorter ones are soon over. */
const reportedPauseMs = 60_000;

interface Circumstances {
  random: () => number;
  /** The sink's RETRY_MAX_AGE. */
  retryMaxAgeMs: number;
}

/** A target answers 409 while it still processes an earlier request with the same Idempotency-Key; retried up to this many times. */
const conflict = 409;
const maxConflicts = 5;

/**
 * Computes the effect of a finished attempt on its sink and its deliveries; a pure function but for `circumstances.random`.
 * @returns `healed`: whether the sink was stopped and has recovered
 */
export function settle(
  health: Health,
  ended: Ended,
  circumstances: Circumstances,
): { health: Health; healed: boolean; settlements: Settlement[] } {
  const now = ended.at + ended.durationMs;
  const answers = ended.answers.map(({ work, answer }) => ({ work, answer: judged(work, answer, health) }));
  const succeeded = answers.filter(({ answer }) => 'messageRef' in answer);
  const failures = failuresOf(answers.map(({ answer }) => answer));
  const failed = failures.reduce<Health>((before, failure) => healthAfter(before, failure, now), health);
  // A success counts last: if one delivery of a batch succeeded, the sink works.
  const cleared = Math.max(health.cleared_up_to, ...succeeded.map(({ work }) => work.sinkConfigErrorSeq));
  const after = succeeded.length > 0 ? { ...healthAfter(failed, null, now), cleared_up_to: cleared } : failed;
  const settlements = answers.map(({ work, answer }) => settlementOf(work, answer, ended, { before: health, after }, circumstances));
  return { health: after, healed: failed.state !== 'ok' && after.state === 'ok', settlements };
}

/**
 * Reclassifies failures: a repeated configuration error is refused if another lane, leased after this lane's first one, has since
 * succeeded, because then it is specific to this lane.
 */
function judged({ config_error_seq: configErrorSeq, doubt }: LaneWork, answer: Answer, { cleared_up_to: clearedUpTo }: Health): Answer {
  if (!('failure' in answer)) return answer;
  // If an earlier attempt may have arrived, the target's 409 refers to that one.
  if (answer.failure instanceof Refused && answer.failure.status === conflict && doubt > 0 && doubt <= maxConflicts)
    return { failure: answer.failure.as(TryAgain, ['still_at_work']) };
  if (answer.failure.outcome !== 'misconfigured') return answer;
  if (configErrorSeq === null || clearedUpTo < configErrorSeq) return answer;
  return { failure: answer.failure.as(Refused, ['fix_channel']) };
}

/** A 409 that is tried again, see `judged`. */
function isConflict(failure: SinkError): boolean {
  return failure instanceof TryAgain && failure.status === conflict;
}

/** One failure of each kind that concerns the sink as a whole. */
function failuresOf(answers: readonly Answer[]): (TryAgain | Misconfigured)[] {
  const failures = answers.flatMap(answer => ('failure' in answer && !isConflict(answer.failure) ? [answer.failure] : []));
  const firsts = [failures.find(failure => failure instanceof TryAgain), failures.find(failure => failure instanceof Misconfigured)];
  return firsts.filter(failure => failure !== undefined);
}

function settlementOf(
  work: LaneWork,
  answer: Answer,
  { at, durationMs }: Ended,
  { before, after }: { before: Health; after: Health },
  { random, retryMaxAgeMs }: Circumstances,
): Settlement {
  const now = at + durationMs;
  const tried = { at, duration_ms: durationMs };
  if (!('failure' in answer)) {
    // A delivery skipped by its template is no attempt and says nothing about the sink.
    const isSent = !('skipped' in answer);
    const end = isSent ? { message_ref: answer.messageRef } : { message_ref: null, cause: 'skipped', reason: stored(['not_sent']) };
    const delivery = { ...noFailure, state: 'delivered' as const, tries: work.tries + Number(isSent), ...end };
    const attempt = isSent ? { ...tried, outcome: 'delivered', status: null, error: null, response: null } : null;
    const lane = { tries: 0, config_error_seq: null };
    return { work, delivery, lane, tryAgainAt: null, attempt, notifyReports: !isReport(work), holdUntil: null };
  }
  const { failure } = answer;
  // While the sink is stopped, neither attempts nor time count.
  const counts = failure.outcome === 'refused' || (failure.outcome === 'retry' && before.state === 'ok');
  const stoppedNow = stoppedMs(before, now);
  const begun = { since: work.failing_since ?? at, stopped: work.stopped_ms ?? stoppedNow };
  // A start in the future was written by a wrong clock: it is replaced by this attempt's.
  const wrong = now - begun.since - (stoppedNow - begun.stopped) < -clockToleranceMs;
  const [failingSince, stopped] = wrong ? [at, stoppedNow] : [begun.since, begun.stopped];
  const age = now - failingSince - (stoppedNow - stopped);
  const expired = failure.outcome === 'retry' && counts && age >= retryMaxAgeMs;
  const over = failure.outcome === 'refused' || expired;
  // If the edit of a card fails for good, the delivery stays delivered: the card itself was posted.
  const state = work.state === 'delivered' ? 'delivered' : over ? 'parked' : 'pending';
  const hold = failure instanceof TryAgain && failure.retryAfterMs > 0 ? now + failure.retryAfterMs : null;
  const laneTries = over ? 0 : counts ? work.lane_tries + 1 : Math.max(1, work.lane_tries);
  // Lanes of a stopped sink are probed round-robin: one that has just failed goes to the end.
  const pauseMs = after.state === 'ok' && counts ? backOffMs(laneTries, random()) : maxBackOffMs;
  const delivery = {
    state,
    tries: work.tries + Number(counts),
    failing_since: failingSince,
    stopped_ms: stopped,
    doubt: over ? 0 : isConflict(failure) ? work.doubt + 1 : work.doubt || Number(mayHaveArrived(failure)),
    cause: state === 'parked' ? (expired ? 'expired' : 'refused') : null,
    reason: stored(expired ? ['gave_up', failure.reason] : failure.reason),
    advice: stored(failure.advice),
    message_ref: 'messageRef' in work.delivery ? work.delivery.messageRef : null,
  } as const;
  const errorSeq = work.config_error_seq ?? (failure.outcome === 'misconfigured' ? after.config_error_seq : null);
  return {
    work,
    delivery,
    lane: { tries: laneTries, config_error_seq: over ? null : errorSeq },
    tryAgainAt: over ? null : Math.max(hold ?? 0, now + pauseMs),
    attempt: { ...tried, outcome: failure.outcome, status: failure.status, error: stored(failure.why), response: failure.response },
    notifyReports: !isReport(work) && (over || work.failing_since === null || (counts && pauseMs >= reportedPauseMs)),
    holdUntil: hold,
  };
}

const noFailure = { failing_since: null, stopped_ms: null, doubt: 0, cause: null, reason: null, advice: null } as const;

function mayHaveArrived(failure: SinkError): boolean {
  return failure.outcome === 'retry' && failure.status === null && !(failure instanceof NotSent);
}

function isReport(work: LaneWork): boolean {
  return 'results' in work.delivery;
}
