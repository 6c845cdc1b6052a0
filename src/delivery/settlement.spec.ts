import { type SinkError, Refused, TryAgain } from '../sinks/errors.js';
import type { Health } from './breaker.js';
import { settle } from './settlement.js';
import type { LaneWork } from './work.js';

const well = { state: 'ok', failures: 0, config_error_seq: 0, cleared_up_to: 0, stopped_ms: 0 } as Health;
const day = 86_400_000;

/** Which of these failures of a delivery, one after the other, reports are updated for. */
function reported(failures: readonly SinkError[]): boolean[] {
  let [lane_tries, failing_since]: [number, number | null] = [0, null];
  return failures.map(failure => {
    const delivery = { doubt: 0, tries: lane_tries, failing_since, stopped_ms: null, state: 'pending', delivery: {} };
    const work = { channel: 1, lane_tries, config_error_seq: null, sinkConfigErrorSeq: 0, ...delivery } as unknown as LaneWork;
    const ended = { at: 0, durationMs: 1, answers: [{ work, answer: { failure } }] };
    const [settlement] = settle(well, ended, { random: () => 0.5, retryMaxAgeMs: day }).settlements;
    [lane_tries, failing_since] = [settlement!.lane.tries, settlement!.delivery.failing_since];
    return settlement!.notifyReports;
  });
}

test('reports are updated for the first failure, for those before a pause of a minute or longer, and for the end', () => {
  const failure = new TryAgain(['answered', 503], ['wait'], 503);
  const refused = new Refused(['answered', 422], ['as_said', ''], 422);
  // Pauses of 3, 7.5, 15, 30 and 60 s, and longer ones.
  expect(reported([failure, failure, failure, failure, failure, failure, failure, refused])).toEqual([
    true,
    false,
    false,
    false,
    true,
    true,
    true,
    true,
  ]);
});
