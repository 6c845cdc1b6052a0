import { setImmediate as nextTurn } from 'node:timers/promises';
import { Stage } from '../../test/support/management-stage.ts';
import { eachStore } from '../../test/support/stores.ts';
import { Refused } from '../sinks/errors.js';

const { jest } = import.meta;

const msg = 'changes could not be delivered and wait for a person';

eachStore('what is parked is told in the log', store => {
  let stage: Stage;
  beforeEach(async () => {
    stage = new Stage(await store.open());
    await stage.open();
  });
  afterEach(async () => {
    jest.useRealTimers();
    await stage.close();
  });

  const told = (): Record<string, unknown>[] => stage.logged.filter(line => line['msg'] === msg);
  const toldTimes = async (times: number): Promise<void> => {
    while (told().length < times) await nextTurn();
  };

  test('at the first of each sink, then each minute how many more, with why and how to list them', async () => {
    const [crm] = await stage.register({ name: 'crm' });
    await stage.record();
    const refused = Object.assign(new Refused(['answered', 400], ['fix_at_target'], 400), { response: 'no such field' });
    await stage.attempt(crm!, refused);
    const parked = (sink: string, count: number): void => void stage.events.emit('ended', sink, 'parked', count);
    const line = (fields: object): object => ({ level: 'warn', time: expect.any(String), msg, ...fields });
    const shown = {
      sink: 'crm',
      reason: 'answered 400',
      advice: 'The target rejected it: its answer or its log says why. Fix the cause, then retry.',
      see: '/api/v1/deliveries?sink=crm&state=parked',
    };
    expect((await stage.call(shown.see)).body.items).toHaveLength(1);
    const doNotFake = [
      'setImmediate',
      'nextTick',
      'queueMicrotask',
      'Date',
      'performance',
      'hrtime',
      'setInterval',
      'clearInterval',
    ] as const;
    jest.useFakeTimers({ doNotFake: [...doNotFake] });
    parked('crm', 1);
    parked('crm', 99);
    parked('crm', 1000);
    stage.events.emit('ended', 'crm', 'delivered', 5);
    await toldTimes(1);
    jest.advanceTimersByTime(59_000);
    await stage.database.ping();
    expect(told()).toEqual([line({ ...shown, count: 1 })]);
    jest.advanceTimersByTime(1000);
    await toldTimes(2);
    // Nothing is known of why a sink failed whose deliveries are gone by now.
    parked('other', 2);
    await toldTimes(3);
    jest.advanceTimersByTime(60_000);
    parked('crm', 3);
    await toldTimes(4);
    parked('crm', 4);
    await stage.parkedLog.onApplicationShutdown();
    expect(told().slice(1)).toEqual([
      line({ ...shown, count: 1099 }),
      line({ sink: 'other', count: 2, see: '/api/v1/deliveries?sink=other&state=parked' }),
      line({ ...shown, count: 3 }),
      line({ ...shown, count: 4 }),
    ]);
  });
});
