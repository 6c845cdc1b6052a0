import { Refused, type SinkError, TryAgain, type Postponed } from '../sinks/sink.js';
import { type Health, type Verdict, healthAfter, stoppedMs } from './breaker.js';
import { backOffMs, longestMs } from './retry.js';
import type { LaneWork } from './work.js';

/** What the sink said to one delivery. */
export type Answer = { receipt: string | null } | Postponed | { failure: SinkError };

/** One ended attempt; a bulk sink's carries many deliveries. */
export interface Ended {
  at: number;
  durationMs: number;
  answers: { work: LaneWork; answer: Answer }[];
}

/** What an ended attempt means for one delivery and its lane. */
export interface Settlement {
  work: LaneWork;
  /** The state that the delivery has now. */
  state: 'pending' | 'delivered' | 'parked';
  /** When the lane may try again; `null`: as soon as it has something to do. */
  tryAgainAt: number | null;
  /** Failures in a row of the lane, and tries of the delivery. */
  laneTries: number;
  tries: number;
  /** The sink's heals when it told this lane that it is misconfigured; `null` if it did not. */
  healsSeen: number | null;
  failingSince: number | null;
  stoppedMs: number | null;
  cause: 'refused' | 'expired' | null;
  reason: string | null;
  advice: string | null;
  receipt: string | null;
  /** `null` if it was no attempt. */
  attempt: { at: number; durationMs: number; outcome: string; status: number | null; error: string | null } | null;
  /** True if other sinks' reports should tell of it. */
  tell: boolean;
  /** Until when the whole sink must be left alone. */
  holdUntil: number | null;
}

/** The dice of a settlement, and the sink's RETRY_MAX_AGE in milliseconds. */
export interface Circumstances {
  random: () => number;
  retryMaxAgeMs: number;
}

/** What an ended attempt means for the sink as a whole and for each of its deliveries: a function of the answers, the time at which they came, and the dice. */
export function settle(health: Health, ended: Ended, circumstances: Circumstances): { health: Health; settlements: Settlement[] } {
  const now = ended.at + ended.durationMs;
  const answers = ended.answers.map(({ work, answer }) => ({ work, answer: judged(work, answer, health) }));
  const after = verdictsOf(answers.map(({ answer }) => answer)).reduce((before, verdict) => healthAfter(before, verdict, now), health);
  const settlements = answers.map(({ work, answer }) => settlementOf(work, answer, ended, { before: health, after }, circumstances));
  return { health: after, settlements };
}

/** A lane that is told again that the sink is misconfigured, after another lane had success in between, is refused. */
function judged(work: LaneWork, answer: Answer, { heals }: Health): Answer {
  if (!('failure' in answer) || answer.failure.outcome !== 'misconfigured') return answer;
  if (work.healsSeen === null || heals <= work.healsSeen) return answer;
  const { message, status } = answer.failure;
  return {
    failure: new Refused(message, 'Other channels are taken: look at what is special about this one, mend that, then replay.', status),
  };
}

/** One verdict of each kind, a success last: what works for one delivery of a bulk works. */
function verdictsOf(answers: readonly Answer[]): Verdict[] {
  const failures = answers.flatMap(answer => ('failure' in answer ? [answer.failure] : []));
  const kinds = (['retry', 'misconfigured'] as const).flatMap(outcome => failures.find(failure => failure.outcome === outcome) ?? []);
  return answers.some(answer => 'receipt' in answer) ? [...kinds, null] : kinds;
}

function settlementOf(
  work: LaneWork,
  answer: Answer,
  { at, durationMs }: Ended,
  { before, after }: { before: Health; after: Health },
  { random, retryMaxAgeMs }: Circumstances,
): Settlement {
  const { head } = work;
  const now = at + durationMs;
  const calm = {
    laneTries: 0,
    healsSeen: null,
    failingSince: null,
    stoppedMs: null,
    cause: null,
    reason: null,
    advice: null,
    holdUntil: null,
  } as const;
  const receipt = 'receipt' in head.delivery ? head.delivery.receipt : null;
  if ('postponedUntil' in answer) {
    return { ...calm, work, state: head.state, tryAgainAt: answer.postponedUntil, tries: head.tries, receipt, attempt: null, tell: false };
  }
  if (!('failure' in answer)) {
    const attempt = { at, durationMs, outcome: 'delivered', status: null, error: null };
    const tries = head.tries + 1;
    return { ...calm, work, state: 'delivered', tryAgainAt: null, tries, receipt: answer.receipt, attempt, tell: !isReport(work) };
  }
  const { failure } = answer;
  // A stopped sink spends no tries, and the time does not count.
  const spends = failure.outcome === 'refused' || (failure.outcome === 'retry' && before.state === 'ok');
  const failingSince = head.failingSince ?? at;
  const stopped = head.stoppedMs ?? stoppedMs(before, now);
  const age = now - failingSince - (stoppedMs(before, now) - stopped);
  const expired = failure.outcome === 'retry' && spends && age >= retryMaxAgeMs;
  const over = failure.outcome === 'refused' || expired;
  // An edit that is refused or expired is given up: the card itself was posted.
  const state = head.state === 'delivered' ? 'delivered' : over ? 'parked' : 'pending';
  const hold = failure instanceof TryAgain && failure.retryAfterMs > 0 ? now + failure.retryAfterMs : null;
  const laneTries = over ? 0 : spends ? work.laneTries + 1 : Math.max(1, work.laneTries);
  // Lanes of a stopped sink are probed in turn: who has just failed goes to the end of the round.
  const pauseMs = after.state === 'ok' && spends ? backOffMs(laneTries, random()) : longestMs;
  return {
    work,
    state,
    tryAgainAt: over ? null : Math.max(hold ?? 0, now + pauseMs),
    laneTries,
    tries: head.tries + Number(spends),
    healsSeen: over ? null : failure.outcome === 'misconfigured' ? before.heals : work.healsSeen,
    failingSince,
    stoppedMs: stopped,
    cause: state === 'parked' ? (expired ? 'expired' : 'refused') : null,
    reason: expired ? `gave up: ${failure.message}` : failure.message,
    advice: failure.advice,
    receipt,
    attempt: { at, durationMs, outcome: failure.outcome, status: failure.status, error: failure.message },
    tell: !isReport(work) && (over || head.failingSince === null),
    holdUntil: hold,
  };
}

function isReport(work: LaneWork): boolean {
  return 'results' in work.head.delivery;
}
