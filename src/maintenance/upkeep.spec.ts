import { sql } from 'kysely';
import { v4, v7 as uuid } from 'uuid';
import { readExplanation, stored } from '../explanations/explanation.js';
import { eachStore } from '../../test/support/stores.js';
import { until } from '../../test/support/until.js';
import type { InboundWebhook } from '../channel/inbound-webhook.js';
import { byWebhook, recorderAt, soundEvents } from '../../test/support/engine.js';
import { recordAction } from '../database/audit.js';
import type { Database } from '../database/database.js';
import { type Refused as Failure, Refused, TryAgain } from '../sinks/errors.js';
import { backfillPage } from './backfill.js';
import { Lanes } from '../delivery/lanes.js';
import { type ConfiguredSink, registerSinks } from '../sinks/registry.js';
import type { RegisteredSink } from '../sinks/registry.js';
import { beginComparison } from '../reconcile/comparison.js';
import { Upkeep } from './upkeep.js';
import type { LaneWork } from '../delivery/work.js';
import { SharedClock } from '../process/clock.js';
import type { Settings } from '../settings/settings.js';
import type { Recorder } from '../channel/recorder.js';

const day = 86_400_000;
const start = Date.UTC(2026, 0, 1);

class Stage {
  time = start;
  readonly woken = new Set<number>();
  readonly discarded: [string, number][] = [];
  readonly recorder: Recorder;
  private readonly lanes: Lanes;
  private readonly upkeep: Upkeep;

  constructor(readonly database: Database) {
    this.recorder = recorderAt(database, () => this.time);
    this.lanes = new Lanes(database, v4, () => 0);
    const events = soundEvents()
      .on('due', sinks => [...sinks!].forEach(sink => this.woken.add(sink)))
      .on('ended', (sink, _, count) => this.discarded.push([sink, count]));
    const clock = SharedClock.by(() => this.time);
    this.upkeep = new Upkeep(database, { RETENTION_DAYS: 90 } as Settings, clock, events);
  }

  configure(...sinks: (Pick<ConfiguredSink, 'name'> & Partial<ConfiguredSink>)[]): Promise<RegisteredSink[]> {
    return registerSinks(
      this.database,
      sinks.map(sink => ({ type: 'webhook', mode: 'log', filters: {}, ...sink })),
      this.time,
    );
  }

  async record(channelId = 'a', overrides: Partial<InboundWebhook> = {}): Promise<string> {
    this.time += 1000;
    const webhook: InboundWebhook = {
      id: uuid({ msecs: this.time }),
      sdkAppId: '1',
      channelId,
      command: 'changed',
      operator: null,
      eventTime: this.time,
      eventTimeEstimated: false,
      ...byWebhook,
      receivedAt: this.time,
      fields: { name: `name ${this.time}` },
      body: Buffer.from('{}'),
      ...overrides,
    };
    await this.recorder.record(webhook, 5000);
    return webhook.id;
  }

  run(): Promise<void> {
    return this.upkeep.once(new AbortController().signal);
  }

  /** Makes one attempt of everything that is due. */
  async attempt(sink: RegisteredSink, failure?: TryAgain | Failure): Promise<void> {
    const claim = { attempts: 1000, batchSize: 1, bytes: 1e9, leaseMs: 30_000, probeMs: 30_000, perSecond: null };
    const works: LaneWork[] = [];
    for (let more = true; more;) {
      const { claimed } = await this.lanes.turn(sink, [], day, claim, this.time);
      works.push(...claimed.flat());
      more = claimed.length > 0;
    }
    const ended = works.map(work => ({
      at: this.time,
      durationMs: 1,
      answers: [{ work, answer: failure ? { failure } : { messageRef: null } }],
    }));
    await this.lanes.turn(sink, ended, day, { ...claim, attempts: 0 }, this.time);
  }

  async deliveries(sink?: RegisteredSink): Promise<{ change_id: string; state: string; reason: string | null; enqueued_at: number }[]> {
    return this.database.kysely
      .selectFrom('delivery')
      .select(['change_id', 'state', 'reason', 'enqueued_at'])
      .$if(sink !== undefined, found => found.where('sink', '=', sink!.id))
      .orderBy('change_id')
      .orderBy('sink')
      .execute();
  }

  async changes(): Promise<string[]> {
    return (await this.database.kysely.selectFrom('change').select('id').orderBy('id').execute()).map(row => row.id);
  }
}

const refused = (): Refused => new Refused(['answered', 422], ['as_said', 'mend it'], 422);

eachStore('upkeep', store => {
  const stageOf = async (): Promise<Stage> => new Stage(await store.open());

  describe('a new state sink', () => {
    test('is owed the newest revision of every channel that its filters want, also of destroyed ones, from now on', async () => {
      const stage = await stageOf();
      await stage.record('shop 1');
      const first = await stage.record('shop 1');
      // Stale, so it has no revision.
      await stage.record('shop 1', { eventTime: start });
      const gone = await stage.record('shop 2', { command: 'destroyed', fields: {} });
      await stage.record('other');
      await stage.record('shop 3', { sdkAppId: '2' });
      stage.time += day;
      const [search] = await stage.configure({
        name: 'search',
        mode: 'state',
        filters: { channels: ['shop *'], sdkAppIds: ['1'], fields: ['avatarUrl'] },
      });
      const live = await stage.record('shop 1', { command: 'destroyed', fields: {} });
      await stage.run();
      expect((await stage.deliveries(search)).map(row => [row.change_id, row.state])).toEqual([
        [gone, 'pending'],
        [live, 'pending'],
      ]);
      expect(first).not.toBe(live);
      expect((await stage.deliveries(search)).every(row => row.enqueued_at > start + day)).toBe(true);
      expect(stage.woken).toEqual(new Set([search!.id]));
      await stage.attempt(search!);
      expect((await stage.deliveries(search)).map(row => row.state)).toEqual(['delivered', 'delivered']);
    });

    // Guards against ending with the last page although an uncommitted transaction is still recording a new channel.
    test('has also a new channel whose recording began before it and ended after its last page', async () => {
      const stage = await stageOf();
      if (stage.database.embedded) return;
      const [search] = await stage.configure({ name: 'search', mode: 'state' });
      await stage.run();
      await stage.record('late');
      // As recorded by a process that does not know the sink.
      for (const table of ['delivery', 'lane'] as const) await stage.database.kysely.deleteFrom(table).execute();
      stage.time += 120_000;
      await stage.run();
      expect(await stage.deliveries(search)).toHaveLength(1);
    });

    test('is filled page by page, goes on after a kill, and is filled once only', async () => {
      const stage = await stageOf();
      for (let channel = 0; channel < 450; channel += 50)
        await Promise.all(Array.from({ length: 50 }, (_, index) => stage.record(`channel ${channel + index}`)));
      const [search] = await stage.configure({ name: 'search', mode: 'state' });
      expect(await backfillPage(stage.database, search!.id, stage.time)).toBe(true);
      expect(await stage.deliveries(search)).toHaveLength(200);
      await stage.run();
      expect(await stage.deliveries(search)).toHaveLength(450);
      stage.time += 120_000;
      await stage.run();
      expect(await stage.database.kysely.selectFrom('sink').select('backfilled_to').execute()).toEqual([{ backfilled_to: null }]);
      await stage.attempt(search!);
      await stage.configure();
      await stage.record('missed');
      await stage.configure({ name: 'search', mode: 'state' });
      await stage.run();
      expect(await stage.deliveries(search)).toHaveLength(450);
    });

    test('misses nothing that is recorded while it is registered and filled', async () => {
      const stage = await stageOf();
      const names = Array.from({ length: 300 }, (_, index) => `channel ${index}`);
      await Promise.all(names.map(name => stage.record(name)));
      let over = false;
      const recording = Array.from({ length: 8 }, async (_, lane) => {
        for (let turn = lane; !over; turn += 8) await stage.record(names[(turn * 7) % names.length]!);
      });
      const [search] = await stage.configure({ name: 'search', mode: 'state' });
      await stage.run();
      over = true;
      await Promise.all(recording);
      const latest = await stage.database.kysely
        .selectFrom('change')
        .innerJoin('channel', join => join.onRef('channel.id', '=', 'change.channel').onRef('channel.revision', '=', 'change.revision'))
        .select('change.id')
        .execute();
      const owed = new Set((await stage.deliveries(search)).map(row => row.change_id));
      expect(latest).toHaveLength(300);
      expect(latest.filter(({ id }) => !owed.has(id))).toEqual([]);
    });

    test('waits for who records at this moment and does not know the sink yet', async () => {
      const stage = await stageOf();
      const { database } = stage;
      // SQLite has only one transaction at a time.
      if (database.embedded) return;
      await stage.configure({ name: 'log', type: 'log' });
      await stage.record();
      const notify = database.notify.bind(database);
      let release = (): void => undefined;
      const gate = new Promise<void>(resolve => (release = resolve));
      const reached = new Promise<void>(resolve => {
        database.notify = async (...args) => {
          resolve();
          await gate;
          await notify(...args);
        };
      });
      const recording = stage.record();
      await reached;
      database.notify = notify;
      const [, search] = await stage.configure({ name: 'log', type: 'log' }, { name: 'search', mode: 'state' });
      const filling = stage.run();
      const waiting = sql<{
        n: number;
      }>`select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
      // Fails if the backfill does not lock the channels.
      await until(async () => (await waiting.execute(database.kysely)).rows[0]!.n > 0, 'the fill waits');
      release();
      await filling;
      expect((await stage.deliveries(search)).map(row => row.change_id)).toEqual([await recording]);
    });

    test('a log sink starts with the next change', async () => {
      const stage = await stageOf();
      await stage.record();
      const [crm] = await stage.configure({ name: 'crm' });
      await stage.run();
      expect(await stage.deliveries(crm)).toEqual([]);
    });
  });

  describe('a sink that is no longer configured', () => {
    test('keeps what it is owed, and goes on when it returns in time', async () => {
      const stage = await stageOf();
      const [crm] = await stage.configure({ name: 'crm' });
      await stage.record();
      await stage.configure();
      await stage.record();
      stage.time += 89 * day;
      await stage.run();
      expect((await stage.deliveries(crm)).map(row => row.state)).toEqual(['pending']);
      const [again] = await stage.configure({ name: 'crm' });
      expect(again!.id).toBe(crm!.id);
      await stage.attempt(crm!);
      expect((await stage.deliveries(crm)).map(row => row.state)).toEqual(['delivered']);
    });

    test('has it discarded after RETENTION_DAYS, told on the cards', async () => {
      const stage = await stageOf();
      const [crm, slack] = await stage.configure({ name: 'crm' }, { name: 'team', type: 'slack', mode: 'report' });
      await stage.record();
      await stage.attempt(crm!, refused());
      await stage.record();
      await stage.attempt(slack!);
      await stage.attempt(slack!);
      await stage.configure({ name: 'team', type: 'slack', mode: 'report' });
      stage.time += 91 * day;
      // Confirms the clock.
      await stage.record('b');
      await stage.run();
      // The older one has no pending delivery any more and was deleted in the same run.
      expect((await stage.deliveries(crm)).map(({ state, reason }) => [state, reason])).toEqual([
        ['discarded', stored(['not_configured_for', 90])],
      ]);
      expect(stage.discarded.reduce((sum, [, count]) => sum + count, 0)).toBe(2);
      expect(stage.woken).toEqual(new Set([slack!.id]));
      // If it returns anyway, its lanes have nothing open.
      await stage.configure({ name: 'crm' });
      await stage.attempt(crm!);
      const due = stage.database.kysely.selectFrom('lane').select('channel').where('sink', '=', crm!.id).where('due_at', 'is not', null);
      expect(await due.execute()).toEqual([]);
    });

    test('leaves no news behind once what it was owed is discarded', async () => {
      const stage = await stageOf();
      const [slack] = await stage.configure({ name: 'team', type: 'slack', mode: 'report' });
      await stage.record();
      const news = () => stage.database.kysely.selectFrom('report_refresh').select('sink').execute();
      expect(await news()).toEqual([{ sink: slack!.id }]);
      await stage.configure({ name: 'team' });
      await stage.run();
      expect(await news()).toEqual([]);
    });

    test('that has another type or mode now is a new sink: what the old one was owed is discarded at once', async () => {
      const stage = await stageOf();
      const [old] = await stage.configure({ name: 'crm' });
      for (let count = 0; count < 700; count += 70) await Promise.all(Array.from({ length: 70 }, () => stage.record()));
      const [next] = await stage.configure({ name: 'crm', mode: 'state' });
      expect(next!.id).not.toBe(old!.id);
      await stage.run();
      const states = (await stage.deliveries()).map(({ state, reason }) => `${state}: ${readExplanation(reason!)}`);
      expect(new Set(states)).toEqual(new Set(['discarded: the sink was replaced: crm is now of type webhook in mode state']));
      // Its name was configured before, so it is not backfilled.
      expect(await stage.deliveries(next)).toEqual([]);
      await stage.record();
      expect((await stage.deliveries(next)).map(row => row.state)).toEqual(['pending']);
    });

    test('that has another type in the same mode is a new sink, too', async () => {
      const stage = await stageOf();
      const [old] = await stage.configure({ name: 'crm' });
      await stage.record();
      const [next] = await stage.configure({ name: 'crm', type: 'log' });
      expect(next!.id).not.toBe(old!.id);
      await stage.run();
      expect(await stage.deliveries()).toMatchObject([{ state: 'discarded', reason: stored(['replaced', 'crm', 'log', 'log']) }]);
    });
  });

  test('goes in pages where very much was done', async () => {
    const stage = await stageOf();
    const done = Array.from({ length: 1200 }, () => ({ at: start - 100 * day, actor: 'api', action: 'pause', details: '{}' }));
    await stage.database.kysely.transaction().execute(trx => stage.database.insert(trx, 'audit', done));
    await stage.record();
    await stage.run();
    expect(await stage.database.kysely.selectFrom('audit').select('id').execute()).toEqual([]);
  });

  test('does the rest where one thing fails, and tells which', async () => {
    const stage = await stageOf();
    await stage.configure({ name: 'broken', mode: 'state' }, { name: 'search', mode: 'state' });
    await stage.database.kysely
      .insertInto('audit')
      .values({ at: start - 100 * day, actor: 'api', action: 'pause', details: '{}' })
      .execute();
    await stage.record();
    await stage.database.kysely.updateTable('sink').set({ filters: 'no JSON' }).where('name', '=', 'broken').execute();
    await expect(stage.run()).rejects.toThrow(/^backfill of broken: .*JSON/);
    const sinks = await stage.database.kysely.selectFrom('sink').select('name').where('backfilled_to', 'is not', null).execute();
    expect(sinks).toEqual([{ name: 'broken' }, ...(stage.database.embedded ? [] : [{ name: 'search' }])]);
    expect(await stage.database.kysely.selectFrom('audit').select('id').execute()).toEqual([]);
  });

  // Guards against reusing the old row, which includes discarded deliveries in its accounts.
  test('a sink that goes to another mode and back is new each time', async () => {
    const stage = await stageOf();
    const [first] = await stage.configure({ name: 'crm' });
    await stage.record();
    await stage.configure({ name: 'crm', mode: 'state' });
    await stage.run();
    const [third] = await stage.configure({ name: 'crm' });
    expect(third!.id).toBeGreaterThan(first!.id);
    await stage.record();
    await stage.run();
    expect((await stage.deliveries(first)).map(row => row.state)).toEqual(['discarded']);
    expect((await stage.deliveries(third)).map(row => row.state)).toEqual(['pending']);
    const [again] = await stage.configure({ name: 'crm' });
    expect(again!.id).toBe(third!.id);
  });

  describe('retention', () => {
    test('deletes what is old, but nothing that is owed, and no newest change or revision', async () => {
      const stage = await stageOf();
      const [crm, log] = await stage.configure({ name: 'crm' }, { name: 'log', type: 'log' });
      const delivered = await stage.record('a');
      for (const sink of [crm!, log!]) await stage.attempt(sink);
      const parked = await stage.record('a');
      await stage.attempt(crm!);
      await stage.attempt(log!, refused());
      const pending = await stage.record('b');
      await stage.attempt(log!);
      await stage.attempt(crm!, new TryAgain(['answered', 503], ['wait'], 503));
      const over = await stage.record('c');
      const newestRevision = await stage.record('c');
      const staleOnes = [await stage.record('c', { eventTime: start }), await stage.record('c', { eventTime: start + 1 })];
      await stage.attempt(log!);
      await stage.attempt(log!);
      await stage.attempt(crm!);
      await stage.attempt(crm!);
      stage.time += 90 * day - 1000;
      const young = await stage.record('a');
      const all = await stage.changes();
      await stage.run();
      const kept = await stage.changes();
      expect(all.filter(id => !kept.includes(id)).sort()).toEqual([delivered, over, staleOnes[0]!].sort());
      expect(kept).toEqual(expect.arrayContaining([parked, pending, newestRevision, staleOnes[1], young]));
      const left = await stage.database.kysely.selectFrom('attempt').select('change_id').execute();
      expect(left.filter(row => !kept.includes(row.change_id))).toEqual([]);
      expect((await stage.deliveries()).filter(row => !kept.includes(row.change_id))).toEqual([]);
      expect(await stage.database.kysely.selectFrom('channel').select('revision').orderBy('id').execute()).toEqual([
        { revision: 3 },
        { revision: 1 },
        { revision: 2 },
      ]);
    });

    test('goes through many pages, and keeps the profile and what repeats of deleted webhooks do to it', async () => {
      const stage = await stageOf();
      const first = { fields: { name: 'first' }, eventTime: start + 1 };
      await stage.record('a', first);
      for (let count = 0; count < 1000; count += 100) await Promise.all(Array.from({ length: 100 }, () => stage.record('a')));
      const before = await stage.database.kysely
        .selectFrom('channel')
        .select(['state', 'revision'])
        .where('channel_id', '=', 'a')
        .executeTakeFirstOrThrow();
      stage.time += 91 * day;
      await stage.record('b');
      await stage.run();
      // The latest change is also the latest revision.
      expect(await stage.changes()).toHaveLength(2);
      await stage.record('a', first);
      expect(
        await stage.database.kysely
          .selectFrom('channel')
          .select(['state', 'revision'])
          .where('channel_id', '=', 'a')
          .executeTakeFirstOrThrow(),
      ).toEqual(before);
    });

    test('a replay that is faster keeps what it made pending', async () => {
      const stage = await stageOf();
      const [crm] = await stage.configure({ name: 'crm' });
      const old = await stage.record();
      await stage.attempt(crm!);
      await stage.record();
      await stage.attempt(crm!);
      stage.time += 91 * day;
      await stage.database.kysely.updateTable('delivery').set({ state: 'pending', open: 1 }).where('change_id', '=', old).execute();
      await stage.run();
      expect(await stage.changes()).toHaveLength(2);
    });

    test('forgets who did what after the same time', async () => {
      const stage = await stageOf();
      for (const at of [start, start + 91 * day])
        await stage.database.kysely.insertInto('audit').values({ at, actor: 'api', action: 'pause', details: '{}' }).execute();
      stage.time += 91 * day;
      await stage.run();
      expect(await stage.database.kysely.selectFrom('audit').select('at').execute()).toEqual([{ at: start + 91 * day }]);
    });

    test('deletes comparisons that ended before that, and what they listed; one that is open stays', async () => {
      const stage = await stageOf();
      const wanted = { sdkAppId: '1', cause: 'request', channelIds: ['a', 'b'] } as const;
      const begin = () => beginComparison(stage.database, wanted, { at: stage.time, actor: 'api' });
      const ended = await begin();
      await stage.database.kysely.updateTable('comparison').set({ state: 'done', finished_at: stage.time }).execute();
      const open = await begin();
      stage.time += 89 * day;
      await stage.record();
      await stage.run();
      const left = async () => {
        const ids = await stage.database.kysely.selectFrom('comparison').select('id').orderBy('id').execute();
        const listed = await stage.database.kysely.selectFrom('comparison_channel').select('comparison').distinct().execute();
        return [ids.map(({ id }) => id), listed.map(({ comparison }) => comparison)];
      };
      expect(await left()).toEqual([[ended.id, open.id].toSorted(), [open.id]]);
      stage.time += 2 * day;
      await stage.record();
      await stage.run();
      expect(await left()).toEqual([[open.id], [open.id]]);
    });

    test('keeps what was done, and a sink that was removed, while the clock was years behind what the vendor confirmed', async () => {
      const stage = await stageOf();
      const [crm] = await stage.configure({ name: 'crm' });
      await stage.record();
      stage.time -= 10 * 365 * day;
      await recordAction(stage.database.kysely, { at: stage.time, actor: 'api' }, 'pause', { sink: 'crm' });
      await stage.configure();
      stage.time += 10 * 365 * day;
      await stage.record();
      await stage.run();
      expect(await stage.database.kysely.selectFrom('audit').select('action').execute()).toEqual([{ action: 'pause' }]);
      expect((await stage.deliveries(crm)).map(({ state }) => state)).toEqual(['pending']);
      stage.time += 91 * day;
      await stage.record();
      await stage.run();
      expect(await stage.database.kysely.selectFrom('audit').select('action').execute()).toEqual([]);
      expect(stage.discarded).toEqual([['crm', 1]]);
    });
  });
});
