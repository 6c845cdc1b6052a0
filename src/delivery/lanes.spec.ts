import fc from 'fast-check';
import { v4 } from 'uuid';
import { eachStore } from '../../test/support/stores.js';
import { changedAt, recorderAt } from '../../test/support/engine.js';
import { Misconfigured, Refused, TryAgain } from '../sinks/errors.js';
import { Lanes } from './lanes.js';
import { registerSinks } from '../sinks/registry.js';
import type { Answer } from './settlement.js';
import type { LaneWork } from './work.js';

const start = Date.UTC(2026, 0, 1);

const answers: Record<string, () => Answer> = {
  success: () => ({ messageRef: null }),
  'try again': () => ({ failure: new TryAgain(['answered', 503], ['wait'], 503) }),
  'not before': () => ({ failure: new TryAgain(['answered', 429], ['wait'], 429, 500) }),
  refused: () => ({ failure: new Refused(['answered', 422], ['as_said', 'look'], 422) }),
  misconfigured: () => ({ failure: new Misconfigured(['answered', 401], ['as_said', 'look'], 401) }),
};

const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ does: fc.constant('record' as const), channel: fc.integer({ min: 0, max: 3 }) }) },
    { weight: 2, arbitrary: fc.record({ does: fc.constant('wait' as const), ms: fc.constantFrom(1, 900, 4000, 20_000, 900_000) }) },
    {
      weight: 6,
      arbitrary: fc.record({
        does: fc.constant('turn' as const),
        answers: fc.array(fc.constantFrom(...Object.keys(answers), 'success'), { maxLength: 3 }),
        attempts: fc.integer({ min: 1, max: 4 }),
        perSecond: fc.constantFrom(null, null, 2),
      }),
    },
  ),
  { minLength: 10, maxLength: 40 },
);

eachStore('lanes', store => {
  // Fails if the next turn ignores due times of settled lanes or of lanes not due yet, or if a held-back sink counts as checked.
  test.each(['log', 'state'] as const)(
    'a turn of a %s sink takes what is due, and looks again before anything else is: nothing would wake it',
    async mode => {
      await fc.assert(
        fc.asyncProperty(steps, async list => {
          const database = await store.open();
          const [sink] = await registerSinks(database, [{ name: 'crm', type: 'scripted', mode, filters: {} }], start);
          const lanes = new Lanes(database, v4, () => 0.5);
          let now = start;
          const recorder = recorderAt(database, () => now);
          const underWay: LaneWork[] = [];
          for (const step of list) {
            now += 1;
            if (step.does === 'wait') now += step.ms;
            if (step.does === 'record') await recorder.record(changedAt(now, `channel ${step.channel}`, { name: `name ${now}` }), 5000);
            if (step.does !== 'turn') continue;
            const ended = step.answers
              .slice(0, underWay.length)
              .map(answer => ({ at: now - 1, durationMs: 1, answers: [{ work: underWay.shift()!, answer: answers[answer]!() }] }));
            const { perSecond, attempts } = step;
            const claim = { attempts, batchSize: 1, leaseMs: 10_000_000, probeMs: 5000, bytes: 1e6, perSecond };
            let turn = await lanes.turn(sink!, ended, 86_400_000, claim, now);
            underWay.push(...turn.claimed.flat());
            let taken = turn.claimed.length;
            // After recovery, the lanes made due are claimed in the next turn, which follows at once.
            if (taken < attempts && turn.nextDueAt !== null && turn.nextDueAt <= now) {
              turn = await lanes.turn(sink!, [], 86_400_000, { ...claim, attempts: attempts - taken }, now);
              underWay.push(...turn.claimed.flat());
              taken += turn.claimed.length;
            }
            const idle = await database.kysely
              .selectFrom('lane')
              .select('due_at')
              .where('due_at', 'is not', null)
              .where('lease', 'is', null)
              .execute();
            const first = Math.min(...idle.map(lane => lane.due_at!));
            if (taken === attempts || first === Infinity) continue;
            expect(turn.nextDueAt).not.toBeNull();
            if (turn.health.state !== 'ok') continue;
            expect(turn.nextDueAt).toBeLessThanOrEqual(Math.max(first, turn.closedUntil));
            const closed = perSecond !== null || turn.closedUntil > now;
            expect(closed || first > now).toBe(true);
          }
          await database.close();
        }),
        { numRuns: 25 },
      );
    },
    60_000,
  );
});
