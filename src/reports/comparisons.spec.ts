import { sql } from 'kysely';
import { eachStore } from '../../test/support/stores.js';
import { stored } from '../explanations/explanation.js';
import type { Database } from '../database/database.js';
import { type Cause, beginComparison, newProgress } from '../reconcile/comparison.js';
import { registerSinks } from '../sinks/registry.js';
import type { Settings } from '../settings/settings.js';
import { observe } from './observe.js';
import { endedAfter, reportComparisons } from './write-alerts.js';

const now = Date.UTC(2026, 0, 1);
const app = '1400000001';

eachStore('alerts of comparisons', store => {
  async function ended(database: Database, cause: Cause, counts: object, more: object = {}): Promise<string> {
    const { id } = await beginComparison(database, { sdkAppId: app, cause, channelIds: ['a'] }, { at: now, actor: null });
    const progress = JSON.stringify({ ...newProgress(1), ...counts });
    await database.kysely
      .updateTable('comparison')
      .set({ state: 'done', started_at: now, finished_at: now + 1, progress, ...more })
      .where('id', '=', id)
      .execute();
    return id;
  }
  const tell = (database: Database, sinks: number[], at = now + 1000, before = 0) =>
    database.kysely.transaction().execute(trx => reportComparisons(trx, sinks, before, at));
  const told = (database: Database) => database.kysely.selectFrom('alert').selectAll().orderBy('id').execute();

  test('each comparison that corrected something, failed, or was an import is told once, to each sink', async () => {
    const database = await store.open();
    const sinks = ['one', 'two'].map(name => ({ name, type: 'slack', mode: 'report' as const, filters: {} }));
    const ids = (await registerSinks(database, sinks as never, now)).map(({ id }) => id);
    const corrected = await ended(database, 'schedule', { compared: 1204, corrected: 3 });
    const imported = await ended(database, 'import', { compared: 1 });
    const failed = await ended(database, 'request', { gone: 30 }, { state: 'failed', reason: stored(['too_many_gone', 30, 100]) });
    await ended(database, 'schedule', { compared: 5 });
    await ended(database, 'created', { corrected: 1 });
    await ended(database, 'request', { corrected: 1 }, { dry_run: 1 });
    // It resumes once the app works again; the app has its own alert.
    await ended(database, 'request', {}, { state: 'failed', reason: stored(['vendor_plan']), resumes: 1 });
    for (let looks = 0; looks < 2; looks += 1) await tell(database, ids);
    const rows = await told(database);
    const keys = [corrected, imported, failed].flatMap(id => ids.map(sink => `${sink} comparison ${id}`));
    expect(rows.map(({ sink, key }) => `${sink} ${key}`).toSorted()).toEqual(keys.toSorted());
    expect(JSON.parse(rows.find(row => row.key.endsWith(corrected))!.payload)).toMatchObject({
      kind: 'compared',
      app,
      cause: 'schedule',
      compared: 1204,
      corrected: 3,
      since: now,
      until: now + 1,
    });
    expect(rows.every(row => row.resolved_at !== null && row.sent_payload === null)).toBe(true);
  });

  test('one that failed for what is wrong with the app is not told either once a later one does its work', async () => {
    const database = await store.open();
    const [slack] = await registerSinks(database, [{ name: 'slack', type: 'slack', mode: 'report', filters: {} }] as never, now);
    await ended(database, 'schedule', {}, { whole: 1, state: 'failed', reason: stored(['vendor_plan']), resumes: 1 });
    await beginComparison(database, { sdkAppId: app, cause: 'schedule' }, { at: now + 500, actor: null });
    await tell(database, [slack!.id]);
    expect(await told(database)).toEqual([]);
  });

  test('what ended before a sink was there, or a day ago, is not told', async () => {
    const database = await store.open();
    await ended(database, 'schedule', { corrected: 3 });
    const sinks = [{ name: 'late', type: 'slack', mode: 'report' as const, filters: {} }];
    const [late] = await registerSinks(database, sinks as never, now + 500);
    await tell(database, [late!.id]);
    await ended(database, 'schedule', { corrected: 3 }, { finished_at: now + 600 });
    await tell(database, [late!.id], now + 86_401_000);
    expect(await told(database)).toEqual([]);
  });

  test('what ended since it was last told, or a minute before, is looked for; what ended after the clock was set back, too', async () => {
    const database = await store.open();
    const [slack] = await registerSinks(database, [{ name: 'slack', type: 'slack', mode: 'report', filters: {} }] as never, now - 9e6);
    const hour = 3_600_000;
    await ended(database, 'schedule', { corrected: 1 }, { finished_at: now - hour });
    const late = await ended(database, 'schedule', { corrected: 1 }, { finished_at: now - 59_000 });
    await tell(database, [slack!.id], now + 5000, now);
    expect((await told(database)).map(({ key }) => key)).toEqual([`comparison ${late}`]);
    const setBack = await ended(database, 'schedule', { corrected: 1 }, { finished_at: now - hour + 2000 });
    await tell(database, [slack!.id], now - hour + 5000, now + 5000);
    expect((await told(database)).map(({ key }) => key)).toContain(`comparison ${setBack}`);
  });

  test('those that have ended since are found by an index, however many are kept', async () => {
    const database = await store.open();
    await database.kysely.transaction().execute(async trx => {
      // In a small table PostgreSQL would not use indices.
      if (!database.embedded) await sql`set local enable_seqscan = off`.execute(trx);
      const plan = await endedAfter(trx, now).explain(undefined, database.embedded ? sql`query plan` : undefined);
      expect(JSON.stringify(plan)).toMatch(/comparison_by_end( \(finished_at>\?\)|.*Index Cond: \(finished_at > )/);
    });
  });

  test('an app whose API does not work is told, at once if that needs a person, else after a minute', async () => {
    const database = await store.open();
    const set = (values: object) => database.kysely.updateTable('app').set(values).execute();
    await ended(database, 'schedule', {});
    const failing = async (apps = [app], at = now + 1000) => {
      const settings = { apps: apps.map(sdkAppId => ({ sdkAppId })) } as Settings;
      const local = { webhookAt: null, startedAt: now, rejected: {}, rejectedSince: 0 };
      const look = database.kysely.transaction().execute(trx => observe(trx, () => ({ queued: 0, failed: 0 }), local, settings, at));
      return [...(await look).keys()];
    };
    expect(await failing()).toEqual([]);
    await set({ state: 'misconfigured', state_since: now, reason: stored(['vendor_plan']), advice: stored(['vendor_renew']) });
    expect([await failing(), await failing([])]).toEqual([[`vendor ${app}`], []]);
    await set({ state: 'retrying' });
    expect([await failing(), await failing([app], now + 60_000)]).toEqual([[], [`vendor ${app}`]]);
  });
});
