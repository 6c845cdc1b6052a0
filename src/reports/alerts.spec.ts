import { setImmediate as nextTurn } from 'node:timers/promises';
import { sql } from 'kysely';
import { v7 as uuid } from 'uuid';
import { stored } from '../explanations/explanation.js';
import { Stage, down, never, start } from '../../test/support/management-stage.ts';
import { repeatedly } from '../process/repeatedly.js';
import { eachStore } from '../../test/support/stores.ts';
import { until } from '../../test/support/until.ts';
import { beginJob } from '../search-index/index-job.js';
import type { RegisteredSink } from '../sinks/registry.js';
import { Misconfigured, Refused, TryAgain } from '../sinks/errors.js';
import type { Alert } from '../sinks/alert.js';
import type { ReportSink } from '../sinks/report-sink.js';
import { applySinkAction } from '../management/pause.js';
import { Alerts } from './alerts.js';
import { summarize } from './summary.js';
import { type LocalSignals, pausedOrResumed } from './observe.js';
import { nextAlert } from './write-alerts.js';
import { logTo } from '../../test/support/engine.js';
import type { ServedSinks } from '../sinks/served-sinks.js';
import type { WebhookIntake } from '../intake/intake.js';
import type { Settings } from '../settings/settings.js';
import type { Rejections } from '../webhook/rejections.js';

const { jest } = import.meta;

/** A report sink that records what it was sent. */
class Told implements ReportSink {
  alerts = true;
  readonly holdMs = 0;
  readonly edits = true;
  readonly notices: [Alert, string | null][] = [];
  script: (countCall?: () => void) => void = () => undefined;
  summary: ReportSink['summary'] = null;

  report = (): Promise<string> => Promise.reject(new Error('not asked for'));
  digest = this.report;

  async alert(notice: Alert, messageRef: string | null, _?: AbortSignal, countCall?: () => void): Promise<string> {
    this.script(countCall);
    this.notices.push([notice, messageRef]);
    return messageRef ?? `message ${this.notices.length}`;
  }

  get last(): [Alert, string | null] {
    return this.notices.at(-1)!;
  }
}

const heardBefore = {
  webhookAt: null as number | null,
  startedAt: start,
  rejected: {} as LocalSignals['rejected'],
  firstRejectedAt: null as number | null,
};
const unauthorized401 = () => new Misconfigured(['answered', 401], ['as_said', 'Check SECRETS.'], 401);

/** @param failed called for each alert that a sink did not accept */
function alertsOf(
  { database, clock }: Stage,
  reports: object[],
  heard: typeof heardBefore,
  silenceAfterMs: number | null,
  failed: (sink: string, reason: string) => void = () => undefined,
): Alerts {
  const log = logTo((_, { sink, reason }) => failed(sink as string, reason as string));
  const settings = { SILENCE_ALERT_AFTER: silenceAfterMs ?? undefined, RETENTION_DAYS: 30, apps: [{ sdkAppId: '1400000001' }] } as Settings;
  const [served, intake] = [
    { reports } as unknown as ServedSinks,
    {
      get lastKeptAt() {
        return heard.webhookAt;
      },
    } as WebhookIntake,
  ];
  const rejections = {
    get counts() {
      return heard.rejected;
    },
    takeFirst() {
      const at = heard.firstRejectedAt;
      heard.firstRejectedAt = null;
      return at;
    },
  } as unknown as Rejections;
  const { at } = clock;
  clock.at = heard.startedAt;
  const alerts = new Alerts(database, settings, served, intake, rejections, clock, log);
  clock.at = at;
  return alerts;
}

eachStore('notices', store => {
  const stageOf = async () => {
    const stage = new Stage(await store.open());
    stage.clock.at = start + 60_000;
    const [crm, slack] = await stage.register({ name: 'crm' }, { name: 'team', type: 'slack', mode: 'report' });
    const told = new Told();
    const failed: string[] = [];
    const heard = { ...heardBefore };
    const process = (sink: ReportSink = told, silenceAfterMs: number | null = null) => {
      const served = [{ id: slack!.id, name: 'team', sink, settings: { RATE_PER_SECOND: 1, TIMEOUT_MS: 1000 } }];
      const notices = alertsOf(stage, served, heard, silenceAfterMs, (sink, reason) => void failed.push(`${sink}: ${reason}`));
      const look = async (stop = new AbortController().signal): Promise<void> => {
        for (const { work } of notices.works(stop)) await work();
      };
      return { look };
    };
    /** Fails until the sink is stopped. */
    const stop = async (sink: RegisteredSink) => {
      await stage.record();
      await stage.attempt(sink, unauthorized401());
    };
    return { stage, crm: crm!, slack: slack!, told, failed, heard, process, stop };
  };

  test('a sink that stands still for a minute is one message, edited while it lasts and closed when it is well', async () => {
    const { stage, crm, told, process, stop } = await stageOf();
    const { look } = process();
    await stop(crm);
    // The attempt took 12 ms.
    const since = stage.clock.at + 12;
    stage.clock.at = since + 59_999;
    await look();
    expect(told.notices).toEqual([]);
    stage.clock.at += 1;
    await look();
    await look();
    expect(told.notices).toEqual([
      [
        {
          kind: 'incident',
          sink: 'crm',
          state: 'misconfigured',
          reason: stored(['answered', 401]),
          advice: stored(['as_said', 'Check SECRETS.']),
          waiting: 1,
          since,
          until: null,
          failures: [{ at: since - 12, error: stored(['answered', 401]) }],
          paused: false,
          by: null,
          removed: false,
        },
        null,
      ],
    ]);
    // Changed numbers are edited after a while, other changes at once.
    await stage.record({ channelId: 'another' });
    await look();
    expect(told.notices).toHaveLength(1);
    stage.clock.at += 30_000;
    await look();
    expect(told.last).toMatchObject([{ waiting: 2, since }, 'message 1']);
    // More failures cause no edit: a probe of the new lane, then one of the first.
    for (let probes = 0; probes < 3; probes++) {
      stage.clock.at += 20_000;
      await stage.attempt(crm, unauthorized401());
    }
    await look();
    expect(told.notices).toHaveLength(2);
    await applySinkAction(stage.database, 'crm', 'pause', { at: stage.clock.at, actor: 'api' });
    await look();
    expect(told.last).toMatchObject([{ paused: true, by: 'api' }, 'message 1']);
    await stage.database.kysely.updateTable('sink').set({ paused_at: null }).where('id', '=', crm.id).execute();
    stage.clock.at += 20_000;
    await stage.attempt(crm);
    await look();
    // One of the two that waited has been sent.
    expect(told.last).toMatchObject([{ kind: 'incident', since, until: stage.clock.at, waiting: 1 }, 'message 1']);
    // Shortly afterwards it is the same message again. Rejections in between are reported separately.
    const incident = () => told.notices.findLast(([{ kind }]) => kind === 'incident')!;
    stage.clock.at += 14 * 60_000;
    await stop(crm);
    stage.clock.at += 61_000;
    await look();
    expect(incident()).toMatchObject([{ until: null, since, again: true }, 'message 1']);
    await stage.record({ channelId: 'third' });
    await stage.attempt(crm);
    await look();
    expect(incident()).toMatchObject([{ until: stage.clock.at }, 'message 1']);
  });

  test('what the check at the start found has not ended when an attempt finds it, too', async () => {
    const { stage, crm, told, process, stop } = await stageOf();
    const { look } = process();
    const { at } = stage.clock;
    const found = { check_state: 'misconfigured', check_since: at, check_reason: 'of the check', start_check_at: at } as const;
    await stage.database.kysely.updateTable('sink').set(found).where('id', '=', crm.id).execute();
    await look();
    await stop(crm);
    await look();
    expect(told.notices).toMatchObject([[{ kind: 'incident', reason: 'of the check', until: null }, null]]);
    stage.clock.at += 60_012;
    await look();
    expect(told.notices).toHaveLength(2);
    expect(told.last).toMatchObject([{ reason: stored(['answered', 401]), since: at, until: null }, 'message 1']);
  });

  test('what the check at the start found has not ended when somebody pauses the sink', async () => {
    const { stage, crm, told, process } = await stageOf();
    const { look } = process();
    const { at } = stage.clock;
    const found = { check_state: 'misconfigured', check_since: at, check_reason: 'of the check', start_check_at: at } as const;
    await stage.database.kysely.updateTable('sink').set(found).where('id', '=', crm.id).execute();
    await look();
    await applySinkAction(stage.database, 'crm', 'pause', { at, actor: 'api' });
    await look();
    expect(told.notices).toMatchObject([[{ kind: 'incident', reason: 'of the check', until: null }, null]]);
    stage.clock.at += 60_000;
    await look();
    expect(told.last).toMatchObject([{ state: 'paused', paused: true, since: at, until: null }, 'message 1']);
  });

  test('a stop goes on when its cause changes, and one whose cause keeps changing is reported', async () => {
    const { stage, crm, told, process, stop } = await stageOf();
    const { look } = process();
    await stop(crm);
    const since = stage.clock.at + 12;
    for (let tries = 0; tries < 7; tries++) {
      stage.clock.at += 20_000;
      await stage.attempt(crm, down());
    }
    await look();
    expect(told.notices).toMatchObject([[{ kind: 'incident', state: 'down', since, until: null }, null]]);
    stage.clock.at += 20_000;
    await stage.attempt(crm, unauthorized401());
    await look();
    expect(told.notices.slice(1)).toMatchObject([[{ state: 'misconfigured', since, until: null }, 'message 1']]);
  });

  test('a sink that stops again later than a quarter of an hour after it recovered is another message', async () => {
    const { stage, crm, told, process, stop } = await stageOf();
    const { look } = process();
    await stop(crm);
    stage.clock.at += 61_000;
    await look();
    await stage.attempt(crm);
    await look();
    expect(told.last).toMatchObject([{ until: stage.clock.at }, 'message 1']);
    stage.clock.at += 15 * 60_000 + 1;
    await stop(crm);
    stage.clock.at += 61_000;
    await look();
    expect(told.last).toMatchObject([{ kind: 'incident', until: null }, null]);
    expect(told.last[0]).not.toHaveProperty('again');
  });

  test('a sink that stops after somebody has resumed it is a message of its own, which may mention people', async () => {
    const { stage, crm, told, process, stop } = await stageOf();
    const { look } = process();
    for (const action of ['pause', 'resume'] as const) {
      await applySinkAction(stage.database, 'crm', action, { at: stage.clock.at, actor: 'api' });
      stage.clock.at += 61_000;
      await look();
    }
    expect(told.last).toMatchObject([{ state: 'paused', until: expect.any(Number) as number }, 'message 1']);
    await stop(crm);
    stage.clock.at += 61_000;
    await look();
    // Seen failing: it said for as long as the audit is kept that the sink was resumed, which has nothing to do with this stop.
    expect(told.last).toMatchObject([{ state: 'misconfigured', until: null, by: null }, null]);
  });

  test('a report sink without alerts is shown its summary alone', async () => {
    const { stage, crm, told, process, stop } = await stageOf();
    told.alerts = false;
    told.summary = { hour: 0, minute: 0, timeZone: 'UTC' };
    stage.clock.at = Math.ceil(start / 86_400_000) * 86_400_000;
    const { look } = process();
    await stop(crm);
    await look();
    stage.clock.at += 61_000;
    await look();
    expect(told.notices).toMatchObject([[{ kind: 'summary' }, null]]);
    // What was open before they were turned off stays as it was.
    expect(await stage.database.kysely.selectFrom('alert').select('key').where('key', 'not like', 'summary %').execute()).toEqual([]);
  });

  test('a sink that is paused for a minute is one message, which says when it goes on', async () => {
    const { stage, told, process } = await stageOf();
    const { look } = process();
    const since = stage.clock.at;
    await applySinkAction(stage.database, 'crm', 'pause', { at: since, actor: 'slack:U0ALICE' });
    await stage.record();
    stage.clock.at = since + 59_999;
    await look();
    expect(told.notices).toEqual([]);
    stage.clock.at += 1;
    await look();
    expect(told.notices).toMatchObject([
      [{ kind: 'incident', state: 'paused', since, until: null, paused: true, by: 'slack:U0ALICE', waiting: 1, failures: [] }, null],
    ]);
    await applySinkAction(stage.database, 'crm', 'resume', { at: stage.clock.at, actor: 'api' });
    await look();
    expect(told.last).toMatchObject([{ state: 'paused', until: stage.clock.at }, 'message 1']);
  });

  test('who paused a sink is looked up by a key, however much is on record', async () => {
    const { stage } = await stageOf();
    const { database } = stage;
    await applySinkAction(database, 'crm', 'pause', { at: start, actor: 'slack:U0ALICE' });
    await database.kysely.transaction().execute(async trx => {
      // In a small table PostgreSQL would not use indices.
      if (!database.embedded) await sql`set local enable_seqscan = off`.execute(trx);
      const plan = await pausedOrResumed(trx, 'crm', start).explain(undefined, database.embedded ? sql`query plan` : undefined);
      expect(JSON.stringify(plan)).toMatch(/audit_of_sink( \(details=\?\)|.*Index Cond: \(details = )/);
      expect(await pausedOrResumed(trx, 'crm', start).execute()).toEqual([{ actor: 'slack:U0ALICE' }]);
    });
  });

  test('what was parked is one message for each sink, closed once a person has dealt with it', async () => {
    const { stage, crm, told, process } = await stageOf();
    const { look } = process();
    for (const channelId of ['a', 'b']) await stage.record({ channelId });
    await stage.attempt(crm, never());
    await look();
    expect(told.notices).toMatchObject([
      [
        {
          kind: 'parked',
          sink: 'crm',
          count: 2,
          reason: stored(['as_said', 'it answered 422']),
          advice: stored(['as_said', 'Correct the name.']),
          until: null,
        },
        null,
      ],
    ]);
    await stage.database.kysely.updateTable('delivery').set({ state: 'discarded' }).where('state', '=', 'parked').execute();
    await look();
    expect(told.notices).toHaveLength(2);
    expect(told.last).toMatchObject([{ kind: 'parked', until: stage.clock.at }, 'message 1']);
  });

  test('an alert that ends by a clock that is years behind is no older than what the vendor has confirmed, or retention would delete it', async () => {
    const { stage, crm, process } = await stageOf();
    const { look } = process();
    await stage.record();
    const confirmed = stage.clock.at;
    await stage.attempt(crm, never());
    await look();
    await stage.database.kysely.updateTable('delivery').set({ state: 'discarded' }).where('state', '=', 'parked').execute();
    stage.clock.at -= 10 * 365 * 86_400_000;
    await look();
    expect(await stage.database.kysely.selectFrom('alert').select(['key', 'resolved_at']).execute()).toEqual([
      { key: `parked ${crm.id}`, resolved_at: confirmed },
    ]);
  });

  test('what is told of a sink ends when the sink is no longer configured, with what stays owed to it', async () => {
    const { stage, crm, told, process, stop } = await stageOf();
    const { look } = process();
    await stage.record({ channelId: 'refused' });
    await stage.attempt(crm, never());
    await stop(crm);
    await stage.record({ channelId: 'waits' });
    stage.clock.at += 61_000;
    await look();
    expect(told.notices).toMatchObject([
      [{ kind: 'incident', removed: false, waiting: 2 }, null],
      [{ kind: 'parked', removed: false, count: 1 }, null],
    ]);
    told.notices.splice(0);
    await stage.register({ name: 'team', type: 'slack', mode: 'report' });
    await look();
    const until = stage.clock.at;
    expect(told.notices).toMatchObject([
      [{ kind: 'incident', sink: 'crm', removed: true, keptDays: 30, until, waiting: 2 }, 'message 1'],
      [{ kind: 'parked', sink: 'crm', removed: true, keptDays: 30, until, count: 1 }, 'message 2'],
    ]);
    // It is no longer urgent from then on.
    stage.clock.at += 61_000;
    await look();
    expect(told.notices).toHaveLength(2);
  });

  test('an index that is not what the store says is one message, until a comparison finds nothing or mends it, or it is built anew', async () => {
    const { stage, told, process } = await stageOf();
    const { look } = process();
    const slack = { name: 'team', type: 'slack', mode: 'report' as const };
    const [, search] = await stage.register(slack, { name: 'search', type: 'opensearch', mode: 'state' });
    /** In the form that the job writes. */
    const compare = async (state: string, found: object, kind: 'verify' | 'rebuild' = 'verify') => {
      await beginJob(stage.database, search!.id, kind, false, { at: stage.clock.at, actor: null });
      const progress = JSON.stringify({ missing: 0, older: 0, newer: 0, surplus: 0, repaired: 0, ...found });
      await stage.database.kysely
        .updateTable('index_job')
        .set({ state, progress, finished_at: state === 'running' ? null : stage.clock.at })
        .where('sink', '=', search!.id)
        .where('kind', '=', kind)
        .execute();
      await look();
    };
    await compare('done', {});
    await compare('running', { missing: 3 });
    expect(told.notices).toEqual([]);
    await compare('done', { missing: 3, surplus: 1, repaired: 3 });
    const since = stage.clock.at;
    const counts = { missing: 3, older: 0, newer: 0, surplus: 1 };
    expect(told.notices).toEqual([[{ kind: 'differences', sink: 'search', since, until: null, ...counts, removed: false }, null]]);
    // Neither a running one nor a failed one says anything.
    stage.clock.at += 86_400_000;
    for (const state of ['running', 'failed']) await compare(state, {});
    expect(told.notices).toHaveLength(1);
    await compare('done', { older: 2 });
    expect(told.last).toMatchObject([{ missing: 0, older: 2, since, until: null }, 'message 1']);
    await compare('done', { older: 2, repaired: 2 });
    expect(told.last).toMatchObject([{ since, until: stage.clock.at, removed: false }, 'message 1']);
    stage.clock.at += 1000;
    await compare('done', { surplus: 1 });
    stage.clock.at += 1000;
    for (const state of ['running', 'failed']) await compare(state, {}, 'rebuild');
    expect(told.last).toMatchObject([{ surplus: 1, until: null }, null]);
    await compare('done', {}, 'rebuild');
    expect(told.last).toMatchObject([{ surplus: 1, until: stage.clock.at }, 'message 4']);
    stage.clock.at += 1000;
    // Removing the sink ends it, too, even during a comparison.
    await compare('done', { newer: 1 });
    await stage.register(slack);
    await compare('running', {});
    expect(told.last).toMatchObject([{ until: stage.clock.at, removed: true }, 'message 6']);
    expect(told.notices).toHaveLength(7);
  });

  test('silence is told after the time that was set, from the last webhook or the start on, and its end', async () => {
    const { stage, told, process, heard } = await stageOf();
    const { look } = process(told, 3_600_000);
    stage.clock.at = start + 3_599_999;
    await look();
    expect(told.notices).toEqual([]);
    stage.clock.at += 1;
    await look();
    expect(told.last).toEqual([{ kind: 'silence', since: start, until: null, afterMs: 3_600_000, rejected: false }, null]);
    // A repeat is not a change, but still a webhook.
    heard.webhookAt = stage.clock.at;
    await look();
    expect(told.last).toMatchObject([{ kind: 'silence', until: stage.clock.at }, 'message 1']);
    await stage.record();
    stage.clock.at += 3_599_999;
    await look();
    expect(told.notices).toHaveLength(2);
    stage.clock.at += 1;
    await look();
    expect(told.last).toMatchObject([{ kind: 'silence', since: stage.clock.at - 3_600_000 }, null]);
  });

  test('rejected webhooks are told at the first of a cause, then rarely, until an hour without', async () => {
    const { stage, told, process, heard } = await stageOf();
    const { look } = process();
    heard.rejected = { signature: 1 };
    await look();
    expect(told.last).toMatchObject([{ kind: 'rejected', counts: { signature: 1 }, until: null }, null]);
    heard.rejected = { signature: 5 };
    await look();
    expect(told.notices).toHaveLength(1);
    stage.clock.at += 30_000;
    await look();
    expect(told.last).toMatchObject([{ counts: { signature: 5 }, last: stage.clock.at - 30_000 }, 'message 1']);
    stage.clock.at += 1000;
    heard.rejected = { signature: 5, app: 2 };
    await look();
    expect(told.last).toMatchObject([{ counts: { signature: 5, app: 2 } }, 'message 1']);
    stage.clock.at += 3_600_000;
    await look();
    expect(told.last).toMatchObject([{ counts: { signature: 5, app: 2 }, until: stage.clock.at }, 'message 1']);
  });

  // Seen failing: the alert began minutes after the first loss, when the database was back.
  test('rejected webhooks are told from when the first was, also if nobody could look meanwhile', async () => {
    const { stage, told, process, heard } = await stageOf();
    const { look } = process();
    const since = stage.clock.at;
    Object.assign(heard, { rejected: { unavailable: 1 }, firstRejectedAt: stage.clock.monotonic() });
    stage.clock.at += 60_000;
    const { database } = stage;
    const broken = jest.spyOn(database, 'tryAdvisoryLock').mockRejectedValueOnce(new Error('disk full'));
    await expect(look()).rejects.toThrow('disk full');
    broken.mockRestore();
    stage.clock.at += 60_000;
    Object.assign(heard, { rejected: { unavailable: 49 }, firstRejectedAt: stage.clock.monotonic() });
    await look();
    expect(told.last).toMatchObject([{ kind: 'rejected', since, counts: { unavailable: 49 }, last: since + 120_000 }, null]);
    stage.clock.at += 2 * 3_600_000;
    await look();
    Object.assign(heard, { rejected: { unavailable: 50 }, firstRejectedAt: stage.clock.monotonic() });
    await look();
    expect(told.last).toMatchObject([{ kind: 'rejected', since: stage.clock.at, counts: { unavailable: 1 } }, null]);
  });

  // Guards against reporting silence as normal.
  test('silence tells that webhooks were rejected meanwhile, also hours ago and by another process', async () => {
    const { stage, told, process, heard } = await stageOf();
    const [one, other] = [process(told, 6 * 3_600_000), process(told, 6 * 3_600_000)];
    heard.rejected = { clock: 3 };
    await one.look();
    heard.rejected = {};
    for (let hours = 0; hours < 6; hours++) {
      stage.clock.at += 3_600_000;
      await other.look();
    }
    expect(told.notices.map(([notice]) => [notice.kind, notice.until === null])).toEqual([
      ['rejected', true],
      ['rejected', false],
      ['silence', true],
    ]);
    expect(told.last).toMatchObject([{ rejected: true }, null]);
    // Those before the last stored webhook do not count.
    await stage.record();
    await other.look();
    stage.clock.at += 6 * 3_600_000;
    await other.look();
    expect(told.last).toMatchObject([{ kind: 'silence', rejected: false }, null]);
    heard.rejected = { clock: 4 };
    stage.clock.at += 1000;
    await other.look();
    expect(told.notices.filter(([{ kind }]) => kind === 'silence').at(-1)).toMatchObject([{ rejected: true }, expect.any(String)]);
  });

  test('only the process that holds the lock looks; what another heard meanwhile it tells at its next turn', async () => {
    const { stage, told, process, heard } = await stageOf();
    const { database } = stage;
    // The embedded store has one process.
    if (database.embedded) return;
    const { look } = process();
    heard.rejected = { app: 3 };
    await database.kysely.transaction().execute(async trx => {
      expect(await database.tryAdvisoryLock(trx, 'alerts')).toBe(true);
      // A second observer would wait here.
      await sql`lock table delivery in access exclusive mode`.execute(trx);
      await look();
    });
    expect(told.notices).toEqual([]);
    await look();
    expect(told.last).toMatchObject([{ kind: 'rejected', counts: { app: 3 } }, null]);
  });

  test('webhooks go between while what is queued and what failed is counted, sink by sink', async () => {
    const { stage, process } = await stageOf();
    const { kysely, embedded } = stage.database;
    // PostgreSQL counts in a process of its own.
    if (!embedded) return;
    await stage.record();
    const order: string[] = [];
    const looked = process()
      .look()
      .then(() => order.push('looked'));
    for (const webhook of ['first', 'second', 'third']) {
      await nextTurn();
      await kysely.selectFrom('change').select('id').execute();
      order.push(webhook);
    }
    await looked;
    expect(order).toEqual(['first', 'second', 'third', 'looked']);
  });

  test.each([999, 1000])(
    'of a paused sink the oldest 1,000 changes alone are searched for one that failed, here the one after %i',
    async before => {
      const { stage, crm, told, process } = await stageOf();
      const { kysely } = stage.database;
      await stage.record();
      await stage.attempt(crm, never());
      await sql`update delivery set state = 'pending', failing_since = ${start}, enqueued_at = ${start} where sink = ${crm.id}`.execute(
        kysely,
      );
      await sql`insert into delivery (change_id, sink, channel, position, enqueued_at, updated_at)
        with recursive n(i) as (select 1 union all select i + 1 from n where i < ${sql.lit(before)})
        select 'change ' || i, ${sql.lit(crm.id)}, 1, -i, i, i from n`.execute(kysely);
      await kysely.updateTable('sink').set({ paused_at: start }).where('id', '=', crm.id).execute();
      stage.clock.at = start + 120_000;
      await process().look();
      const failures = before < 1000 ? [{ error: stored(['as_said', 'it answered 422']) }] : [];
      const paused = told.notices.filter(([{ kind }]) => kind === 'incident');
      expect(paused).toMatchObject([[{ state: 'paused', waiting: before + 1, failures }, null]]);
    },
  );

  test('a message that failed is tried again, one that was refused is left out; both are logged without what they say', async () => {
    const { stage, crm, told, failed, process } = await stageOf();
    const { look } = process();
    await stage.record();
    await stage.attempt(crm, never());
    told.script = () => {
      throw new TryAgain(['answered', 503], ['wait'], 503);
    };
    await look();
    await look();
    expect(failed).toEqual(['team: answered 503']);
    told.script = () => undefined;
    stage.clock.at += 5000;
    await look();
    expect(told.notices).toHaveLength(1);
    told.script = () => {
      throw new Refused(['as_said', 'answered invalid_blocks'], ['as_said', 'report it']);
    };
    await stage.record({ channelId: 'b' });
    await stage.attempt(crm, never());
    stage.clock.at += 30_000;
    await look();
    stage.clock.at += 900_000;
    await look();
    expect(failed).toEqual(['team: answered 503', 'team: answered invalid_blocks']);
  });

  test('every call of a notice is paid for, also of one that failed', async () => {
    const { stage, crm, slack, told, process } = await stageOf();
    const { look } = process();
    const pacedAt = async () =>
      (await stage.database.kysely.selectFrom('sink').select('paced_at').where('id', '=', slack.id).executeTakeFirstOrThrow()).paced_at;
    await stage.record();
    await stage.attempt(crm, never());
    told.script = countCall => {
      for (let calls = 0; calls < 2; calls++) countCall?.();
      throw new TryAgain(['answered', 503], ['wait'], 503);
    };
    await look();
    expect(await pacedAt()).toBe(stage.clock.at + 3000);
    told.script = countCall => countCall?.();
    stage.clock.at += 60_000;
    await look();
    expect(await pacedAt()).toBe(stage.clock.at + 2000);
  });

  test('a report sink that stands still is told when it is well again', async () => {
    const { stage, slack, told, process } = await stageOf();
    const { look } = process();
    await stage.record();
    for (let tries = 0; tries < 5; tries++) {
      await stage.attempt(slack, down());
      stage.clock.at += 900_000;
    }
    await look();
    expect(told.notices).toEqual([]);
    await stage.attempt(slack);
    await look();
    expect(told.notices).toMatchObject([[{ kind: 'incident', sink: 'team', state: 'down', until: stage.clock.at }, null]]);
  });

  test('a process that died while it told is followed by another, which tells the rest', async () => {
    const { stage, crm, told, process } = await stageOf();
    await stage.record();
    await stage.attempt(crm, never());
    const dead = new Told();
    dead.alert = () => new Promise(() => undefined);
    const end = new AbortController();
    const dying = process(dead).look(end.signal);
    const leased = async () => (await stage.database.kysely.selectFrom('alert').select('lease').execute()).some(row => row.lease !== null);
    while (!(await leased())) await new Promise(setImmediate);
    const { look } = process();
    await look();
    expect(told.notices).toEqual([]);
    stage.clock.at += 11_000;
    await look();
    expect(told.notices).toHaveLength(1);
    end.abort();
    await dying;
  });

  test('an edit that arrives after its lease was lost is replaced by the newest once more', async () => {
    const { stage, crm, told, process, stop } = await stageOf();
    await stop(crm);
    stage.clock.at += 60_012;
    await process().look();
    await stage.record({ channelId: 'another' });
    stage.clock.at += 30_000;
    const [slow, arrival, underWay] = [new Told(), Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    slow.alert = async (...edit) => {
      underWay.resolve();
      await arrival.promise;
      return told.alert(...edit);
    };
    const late = process(slow).look();
    await underWay.promise;
    stage.clock.at += 11_001;
    await stage.attempt(crm);
    await process().look();
    arrival.resolve();
    await late;
    expect(told.notices.map(([{ until }]) => until === null)).toEqual([true, false, true, false]);
    await process().look();
    expect(told.notices).toHaveLength(4);
  });

  test('a summary that was due before midnight comes after it, once, and the next one goes on where it ended', async () => {
    const { stage, slack, told, process } = await stageOf();
    told.summary = { hour: 23, minute: 30, timeZone: 'UTC' };
    await stage.record();
    const fiveAfterMidnight = start + 86_400_000 + 300_000;
    stage.clock.at = fiveAfterMidnight;
    for (const { look } of [process(), process(), process()]) await look();
    const due = start + 86_400_000 + 23.5 * 3_600_000;
    // A summary from a clock that was ten years ahead.
    const payload = JSON.stringify({ kind: 'summary' });
    const ahead = { opened_at: start * 2, resolved_at: start * 2, due_at: start * 2, payload, sent_payload: payload };
    await stage.database.kysely
      .insertInto('alert')
      .values({ sink: slack.id, key: 'summary 2036-01-01', ...ahead })
      .execute();
    for (const at of [due - 1, due, due + 1]) {
      stage.clock.at = at;
      await process().look();
    }
    expect(told.notices.map(([{ since, until }]) => [since, until])).toEqual([
      [fiveAfterMidnight - 86_400_000, fiveAfterMidnight],
      [fiveAfterMidnight, due],
    ]);
  });

  test('a summary counts however many deliveries in parts, so that webhooks go between', async () => {
    const { stage, crm, slack } = await stageOf();
    const rows = 60_000;
    await sql`insert into delivery (change_id, sink, channel, position, enqueued_at, updated_at)
      with recursive n(i) as (select 1 union all select i + 1 from n where i < ${sql.lit(rows)})
      select 'change ' || i, ${sql.lit(crm.id)}, 1, i, i, i from n`.execute(stage.database.kysely);
    let turns = 0;
    let turn: NodeJS.Immediate;
    const count = (): void => {
      turns += 1;
      turn = setImmediate(count);
    };
    turn = setImmediate(count);
    const { sinks } = await summarize(stage.database, slack.id, null, stage.clock.at);
    clearImmediate(turn);
    expect(sinks).toMatchObject([{ sink: 'crm', waiting: rows, parked: 0 }]);
    expect(turns).toBeGreaterThanOrEqual(3);
  });

  test('a sink that hangs, whatever its signal says, holds up neither the others nor the end', async () => {
    const { stage, crm, slack, told } = await stageOf();
    const [other] = await stage
      .register({ name: 'crm' }, { name: 'team', type: 'slack', mode: 'report' }, { name: 'ops', type: 'slack', mode: 'report' })
      .then(all => all.slice(2));
    const hanging = new Told();
    let asked = 0;
    hanging.alert = () => new Promise(() => (asked += 1));
    const settings = { RATE_PER_SECOND: 1, TIMEOUT_MS: 60_000 };
    const served = [
      { id: slack.id, name: 'team', sink: hanging, settings },
      { id: other!.id, name: 'ops', sink: told, settings },
    ];
    const notices = alertsOf(stage, served, heardBefore, null);
    await stage.record();
    await stage.attempt(crm, never());
    const stop = new AbortController();
    const ended = repeatedly(notices.works(stop.signal), () => undefined, stop.signal);
    await until(() => asked > 0 && told.notices.length === 1, 'a message to the other sink while the first hangs');
    stop.abort();
    await ended;
    // Any process may notify the first sink at once.
    expect(await stage.database.kysely.selectFrom('alert').select('lease').execute()).toEqual([{ lease: null }, { lease: null }]);
  });

  test('one process sends the summary of a day, with what every sink got', async () => {
    const { stage, crm, told, process } = await stageOf();
    told.summary = { hour: 9, minute: 0, timeZone: 'Asia/Shanghai' };
    const processes = [process(), process()];
    stage.clock.at = start + 30_000;
    const record = (channelId: string) => stage.record({ channelId, id: uuid({ msecs: stage.clock.at }) });
    await record('a');
    await stage.attempt(crm);
    await record('b');
    await stage.attempt(crm, never());
    await record('c');
    // 9:00 in Shanghai is 1:00 UTC.
    stage.clock.at = start + 3_599_000;
    await Promise.all(processes.map(({ look }) => look()));
    told.notices.splice(0);
    stage.clock.at = start + 3_600_000;
    for (const { look } of [...processes, ...processes]) await look();
    const sinks = [{ sink: 'crm', delivered: 1, slowestMs: 0, parked: 1, waiting: 1, messageRefs: { parked: 'message 1', waiting: null } }];
    expect(told.notices).toEqual([
      [{ kind: 'summary', since: start + 3_600_000 - 86_400_000, until: start + 3_600_000, changes: 3, channels: 3, sinks }, null],
    ]);
    // The next day begins where this one ended; a day without events has no summary.
    await sql`delete from delivery`.execute(stage.database.kysely);
    stage.clock.at += 86_400_000;
    await processes[0]!.look();
    expect(told.notices.filter(([{ kind }]) => kind === 'summary')).toHaveLength(1);
    // Open alerts are listed though nothing has happened since; it covers two days at most.
    await record('d');
    stage.clock.at += 5 * 86_400_000;
    await processes[0]!.look();
    const open = { kind: 'summary', since: stage.clock.at - 2 * 86_400_000, until: stage.clock.at, changes: 0, channels: 0 };
    const summaries = told.notices.map(([notice]) => notice).filter(({ kind }) => kind === 'summary');
    expect(summaries.slice(1)).toMatchObject([{ ...open, sinks: [{ sink: 'crm', delivered: 0, parked: 0, waiting: 1 }] }]);
  });
});

test('rejected webhooks are one story until an hour without', () => {
  const before: Alert = { kind: 'rejected', since: 0, until: null, counts: { app: 3 }, last: 1000 };
  const seen: Alert = { kind: 'rejected', since: 4000, until: null, counts: { app: 2, clock: 1 }, last: 0 };
  expect(nextAlert(before, seen, 5000)).toEqual({ ...before, counts: { app: 5, clock: 1 }, last: 5000 });
  expect(nextAlert(before, undefined, 3_600_999)).toEqual(before);
  expect(nextAlert(before, undefined, 3_601_000)).toEqual({ ...before, until: 3_601_000 });
});
