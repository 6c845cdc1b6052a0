import { recorderAt, byWebhook } from '../../../test/support/engine.js';
import { eachStore } from '../../../test/support/stores.js';
import { Enqueuer } from '../../delivery/enqueue.js';
import { SharedClock } from '../../process/clock.js';
import { EngineEvents } from '../../process/engine-events.js';
import { judge } from '../../reconcile/rule.js';
import { ReadingRecorder } from './reading-recorder.js';

eachStore('recording readings', store => {
  test('what a reading changes is on disk when it is over; what it finds equal keeps no webhook waiting for the disk', async () => {
    const database = await store.open();
    const [clock, events] = [new SharedClock(), new EngineEvents()];
    const [channelId, sdkAppId, eventTime] = ['a', '1400000001', Date.now() - 60_000];
    const webhook = {
      id: '00000000-0000-7000-8000-000000000001',
      sdkAppId,
      channelId,
      command: 'changed' as const,
      eventTime,
      ...byWebhook,
    };
    const arrival = { fields: { name: 'A' }, operator: null, eventTimeEstimated: false, receivedAt: Date.now(), body: Buffer.from('{}') };
    await recorderAt(database, () => clock.now(), events).record({ ...webhook, ...arrival }, 5000);
    const recorder = new ReadingRecorder(database, clock, new Enqueuer(database, clock, events));
    const unsynced: boolean[] = [];
    const asyncCommit = database.asyncCommit.bind(database);
    database.asyncCommit = async work => {
      const index = unsynced.push(false) - 1;
      const result = await asyncCommit(work);
      unsynced[index] = true;
      return result as never;
    };
    let work = 0;
    const read = (name: string, at: number) =>
      recorder.transaction(async (_, record) => {
        work += 1;
        await record([
          { sdkAppId, channelId, owner: null, at, sentAt: at, judge: known => ({ ...judge(known, { name }, at), againAt: null }) },
        ]);
      });
    await read('A', eventTime + 1);
    expect([work, unsynced]).toEqual([1, [true]]);
    await read('B', eventTime + 2);
    expect([work, unsynced]).toEqual([3, [true, false]]);
    const changes = await database.kysely.selectFrom('change').select(['position', 'source']).orderBy('position').execute();
    expect(changes).toEqual([
      { position: 1, source: 'webhook' },
      { position: 2, source: 'comparison' },
    ]);
    const { verified_at: verifiedAt } = await database.kysely.selectFrom('channel').select('verified_at').executeTakeFirstOrThrow();
    expect(verifiedAt).toBe(eventTime + 2);
  });
});
