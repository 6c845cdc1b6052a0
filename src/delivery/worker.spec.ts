import { setImmediate as nextTurn } from 'node:timers/promises';
import { until } from '../../test/support/until.js';
import { SinkSettings } from '../sinks/sink.js';
import type { Lanes, Turn } from './lanes.js';
import { Worker } from './worker.js';

const events = {
  attempt: () => undefined,
  deliveries: () => undefined,
  wake: () => undefined,
  giveWay: () => Promise.resolve(),
  state: () => undefined,
  trouble: () => undefined,
};

// Seen failing with a turn for each wake-up: the results of other sinks wake one that is paced far more often than it may send.
test('what wakes a worker while its sink may not be sent anything costs no turn', async () => {
  const closedUntil = Date.now() + 300;
  const turns: number[] = [];
  const turn = async () => {
    turns.push(Date.now());
    return { claimed: [], over: {}, wakes: [], nextDueAt: null, closedUntil, health: { state: 'ok' } } as unknown as Turn;
  };
  const sink = { deliver: () => Promise.resolve() };
  const settings = Object.assign(new SinkSettings(), { CONCURRENCY: 1, TIMEOUT_MS: 1000, RETRY_MAX_AGE: 1000 });
  const lanes = { turn, release: () => Promise.resolve() } as unknown as Lanes;
  const worker = new Worker({ id: 1, name: 'team', type: 'slack', mode: 'log' }, sink, settings, lanes, events, {
    now: Date.now,
    monotonic: Date.now,
  });
  worker.start();
  await until(() => turns.length === 1, 'the first turn');
  while (Date.now() < closedUntil - 50) {
    worker.wake();
    await nextTurn();
  }
  await until(() => turns.length === 2, 'the turn after it');
  expect(turns[1]).toBeGreaterThanOrEqual(closedUntil);
  await worker.drain(0);
});
