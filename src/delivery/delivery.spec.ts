import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { sql } from 'kysely';
import { v4, v7 as uuid } from 'uuid';
import { stored } from '../explanations/explanation.js';
import { eachStore } from '../../test/support/stores.js';
import { until } from '../../test/support/until.js';
import type { InboundWebhook } from '../channel/inbound-webhook.js';
import type { Database } from '../database/database.js';
import type { BulkSink, Delivery, Mode } from '../sinks/sink.js';
import type { Sink } from '../sinks/sink-type.js';
import { Misconfigured, Refused, TryAgain } from '../sinks/errors.js';
import type { Report, ReportSink } from '../sinks/report-sink.js';
import { SinkSettings } from '../sinks/settings.js';
import { applySinkAction } from '../management/pause.js';
import { Lanes } from './lanes.js';
import { type RegisteredSink, registerSinks } from '../sinks/registry.js';
import { enqueueRefreshes } from '../reports/refresh-queue.js';
import { unfinishedOf } from '../reports/results.js';
import type { Answer, Ended } from './settlement.js';
import type { LaneWork } from './work.js';
import type { AttemptEnd } from '../process/engine-events.js';
import { Enqueuer } from './enqueue.js';
import { Worker } from './worker.js';
import { byWebhook, host, recorderAt, soundEvents } from '../../test/support/engine.js';

const start = Date.UTC(2026, 0, 1);

/** A manual clock. */
class TestClock {
  time = start;
  now = (): number => this.time;
  monotonic = this.now;
  wall = this.now;
  random = (): number => 0.5;
}

/** The sink of a database that has one, for turns without a worker. */
async function onlySink(database: Database, mode: Mode): Promise<RegisteredSink> {
  return { ...(await database.kysely.selectFrom('sink').select(['id', 'name', 'type']).executeTakeFirstOrThrow()), mode };
}

/** A fake sink with scripted answers that records its deliveries. */
class ScriptedSink {
  readonly got: Delivery[] = [];
  script: (delivery: Delivery, signal: AbortSignal) => Promise<void> | void = () => undefined;

  async deliver(delivery: Delivery, signal: AbortSignal): Promise<void> {
    this.got.push(structuredClone(delivery));
    await this.script(delivery, signal);
  }

  get revisions(): (number | null)[] {
    return this.got.map(one => one.event.data.revision);
  }
}

class ScriptedReport implements ReportSink {
  readonly got: Report[] = [];
  readonly digests: Report[][] = [];
  readonly summary = null;
  readonly alerts = true;
  script: (countCall?: () => void) => void = () => undefined;

  constructor(
    readonly holdMs: number | null = 0,
    readonly edits = true,
  ) {}

  async report(report: Report, _?: AbortSignal, countCall?: () => void): Promise<string> {
    this.got.push(structuredClone(report));
    this.script(countCall);
    return `card ${report.event.data.changeId}`;
  }

  async digest(reports: readonly Report[], _?: AbortSignal, countCall?: () => void): Promise<string> {
    this.digests.push(structuredClone([...reports]));
    this.script(countCall);
    return `digest ${this.digests.length}`;
  }

  async alert(): Promise<string> {
    return 'alert';
  }

  get revisions(): (number | null)[] {
    return this.got.map(one => one.event.data.revision);
  }
}

function stage(database: Database) {
  const clock = new TestClock();
  const workers = new Map<number, Worker>();
  const ends: AttemptEnd[] = [];
  const wake = (sinks: Iterable<number>): void => {
    for (const sink of sinks) workers.get(sink)?.wake();
  };
  const events = soundEvents()
    .on('due', sinks => wake(sinks!))
    .on('attempt', end => ends.push(end));
  const enqueuer = new Enqueuer(database, clock, events);
  const recorder = recorderAt(database, clock.now, events, enqueuer);
  const serve = async (sinks: Record<string, [Mode, Sink]>, settings: Partial<SinkSettings> = {}): Promise<void> => {
    const lanes = new Lanes(database, v4, () => 0.5);
    const configured = Object.entries(sinks).map(([name, [mode, sink]]) => ({
      name,
      type: 'scripted',
      mode,
      filters: {},
      ...('report' in sink && { report: sink }),
    }));
    const registered = await registerSinks(database, configured, clock.now());
    for (const one of registered) {
      const defaults = Object.assign(new SinkSettings(), { TIMEOUT_MS: 2000, CONCURRENCY: 4, RETRY_MAX_AGE: 86_400_000, ...settings });
      const worker = new Worker(one, sinks[one.name]![1], defaults, lanes, events, clock, host);
      workers.set(one.id, worker);
      enqueuer.serve(one.id, worker);
      worker.start();
    }
  };
  const change = (overrides: Partial<InboundWebhook> = {}): Promise<unknown> => {
    clock.time += 1;
    const webhook: InboundWebhook = {
      id: uuid(),
      sdkAppId: '1',
      channelId: 'a',
      command: 'changed',
      operator: null,
      eventTime: clock.time,
      eventTimeEstimated: false,
      ...byWebhook,
      receivedAt: clock.time,
      fields: { name: `name ${clock.time}` },
      body: Buffer.from('{}'),
      ...overrides,
    };
    return recorder.record(webhook, 5000);
  };
  /** Advances the clock past every back-off. */
  const later = (ms = 3_600_000): void => {
    clock.time += ms;
    wake(workers.keys());
  };
  const states = async (): Promise<string[]> =>
    (await database.kysely.selectFrom('delivery').select('state').orderBy('channel').orderBy('position').orderBy('sink').execute()).map(
      row => row.state,
    );
  const settled = (): Promise<void> => until(async () => !(await states()).includes('pending'), 'nothing pending');
  const drain = (graceMs = 5000): Promise<unknown> => Promise.all([...workers.values()].map(worker => worker.drain(graceMs)));
  return { clock, workers, ends, serve, change, later, states, settled, drain };
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

eachStore('delivery', store => {
  test('a log sink gets every change in revision order, also under retry', async () => {
    const { serve, change, later, settled, drain, ends } = stage(await store.open());
    const sink = new ScriptedSink();
    let failures = 2;
    sink.script = () => {
      if (failures-- > 0) throw new TryAgain(['answered', 503], ['wait'], 503);
    };
    await serve({ crm: ['log', sink] });
    await Promise.all([change(), change(), change()]);
    await until(() => ends.length === 1, 'first try');
    later();
    await until(() => ends.length === 2, 'second try');
    later();
    await settled();
    expect(sink.revisions).toEqual([1, 1, 1, 2, 3]);
    expect(new Set(sink.got.slice(0, 3).map(one => one.id)).size).toBe(1);
    expect(new Set(sink.got.map(one => one.id)).size).toBe(3);
    await drain();
  });

  // The body of a revision must not change between attempts.
  test.each(['log', 'state'] as const)('a %s sink is handed over what a claim would load, to the letter', async mode => {
    const database = await store.open();
    const clock = new TestClock();
    const filters = { fields: ['name' as const] };
    const [sink] = await registerSinks(database, [{ name: 'crm', type: 'scripted', mode, filters }], clock.now());
    const enqueuer = new Enqueuer(database, clock, soundEvents());
    const handed: LaneWork[] = [];
    enqueuer.serve(sink!.id, { room: () => 10, accept: works => void handed.push(...works) });
    const recorder = recorderAt(database, clock.now, soundEvents(), enqueuer);
    const lanes = new Lanes(database, v4, () => 0.5);
    const claim = { attempts: 10, batchSize: 1, leaseMs: 10_000, probeMs: 1000, bytes: 1e6, perSecond: null };
    const events: Pick<InboundWebhook, 'command' | 'fields'>[] = [
      { command: 'created', fields: { name: 'a "quoted"\n\u0001 name \ud83d\udc27' } },
      { command: 'changed', fields: { name: '', avatarUrl: 'https://example.com/a.png' } },
      { command: 'changed', fields: { name: 'b', introduction: '' } },
      { command: 'destroyed', fields: {} },
      { command: 'changed', fields: { name: 'd', organization: 'c' } },
    ];
    const record = (one: (typeof events)[number]): Promise<unknown> => {
      clock.time += 1;
      const at = { eventTime: clock.time, eventTimeEstimated: false, ...byWebhook, receivedAt: clock.time, body: Buffer.from('{}') };
      return recorder.record({ id: uuid(), sdkAppId: '1', channelId: 'a', operator: 'o', ...at, ...one }, 5000);
    };
    for (const one of events) {
      // Recorded together with a change that the filters exclude, so that the channel is ahead of the delivered change.
      await Promise.all([record(one), record({ command: 'changed', fields: { avatarUrl: `https://example.com/${clock.time}.png` } })]);
      await until(() => handed.length === 1, 'what is handed over');
      clock.time += 20_000;
      const { claimed } = await lanes.turn(sink!, [], 86_400_000, claim, clock.time);
      const work = claimed.flat().find(({ change_id }) => change_id === handed[0]!.change_id)!;
      expect(JSON.stringify(work.delivery)).toBe(JSON.stringify(handed[0]!.delivery));
      let answered = [work];
      while (answered.length > 0) {
        const answers = answered.map(each => ({ work: each, answer: { messageRef: null } }));
        const turn = await lanes.turn(sink!, [{ at: clock.time, durationMs: 1, answers }], 86_400_000, claim, clock.time + 1);
        answered = turn.claimed.flat();
      }
      handed.length = 0;
    }
  });

  test('a refused delivery is parked and the channel goes on', async () => {
    const database = await store.open();
    const { serve, change, states, settled, drain } = stage(database);
    const sink = new ScriptedSink();
    sink.script = ({ event }) => {
      if (event.data.revision === 2) throw new Refused(['answered', 422], ['as_said', 'mend it'], 422);
    };
    await serve({ crm: ['log', sink] });
    for (let count = 0; count < 3; count++) await change();
    await settled();
    expect(sink.revisions).toEqual([1, 2, 3]);
    expect(await states()).toEqual(['delivered', 'parked', 'delivered']);
    const parked = await database.kysely.selectFrom('delivery').selectAll().where('state', '=', 'parked').executeTakeFirstOrThrow();
    expect(parked).toMatchObject({
      cause: 'refused',
      reason: stored(['answered', 422]),
      advice: stored(['as_said', 'mend it']),
      tries: 1,
      open: 0,
    });
    expect(await database.kysely.selectFrom('attempt').select(['outcome', 'status']).where('outcome', '=', 'refused').execute()).toEqual([
      { outcome: 'refused', status: 422 },
    ]);
    await drain();
  });

  // Regression: an invalid date made the sink's worker fail at every turn.
  test.each([
    { change: 'event_time', to: 8_700_000_000_000_000 },
    { change: 'event_time', to: -8_700_000_000_000_000 },
    // Beyond 2^53, where JavaScript numbers lose precision.
    { change: 'event_time', to: 9_200_000_000_000_000_000 },
    { channel: 'updated_at', to: 9_200_000_000_000_000_000 },
    { change: 'received_at', to: 8_700_000_000_000_000, only: 'report' },
    { change: 'changes', to: '{"broken' },
    { change: 'changes', to: '[{"field":"colour","from":1,"to":2}]' },
    { change: 'changes', to: 'null' },
    { change: 'profile', to: '' },
    { change: 'profile', to: '{"name":7}' },
    { change: 'stale', to: '7', only: 'report' },
    { channel: 'updated_at', to: 8_700_000_000_000_000 },
    { lane: 'sent_profile', to: '[]', only: 'state' },
  ])('a row that cannot be shown is parked by itself and stops no sink: %j', async ({ to, only, ...at }) => {
    const database = await store.open();
    const { serve, change, later, settled, drain, ends } = stage(database);
    const sinks = { log: new ScriptedSink(), state: new ScriptedSink(), report: new ScriptedReport() };
    for (const sink of Object.values(sinks))
      sink.script = () => {
        throw new TryAgain(['answered', 503], ['wait'], 503);
      };
    await serve({ log: ['log', sinks.log], state: ['state', sinks.state], report: ['report', sinks.report] });
    await change({ channelId: 'damaged' });
    await until(() => new Set(ends.map(({ sink }) => sink)).size === 3, 'a failure at each');
    const [[table, column]] = Object.entries(at) as [['change' | 'channel' | 'lane', string]];
    await sql`update ${sql.table(table)} set ${sql.ref(column)} = ${to}`.execute(database.kysely);
    for (const sink of Object.values(sinks)) sink.script = () => undefined;
    await change({ channelId: 'whole' });
    later();
    await settled();
    const rows = await database.kysely
      .selectFrom('delivery')
      .innerJoin('channel', 'channel.id', 'delivery.channel')
      .innerJoin('sink', 'sink.id', 'delivery.sink')
      .select(['channel.channel_id', 'sink.name', 'delivery.state', 'delivery.cause', 'delivery.reason', 'delivery.advice'])
      .execute();
    const reason = stored(['damaged']);
    const parked = { state: 'parked', cause: 'refused', reason, advice: stored(['fix_record']) };
    const delivered = { state: 'delivered', cause: null, reason: null, advice: null };
    const expected = rows.map(({ channel_id, name }) => ({
      channel_id,
      name,
      ...(channel_id === 'damaged' && (only === undefined || only === name) ? parked : delivered),
    }));
    expect(rows).toEqual(expected);
    expect(rows).toHaveLength(6);
    await drain();
  });

  test('what keeps failing for longer than RETRY_MAX_AGE is parked as expired', async () => {
    const database = await store.open();
    const { serve, change, later, settled, states, drain, ends } = stage(database);
    const sink = new ScriptedSink();
    sink.script = () => {
      throw new TryAgain(['answered', 401], ['as_said', 'check the credentials'], 503);
    };
    await serve({ crm: ['log', sink] });
    await change();
    await until(() => ends.length === 1, 'first try');
    later(86_400_000);
    await settled();
    expect(await states()).toEqual(['parked']);
    expect(await database.kysely.selectFrom('delivery').select(['cause', 'tries']).executeTakeFirst()).toEqual({
      cause: 'expired',
      tries: 2,
    });
    await drain();
  });

  test('a state sink gets the newest state once, as the difference to what it has; the rest is superseded', async () => {
    const { serve, change, later, settled, states, drain, ends } = stage(await store.open());
    const sink = new ScriptedSink();
    await serve({ index: ['state', sink] });
    await change({ fields: { name: 'one', organization: 'org' } });
    await settled();
    let failed = false;
    sink.script = () => {
      if (!failed) {
        failed = true;
        throw new TryAgain(['answered', 503], ['wait'], 503);
      }
    };
    await change({ fields: { name: 'two' } });
    await until(() => ends.length === 2, 'the failure');
    await change({ fields: { name: 'three' } });
    await change({ fields: { name: 'four' } });
    later();
    await settled();
    expect(sink.revisions).toEqual([1, 2, 4]);
    expect(sink.got.at(-1)!.event.data.changes).toEqual([{ field: 'name', from: 'one', to: 'four' }]);
    expect(await states()).toEqual(['delivered', 'superseded', 'superseded', 'delivered']);
    const versions = sink.got.map(one => one.version);
    expect(versions.every((version, index) => index === 0 || version > versions[index - 1]!)).toBe(true);
    await drain();
  });

  test('a report sink gets the change with its results, again when they move, and delays nobody', async () => {
    const database = await store.open();
    const { serve, change, later, drain, ends } = stage(database);
    const [crm, slack] = [new ScriptedSink(), new ScriptedReport()];
    let failures = 1;
    crm.script = () => {
      if (failures-- > 0) throw new TryAgain(['answered', 503], ['wait'], 503);
    };
    await serve({ crm: ['log', crm], slack: ['report', slack] });
    await change();
    await until(() => slack.got.some(one => one.results[0]?.state === 'retrying'), 'the card tells of the failure');
    later();
    await until(() => slack.got.at(-1)!.results[0]?.state === 'delivered', 'the card tells of the success');
    expect(slack.got[0]!.messageRef).toBeNull();
    expect(slack.got.at(-1)!.messageRef).toBe(`card ${slack.got[0]!.event.data.changeId}`);
    expect(new Set(slack.got.map(one => one.id)).size).toBe(1);
    await until(
      async () => (await database.kysely.selectFrom('delivery').select('change_id').where('open', '=', 1).execute()).length === 0,
      'nothing open',
    );
    expect(ends.filter(one => one.sink === 'slack').every(one => one.outcome === 'delivered')).toBe(true);
    // A change without a revision goes to report sinks only.
    await change({ eventTime: start - 5, fields: { name: 'old' } });
    await until(() => slack.got.at(-1)!.event.data.revision === null, 'the stale change is shown');
    expect(slack.got.at(-1)!.stale).toEqual(['name']);
    await drain();
  });

  // Fails if recording makes the report's lane due, or if settling reopens the report.
  test('no other sink waits for the lane of a report, whoever holds it', async () => {
    const database = await store.open();
    // SQLite runs one transaction at a time.
    if (database.embedded) return;
    const { serve, change, settled, drain } = stage(database);
    const [crm, cards] = [new ScriptedSink(), new ScriptedReport()];
    await serve({ crm: ['log', crm], cards: ['report', cards] });
    await change();
    await settled();
    const crmHas = async (): Promise<number> =>
      (
        await database.kysely
          .selectFrom('delivery')
          .innerJoin('sink', 'sink.id', 'delivery.sink')
          .select('change_id')
          .where('name', '=', 'crm')
          .where('delivery.state', '=', 'delivered')
          .execute()
      ).length;
    await database.kysely.transaction().execute(async trx => {
      const report = trx.selectFrom('sink').select('id').where('name', '=', 'cards');
      await trx.selectFrom('lane').selectAll().where('sink', '=', report).forUpdate().execute();
      await change();
      await until(async () => (await crmHas()) === 2, 'the CRM has the second change');
      expect(cards.got.every(one => one.event.data.revision === 1)).toBe(true);
    });
    await until(() => cards.revisions.includes(2), 'the card of the second change');
    await drain();
  });

  test('a result that comes between the news and the card is on the card, and no reason for another', async () => {
    const database = await store.open();
    const { serve, change, clock, drain } = stage(database);
    await serve({ cards: ['report', new ScriptedReport()] });
    await drain();
    await change();
    const sink = await onlySink(database, 'report');
    const { change_id: changeId, channel } = await database.kysely
      .selectFrom('delivery')
      .select(['change_id', 'channel'])
      .executeTakeFirstOrThrow();
    const news = () => database.kysely.selectFrom('report_refresh').select('change_id').execute();
    const asyncCommit = database.asyncCommit.bind(database);
    const counts: number[] = [];
    let transactions = 0;
    database.asyncCommit = async work => {
      transactions += 1;
      // The first drains the refresh queue, the second loads the report.
      if (transactions === 2) {
        counts.push((await news()).length);
        await database.kysely.transaction().execute(trx => enqueueRefreshes(database, trx, [{ changeId, channel }]));
        counts.push((await news()).length);
      }
      return asyncCommit(work);
    };
    const claim = { attempts: 1, batchSize: 1, leaseMs: 1000, probeMs: 1000, bytes: 1e6, perSecond: null };
    const turn = await new Lanes(database, v4, () => 0.5).turn(sink, [], 86_400_000, claim, clock.time);
    expect(turn.claimed.flat().map(work => work.change_id)).toEqual([changeId]);
    expect([...counts, (await news()).length]).toEqual([0, 1, 0]);
  });

  test('a report that arrived after its lease was lost is shown once more: it may have replaced a newer one', async () => {
    const database = await store.open();
    const { serve, change, clock, drain } = stage(database);
    await serve({ cards: ['report', new ScriptedReport()] });
    await drain();
    await change();
    const [sink, lanes] = [await onlySink(database, 'report'), new Lanes(database, v4, () => 0.5)];
    const claim = { attempts: 1, batchSize: 1, leaseMs: 1000, probeMs: 1000, bytes: 1e6, perSecond: null };
    const [work] = (await lanes.turn(sink, [], 86_400_000, claim, clock.time)).claimed.flat();
    await database.kysely.updateTable('lane').set({ lease: 'another' }).execute();
    const ended = [{ at: clock.time, durationMs: 1, answers: [{ work: work!, answer: { messageRef: '1.2' } }] }];
    const { wakes } = await lanes.turn(sink, ended, 86_400_000, { ...claim, attempts: 0 }, clock.time);
    expect(wakes).toEqual([sink.id]);
    expect(await database.kysely.selectFrom('report_refresh').select('change_id').execute()).toEqual([{ change_id: work!.change_id }]);
  });

  test('a report tells also of what was superseded', async () => {
    const { serve, change, later, settled, drain, ends } = stage(await store.open());
    const [index, cards] = [new ScriptedSink(), new ScriptedReport()];
    index.script = () => {
      throw new TryAgain(['answered', 503], ['wait'], 503);
    };
    await serve({ index: ['state', index], cards: ['report', cards] });
    await change();
    await until(() => ends.some(end => end.sink === 'index'), 'the first try');
    await change();
    index.script = () => undefined;
    later();
    await settled();
    const first = cards.got[0]!.id;
    const last = (): Report => cards.got.findLast(report => report.id === first)!;
    await until(() => last().results[0]!.state === 'superseded', 'the end of the first change');
    await drain();
  });

  test('a change is shown once all its results are there, or when its patience ends', async () => {
    const database = await store.open();
    const { serve, change, clock, later, drain } = stage(database);
    const dueLanes = () => database.kysely.selectFrom('lane').select('due_at').where('lease', 'is', null).execute();
    const [crm, cards] = [new ScriptedSink(), new ScriptedReport(2000)];
    let finish = (): void => undefined;
    crm.script = ({ event }) => (event.data.channelId === 'slow' ? new Promise(resolve => (finish = resolve)) : undefined);
    await serve({ crm: ['log', crm], cards: ['report', cards] });
    await change({ channelId: 'quick' });
    await until(() => cards.got.length === 1, 'the card of the quick one');
    expect(cards.got[0]!.results).toMatchObject([{ sink: 'crm', state: 'delivered', nextAttemptAt: null }]);
    await change({ channelId: 'slow' });
    await until(() => crm.got.length === 2, 'the slow one is under way');
    later(1999);
    await until(async () => (await dueLanes()).some(lane => lane.due_at === clock.time + 1), 'its card waits for its time');
    expect(cards.got).toHaveLength(1);
    later(1);
    await until(() => cards.got.length === 2, 'the card of the slow one');
    expect(cards.got[1]!.results).toMatchObject([{ sink: 'crm', state: 'pending' }]);
    finish();
    await until(() => cards.got.length === 3, 'the end of the slow one');
    expect(cards.got[2]).toMatchObject({ messageRef: `card ${cards.got[1]!.event.data.changeId}`, results: [{ state: 'delivered' }] });
    await drain();
  });

  test('a sink that shows failures alone is shown one at once, and everything else once all its results are known', async () => {
    const { serve, change, drain } = stage(await store.open());
    const [crm, other, cards] = [new ScriptedSink(), new ScriptedSink(), new ScriptedReport(null)];
    const finish: (() => void)[] = [];
    other.script = () => new Promise(resolve => finish.push(resolve));
    crm.script = ({ event }) => {
      if (event.data.revision === 2) throw new Refused(['answered', 422], ['fix_at_target'], 422);
    };
    await serve({ crm: ['log', crm], other: ['log', other], cards: ['report', cards] });
    await change();
    await until(() => crm.got.length === 1 && other.got.length === 1, 'the attempts at the first');
    await change();
    // The first change still waits for the other sink, which must not hide the failure behind it.
    await until(() => cards.got.length === 1, 'the failure');
    expect(cards.got[0]!.event.data.revision).toBe(2);
    expect(cards.got[0]!.results.map(({ sink, state }) => [sink, state])).toEqual([
      ['crm', 'parked'],
      ['other', 'pending'],
    ]);
    finish.shift()!();
    await until(() => cards.revisions.includes(1), 'the first, whose results are known');
    await until(() => finish.length > 0, 'the attempt at the second');
    finish.shift()!();
    const second = (): Report => cards.got.findLast(({ event }) => event.data.revision === 2)!;
    await until(() => second().results.every(({ state }) => state !== 'pending'), 'the end of the second');
    await drain();
  });

  test('what altered nothing waits for nobody, and a sink that cannot show anew is told once', async () => {
    const database = await store.open();
    const { serve, change, later, settled, drain } = stage(database);
    const [crm, cards] = [new ScriptedSink(), new ScriptedReport(60_000, false)];
    crm.script = () => {
      if (crm.got.length === 1) throw new TryAgain(['answered', 503], ['wait'], 503);
    };
    await serve({ crm: ['log', crm], cards: ['report', cards] });
    await change({ channelId: 'other', eventTime: start });
    await until(() => crm.got.length === 1, 'the first try');
    later(60_000);
    await until(() => cards.got.length === 1, 'the card at the end of its patience');
    await settled();
    await change({ channelId: 'other', eventTime: start - 5 });
    await until(() => cards.got.length === 2, 'the stale one');
    expect(cards.got.map(one => one.event.data.revision)).toEqual([1, null]);
    const open = () => database.kysely.selectFrom('delivery').select('open').where('open', '=', 1).execute();
    await until(async () => (await open()).length === 0, 'nothing is to be shown anew');
    expect(cards.got).toHaveLength(2);
    await drain();
  });

  test('more than five that every sink has go into one message, and each that moves later is shown by itself', async () => {
    const database = await store.open();
    const { serve, change, clock, later, settled, states, drain } = stage(database);
    const [crm, cards] = [new ScriptedSink(), new ScriptedReport()];
    crm.script = ({ event }) => {
      if (event.data.channelId === 'refused') throw new Refused(['answered', 422], ['as_said', 'look'], 422);
    };
    await serve({ crm: ['log', crm], cards: ['report', cards] });
    await applySinkAction(database, 'cards', 'pause', { at: clock.time, actor: 'api' });
    // Two of them share a channel: a lane may contribute several.
    for (const channelId of ['a', 'a', 'b', 'c', 'd', 'refused']) await change({ channelId });
    await until(async () => (await states()).filter(state => state === 'pending').length === 6, 'all at the crm');
    await applySinkAction(database, 'cards', 'resume', { at: clock.time, actor: 'api' });
    later(0);
    await until(() => cards.got.length === 6, 'five are shown one by one');
    expect(cards.digests).toEqual([]);

    await applySinkAction(database, 'cards', 'pause', { at: clock.time, actor: 'api' });
    for (const channelId of ['a', 'a', 'b', 'c', 'd', 'e', 'refused']) await change({ channelId });
    await until(async () => (await states()).filter(state => state === 'pending').length === 7, 'all at the crm');
    const refreshes = () => database.kysely.selectFrom('report_refresh').select('id').execute();
    await until(async () => (await refreshes()).length === 0, 'all may be shown');
    await applySinkAction(database, 'cards', 'resume', { at: clock.time, actor: 'api' });
    later(0);
    await settled();
    expect(cards.digests.map(reports => reports.map(one => one.event.data.channelId))).toEqual([['a', 'a', 'b', 'c', 'd', 'e']]);
    expect(cards.got.at(-1)!.event.data.channelId).toBe('refused');
    const rows = await database.kysely.selectFrom('delivery').select('message_ref').where('message_ref', 'like', 'digest%').execute();
    expect(rows.map(row => row.message_ref)).toEqual(Array(6).fill('digest 1'));
    await drain();
  });

  test('what another report sink failed to show is finished all the same; what a sink failed to get is not', async () => {
    const database = await store.open();
    const { serve, change, settled, drain } = stage(database);
    await serve({ crm: ['log', new ScriptedSink()], cards: ['report', new ScriptedReport()] });
    await change();
    await settled();
    await drain();
    const [{ change_id }] = (await database.kysely.selectFrom('delivery').select('change_id').limit(1).execute()) as [
      { change_id: string },
    ];
    const unfinishedAfterParkedAt = async (name: string): Promise<number> => {
      const sink = database.kysely.selectFrom('sink').select('id').where('name', '=', name);
      await database.kysely.updateTable('delivery').set({ state: 'parked' }).where('sink', '=', sink).execute();
      return (await database.kysely.transaction().execute(trx => unfinishedOf(database, trx, [change_id]))).size;
    };
    expect([await unfinishedAfterParkedAt('cards'), await unfinishedAfterParkedAt('crm')]).toEqual([0, 1]);
  });

  // Fails if the worker drops the count, or if the rate counts attempts only.
  test('a report or digest of several calls takes as much of the rate', async () => {
    const database = await store.open();
    const { serve, change, clock, later, settled, drain } = stage(database);
    const cards = new ScriptedReport();
    cards.script = countCall => [1, 2, 3].forEach(() => countCall?.());
    await serve({ cards: ['report', cards] }, { RATE_PER_SECOND: 1, CONCURRENCY: 1 });
    await change({ channelId: 'a' });
    const usedUp = (at: number) =>
      until(
        async () => (await database.kysely.selectFrom('sink').select('paced_at').executeTakeFirstOrThrow()).paced_at === at,
        'the pace',
      );
    await usedUp(clock.time + 4000);
    for (const channelId of ['a', 'b', 'c', 'd', 'e', 'f']) await change({ channelId });
    later(5000);
    await settled();
    expect(cards.digests).toHaveLength(1);
    await usedUp(clock.time + 4000);
    await drain();
  });

  test('a digest that is refused comes as single messages, so that only what it is about is parked', async () => {
    const database = await store.open();
    const { serve, change, clock, later, states, drain } = stage(database);
    const cards = new ScriptedReport();
    cards.script = () => {
      if (cards.digests.length > 0 && cards.got.length === 0)
        throw new Refused(['as_said', 'answered invalid_blocks'], ['as_said', 'report it']);
      if (cards.got.at(-1)?.event.data.channelId === 'c')
        throw new Refused(['as_said', 'answered invalid_blocks'], ['as_said', 'report it']);
    };
    await serve({ cards: ['report', cards] });
    await applySinkAction(database, 'cards', 'pause', { at: clock.time, actor: 'api' });
    for (const channelId of ['a', 'b', 'c', 'd', 'e', 'f']) await change({ channelId });
    // Otherwise a turn that has begun before the last change could find five, and show them one by one.
    const refreshes = () => database.kysely.selectFrom('report_refresh').select('id').execute();
    await until(async () => (await refreshes()).length === 0, 'all may be shown');
    await applySinkAction(database, 'cards', 'resume', { at: clock.time, actor: 'api' });
    later(0);
    await until(() => cards.digests.length === 1, 'the digest');
    for (let tries = 0; tries < 3; tries++) {
      const tried = cards.digests.length + cards.got.length;
      later();
      await until(async () => cards.digests.length + cards.got.length > tried || !(await states()).includes('pending'), 'another try');
    }
    await until(async () => !(await states()).includes('pending'), 'all ended');
    expect((await states()).toSorted()).toEqual(['delivered', 'delivered', 'delivered', 'delivered', 'delivered', 'parked']);
    await drain();
  });

  test('a card may stand there already after a failure, and after an attempt that was lost with its process; not at first', async () => {
    const database = await store.open();
    const { serve, change, clock, later, drain } = stage(database);
    const cards = new ScriptedReport();
    cards.script = () => {
      if (cards.got.length === 1) throw new TryAgain(['timed_out'], ['wait']);
    };
    await serve({ cards: ['report', cards] });
    await change({ channelId: 'failing' });
    await until(() => cards.got.length === 1, 'the first try');
    later();
    await until(() => cards.got.length === 2, 'the second');
    expect(cards.got.map(one => one.possiblyPostedSince)).toEqual([null, clock.time - 3_600_000]);
    await drain();

    // A process that dies while it posts the next one.
    await change({ channelId: 'lost' });
    const lanes = new Lanes(database, v4, () => 0.5);
    const sink = await onlySink(database, 'report');
    const claim = { attempts: 1, batchSize: 1, leaseMs: 1000, probeMs: 1000, bytes: 1e6, perSecond: null };
    const look = async (): Promise<number | null> =>
      ((await lanes.turn(sink, [], 86_400_000, claim, clock.time)).claimed[0]![0]!.delivery as Report).possiblyPostedSince;
    expect(await look()).toBeNull();
    clock.time += 1000;
    expect(await look()).toBe(clock.time - 1000);
  });

  test('several bulks that end at once are settled together', async () => {
    const database = await store.open();
    const { serve, change, clock, later, settled, states, drain } = stage(database);
    let [release, inFlight] = [(): void => undefined, 0];
    const released = new Promise<void>(resolve => (release = resolve));
    const index: BulkSink = {
      batchSize: 500,
      deliverMany: async deliveries => {
        inFlight += deliveries.length;
        await released;
        return deliveries.map(() => null);
      },
    };
    await serve({ index: ['state', index] }, { TIMEOUT_MS: 20_000 });
    await applySinkAction(database, 'index', 'pause', { at: clock.time, actor: 'api' });
    const channels = Array.from({ length: 1200 }, (_, number) => `channel ${number}`);
    await Promise.all(channels.map(channelId => change({ channelId })));
    await applySinkAction(database, 'index', 'resume', { at: clock.time, actor: 'api' });
    later(0);
    await until(() => inFlight === channels.length, 'all under way');
    release();
    await settled();
    expect(await states()).toEqual(channels.map(() => 'delivered'));
    await drain();
  }, 30_000);

  test('one bad channel delays no other, one dead sink no other', async () => {
    const { serve, change, drain } = stage(await store.open());
    const [dead, well] = [new ScriptedSink(), new ScriptedSink()];
    dead.script = () => new Promise(() => undefined);
    well.script = ({ event }) => {
      if (event.data.channelId === 'a') throw new TryAgain(['answered', 500], ['wait'], 500);
    };
    await serve({ dead: ['log', dead], well: ['log', well] });
    for (const channelId of ['a', 'b', 'c', 'd', 'e', 'f']) await change({ channelId });
    await until(() => well.got.length === 6, 'the healthy sink got all');
    await until(() => dead.got.length === 4, 'the dead one is at work as often as it may');
    await drain(0);
  });

  test('an attempt leaves nothing behind in memory', async () => {
    const { serve, change, drain, settled } = stage(await store.open());
    const sink = new ScriptedSink();
    const signals: WeakRef<AbortSignal>[] = [];
    sink.script = (_, signal) => {
      signal.addEventListener('abort', () => undefined);
      signals.push(new WeakRef(signal));
    };
    await serve({ crm: ['log', sink] });
    await Promise.all(Array.from({ length: 50 }, (_, channel) => change({ channelId: `${channel}` })));
    await settled();
    collectGarbage();
    expect(signals).toHaveLength(50);
    // The last one may still be running.
    expect(signals.filter(signal => signal.deref()).length).toBeLessThan(10);
    await drain();
  });

  test('Retry-After holds back the whole sink', async () => {
    const { serve, change, later, drain, settled } = stage(await store.open());
    const sink = new ScriptedSink();
    sink.script = () => {
      if (sink.got.length === 1) throw new TryAgain(['answered', 429], ['wait'], 429, 60_000);
    };
    await serve({ crm: ['log', sink] });
    await change();
    await until(() => sink.got.length === 1, 'the 429');
    await change({ channelId: 'b' });
    later(30_000);
    await change({ channelId: 'c' });
    expect(sink.got).toHaveLength(1);
    later(60_000);
    await settled();
    expect(sink.got).toHaveLength(4);
    await drain();
  });

  test('a paused sink gets nothing until it is resumed', async () => {
    const database = await store.open();
    const { serve, change, later, settled, drain } = stage(database);
    const [paused, other] = [new ScriptedSink(), new ScriptedSink()];
    await serve({ paused: ['log', paused], other: ['log', other] });
    await database.kysely.updateTable('sink').set({ paused_at: start }).where('name', '=', 'paused').execute();
    await change();
    await until(() => other.got.length === 1, 'the other one');
    expect(paused.got).toHaveLength(0);
    await database.kysely.updateTable('sink').set({ paused_at: null }).execute();
    later();
    await settled();
    expect(paused.got).toHaveLength(1);
    await drain();
  });

  test('a sink that fails five times in a row is down: it spends no tries, is probed, and catches up at once when it is well', async () => {
    const database = await store.open();
    const { serve, change, later, settled, drain } = stage(database);
    const sink = new ScriptedSink();
    sink.script = () => {
      throw new TryAgain(['answered', 503], ['wait'], 503);
    };
    await serve({ crm: ['log', sink] });
    const health = () => database.kysely.selectFrom('sink').select(['state', 'reason', 'failures']).executeTakeFirstOrThrow();
    const tries = async (): Promise<number> =>
      (await database.kysely.selectFrom('delivery').select('tries').execute()).reduce((sum, row) => sum + row.tries, 0);
    for (const channelId of ['a', 'b', 'c', 'd']) await change({ channelId });
    await until(async () => (await health()).failures === 4, 'four failures');
    expect(await health()).toMatchObject({ state: 'ok' });
    await change({ channelId: 'e' });
    await until(async () => (await health()).state === 'down', 'down');
    expect(await health()).toMatchObject({ reason: stored(['answered', 503]) });
    expect(await tries()).toBe(5);
    await change({ channelId: 'e' });
    // One probe at a time, although all lanes have work.
    for (let probes = 1; probes <= 7; probes++) {
      later(19_000);
      await until(() => sink.got.length === 5 + probes, `probe ${probes}`);
      await until(
        async () => (await database.kysely.selectFrom('lane').select('lease').where('lease', 'is not', null).execute()).length === 0,
        'its end',
      );
    }
    // Round-robin over the lanes.
    expect(new Set(sink.got.slice(5, 10).map(one => one.event.data.channelId)).size).toBe(5);
    expect(await tries()).toBe(5);
    sink.script = () => undefined;
    later(19_000);
    // No lane has to wait for its back-off.
    await settled();
    expect(await health()).toMatchObject({ state: 'ok', reason: null, failures: 0 });
    expect(sink.got.slice(-6)).toHaveLength(6);
    await drain();
  });

  test('one bad channel that looks like a misconfigured sink keeps nobody waiting, and is refused in the end', async () => {
    const database = await store.open();
    const { serve, change, later, states, drain } = stage(database);
    const sink = new ScriptedSink();
    sink.script = ({ event }) => {
      if (event.data.channelId === 'bad') throw new Misconfigured(['answered', 404], ['as_said', 'check the URL'], 404);
    };
    await serve({ crm: ['log', sink] });
    const state = async () => (await database.kysely.selectFrom('sink').select('state').executeTakeFirstOrThrow()).state;
    await change({ channelId: 'bad' });
    await until(async () => (await state()) === 'misconfigured', 'misconfigured');
    expect(await database.kysely.selectFrom('delivery').select(['state', 'tries']).execute()).toEqual([{ state: 'pending', tries: 0 }]);
    await change({ channelId: 'good' });
    await change({ channelId: 'good' });
    await change({ channelId: 'fine' });
    // Within 1 s, long before the next probe of the bad one.
    later(1000);
    await until(async () => (await states()).filter(one => one === 'delivered').length === 3, 'the others');
    await until(async () => (await states()).includes('parked'), 'the bad one is refused');
    expect(await state()).toBe('ok');
    expect(await database.kysely.selectFrom('delivery').select(['cause', 'reason']).where('state', '=', 'parked').execute()).toEqual([
      { cause: 'refused', reason: stored(['answered', 404]) },
    ]);
    await drain();
  });

  test('a sink that is dead for weeks does not fill the database with its probes', async () => {
    const database = await store.open();
    const { serve, change, later, drain, ends } = stage(database);
    const sink = new ScriptedSink();
    sink.script = () => {
      throw new Misconfigured(['answered', 401], ['as_said', 'check the credentials'], 401);
    };
    await serve({ crm: ['log', sink] });
    await change();
    const attempts = async () => (await database.kysely.selectFrom('attempt').select('at').orderBy('at').execute()).map(row => row.at);
    for (let probes = 1; probes <= 110; probes++) {
      await until(() => ends.length === probes, `attempt ${probes}`);
      await until(
        async () => (await database.kysely.selectFrom('lane').select('lease').executeTakeFirstOrThrow()).lease === null,
        'its end',
      );
      later(19_000);
    }
    await drain();
    const kept = await attempts();
    expect(kept.length).toBeGreaterThanOrEqual(100);
    expect(kept.length).toBeLessThanOrEqual(101);
    expect(kept[0]).toBeGreaterThan(start + 5 * 19_000);
  }, 30_000);

  test('a sink is probed by one delivery at a time', async () => {
    const database = await store.open();
    const { serve, change, later, drain } = stage(database);
    const sink = new ScriptedSink();
    sink.script = () => {
      throw new Misconfigured(['answered', 401], ['as_said', 'check the credentials'], 401);
    };
    await serve({ crm: ['log', sink] }, { TIMEOUT_MS: 60_000 });
    await change({ channelId: 'a' });
    await until(async () => (await database.kysely.selectFrom('sink').select('state').executeTakeFirstOrThrow()).state !== 'ok', 'stopped');
    sink.script = () => new Promise(() => undefined);
    for (const channelId of ['b', 'c', 'd']) await change({ channelId });
    for (let seconds = 0; seconds < 60; seconds += 10) {
      later(10_000);
      await until(() => sink.got.length === 2, 'the probe');
    }
    expect(sink.got).toHaveLength(2);
    await drain(0);
  });

  // Fails if the probe of a fresh lane postpones the round-robin.
  test('lanes that fail for the first time, one after the other, do not keep the round from coming', async () => {
    const database = await store.open();
    const { serve, change, drain, clock } = stage(database);
    await serve({ crm: ['log', new ScriptedSink()] });
    await drain();
    const sink = await onlySink(database, 'log');
    const lanes = new Lanes(database, v4, () => 0.5);
    const claim = { attempts: 10, batchSize: 1, leaseMs: 10_000, probeMs: 5000, bytes: 1e6, perSecond: null };
    const failure = new Misconfigured(['answered', 404], ['as_said', 'check the URL'], 404);
    const probed: Record<number, string> = {};
    await change({ channelId: 'first' });
    const from = clock.time;
    for (let second = 0; second <= 39; second += 3) {
      clock.time = from + second * 1000;
      const claimed = (await lanes.turn(sink, [], 86_400_000, claim, clock.time)).claimed.flat();
      expect(claimed).toHaveLength(1);
      // One at a time.
      expect((await lanes.turn(sink, [], 86_400_000, claim, clock.time)).claimed).toEqual([]);
      if (claimed[0]!.config_error_seq !== null) probed[second] = claimed[0]!.delivery.event.data.channelId;
      const ended = { at: clock.time, durationMs: 5, answers: [{ work: claimed[0]!, answer: { failure } }] };
      await lanes.turn(sink, [ended], 86_400_000, { ...claim, attempts: 0 }, clock.time + 5);
      await change({ channelId: `after ${second}` });
    }
    expect(probed).toEqual({ 18: 'first', 36: 'after 0' });
  });

  test('the time in which a sink is paused or stopped does not count towards RETRY_MAX_AGE', async () => {
    const database = await store.open();
    const { serve, change, later, settled, states, drain, clock } = stage(database);
    const sink = new ScriptedSink();
    sink.script = () => {
      throw new TryAgain(['answered', 503], ['wait'], 503);
    };
    await serve({ crm: ['log', sink] });
    await change();
    const tries = async () => (await database.kysely.selectFrom('delivery').select('tries').executeTakeFirstOrThrow()).tries;
    // Wait until it is settled, so that it does not see the pause and resume.
    await until(async () => (await tries()) === 1, 'the first try');
    await applySinkAction(database, 'crm', 'pause', { at: clock.now(), actor: 'api' });
    later(864_000_000);
    await applySinkAction(database, 'crm', 'resume', { at: clock.now(), actor: 'api' });
    later(0);
    await until(async () => (await tries()) === 2, 'a try after ten days');
    expect(await states()).toEqual(['pending']);
    later(86_400_000);
    await settled();
    expect(await states()).toEqual(['parked']);
    await drain();
  });

  test('draining ends what is under way and gives back the rest without an attempt', async () => {
    const database = await store.open();
    const { serve, change, drain, states, ends } = stage(database);
    const sink = new ScriptedSink();
    let release = (): void => undefined;
    sink.script = ({ event }) =>
      event.data.channelId === 'slow' ? new Promise<void>(resolve => (release = resolve)) : new Promise(() => undefined);
    await serve({ crm: ['log', sink] });
    await change({ channelId: 'slow' });
    await change({ channelId: 'hang' });
    await until(() => sink.got.length === 2, 'both under way');
    const drained = drain(200);
    release();
    await drained;
    expect((await states()).sort()).toEqual(['delivered', 'pending']);
    expect(ends.map(one => one.outcome).sort()).toEqual(['cancelled', 'delivered']);
    const lanes = await database.kysely.selectFrom('lane').select(['lease', 'tries']).execute();
    expect(lanes).toEqual([
      { lease: null, tries: 0 },
      { lease: null, tries: 0 },
    ]);
    expect(await database.kysely.selectFrom('attempt').select('outcome').execute()).toEqual([{ outcome: 'delivered' }]);
  });

  test('a settle whose lease was lost changes nothing', async () => {
    const database = await store.open();
    const { serve, change, drain, states } = stage(database);
    const sink = new ScriptedSink();
    let release = (): void => undefined;
    sink.script = () => new Promise<void>(resolve => (release = resolve));
    await serve({ crm: ['log', sink] });
    await change();
    await until(() => sink.got.length === 1, 'under way');
    await database.kysely.updateTable('lane').set({ lease: 'somebody else' }).execute();
    release();
    await drain();
    expect(await states()).toEqual(['pending']);
    expect(await database.kysely.selectFrom('lane').select('lease').execute()).toEqual([{ lease: 'somebody else' }]);
  });

  // Regression: a worker whose only attempt had stopped its sink slept for a minute.
  test('a turn that may claim nothing says all the same when to look again', async () => {
    const database = await store.open();
    const { serve, change, drain, clock } = stage(database);
    await serve({ crm: ['log', new ScriptedSink()] });
    await drain();
    await change();
    const [sink, lanes] = [await onlySink(database, 'log'), new Lanes(database, v4, () => 0.5)];
    const claim = { attempts: 1, batchSize: 1, leaseMs: 1000, probeMs: 1000, bytes: 1e6, perSecond: null };
    for (const failure of [
      new TryAgain(['answered', 429], ['as_said', ''], 429, 2000),
      new Misconfigured(['answered', 401], ['as_said', ''], 401),
    ]) {
      const { claimed } = await lanes.turn(sink, [], 86_400_000, claim, clock.time);
      const ended = [{ at: clock.time, durationMs: 1, answers: [{ work: claimed[0]![0]!, answer: { failure } }] }];
      const { nextDueAt } = await lanes.turn(sink, ended, 86_400_000, { ...claim, attempts: 0 }, clock.time);
      expect(nextDueAt! - clock.time).toBeGreaterThan(0);
      expect(nextDueAt! - clock.time).toBeLessThan(20_000);
      clock.time = nextDueAt! + 5000;
    }
  });

  test('a success whose lease was lost delivers nothing, but heals the sink: every lane is due at once', async () => {
    const database = await store.open();
    const { serve, change, drain, clock } = stage(database);
    await serve({ crm: ['log', new ScriptedSink()] });
    await drain();
    await change({ channelId: 'slow' });
    await change({ channelId: 'failing' });
    const sink = await onlySink(database, 'log');
    const lanes = new Lanes(database, v4, () => 0.5);
    const claim = { attempts: 10, batchSize: 1, leaseMs: 1000, probeMs: 1000, bytes: 1e6, perSecond: null };
    const turn = (ended: Ended[], now: number) => lanes.turn(sink, ended, 86_400_000, { ...claim, attempts: 0 }, now);
    const { claimed } = await lanes.turn(sink, [], 86_400_000, claim, clock.time);
    const [failing, slow] = ['failing', 'slow'].map(id => claimed.flat().find(work => work.delivery.event.data.channelId === id)!);
    const failure = new Misconfigured(['answered', 401], ['as_said', 'check the credentials'], 401);
    await turn([{ at: clock.time, durationMs: 1, answers: [{ work: failing!, answer: { failure } }] }], clock.time);
    await database.kysely
      .updateTable('lane')
      .set({ lease: 'another', due_at: clock.time + 9000 })
      .where('channel', '=', slow!.channel)
      .execute();
    const { over, health } = await turn(
      [{ at: clock.time, durationMs: 5, answers: [{ work: slow!, answer: { messageRef: null } }] }],
      clock.time + 5,
    );
    expect([over.delivered, health.state]).toEqual([0, 'ok']);
    const due = await database.kysely.selectFrom('lane').select(['channel', 'due_at']).orderBy('channel').execute();
    expect(due).toEqual([
      { channel: slow!.channel, due_at: clock.time + 9000 },
      { channel: failing!.channel, due_at: clock.time + 5 },
    ]);
  });

  test('a success that was under way when a lane was told that the sink is misconfigured proves nothing: only one that was claimed after that gets the lane refused', async () => {
    const database = await store.open();
    const { serve, change, drain, clock, states } = stage(database);
    await serve({ crm: ['log', new ScriptedSink()] });
    await drain();
    for (const channelId of ['bad', 'slow', 'bad', 'bad']) await change({ channelId });
    const sink = await onlySink(database, 'log');
    const lanes = new Lanes(database, v4, () => 0.5);
    const claim = { attempts: 10, batchSize: 1, leaseMs: 1000, probeMs: 1000, bytes: 1e6, perSecond: null };
    const take = async () => {
      const { claimed } = await lanes.turn(sink, [], 86_400_000, claim, clock.time);
      return (id: string) => claimed.flat().find(work => work.delivery.event.data.channelId === id)!;
    };
    const end = async (work: LaneWork, answer: Answer) => {
      clock.time += 10;
      const ended = [{ at: clock.time - 5, durationMs: 5, answers: [{ work, answer }] }];
      return (await lanes.turn(sink, ended, 86_400_000, { ...claim, attempts: 0 }, clock.time)).health.state;
    };
    const misconfigured = { failure: new Misconfigured(['answered', 401], ['as_said', 'check the credentials'], 401) };
    const fine = { messageRef: null };

    const first = await take();
    expect(await end(first('bad'), misconfigured)).toBe('misconfigured');
    expect(await end(first('slow'), fine)).toBe('ok');
    await change({ channelId: 'slow' });
    const second = await take();
    expect(await end(second('bad'), misconfigured)).toBe('misconfigured');
    expect(await states()).toEqual(['pending', 'pending', 'pending', 'delivered', 'pending']);
    expect(await end(second('slow'), fine)).toBe('ok');
    const third = await take();
    expect(await end(third('bad'), misconfigured)).toBe('ok');
    expect(await states()).toEqual(['parked', 'pending', 'pending', 'delivered', 'delivered']);
  });

  test('a lease is renewed while it is held, not after it was lost, and a lane whose worker is gone is claimed again', async () => {
    const database = await store.open();
    const { serve, change, drain, clock } = stage(database);
    await serve({ crm: ['log', new ScriptedSink()] });
    await drain();
    await change();
    const sink = await onlySink(database, 'log');
    const lanes = new Lanes(database, v4, () => 0.5);
    const claim = { attempts: 10, batchSize: 1, leaseMs: 1000, probeMs: 1000, bytes: 1e6, perSecond: null };
    const lane = () => database.kysely.selectFrom('lane').select(['lease', 'due_at']).executeTakeFirstOrThrow();

    const [work] = (await lanes.turn(sink, [], 86_400_000, claim, clock.time)).claimed.flat();
    expect((await lanes.turn(sink, [], 86_400_000, claim, clock.time + 999)).claimed).toEqual([]);
    await lanes.renew(sink, [work!], clock.time + 5000);
    expect(await lane()).toEqual({ lease: work!.lease, due_at: clock.time + 5000 });
    expect((await lanes.turn(sink, [], 86_400_000, claim, clock.time + 4999)).claimed).toEqual([]);

    const [again] = (await lanes.turn(sink, [], 86_400_000, claim, clock.time + 5000)).claimed.flat();
    expect(again!.change_id).toBe(work!.change_id);
    expect(again!.lease).not.toBe(work!.lease);
    await lanes.renew(sink, [work!], clock.time + 99_000);
    await lanes.giveBack(sink, [work!], clock.time, 'cancelled');
    expect(await lane()).toEqual({ lease: again!.lease, due_at: clock.time + 6000 });
  });
});
