import { type Rejection, Rejections } from './rejections.js';
import { logTo } from '../../test/support/engine.js';
import { Clock } from '../process/clock.js';

const one: Rejection = { result: 'forbidden', cause: 'app', address: '192.0.2.1', secondsAhead: null };

function stage() {
  const logged: object[] = [];
  let now = 0;
  const rejections = new Rejections(
    logTo((_, fields) => logged.push(fields)),
    Object.assign(new Clock(), { monotonic: () => now }),
  );
  /** Runs for a minute and returns what was logged. */
  const minute = (): object[] => {
    for (let seconds = 0; seconds < 60; seconds++) {
      now += 1000;
      rejections.logSummaries();
    }
    return logged.splice(0);
  };
  return { rejections, logged, minute, at: (time: number) => (now = time) };
}

test('the first is told at once, then each minute how many more there were, until a minute without', () => {
  const { rejections, logged, minute } = stage();
  rejections.add(one);
  expect(logged.splice(0)).toEqual([one]);
  for (let count = 0; count < 1000; count++) rejections.add({ ...one, address: `192.0.2.${count % 4}` });
  expect(logged).toEqual([]);
  expect(minute()).toEqual([{ ...one, count: 1000, address: '192.0.2.3', otherAddresses: 3 }]);
  rejections.add(one);
  expect(minute()).toEqual([{ ...one, count: 1, otherAddresses: 0 }]);
  expect(minute()).toEqual([]);
  rejections.add(one);
  expect(logged).toEqual([one]);
  expect(rejections.counts).toEqual({ app: 1003 });
});

test('when the first was rejected is told once, whatever comes after it; those without a cause do not count', () => {
  const { rejections, at } = stage();
  rejections.add({ ...one, cause: null });
  expect(rejections.takeFirst()).toBe(null);
  for (const time of [1000, 2000]) {
    at(time);
    rejections.add(one);
  }
  expect(rejections.takeFirst()).toBe(1000);
  expect(rejections.takeFirst()).toBe(null);
});

test('each cause is a story of its own: none hides another', () => {
  const { rejections, logged, minute } = stage();
  const late: Rejection = { result: 'unauthorized', cause: 'clock', address: '::1', secondsAhead: -90 };
  const forged: Rejection = { ...late, cause: 'signature', secondsAhead: 2 };
  for (const rejection of [one, late, late, one, forged]) rejections.add(rejection);
  expect(logged.splice(0)).toEqual([one, late, forged]);
  expect(minute()).toEqual([
    { ...one, count: 1, otherAddresses: 0 },
    { ...late, count: 1, otherAddresses: 0 },
  ]);
  expect(rejections.counts).toEqual({ app: 2, clock: 2, signature: 1 });
});

test('a flood from everywhere costs one line a minute and little memory; the end of the process tells the rest', () => {
  const { rejections, logged, minute } = stage();
  for (let count = 0; count < 100_000; count++) rejections.add({ ...one, address: `2001:db8::${count}` });
  logged.splice(0);
  expect(minute()).toEqual([{ ...one, count: 99_999, address: '2001:db8::99999', otherAddresses: 100 }]);
  rejections.add(one);
  rejections.onApplicationShutdown();
  expect(logged).toEqual([{ ...one, count: 1, otherAddresses: 0 }]);
});
