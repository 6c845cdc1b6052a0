import fc from 'fast-check';
import { Misconfigured, TryAgain } from '../sinks/errors.js';
import { type Health, type Verdict, healthAfter, nextProbe, stoppedMs } from './breaker.js';

const well: Health = {
  state: 'ok',
  state_since: null,
  reason: null,
  advice: null,
  failures: 0,
  config_error_seq: 0,
  cleared_up_to: 0,
  next_probe_at: null,
  next_round_robin_probe_at: null,
  paused_at: null,
  stopped_since: null,
  stopped_ms: 0,
};
const verdicts = fc.constantFrom<Verdict>(
  null,
  new TryAgain(['as_said', '503'], ['as_said', '']),
  new Misconfigured(['as_said', '401'], ['as_said', '']),
);

test('a sink is down after five "try again" without a success in between, misconfigured after one such answer, and any success heals it', () => {
  fc.assert(
    fc.property(fc.array(verdicts, { maxLength: 40 }), sequence => {
      const health = sequence.reduce((before, verdict, index) => healthAfter(before, verdict, index), well);
      const since = sequence.slice(sequence.lastIndexOf(null) + 1);
      const last = since.at(-1);
      const retries = since.filter(verdict => verdict?.outcome === 'retry').length;
      const misconfigured = since.some(verdict => verdict?.outcome === 'misconfigured');
      const down = retries >= 5 && last?.outcome === 'retry';
      expect(health.state).toBe(down ? 'down' : misconfigured ? 'misconfigured' : 'ok');
      expect(health.reason === null).toBe(health.state === 'ok');
      expect(health.state_since === null).toBe(health.state === 'ok');
      expect(health.stopped_since === null).toBe(health.state === 'ok');
    }),
  );
});

test('the time that it was stopped is the time in which it was not well', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(verdicts, fc.integer({ min: 0, max: 1000 })), { maxLength: 40 }), steps => {
      let [health, now, expected] = [well, 0, 0];
      for (const [verdict, ms] of steps) {
        health = healthAfter(health, verdict, now);
        now += ms;
        if (health.state !== 'ok') expected += ms;
        expect(stoppedMs(health, now)).toBe(expected);
      }
    }),
  );
});

test('a success does not end the time of a pause', () => {
  const paused = { ...well, state: 'down' as const, paused_at: 10, stopped_since: 5 };
  expect(healthAfter(paused, null, 20)).toMatchObject({ state: 'ok', stopped_since: 5, stopped_ms: 0 });
});

test('probes come every 15 s with jitter, of a lane that has not failed yet within 1 s', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), random => {
      const { next_probe_at: fresh, next_round_robin_probe_at: round } = nextProbe(0, random, false);
      expect(fresh).toBeLessThan(1000);
      expect(Math.abs(round! - 15_000)).toBeLessThanOrEqual(3000);
      // The round-robin probe stays on schedule, however many lanes fail for the first time meanwhile.
      expect(nextProbe(0, random, true)).toEqual({ next_probe_at: fresh });
    }),
  );
});
