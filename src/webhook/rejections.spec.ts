import { type Rejection, Rejections } from './rejections.js';
import { logTo } from '../../test/support/engine.js';
import { Clock } from '../process/clock.js';

const one: Rejection = { result: 'forbidden', cause: 'app', address: '192.0.2.1', secondsAhead: null };

function stage() {
  const told: object[] = [];
  let now = 0;
  const rejections = new Rejections(
    logTo((_, fields) => told.push(fields)),
    Object.assign(new Clock(), { monotonic: () => now }),
  );
  /** What a minute brings, looked at every second. */
  const minute = (): object[] => {
    for (let seconds = 0; seconds < 60; seconds++) {
      now += 1000;
      rejections.sumUp();
    }
    return told.splice(0);
  };
  return { rejections, told, minute };
}

test('the first is told at once, then each minute how many more there were, until a minute without', () => {
  const { rejections, told, minute } = stage();
  rejections.add(one);
  expect(told.splice(0)).toEqual([one]);
  for (let count = 0; count < 1000; count++) rejections.add({ ...one, address: `192.0.2.${count % 4}` });
  expect(told).toEqual([]);
  expect(minute()).toEqual([{ ...one, count: 1000, address: '192.0.2.3', otherAddresses: 3 }]);
  rejections.add(one);
  expect(minute()).toEqual([{ ...one, count: 1, otherAddresses: 0 }]);
  expect(minute()).toEqual([]);
  rejections.add(one);
  expect(told).toEqual([one]);
  expect(rejections.counts).toEqual({ app: 1003 });
});

test('each result is a story of its own, with its latest cause', () => {
  const { rejections, told, minute } = stage();
  const late: Rejection = { result: 'unauthorized', cause: 'clock', address: '::1', secondsAhead: -90 };
  const forged: Rejection = { ...late, cause: 'signature', secondsAhead: 2 };
  for (const rejection of [one, late, late, one, forged]) rejections.add(rejection);
  expect(told.splice(0)).toEqual([one, late]);
  expect(minute()).toEqual([
    { ...one, count: 1, otherAddresses: 0 },
    { ...forged, count: 2, otherAddresses: 0 },
  ]);
  expect(rejections.counts).toEqual({ app: 2, clock: 2, signature: 1 });
});

test('a flood from everywhere costs one line a minute and little memory; the end of the process tells the rest', () => {
  const { rejections, told, minute } = stage();
  for (let count = 0; count < 100_000; count++) rejections.add({ ...one, address: `2001:db8::${count}` });
  told.splice(0);
  expect(minute()).toEqual([{ ...one, count: 99_999, address: '2001:db8::99999', otherAddresses: 100 }]);
  rejections.add(one);
  rejections.onApplicationShutdown();
  expect(told).toEqual([{ ...one, count: 1, otherAddresses: 0 }]);
});
