import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { v7 as uuid } from 'uuid';
import { byWebhook, logTo, recorderAt } from '../../test/support/engine.js';
import { type FakeVendor, type VendorCall, fakeVendor, succeeded } from '../../test/support/fake-vendor.ts';
import { eachStore } from '../../test/support/stores.js';
import { until } from '../../test/support/until.js';
import { Enqueuer } from '../delivery/enqueue.js';
import { ReadingRecorder } from '../channel/readings/reading-recorder.js';
import type { InboundWebhook } from '../channel/inbound-webhook.js';
import { type ChannelState, existsIn, profileOf } from '../channel/merge.js';
import type { Database } from '../database/database.js';
import { stored } from '../explanations/explanation.js';
import { proxiesFrom } from '../outgoing/proxies.js';
import { SharedClock } from '../process/clock.js';
import { EngineEvents } from '../process/engine-events.js';
import { repeatedly } from '../process/repeatedly.js';
import { readSettings } from '../settings/settings.js';
import { registerSinks } from '../sinks/registry.js';
import { AppWork } from './app-work.js';
import { AppLease } from './app-lease.js';
import { type Comparison, type ComparisonRequest, beginComparison, openComparisons, readComparison } from './comparison.js';
import { Comparisons } from './comparisons.js';
import { VendorApi } from './vendor/api.js';

const sdkAppId = '1400000001';
const minute = 60_000;
const never = new AbortController().signal;

eachStore('comparisons', store => {
  let vendor: FakeVendor;
  /** How far the service's clock is ahead of this machine's; the fake vendor's clock only where a test says so. */
  let offset: number;
  let logged: string[];
  let lines: [message: string, fields: Record<string, unknown>][];
  const closing: (() => void)[] = [];
  beforeEach(async () => {
    vendor = await fakeVendor();
    [offset, logged, lines] = [0, [], []];
  });
  afterEach(async () => {
    for (const close of closing.splice(0)) close();
    await vendor.close();
  });

  /** One process. */
  function processAt(database: Database, more: Record<string, string> = {}) {
    const clock = SharedClock.by(() => Date.now() + offset);
    const events = new EngineEvents();
    const counts = new Map<string, number>();
    events.on('compared', (_, result, count) => counts.set(result, (counts.get(result) ?? 0) + count));
    const recorder = recorderAt(database, () => clock.now(), events);
    const readings = new ReadingRecorder(database, clock, new Enqueuer(database, clock, events));
    const log = logTo((message, fields) => {
      logged.push(message);
      lines.push([message, fields]);
    });
    const fast = { COMPARE_RATE_PER_SECOND: '200', COMPARE_EVERY: 'off' };
    const settings = readSettings({ SDK_APP_IDS: sdkAppId, ...fast, ...vendor.environment, ...more });
    const comparisons = new Comparisons(database, readings, settings, clock, events, log);
    const [app] = settings.apps;
    const lease = new AppLease(sdkAppId, database, clock, settings.COMPARE_RATE_PER_SECOND);
    const api = new VendorApi(app!, proxiesFrom(new Map()).proxies, clock, events, log, lease.pace);
    closing.push(() => api.close());
    const work = new AppWork({ app: app!, api, lease, database, recorder: readings, clock, events, log });
    return {
      clock,
      events,
      counts,
      comparisons,
      once: (stop: AbortSignal = never) => work.once(stop),
      begin: (request: Omit<ComparisonRequest, 'sdkAppId' | 'cause'> & Partial<ComparisonRequest> = {}) =>
        beginComparison(database, { sdkAppId, cause: 'request', ...request }, { at: clock.now(), actor: 'api' }),
      webhook: async (channelId: string, overrides: Partial<InboundWebhook> = {}): Promise<void> => {
        const [receivedAt, eventTime] = [clock.now(), clock.now()];
        const defaults = { command: 'changed' as const, fields: { name: channelId }, operator: null, eventTimeEstimated: false };
        const arrival = { id: uuid(), receivedAt, body: Buffer.from('{}'), ...byWebhook };
        await recorder.record({ sdkAppId, channelId, eventTime, ...defaults, ...arrival, ...overrides }, 5000);
      },
    };
  }

  const channels = async (database: Database) => {
    const rows = await database.kysely.selectFrom('channel').selectAll().orderBy('channel_id').execute();
    return rows.map(({ state, ...row }) => {
      const known = JSON.parse(state) as ChannelState;
      return {
        id: row.channel_id,
        exists: existsIn(known),
        ...profileOf(known),
        revision: row.revision,
        verifiedAt: row.verified_at,
        readAt: row.read_at,
      };
    });
  };
  const changesOf = (database: Database) => database.kysely.selectFrom('change').selectAll().orderBy('id').orderBy('position').execute();
  const found = async (database: Database, { id }: Pick<Comparison, 'id'>): Promise<Comparison> =>
    readComparison(await database.kysely.selectFrom('comparison').selectAll().where('id', '=', id).executeTakeFirstOrThrow());
  const all = async (database: Database): Promise<Comparison[]> =>
    (await database.kysely.selectFrom('comparison').selectAll().orderBy('id').execute()).map(readComparison);
  const listed = (database: Database) => database.kysely.selectFrom('comparison_channel').selectAll().execute();
  const ago = (ms: number) => ({ eventTime: Date.now() + offset - ms });

  test('all channels of the app: what differs is corrected, what is equal is verified, and nothing is recorded twice', async () => {
    const database = await store.open();
    const { webhook, begin, once, counts } = processAt(database);
    const ids = Array.from({ length: 120 }, (_, index) => `@TOA#_${String(index).padStart(3, '0')}`);
    await Promise.all(ids.map(id => webhook(id, ago(minute))));
    for (const id of ids) vendor.channels.set(id, { Name: id });
    vendor.channels.set('@TOA#_007', { Name: 'another' });
    await webhook('other app', { sdkAppId: '2' });
    const comparison = await begin();
    expect(comparison).toMatchObject({ state: 'running', whole: 1 });
    await once();
    expect(await found(database, comparison)).toMatchObject({
      state: 'done',
      progress: {
        total: 120,
        compared: 120,
        corrected: 1,
        failed: 0,
        examples: [{ channelId: '@TOA#_007', field: 'name', ours: '@TOA#_007', theirs: 'another', reason: null }],
      },
    });
    expect(vendor.calls.map(({ ids }) => ids.length)).toEqual([50, 50, 20]);
    expect(Object.fromEntries(counts)).toEqual({ equal: 119, corrected: 1 });
    const change = (await changesOf(database)).at(-1)!;
    expect(change).toMatchObject({
      type: 'channel.profile.updated',
      source: 'comparison',
      operator: null,
      revision: 2,
      body: expect.any(Uint8Array),
    });
    expect(Math.abs(change.event_time - (change.received_at - 10_000))).toBeLessThan(2500);
    const known = await channels(database);
    expect(known.filter(({ verifiedAt }) => verifiedAt === null)).toEqual([expect.objectContaining({ id: 'other app' })]);
    // A second comparison finds no difference.
    const again = await begin();
    await once();
    expect((await found(database, again)).progress).toMatchObject({ compared: 120, corrected: 0 });
    expect(await changesOf(database)).toHaveLength(122);
    const { compared_at: comparedAt, compared_all_at: doneAt } = await database.kysely
      .selectFrom('app')
      .selectAll()
      .executeTakeFirstOrThrow();
    expect(doneAt).toBeGreaterThanOrEqual(comparedAt!);
  }, 30_000);

  test('an import: what exists becomes a channel and is not owed to Slack, what does not is nothing, and nonsense refuses nobody', async () => {
    const database = await store.open();
    const [slack, crm] = [
      { name: 'slack', type: 'slack', mode: 'report' as const },
      { name: 'crm', type: 'webhook', mode: 'log' as const },
    ];
    await registerSinks(database, [slack, crm].map(one => ({ ...one, filters: {} })) as never, Date.now());
    const { begin, once } = processAt(database);
    vendor.channels.set('@TOA#_a b/%"', { Name: 'A', Owner_Account: 'owner' });
    vendor.fault = ({ ids }) => (ids.includes('bad') ? 130007 : undefined);
    const given = ['@TOA#_a b/%"', 'none', 7, '', ' ', 'x'.repeat(256), null, 'bad', '@TOA#_a b/%"'];
    const comparison = await begin({ cause: 'import', channelIds: given });
    await once();
    const { state, progress } = await found(database, comparison);
    expect(state).toBe('done');
    expect(progress).toMatchObject({ total: 9, compared: 3, imported: 1, corrected: 0, failed: 6 });
    expect(progress.examples.map(({ channelId, field }) => [channelId, field])).toEqual([
      ['7', null],
      ['', null],
      [' ', null],
      ['x'.repeat(255), null],
      ['null', null],
      ['bad', null],
    ]);
    expect(await channels(database)).toEqual([expect.objectContaining({ id: '@TOA#_a b/%"', name: 'A', exists: true, revision: 1 })]);
    const [change] = await changesOf(database);
    expect(change).toMatchObject({ source: 'import', type: 'channel.created', owner: 'owner', client_ip: null });
    const owed = await database.kysely.selectFrom('delivery').innerJoin('sink', 'sink.id', 'delivery.sink').select('sink.name').execute();
    expect(owed).toEqual([{ name: 'crm' }]);
    const audit = await database.kysely.selectFrom('audit').selectAll().execute();
    expect(audit.map(({ action, actor, details }) => [action, actor, JSON.parse(details)])).toEqual([
      ['import', 'api', { sdkAppId, channels: 9 }],
    ]);
  }, 30_000);

  test('a dry run records nothing, moves nothing, and counts what is gone once', async () => {
    const database = await store.open();
    const { webhook, begin, once, counts } = processAt(database);
    for (const id of ['a', 'b', 'c']) await webhook(id, ago(minute));
    vendor.channels.set('a', { Name: 'A' }).set('b', { Name: 'b' }).set('new', { Name: 'N' });
    const before = await channels(database);
    const whole = await begin({ dryRun: true });
    const single = await begin({ dryRun: true, channelIds: ['new', 'a'] });
    expect(single.state).toBe('waiting');
    await once();
    expect(await found(database, whole)).toMatchObject({ state: 'done', progress: { compared: 3, corrected: 1, destroyed: 1 } });
    expect(await found(database, single)).toMatchObject({ state: 'done', progress: { compared: 2, corrected: 1, imported: 1 } });
    expect(await channels(database)).toEqual(before);
    expect([(await changesOf(database)).length, counts.size]).toEqual([3, 0]);
    expect(await database.kysely.selectFrom('audit').selectAll().execute()).toEqual([]);
    expect(await all(database)).toHaveLength(2);
  });

  test('a created webhook is completed at once, and its name is left as it is', async () => {
    const database = await store.open();
    const { webhook, once, counts } = processAt(database);
    await webhook('a', { command: 'created', fields: { name: 'A' } });
    vendor.channels.set('a', { Name: 'A', Introduction: 'I', Organization: '' });
    await once();
    expect(await channels(database)).toEqual([
      expect.objectContaining({ name: 'A', introduction: 'I', organization: '', avatarUrl: null, revision: 2, readAt: null }),
    ]);
    const [created, completed] = await changesOf(database);
    expect(completed).toMatchObject({ source: 'comparison', type: 'channel.profile.updated', stale: '[]', tie: 0 });
    // A completion is dated before its creation.
    expect(completed!.event_time).toBeLessThan(created!.event_time);
    expect(await all(database)).toMatchObject([{ cause: 'created', state: 'done', progress: { total: 1, corrected: 1 } }]);
    expect(counts.get('corrected')).toBe(1);
    await once();
    expect(vendor.calls).toHaveLength(1);
  });

  test('a tie and an estimated time are read twelve seconds after their time, and listed only if that changed something', async () => {
    const database = await store.open();
    const { webhook, once } = processAt(database);
    const at = Date.now();
    await webhook('tie', { eventTime: at, fields: { name: 'one' } });
    await webhook('tie', { eventTime: at, fields: { name: 'two' } });
    await webhook('estimated', { eventTime: at, eventTimeEstimated: true, fields: { name: 'e' } });
    vendor.channels.set('tie', { Name: 'one' }).set('estimated', { Name: 'e' });
    offset = 11_000;
    await once();
    expect(vendor.calls).toHaveLength(0);
    offset = 14_000;
    // The vendor's clock follows ours in this test.
    vendor.fault = () => undefined;
    vendor.http.prependListener('request', (_, response) => response.setHeader('date', new Date(Date.now() + offset).toUTCString()));
    await once();
    expect(vendor.calls.map(({ ids }) => ids.toSorted())).toEqual([['estimated', 'tie']]);
    expect(await channels(database)).toEqual([
      expect.objectContaining({ id: 'estimated', revision: 1, readAt: null }),
      expect.objectContaining({ id: 'tie', name: 'one', revision: 3, readAt: null }),
    ]);
    expect(await all(database)).toMatchObject([{ cause: 'tie' }]);
  });

  test('single channels that fail and changed nothing are logged without an id, since no such comparison is listed', async () => {
    const database = await store.open();
    const { webhook, once } = processAt(database);
    await webhook('a', { command: 'created', fields: { name: 'A' } });
    await webhook('b', { command: 'created', fields: { name: 'B' } });
    // The vendor knows none of them, and the app has no other channel: that is too many to believe.
    offset = 14_000;
    vendor.http.prependListener('request', (_, response) => response.setHeader('date', new Date(Date.now() + offset).toUTCString()));
    await once();
    expect([await all(database), await listed(database)]).toEqual([[], []]);
    const failures = lines.filter(([message]) => message === 'comparing channels with Tencent failed');
    expect(failures).toEqual([[expect.any(String), expect.objectContaining({ app: sdkAppId, cause: 'created', compared: 2 })]]);
    expect(failures[0]![1]).not.toHaveProperty('comparison');
  });

  test.each([
    ['once, after the transaction that is repeated', '40001', 'done', 1],
    ['not at all if it is rolled back', '57P01', 'fault', 0],
  ])('a failure of single channels is logged %s', async (_, code, end, times) => {
    const database = await store.open();
    const { webhook, once } = processAt(database);
    for (const id of ['a', 'b']) await webhook(id, { command: 'created' });
    offset = 14_000;
    vendor.http.prependListener('request', (_, response) => response.setHeader('date', new Date(Date.now() + offset).toUTCString()));
    const asyncCommit = database.asyncCommit.bind(database);
    let faults = 1;
    database.asyncCommit = work =>
      asyncCommit(async trx => {
        const result = await work(trx);
        // Only what is recorded comes after the answer.
        if (vendor.calls.length > 0 && faults-- > 0) throw Object.assign(new Error('fault'), { code });
        return result;
      });
    const ended = await once().then(
      () => 'done',
      (error: Error) => error.message,
    );
    expect(ended).toBe(end);
    expect(logged.filter(message => message === 'comparing channels with Tencent failed')).toHaveLength(times);
  });

  test('a reading that something newer hides is repeated when it can judge, three times at most', async () => {
    const database = await store.open();
    const { webhook, begin, once } = processAt(database);
    await webhook('a', { fields: { name: 'newer' } });
    vendor.channels.set('a', { Name: 'truth' });
    await begin({ channelIds: ['a'] });
    await once();
    const [channel] = await channels(database);
    expect(channel).toMatchObject({ name: 'newer', revision: 1 });
    expect(channel!.readAt! - Date.now()).toBeGreaterThan(10_000);
    expect(channel!.readAt! - Date.now()).toBeLessThanOrEqual(13_000);
    // With the vendor's clock stopped, no reading is ever conclusive.
    const date = new Date().toUTCString();
    vendor.http.prependListener('request', (_, response) => response.setHeader('date', date));
    for (const seconds of [14, 28, 42, 56]) {
      offset = seconds * 1000;
      await once();
    }
    expect([vendor.calls.length, (await channels(database))[0]]).toEqual([4, expect.objectContaining({ name: 'newer', readAt: null })]);
  }, 30_000);

  test('a time that is more than a minute off is not waited for', async () => {
    const database = await store.open();
    const { webhook, begin, once } = processAt(database);
    await webhook('a', { eventTime: Date.now() + 5 * minute });
    vendor.channels.set('a', { Name: 'truth' });
    await begin({ channelIds: ['a'] });
    await once();
    expect((await channels(database))[0]).toMatchObject({ name: 'a', readAt: null });
  });

  test('what is gone is read once more a minute later, as a comparison of its own that holds up nothing', async () => {
    const database = await store.open();
    const { webhook, begin, once } = processAt(database);
    for (const id of ['a', 'b', 'c', 'd']) await webhook(id, ago(2 * minute));
    vendor.channels.set('a', { Name: 'a' }).set('d', { Name: 'd' });
    const first = await begin();
    await once();
    expect(await found(database, first)).toMatchObject({ state: 'done', progress: { compared: 4, destroyed: 0 } });
    const [, gone] = await all(database);
    expect(gone).toMatchObject({ cause: 'gone', state: 'waiting', progress: { total: 2 } });
    const meanwhile = await begin({ channelIds: ['a'] });
    expect(meanwhile.state).toBe('running');
    await once();
    expect((await found(database, meanwhile)).state).toBe('done');
    vendor.channels.set('c', { Name: 'C' });
    offset = minute + 1000;
    await once();
    expect(await found(database, gone!)).toMatchObject({ state: 'done', progress: { total: 2, compared: 2, destroyed: 1, corrected: 1 } });
    expect((await channels(database)).map(({ id, exists, name }) => [id, exists, name])).toEqual([
      ['a', true, 'a'],
      ['b', false, null],
      ['c', true, 'C'],
      ['d', true, 'd'],
    ]);
    const destroyed = (await changesOf(database)).find(({ type }) => type === 'channel.destroyed')!;
    expect(destroyed).toMatchObject({ source: 'comparison', operator: null });
    // Once recorded as destroyed, it compares as equal.
    const last = await begin();
    await once();
    expect((await found(database, last)).progress).toMatchObject({ compared: 4, gone: 0, corrected: 0 });
  });

  test('what is gone is read once more, however many comparisons find it gone before that', async () => {
    const database = await store.open();
    const { webhook, begin, once } = processAt(database);
    for (const id of ['a', 'b', 'c']) await webhook(id, ago(2 * minute));
    vendor.channels.set('b', { Name: 'b' }).set('c', { Name: 'c' });
    for (const seconds of [0, 10, 20, 30]) {
      offset = seconds * 1000;
      if (seconds === 30) vendor.channels.delete('b');
      await begin();
      await once();
    }
    const waiting = (await all(database)).filter(({ cause }) => cause === 'gone');
    expect(waiting.map(({ progress }) => progress.total)).toEqual([1, 1]);
    expect(waiting[1]!.due_at - waiting[0]!.due_at).toBeGreaterThanOrEqual(30_000);
    offset = 2 * minute;
    await once();
    expect((await channels(database)).map(({ id, exists }) => [id, exists])).toEqual([
      ['a', false],
      ['b', false],
      ['c', true],
    ]);
    expect(await listed(database)).toEqual([]);
  });

  test('a channel that a webhook creates meanwhile is not destroyed', async () => {
    const database = await store.open();
    const { webhook, begin, once } = processAt(database);
    for (const id of ['a', 'b']) await webhook(id, ago(2 * minute));
    vendor.channels.set('b', { Name: 'b' });
    await begin();
    await once();
    offset = minute + 1000;
    await webhook('a', { command: 'created' });
    await once();
    expect((await channels(database))[0]).toMatchObject({ id: 'a', exists: true });
  });

  test.each([
    ['more than twenty and more than a tenth', 120, 21, false],
    ['twenty', 100, 20, true],
    ['not more than a tenth', 220, 22, true],
    ['all of several', 2, 2, false],
    ['the only one', 1, 1, true],
  ])(
    'what is gone is not believed if it is too much: %s',
    async (_, total, gone, believed) => {
      const database = await store.open();
      const { webhook, begin, once } = processAt(database);
      const ids = Array.from({ length: total }, (_, index) => `c${index}`);
      await Promise.all(ids.map(id => webhook(id, ago(2 * minute))));
      for (const id of ids.slice(gone)) vendor.channels.set(id, { Name: id });
      const tried = await begin({ dryRun: true });
      const comparison = await begin();
      await once();
      const { state, reason, advice, progress } = await found(database, comparison);
      expect([state, progress.destroyed]).toEqual([believed ? 'done' : 'failed', 0]);
      expect((await found(database, tried)).state).toBe(state);
      expect(reason === null).toBe(believed);
      expect(advice?.includes('check_gone') ?? true).toBe(true);
      offset = minute + 1000;
      await once();
      const count = async (): Promise<number> => (await channels(database)).filter(({ exists }) => !exists).length;
      expect(await count()).toBe(believed ? gone : 0);
      const forced = await begin({ destroy: true });
      await once();
      expect((await found(database, forced)).state).toBe('done');
      offset += minute + 1000;
      await once();
      expect(await count()).toBe(gone);
      expect(await listed(database)).toEqual([]);
    },
    30_000,
  );

  test('a few ids are every channel of the app only if there is no other', async () => {
    const database = await store.open();
    const { webhook, begin, once } = processAt(database);
    for (const id of ['a', 'b', 'c']) await webhook(id, ago(2 * minute));
    const some = await begin({ channelIds: ['a', 'b'] });
    const every = await begin({ channelIds: ['c', 'a', 'b'] });
    await once();
    expect([(await found(database, some)).state, (await found(database, every)).state]).toEqual(['done', 'failed']);
  });

  describe('discovery', () => {
    const discovering = { [`APP_${sdkAppId}_DISCOVER_AS`]: 'everyone' };

    test('what is listed and unknown is imported', async () => {
      const database = await store.open();
      const { webhook, begin, once } = processAt(database, discovering);
      await webhook('known', ago(minute));
      vendor.channels.set('known', { Name: 'known' });
      const ids = Array.from({ length: 250 }, (_, index) => `n${index}`);
      for (const id of ids) vendor.channels.set(id, { Name: id });
      // That a known one is not listed says nothing about it.
      vendor.subscribed.set('everyone', [...ids, 'not there']);
      const comparison = await begin();
      await once();
      expect(await found(database, comparison)).toMatchObject({ state: 'done', progress: { total: 252, compared: 252, imported: 250 } });
      expect((await channels(database)).filter(({ exists }) => exists)).toHaveLength(251);
      expect(vendor.calls.filter(({ command }) => command === 'get_subscribed_official_account_list')).toHaveLength(2);
    });

    test('what cannot be listed keeps nothing from being compared, and the comparison has failed', async () => {
      const database = await store.open();
      const { webhook, begin, once } = processAt(database, discovering);
      await webhook('known', ago(minute));
      vendor.channels.set('known', { Name: 'other' });
      const comparison = await begin();
      await once();
      expect(await found(database, comparison)).toMatchObject({
        state: 'failed',
        reason: expect.stringContaining('70107'),
        advice: stored(['vendor_import_account', `APP_${sdkAppId}`]),
        progress: { compared: 1, corrected: 1 },
      });
      expect((await database.kysely.selectFrom('app').selectAll().executeTakeFirstOrThrow()).compared_all_at).toBeNull();
    });

    test('an outage of the list is waited for three times', async () => {
      const database = await store.open();
      const { begin, once } = processAt(database, discovering);
      vendor.fault = ({ command }) => (command === 'get_subscribed_official_account_list' ? 60008 : undefined);
      const comparison = await begin();
      for (let times = 0; times < 4; times += 1) {
        await once();
        offset += minute;
      }
      expect(await found(database, comparison)).toMatchObject({ state: 'failed', reason: expect.stringContaining('60008') });
      expect(vendor.calls).toHaveLength(3);
    });
  });

  describe('failures', () => {
    const app = (database: Database) => database.kysely.selectFrom('app').selectAll().executeTakeFirstOrThrow();

    test('an outage backs off, and the comparison goes on with its counts', async () => {
      const database = await store.open();
      const { webhook, begin, once } = processAt(database);
      const ids = Array.from({ length: 70 }, (_, index) => `c${index}`);
      await Promise.all(ids.map(id => webhook(id, ago(minute))));
      for (const id of ids) vendor.channels.set(id, { Name: `${id}!` });
      const comparison = await begin();
      vendor.fault = () => (vendor.calls.length > 1 ? { status: 502, body: 'bad gateway' } : undefined);
      await once();
      expect(await found(database, comparison)).toMatchObject({
        state: 'running',
        reason: stored(['vendor_status', 502]),
        progress: { corrected: 50 },
      });
      const held = await app(database);
      expect(held).toMatchObject({ state: 'retrying', failures: 1 });
      expect(held.retry_at - Date.now()).toBeLessThanOrEqual(2000);
      await once();
      expect(vendor.calls).toHaveLength(2);
      offset = 2500;
      await once();
      expect([vendor.calls.length, (await app(database)).failures]).toEqual([3, 2]);
      vendor.fault = null;
      offset += minute;
      await once();
      expect(await found(database, comparison)).toMatchObject({
        state: 'done',
        reason: null,
        advice: null,
        progress: { total: 70, corrected: 70 },
      });
      expect(await app(database)).toMatchObject({ state: 'ok', failures: 0, reason: null });
    });

    test('a wrong key stops the app, is tried again after 15 minutes, and what failed goes on', async () => {
      const database = await store.open();
      const { webhook, begin, once } = processAt(database);
      await webhook('a', { ...ago(minute), command: 'created' });
      vendor.channels.set('a', { Name: 'A' });
      await once();
      vendor.key = 'another';
      const comparison = await begin();
      await once();
      const stopped = { reason: expect.stringContaining('70009'), advice: stored(['vendor_check_user_sig', `APP_${sdkAppId}`]) };
      expect(await found(database, comparison)).toMatchObject({ state: 'failed', ...stopped });
      expect(await app(database)).toMatchObject({ state: 'misconfigured', ...stopped });
      expect(logged.filter(line => line.startsWith('comparing with Tencent is stopped'))).toHaveLength(1);
      const calls = vendor.calls.length;
      await webhook('a', { command: 'created', fields: { name: 'x' } });
      await once();
      expect(vendor.calls).toHaveLength(calls);
      // A person's request does not wait for the retry.
      const asked = await begin({ channelIds: ['a'] });
      await once();
      expect([(await found(database, asked)).state, vendor.calls.length]).toEqual(['failed', calls + 1]);
      vendor.key = 'planted5ecret-mark-secret-key';
      offset = 15 * minute + 1000;
      await once();
      expect(await found(database, comparison)).toMatchObject({ state: 'done', reason: null, finished_at: expect.any(Number) });
      expect((await found(database, asked)).state).toBe('done');
      expect((await app(database)).state).toBe('ok');
      expect(logged).toContain("Tencent's API works again");
    });

    test('an app that fails for another reason than before has failed since then', async () => {
      const database = await store.open();
      const { begin, once } = processAt(database);
      vendor.key = 'another';
      await begin({ channelIds: ['a'] });
      await once();
      const { state, state_since: since } = await app(database);
      expect(state).toBe('misconfigured');
      vendor.fault = () => ({ status: 502, body: 'bad gateway' });
      offset = 15 * minute + 1000;
      await begin({ channelIds: ['a'] });
      await once();
      expect(await app(database)).toMatchObject({ state: 'retrying', state_since: since });
    });

    test('70050 waits a minute', async () => {
      const database = await store.open();
      const { begin, once } = processAt(database);
      await begin({ channelIds: ['a'] });
      vendor.fault = () => 70050;
      await once();
      offset = 55_000;
      await once();
      expect(vendor.calls).toHaveLength(1);
      offset = 61_000;
      await once();
      expect(vendor.calls).toHaveLength(2);
    });

    test('one damaged channel fails alone', async () => {
      const database = await store.open();
      const { webhook, begin, once } = processAt(database);
      for (const id of ['a', 'b', 'c']) await webhook(id, ago(minute));
      for (const id of ['a', 'b', 'c']) vendor.channels.set(id, { Name: `${id}!` });
      await database.kysely.updateTable('channel').set({ state: '{' }).where('channel_id', '=', 'b').execute();
      const comparison = await begin();
      await once();
      expect(await found(database, comparison)).toMatchObject({
        state: 'done',
        progress: { total: 3, compared: 2, corrected: 2, failed: 1 },
      });
    });
  });

  test('an item with an unknown code is failed, and is not to be read for ever', async () => {
    const database = await store.open();
    const { webhook, once } = processAt(database);
    await webhook('a', { command: 'created' });
    vendor.fault = () => succeeded({ OfficialAccountInfoList: [{ Official_Account: 'a', ErrorCode: 99 }] });
    await once();
    await once();
    expect([vendor.calls.length, (await channels(database))[0]!.readAt]).toEqual([2, null]);
  });

  describe('a clock that was ahead', () => {
    test.each([
      ['minutes', 5 * minute],
      ['a day', 24 * 60 * minute],
    ])('by %s: single channels are read once it is right, and once', async (_, ahead) => {
      const database = await store.open();
      const { webhook, once } = processAt(database);
      await webhook('a', { command: 'created' });
      offset = ahead;
      await webhook('b', { command: 'created', eventTime: Date.now() });
      offset = 0;
      vendor.channels.set('a', { Name: 'a' }).set('b', { Name: 'b' });
      const stop = new AbortController();
      await Promise.race([once(stop.signal), sleep(2000)]);
      stop.abort();
      expect(vendor.calls.map(({ ids }) => ids.toSorted())).toEqual([['a', 'b']]);
      expect((await channels(database)).map(({ readAt }) => readAt)).toEqual([null, null]);
    });

    test('what failed meanwhile is tried again within a minute', async () => {
      const database = await store.open();
      const { begin, once } = processAt(database);
      await begin({ channelIds: ['a'] });
      offset = 5 * minute;
      vendor.fault = () => 60008;
      await once();
      vendor.fault = null;
      offset = 0;
      await once();
      expect(vendor.calls).toHaveLength(2);
    });
  });

  test.each([
    ['an hour ahead', 60 * minute],
    ['an hour back', -60 * minute],
  ])('a clock that jumps %s in the middle of a comparison: it goes on, by the earlier of both clocks', async (_, by) => {
    const database = await store.open();
    const { webhook, begin, once } = processAt(database);
    const ids = Array.from({ length: 120 }, (_, index) => `c${String(index).padStart(3, '0')}`);
    await Promise.all(ids.map(id => webhook(id, ago(2 * 60 * minute))));
    for (const id of ids) vendor.channels.set(id, { Name: `${id}!` });
    const comparison = await begin();
    vendor.fault = ({ ids }) => void (ids.includes('c050') && (offset = by));
    await once();
    offset = 0;
    await once();
    expect(await found(database, comparison)).toMatchObject({ state: 'done', progress: { total: 120, compared: 120, corrected: 120 } });
    expect(vendor.calls).toHaveLength(3);
    const [early, late] = (await changesOf(database))
      .filter(({ source }) => source === 'comparison')
      .map(one => one.event_time - Date.now())
      .toSorted((one, other) => one - other)
      .filter((_, index) => index % 119 === 0);
    expect([early! > Math.min(by, 0) - minute, late! > -minute, late! < 0]).toEqual([true, true, true]);
  });

  test('what ended while the clock was years behind is of the time that the vendor confirmed, so that it is kept as long', async () => {
    const database = await store.open();
    const { webhook, begin, once } = processAt(database);
    await webhook('before');
    offset = -10 * 365 * 24 * 60 * minute;
    await webhook('a', { command: 'created', fields: { name: 'A' } });
    vendor.fault = () => succeeded({ OfficialAccountInfoList: [{ Official_Account: 'a', Name: 'A', Introduction: 'i' }] });
    await once();
    vendor.fault = () => 60020;
    await begin({ channelIds: ['a'] });
    await once();
    const ended = await all(database);
    expect(ended.map(({ cause }) => cause).toSorted()).toEqual(['created', 'request']);
    for (const { finished_at: at } of ended) expect(Math.abs(at! - Date.now())).toBeLessThan(minute);
  });

  describe('two processes', () => {
    test('one works for the app, and what was killed in any step goes on under its id with its counts', async () => {
      const database = await store.open();
      const ids = Array.from({ length: 170 }, (_, index) => `c${String(index).padStart(3, '0')}`);
      const first = processAt(database);
      await Promise.all(ids.map(id => first.webhook(id, ago(minute))));
      for (const id of ids) vendor.channels.set(id, { Name: `${id}!` });
      const comparison = await first.begin();
      // Simulates a kill at any moment: during a call or a transaction, or before or after one.
      for (let kill = 0; (await found(database, comparison)).state !== 'done'; kill += 1) {
        const dies = processAt(database);
        let steps = 0;
        const dead = new AbortController();
        vendor.fault = async () => void ((steps += 1) > 1 && kill % 3 !== 2 && dead.abort(new Error('killed')));
        const lease = database.kysely.selectFrom('app').select('lease');
        await Promise.race([dies.once(dead.signal), sleep(5000)]);
        // A killed process cannot release its lease.
        if (kill % 3 !== 2)
          await database.kysely
            .updateTable('app')
            .set({ lease: 'of the dead', leased_until: Date.now() + offset + 30_000 })
            .execute();
        expect((await lease.executeTakeFirstOrThrow()).lease === null).toBe(kill % 3 === 2);
        offset += 31_000;
      }
      vendor.fault = null;
      expect((await found(database, comparison)).progress).toMatchObject({ total: 170, compared: 170, corrected: 170 });
      expect(await changesOf(database)).toHaveLength(340);
    });

    test('a lease that was lost writes nothing', async () => {
      const database = await store.open();
      const { webhook, begin, once } = processAt(database);
      await webhook('a', ago(minute));
      vendor.channels.set('a', { Name: 'A' });
      const comparison = await begin();
      vendor.fault = async () => {
        await database.kysely
          .updateTable('app')
          .set({ lease: 'of another', leased_until: Date.now() + 30_000 })
          .execute();
        return undefined;
      };
      await once();
      expect((await found(database, comparison)).progress).toMatchObject({ compared: 0 });
      expect(await changesOf(database)).toHaveLength(1);
    });

    test('whoever has the app next leaves a second after a call that arrived late', async () => {
      const database = await store.open();
      let aheadMs = 0;
      const clock = SharedClock.by(() => Date.now() + aheadMs);
      clock.monotonic = () => performance.now() + aheadMs;
      const [one, other] = ['one', 'other'].map(() => new AppLease(sdkAppId, database, clock, 5)) as [AppLease, AppLease];
      expect(await one.take('one')).toBe(true);
      const over = await one.pace(never);
      aheadMs = 1100;
      over();
      const overAt = performance.now();
      await one.release();
      expect(await other.take('other')).toBe(true);
      await other.pace(never);
      expect(performance.now() - overAt).toBeGreaterThan(990);
    });

    test.each([
      ['5', 5, 1000],
      ['2.5', 2, 1000],
      ['0.7', 1, 1400],
    ])(
      '%s calls per second, over both, in any second',
      async (rate, most, windowMs) => {
        const database = await store.open();
        const more = { COMPARE_RATE_PER_SECOND: rate };
        // SQLite has a single process.
        const both = [processAt(database, more), ...(database.embedded ? [] : [processAt(database, more)])];
        for (let index = 0; index < (most === 1 ? 3 : 9); index += 1) await both[0]!.begin({ channelIds: [`c${index}`] });
        // Calls take varying times to arrive.
        vendor.fault = () => sleep(Math.random() * 60, undefined);
        const done = async (): Promise<boolean> => (await openComparisons(database.kysely, sdkAppId).execute()).length === 0;
        const work = async (one: (typeof both)[number]): Promise<void> => {
          const stop = new AbortController();
          while (!(await done())) {
            const timer = setTimeout(() => stop.abort(new Error('stopped')), 700);
            await one.once(stop.signal.aborted ? never : stop.signal);
            clearTimeout(timer);
            await sleep(20);
          }
        };
        await Promise.all(both.map(work));
        const times = vendor.calls.map(({ at }: VendorCall) => at);
        for (const [index, at] of times.entries())
          expect(times.slice(index).filter(other => other - at < windowMs).length).toBeLessThanOrEqual(most);
      },
      30_000,
    );
  });

  test('a database that is away is no downtime', async () => {
    const database = await store.open();
    const { clock, comparisons } = processAt(database);
    await database.kysely
      .updateTable('heartbeat')
      .set({ at: Date.now() - 50_000 })
      .execute();
    offset = 60 * minute;
    clock.monotonic = () => performance.now() + offset;
    await comparisons.checkDowntime();
    expect(await all(database)).toEqual([]);
  });

  test('after no process was there for more than a minute all channels are compared, and after less they are not', async () => {
    const database = await store.open();
    const { comparisons } = processAt(database);
    const beat = (ms: number) =>
      database.kysely
        .updateTable('heartbeat')
        .set({ at: Date.now() - ms })
        .execute();
    await comparisons.checkDowntime();
    await beat(50_000);
    await comparisons.checkDowntime();
    expect(await all(database)).toEqual([]);
    await beat(61_000);
    await comparisons.checkDowntime();
    await comparisons.checkDowntime();
    expect(await all(database)).toMatchObject([{ cause: 'downtime', whole: 1 }]);
  });

  describe('by itself', () => {
    /** @param then is given what waits until it has looked twice more for what there is to do */
    async function running(
      more: Record<string, string>,
      then: (database: Database, one: ReturnType<typeof processAt>, looked: () => Promise<void>) => Promise<void>,
    ) {
      const database = await store.open();
      const one = processAt(database, more);
      one.clock.monotonic = () => performance.now() + offset;
      const stop = new AbortController();
      let looks = 0;
      const [look, ...others] = one.comparisons.works(stop.signal);
      const works = [{ work: () => look!.work().finally(() => (looks += 1)), delayMs: 20 }, ...others];
      const run = repeatedly(works, () => undefined, stop.signal);
      const looked = (from = looks): Promise<void> => until(() => looks >= from + 2, 'two more looks');
      try {
        await then(database, one, looked);
      } finally {
        stop.abort();
        await run;
      }
    }
    const done = (database: Database, count: number) =>
      until(async () => (await all(database)).filter(({ state }) => state === 'done').length === count, `${count} comparisons are done`);

    test(
      'by the schedule, counted from the start of the last one, which the database remembers',
      () =>
        running({ COMPARE_EVERY: '10m' }, async (database, _, looked) => {
          await done(database, 1);
          offset = 9 * minute;
          await looked();
          expect(await all(database)).toHaveLength(1);
          offset = 10 * minute + 2000;
          await done(database, 2);
          expect((await all(database)).map(({ cause }) => cause)).toEqual(['schedule', 'schedule']);
        }),
      20_000,
    );

    test(
      'by the schedule as before once a clock that was days ahead is right',
      () =>
        running({ COMPARE_EVERY: '10m' }, async database => {
          offset = 5 * 24 * 60 * minute;
          await done(database, 1);
          offset = 0;
          await done(database, 2);
          offset = 10 * minute + 2000;
          await done(database, 3);
          expect((await all(database)).map(({ cause }) => cause)).toEqual(['schedule', 'schedule', 'schedule']);
        }),
      20_000,
    );

    test(
      'nothing is begun by the schedule while one of all channels runs, however long that takes, and none waits for its end',
      () =>
        running({ COMPARE_EVERY: '10m' }, async (database, { begin, webhook }, looked) => {
          await done(database, 1);
          await webhook('a', ago(minute));
          vendor.fault = () => ({ status: 502, body: 'away' });
          await begin();
          const calls = vendor.calls.length;
          for (let times = 1; times <= 3; times += 1) {
            offset = times * 11 * minute;
            await until(() => vendor.calls.length >= calls + times, 'it is tried again');
            await looked();
            expect((await all(database)).map(({ cause, state }) => [cause, state])).toEqual([
              ['schedule', 'done'],
              ['request', 'running'],
            ]);
          }
          // What was due meanwhile is skipped: the next one starts a multiple of ten minutes after the start of this one.
          vendor.fault = null;
          vendor.channels.set('a', { Name: 'a' });
          offset = 35 * minute;
          await done(database, 2);
          await looked();
          expect(await all(database)).toHaveLength(2);
          offset = 42 * minute;
          await done(database, 3);
          expect((await all(database)).at(-1)!.cause).toBe('schedule');
        }),
      20_000,
    );

    test(
      'after webhooks were refused and a minute without, because of what anybody can have refused once an hour',
      () =>
        running({}, async (database, { events }, looked) => {
          events.emit('rejected', sdkAppId, 'unauthorized');
          events.emit('rejected', 'another app', 'unavailable');
          await looked();
          expect(await all(database)).toEqual([]);
          offset = minute;
          await done(database, 1);
          events.emit('rejected', sdkAppId, 'invalid');
          offset = 3 * minute;
          await looked();
          expect(await all(database)).toHaveLength(1);
          events.emit('rejected', sdkAppId, 'unavailable');
          offset = 4 * minute + 1000;
          await done(database, 2);
          expect((await all(database)).map(({ cause }) => cause)).toEqual(['refused', 'refused']);
        }),
      20_000,
    );

    test(
      'after webhooks were refused while the database was away, as soon as it takes it',
      () =>
        running({}, async (database, { events }, looked) => {
          await sql`alter table comparison rename to away`.execute(database.kysely);
          events.emit('rejected', sdkAppId, 'unavailable');
          offset = minute;
          await looked();
          await sql`alter table away rename to comparison`.execute(database.kysely);
          await done(database, 1);
          expect(await all(database)).toMatchObject([{ cause: 'refused' }]);
        }),
      20_000,
    );

    test(
      'a created webhook is read within seconds, also while all channels are compared',
      () =>
        running({ COMPARE_RATE_PER_SECOND: '5' }, async (database, { webhook, begin }) => {
          await Promise.all(Array.from({ length: 400 }, (_, index) => webhook(`c${String(index).padStart(3, '0')}`, ago(minute))));
          for (let index = 0; index < 400; index += 1) vendor.channels.set(`c${String(index).padStart(3, '0')}`, { Name: 'n' });
          const comparison = await begin();
          await until(async () => (await found(database, comparison)).progress.compared > 0, 'it runs');
          vendor.channels.set('new', { Name: 'new', Introduction: 'i' });
          await webhook('new', { command: 'created' });
          await until(async () => (await channels(database)).at(-1)!.introduction === 'i', 'it is completed', 1000);
          expect((await found(database, comparison)).state).toBe('running');
        }),
      20_000,
    );
  });

  test('replicas whose schedules are due at the same time begin one', async () => {
    const database = await store.open();
    const processes = [processAt(database), processAt(database), processAt(database)];
    const bySchedule = { sdkAppId, cause: 'schedule' } as const;
    await Promise.all(processes.map(({ clock }) => beginComparison(database, bySchedule, { at: clock.now(), actor: null })));
    expect(await all(database)).toMatchObject([{ cause: 'schedule', state: 'running' }]);
  });

  test('one of all channels that waits is as good as another one', async () => {
    const database = await store.open();
    const { begin } = processAt(database);
    const [one, two, three] = [await begin(), await begin(), await begin()];
    expect([one.state, two.state, two.id === one.id, three.id === two.id]).toEqual(['running', 'waiting', false, true]);
    expect((await begin({ destroy: true })).id).not.toBe(two.id);
  });
});
