import type { Row } from '../database/tables.js';
import { stored } from '../explanations/explanation.js';
import { NotSent, Refused, type SinkError, TryAgain } from '../sinks/errors.js';
import { type Health, healthAfter, stoppedMs } from './breaker.js';
import { backOffMs, longestMs } from './retry.js';
import type { LaneWork } from './work.js';

/** More than what a clock that was set moves ages by. */
const clocksDifferMs = 60_000;

/** What the sink said to one delivery. */
export type Answer = { messageRef: string | null } | { failure: SinkError } | { skipped: true };

/** One ended attempt; a bulk sink's carries many deliveries. */
export interface Ended {
  at: number;
  durationMs: number;
  /** How many calls it took beyond the first, if any: the sink's rate counts them too. */
  extraCalls?: number;
  answers: { work: LaneWork; answer: Answer }[];
}

/** What an ended attempt means for one delivery and its lane, in the words of their rows. */
export interface Settlement {
  work: LaneWork;
  delivery: Pick<Row<'delivery'>, 'tries' | 'failing_since' | 'stopped_ms' | 'doubt' | 'cause' | 'reason' | 'advice' | 'message_ref'> & {
    state: 'pending' | 'delivered' | 'parked';
  };
  lane: Pick<Row<'lane'>, 'tries' | 'config_error_seq'>;
  /** When the lane may try again; `null`: as soon as it has something to do. */
  tryAgainAt: number | null;
  /** `null` if nothing was sent. */
  attempt: Omit<Row<'attempt'>, 'change_id' | 'sink'> | null;
  /** True if other sinks' reports should tell of it. */
  tell: boolean;
  /** Until when the whole sink must be left alone. */
  holdUntil: number | null;
}

/** What an ended attempt means for the sink as a whole and for each of its deliveries. */
export interface Outcome {
  health: Health;
  /** True if a success ended a time in which the sink was stopped. */
  healed: boolean;
  settlements: Settlement[];
}

/** The dice of a settlement, and the sink's RETRY_MAX_AGE in milliseconds. */
export interface Circumstances {
  random: () => number;
  retryMaxAgeMs: number;
}

/** The status of a target that still works on an earlier request with the same Idempotency-Key, and how often that is waited for. */
const conflict = 409;
const conflictsMost = 5;

/** What an ended attempt means: a function of the answers, the time at which they came, and the dice. */
export function settle(health: Health, ended: Ended, circumstances: Circumstances): Outcome {
  const now = ended.at + ended.durationMs;
  const answers = ended.answers.map(({ work, answer }) => ({ work, answer: judged(work, answer, health) }));
  const succeeded = answers.filter(({ answer }) => 'messageRef' in answer);
  const failures = failuresOf(answers.map(({ answer }) => answer));
  const failed = failures.reduce<Health>((before, failure) => healthAfter(before, failure, now), health);
  // A success comes last: what works for one delivery of a bulk works.
  const cleared = Math.max(health.cleared_up_to, ...succeeded.map(({ work }) => work.sinkConfigErrorSeq));
  const after = succeeded.length > 0 ? { ...healthAfter(failed, null, now), cleared_up_to: cleared } : failed;
  const settlements = answers.map(({ work, answer }) => settlementOf(work, answer, ended, { before: health, after }, circumstances));
  return { health: after, healed: failed.state !== 'ok' && after.state === 'ok', settlements };
}

/** If this lane got a configuration error, and another lane that was leased after that has since succeeded, a second such error is this lane's own fault: refused. */
function judged({ config_error_seq: configErrorSeq, doubt }: LaneWork, answer: Answer, { cleared_up_to: clearedUpTo }: Health): Answer {
  if (!('failure' in answer)) return answer;
  // Where an attempt before may have arrived, a 409 is about that one.
  if (answer.failure.status === conflict && doubt > 0 && doubt <= conflictsMost)
    return { failure: answer.failure.as(TryAgain, ['still_at_work']) };
  if (answer.failure.outcome !== 'misconfigured') return answer;
  if (configErrorSeq === null || clearedUpTo < configErrorSeq) return answer;
  return { failure: answer.failure.as(Refused, ['fix_channel']) };
}

/** One failure of each kind that tells something of the whole sink. */
function failuresOf(answers: readonly Answer[]): SinkError[] {
  const failures = answers.flatMap(answer => ('failure' in answer && answer.failure.status !== conflict ? [answer.failure] : []));
  return (['retry', 'misconfigured'] as const).flatMap(outcome => failures.find(failure => failure.outcome === outcome) ?? []);
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
    // What its template left out was not tried, and tells nothing of the sink.
    const isSent = !('skipped' in answer);
    const end = isSent ? { message_ref: answer.messageRef } : { message_ref: null, cause: 'skipped', reason: stored(['not_sent']) };
    const delivery = { ...calm, state: 'delivered' as const, tries: work.tries + Number(isSent), ...end };
    const attempt = isSent ? { ...tried, outcome: 'delivered', status: null, error: null, response: null } : null;
    const lane = { tries: 0, config_error_seq: null };
    return { work, delivery, lane, tryAgainAt: null, attempt, tell: !isReport(work), holdUntil: null };
  }
  const { failure } = answer;
  // A stopped sink spends no tries, and the time does not count.
  const spends = failure.outcome === 'refused' || (failure.outcome === 'retry' && before.state === 'ok');
  const stoppedNow = stoppedMs(before, now);
  const begun = { since: work.failing_since ?? at, stopped: work.stopped_ms ?? stoppedNow };
  // A start that lies ahead was written by a clock that was wrong: it has been failing since now.
  const wrong = now - begun.since - (stoppedNow - begun.stopped) < -clocksDifferMs;
  const [failingSince, stopped] = wrong ? [at, stoppedNow] : [begun.since, begun.stopped];
  const age = now - failingSince - (stoppedNow - stopped);
  const expired = failure.outcome === 'retry' && spends && age >= retryMaxAgeMs;
  const over = failure.outcome === 'refused' || expired;
  // An edit that is refused or expired is given up: the card itself was posted.
  const state = work.state === 'delivered' ? 'delivered' : over ? 'parked' : 'pending';
  const hold = failure instanceof TryAgain && failure.retryAfterMs > 0 ? now + failure.retryAfterMs : null;
  const laneTries = over ? 0 : spends ? work.lane_tries + 1 : Math.max(1, work.lane_tries);
  // Lanes of a stopped sink are probed in turn: who has just failed goes to the end of the round.
  const pauseMs = after.state === 'ok' && spends ? backOffMs(laneTries, random()) : longestMs;
  const delivery = {
    state,
    tries: work.tries + Number(spends),
    failing_since: failingSince,
    stopped_ms: stopped,
    doubt: over ? 0 : failure.status === conflict ? work.doubt + 1 : work.doubt || Number(mayHaveArrived(failure)),
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
    tell: !isReport(work) && (over || work.failing_since === null),
    holdUntil: hold,
  };
}

/** What is not kept of a delivery's failures once it has succeeded. */
const calm = { failing_since: null, stopped_ms: null, doubt: 0, cause: null, reason: null, advice: null } as const;

/** Without an answer, nobody knows. */
function mayHaveArrived(failure: SinkError): boolean {
  return failure.outcome === 'retry' && failure.status === null && !(failure instanceof NotSent);
}

function isReport(work: LaneWork): boolean {
  return 'results' in work.delivery;
}
