import { setImmediate as nextTurn } from 'node:timers/promises';
import { until } from '../../test/support/until.js';
import { SinkSettings } from '../sinks/settings.js';
import type { Lanes, Turn } from './lanes.js';
import type { LaneWork } from './work.js';
import { EngineEvents, type AttemptEnd } from '../process/engine-events.js';
import { TurnBudget } from '../process/turn-budget.js';
import { Attempts } from './attempts.js';
import { Worker } from './worker.js';
import { host } from '../../test/support/engine.js';

const settings = Object.assign(new SinkSettings(), { CONCURRENCY: 8, TIMEOUT_MS: 1000, RETRY_MAX_AGE: 1000 });
const nothing = {
  claimed: [],
  over: {},
  wakes: [],
  nextDueAt: null,
  closedUntil: 0,
  health: { state: 'ok' },
  mayDeliver: true,
  unleased: new Set(),
} as unknown as Turn;

function works(count: number): LaneWork[][] {
  return Array.from({ length: count }, (_, channel) => [
    { channel, bytes: 1, tries: 0, delivery: { id: `delivery ${channel}` } } as unknown as LaneWork,
  ]);
}

// Fails if the end of an attempt is metered before it is settled.
test('an attempt whose lane somebody else has by now counts as cancelled', async () => {
  const ends: AttemptEnd[] = [];
  const claimed = works(2);
  const turns = [
    { ...nothing, claimed },
    { ...nothing, unleased: new Set(claimed[0]) },
  ];
  const lanes = {
    turn: () => Promise.resolve(turns.shift() ?? nothing),
    release: () => Promise.resolve(),
    giveBack: () => Promise.resolve(),
  } as unknown as Lanes;
  const events = new EngineEvents().on('attempt', end => ends.push(end));
  const clock = { now: () => 0, monotonic: () => performance.now(), wall: () => 0 };
  const sink = { deliver: () => Promise.resolve() };
  const worker = new Worker({ id: 1, name: 'crm', type: 'webhook', mode: 'log' }, sink, settings, lanes, events, clock, host);
  worker.start();
  await until(() => ends.length === 2, 'both ends');
  expect(ends.map(({ deliveryId, outcome }) => [deliveryId, outcome])).toEqual([
    ['delivery 0', 'cancelled'],
    ['delivery 1', 'delivered'],
  ]);
  await worker.drain(0);
});

// Fails if the failure is dropped, or if what failed is repeated at once.
test('work that fails after the commit of a turn is reported, and the next turn waits', async () => {
  const turnsAt: number[] = [];
  const reported: (string | undefined)[] = [];
  const turns = [{ ...nothing, nextDueAt: 0, failure: new Error('connection lost') }];
  const lanes = {
    turn: () => (turnsAt.push(performance.now()), Promise.resolve(turns.shift() ?? nothing)),
    giveBack: () => Promise.resolve(),
  } as unknown as Lanes;
  const clock = { now: () => 0, monotonic: () => performance.now(), wall: () => 0 };
  const watching = { ...host, reportFailure: (_: string, error: Error | null) => void reported.push(error?.message) };
  const sink = { deliver: () => Promise.resolve() };
  const worker = new Worker(
    { id: 1, name: 'crm', type: 'webhook', mode: 'log' },
    sink,
    settings,
    lanes,
    new EngineEvents(),
    clock,
    watching,
  );
  worker.start();
  await until(() => turnsAt.length === 2, 'the next turn');
  expect(reported[0]).toBe('connection lost');
  expect(turnsAt[1]! - turnsAt[0]!).toBeGreaterThan(900);
  await worker.drain(0);
});

// Fails if they overlap: the earlier one could be committed last, and leases would end sooner than this process believes.
test('renewals of leases come one after the other', async () => {
  const renewals: (() => void)[] = [];
  const turns = [{ ...nothing, claimed: works(1) }];
  const lanes = {
    turn: () => Promise.resolve(turns.shift() ?? nothing),
    renew: (_: unknown, held: LaneWork[]) => new Promise<LaneWork[]>(resolve => renewals.push(() => resolve(held))),
    giveBack: () => Promise.resolve(),
  } as unknown as Lanes;
  const clock = { now: () => 0, monotonic: () => 0, wall: () => 0 };
  const attempt = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  const deliver = (): Promise<void> => (started.resolve(), attempt.promise);
  const registered = { id: 1, name: 'crm', type: 'webhook', mode: 'log' } as const;
  const worker = new Worker(registered, { deliver }, settings, lanes, new EngineEvents(), clock, host);
  worker.start();
  await started.promise;
  const first = worker['renew']();
  await worker['renew']();
  expect(renewals).toHaveLength(1);
  renewals[0]!();
  await first;
  void worker['renew']();
  expect(renewals).toHaveLength(2);
  renewals[1]!();
  attempt.resolve();
  await worker.drain(0);
});

/** Attempts of sinks that share a budget of starts; each sink has all of these works to start, leased until 1000. */
function startAll(queues: readonly LaneWork[][][], started: (sink: number) => void, monotonic = () => 0): Attempts[] {
  const starts = new TurnBudget(12);
  const many = Object.assign(new SinkSettings(), settings, { CONCURRENCY: 1000 });
  const { signal } = new AbortController();
  const sinks = queues.map((queue, index) => {
    const sink = { deliver: () => Promise.resolve(started(index)) };
    const attempts = new Attempts(sink, many, { monotonic, wall: () => 0 }, () => undefined, signal, starts);
    for (const work of queue) attempts.take(work, 10_000);
    return attempts;
  });
  for (const attempts of sinks) void attempts.start();
  return sinks;
}

// Fails if only the number of starts is bounded: with a dozen slow templates per turn, webhooks waited for seconds.
test('a start that takes long, such as that of a slow template, is the only one of its turn', async () => {
  const turns: number[] = [];
  let turn = 0;
  startAll([works(4), works(4)], () => {
    turns.push(turn);
    const before = process.threadCpuUsage();
    while (process.threadCpuUsage(before).user < 10_000);
  });
  for (; turns.length < 8; turn++) await nextTurn();
  expect(new Set(turns).size).toBe(8);
});

// Fails if each sink starts some per turn: webhooks waited for the attempts of a hundred sinks.
test('a turn of the event loop starts a dozen attempts at most, however many sinks there are', async () => {
  let started = 0;
  startAll(
    Array.from({ length: 50 }, () => works(4)),
    () => (started += 1),
  );
  const perTurn: number[] = [];
  for (let before = 0; started < 200; before = started) {
    await nextTurn();
    perTurn.push(started - before);
  }
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(12);
  expect(perTurn.length).toBeLessThanOrEqual(40);
});

// Fails if a sink that has waited may start as many as it has: the first one took every turn.
test('a sink with much to do leaves the others their share of each turn', async () => {
  const started = [0, 0, 0];
  startAll([works(900), works(20), works(20)], sink => (started[sink]! += 1));
  while (started[0]! < 100) await nextTurn();
  expect(started.slice(1)).toEqual([20, 20]);
});

test('what was released while it waited for its turn is not started', async () => {
  const started = [0, 0];
  const sinks = startAll([works(900), works(20)], sink => (started[sink]! += 1));
  while (started[1] === 0) await nextTurn();
  const before = started[1]!;
  expect(sinks[1]!.takeQueue(true).length).toBe(20 - before);
  for (let turn = 0; turn < 10; turn++) await nextTurn();
  expect(started[1]).toBe(before);
  // Its next work is started again.
  for (const work of works(5)) sinks[1]!.take(work, 10_000);
  void sinks[1]!.start();
  await until(() => started[1] === before + 5, 'the next work');
});

test('what waited for its turn until its lease may end before the next renewal is not started', async () => {
  let [started, now] = [0, 0];
  const [attempts] = startAll(
    [works(30)],
    () => (started += 1),
    () => now,
  );
  while (started === 0) await nextTurn();
  now = 6000;
  const before = started;
  for (let turn = 0; turn < 10; turn++) await nextTurn();
  expect([started, attempts!.works.length]).toEqual([before, before]);
  expect(before).toBeLessThan(30);
});

// Fails if the lease is checked only at every fourth start. The monotonic clock stops while a machine is suspended.
test.each(['monotonic', 'wall'] as const)(
  'no attempt starts once its lease may end before the next renewal by the %s clock',
  async passing => {
    const times = { monotonic: 1000, wall: 5000 };
    const started: string[] = [];
    const turns = [{ ...nothing, claimed: works(8) }];
    const lanes = {
      turn: () => Promise.resolve(turns.shift() ?? nothing),
      release: () => Promise.resolve(),
      giveBack: () => Promise.resolve(),
    } as unknown as Lanes;
    const sink = {
      deliver: ({ id }: { id: string }) => {
        started.push(id);
        // The process is blocked while the second starts.
        if (started.length === 2) times[passing] += 6000;
        return Promise.resolve();
      },
    };
    const clock = { now: () => 0, monotonic: () => times.monotonic, wall: () => times.wall };
    const worker = new Worker({ id: 1, name: 'crm', type: 'webhook', mode: 'log' }, sink, settings, lanes, new EngineEvents(), clock, host);
    worker.start();
    await until(() => started.length === 2, 'the second start');
    for (let turn = 0; turn < 10; turn++) await nextTurn();
    await worker.drain(0);
    expect(started).toEqual(['delivery 0', 'delivery 1']);
  },
);

// Fails if every wake-up runs a turn: results of other sinks wake a rate-limited sink far more often than it may send.
test('what wakes a worker while its sink may not be sent anything costs no turn', async () => {
  const closedUntil = Date.now() + 300;
  const turns: number[] = [];
  const turn = async () => {
    turns.push(Date.now());
    return { ...nothing, closedUntil };
  };
  const sink = { deliver: () => Promise.resolve() };
  const alone = Object.assign(new SinkSettings(), settings, { CONCURRENCY: 1 });
  const lanes = { turn, release: () => Promise.resolve(), giveBack: () => Promise.resolve() } as unknown as Lanes;
  const worker = new Worker(
    { id: 1, name: 'team', type: 'slack', mode: 'log' },
    sink,
    alone,
    lanes,
    new EngineEvents(),
    { now: Date.now, monotonic: Date.now, wall: Date.now },
    host,
  );
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

// Regression: each attempt that ended beside a waiting probe postponed the next probe by the full timeout.
test('a probe that waits for its start is not given back with what was claimed before it', async () => {
  const [first, second, probe] = works(3).flat();
  Object.assign(probe!, { probe: true });
  const turns = [
    { ...nothing, claimed: [[first!], [second!]] },
    { ...nothing, mayDeliver: false, claimed: [[probe!]] },
    { ...nothing, mayDeliver: false },
  ];
  const givenBack: LaneWork[] = [];
  const lanes = {
    turn: () => Promise.resolve(turns.shift() ?? { ...nothing, mayDeliver: false }),
    release: () => Promise.resolve(),
    giveBack: (_: unknown, given: readonly LaneWork[]) => Promise.resolve(void givenBack.push(...given)),
  } as unknown as Lanes;
  const started: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const sink = { deliver: ({ id }: { id: string }) => (started.push(id), id === first!.delivery.id ? promise : Promise.resolve()) };
  const one = Object.assign(new SinkSettings(), settings, { CONCURRENCY: 1 });
  const clock = { now: () => 0, monotonic: () => performance.now(), wall: () => 0 };
  const worker = new Worker({ id: 1, name: 'crm', type: 'webhook', mode: 'log' }, sink, one, lanes, new EngineEvents(), clock, host);
  worker.start();
  await until(() => started.length === 1, 'the first attempt');
  for (const left of [1, 0]) {
    worker.wake();
    await until(() => turns.length <= left, 'a turn');
  }
  resolve();
  await until(() => started.length === 2, 'the probe');
  expect([started[1], givenBack]).toEqual([probe!.delivery.id, [second]]);
  await worker.drain(0);
});

// Regression: deliveries recorded while the sink was stopping were sent to it alongside its probe.
test('what is handed over after a turn has found the sink stopped is given back, and looked at again', async () => {
  const givenBack: LaneWork[] = [];
  let turns = 0;
  const lanes = {
    turn: () => Promise.resolve({ ...nothing, mayDeliver: turns++ > 1 }),
    release: () => Promise.resolve(),
    giveBack: (_: unknown, given: readonly LaneWork[]) => Promise.resolve(void givenBack.push(...given)),
  } as unknown as Lanes;
  const started: string[] = [];
  const sink = { deliver: ({ id }: { id: string }) => Promise.resolve(void started.push(id)) };
  const clock = { now: () => 0, monotonic: () => performance.now(), wall: () => 0 };
  const crm = { id: 1, name: 'crm', type: 'webhook', mode: 'log' as const };
  const worker = new Worker(crm, sink, settings, lanes, new EngineEvents(), clock, host);
  worker.start();
  await until(() => turns === 1, 'the first turn');
  expect(worker.room()).toBe(0);
  const [late] = works(1).flat();
  worker.accept([late!], performance.now() + 10_000);
  await until(() => turns === 2, 'another turn');
  expect([givenBack, started]).toEqual([[late], []]);
  worker.wake();
  await until(() => worker.room() > 0, 'room again');
  await worker.drain(0);
});
