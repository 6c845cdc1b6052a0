import { CompiledQuery, sql } from 'kysely';
import { Stage, down, never, start } from '../../../test/support/management-stage.ts';
import { eachStore } from '../../../test/support/stores.ts';
import { stored } from '../../explanations/explanation.js';
import type { Settings } from '../../settings/settings.js';
import type { Filters } from '../../sinks/filters.js';
import type { ListedChange, Lookup } from '../../sinks/lookup.js';
import { StoredLookups } from './lookups.js';

const { jest } = import.meta;
const token = 'a-token-of-16-characters';
const settings = { PUBLIC_URL: 'https://sync.example.com/x/', MANAGEMENT_TOKEN: token } as Settings;

eachStore('what people look up', store => {
  let stage: Stage;
  let all: Lookup;
  const within = (filters: Filters): Lookup => new StoredLookups(stage.database, stage.clock, settings).within(filters);
  beforeEach(async () => {
    stage = new Stage(await store.open());
    all = within({});
  });
  const idsOf = (changes: readonly ListedChange[]): string[] => changes.map(({ event }) => event.data.changeId);

  it('is nothing at first', async () => {
    expect([await all.sinks(), await all.latestChanges(10), await all.failedChanges(10)]).toEqual([[], [], []]);
    expect([await all.findChannels('a', 10), await all.channel('a')]).toEqual([{ channels: [], more: 0 }, []]);
  });

  it('has the sinks, what needs attention first, with what is queued and failed', async () => {
    const [well, retrying, failing, ,] = await stage.register(
      { name: 'a_well' },
      { name: 'b_retrying' },
      { name: 'c_failing' },
      { name: 'd_paused' },
    );
    await stage.open();
    await stage.record();
    await stage.attempt(well!);
    await stage.attempt(retrying!, down());
    await stage.attempt(failing!, never());
    await stage.auditActions.pause('d_paused', 'api');
    const sinks = await all.sinks();
    expect(sinks).toMatchObject([
      { sink: 'd_paused', state: 'paused', queued: 1, failed: 0 },
      { sink: 'b_retrying', state: 'retrying', queued: 1, failed: 0 },
      { sink: 'c_failing', state: 'ok', queued: 0, failed: 1 },
      { sink: 'a_well', state: 'ok', queued: 0, failed: 0, lagMs: 0, reason: null, advice: null },
    ]);
    await stage.close();
  });

  it('has the latest changes that the filters want', async () => {
    const ids = [
      await stage.record({ channelId: 'a', fields: { name: 'x' } }),
      await stage.record({ channelId: 'b', fields: { introduction: 'x' } }),
      await stage.record({ channelId: 'c', sdkAppId: '1400000002', command: 'destroyed' }),
      // This change alters nothing.
      await stage.record({ channelId: 'a', fields: { name: 'x' } }),
    ];
    expect(idsOf(await all.latestChanges(10))).toEqual(ids.toReversed());
    expect(idsOf(await all.latestChanges(2))).toEqual(ids.toReversed().slice(0, 2));
    expect(idsOf(await within({ channels: ['[ab]', 'b'] }).latestChanges(10))).toEqual([ids[1]]);
    expect(idsOf(await within({ sdkAppIds: ['1400000002'] }).latestChanges(10))).toEqual([ids[2]]);
    expect(idsOf(await within({ fields: ['introduction'] }).latestChanges(10))).toEqual([ids[2], ids[1]]);
    const [latest] = await all.latestChanges(1);
    expect(latest).toMatchObject({ event: { data: { channelId: 'a', revision: null, profile: { name: 'x' } } }, tie: false, stale: [] });
  });

  it('has failed changes with each sink that did not take them', async () => {
    const sinks = await stage.register({ name: 'crm' }, { name: 'shop' });
    const [one, two] = [await stage.record({ channelId: 'a' }), await stage.record({ channelId: 'b' })];
    await stage.attempt(sinks[0]!, never());
    await stage.attempt(sinks[1]!);
    await stage.record({ channelId: 'c' });
    const failed = await all.failedChanges(10);
    expect(idsOf(failed)).toEqual([two, one]);
    expect(failed[0]!.failures).toEqual([{ sink: 'crm', reason: expect.stringContaining('422') }]);
    expect(idsOf(await within({ channels: ['a'] }).failedChanges(10))).toEqual([one]);
    expect(idsOf(await all.failedChanges(1))).toEqual([two]);
  });

  // Measured with 50 sinks and 5,000,000 deliveries; this test rules out a scan of them.
  it('shows Home by indices: nothing goes through all deliveries, changes or lanes', async () => {
    const sinks = await stage.register({ name: 'crm' }, { name: 'shop' }, { name: 'team', mode: 'report' });
    for (const channelId of ['a', 'b']) await stage.record({ channelId });
    await stage.attempt(sinks[0]!, never());
    await stage.attempt(sinks[1]!, down());
    const { kysely, embedded } = stage.database;
    const asked = jest.spyOn(kysely.getExecutor(), 'executeQuery');
    for (const lookup of [all, within({ fields: ['name'], channels: ['a*'] })])
      await Promise.all([lookup.sinks(), lookup.latestChanges(10), lookup.failedChanges(11), lookup.findChannels('a', 10)]);
    const queries = asked.mock.calls.map(([query]) => query);
    asked.mockRestore();
    expect(queries.length).toBeGreaterThan(10);
    const plans = await kysely.transaction().execute(async trx => {
      // PostgreSQL would not use indexes for small tables.
      if (!embedded) await sql`set local enable_seqscan = off`.execute(trx);
      const explain = ({ sql: text, parameters }: (typeof queries)[number]) =>
        trx.executeQuery(CompiledQuery.raw(`${embedded ? 'explain query plan' : 'explain'} ${text}`, [...parameters]));
      return Promise.all(queries.map(async query => `${JSON.stringify((await explain(query)).rows)} of ${query.sql}`));
    });
    expect(
      plans.filter(plan => /SCAN (delivery|change|lane)\b(?! USING (COVERING )?INDEX)|Seq Scan on (delivery|change|lane)\b/.test(plan)),
    ).toEqual([]);
  });

  it('finds channels, and one with all that is known of it', async () => {
    const [crm] = await stage.register({ name: 'crm' }, { name: 'team', mode: 'report' });
    for (const channelId of ['tea 1', 'tea 2', 'tea 3', 'coffee']) await stage.record({ channelId });
    await stage.record({ channelId: 'tea 2', sdkAppId: '1400000002', command: 'destroyed' });
    await stage.attempt(crm!, never());
    const { channels, more } = await all.findChannels('TEA', 2);
    expect([channels.map(({ channelId, exists }) => [channelId, exists]), more]).toEqual([
      [
        ['tea 2', false],
        ['tea 3', true],
      ],
      2,
    ]);
    expect((await within({ channels: ['*1'] }).findChannels('tea', 2)).channels).toMatchObject([{ channelId: 'tea 1' }]);
    // As stored, so that each reader has it in their own language.
    const error = stored(['as_said', 'it answered 422']);
    expect(await all.channel('tea 2')).toMatchObject([
      { sdkAppId: '1400000002', exists: false, profile: { name: null } },
      { sdkAppId: '1400000001', exists: true, revision: 1, updatedAt: start + 1500, sinks: [{ sink: 'crm', state: 'parked', error }] },
    ]);
    expect(await within({ sdkAppIds: ['1400000001'] }).channel('tea 2')).toHaveLength(1);
    expect(await all.channel('tea')).toEqual([]);
    // As they are stored: with them, PostgreSQL refuses the query.
    await stage.record({ channelId: 'tea \ufffd' });
    for (const typed of ['tea \0', 'tea \ud800'])
      expect([(await all.findChannels(typed, 1)).channels, await all.channel(typed)]).toMatchObject([
        [{ channelId: 'tea \ufffd' }],
        [{ channelId: 'tea \ufffd' }],
      ]);
  });

  it('has all of a change: its webhook, every try, and the changes of its channel before and after', async () => {
    const [crm] = await stage.register({ name: 'crm' }, { name: 'team', mode: 'report' });
    const ids: string[] = [];
    for (let index = 0; index < 8; index++) ids.push(await stage.record({ name: `name ${index}`, body: Buffer.from(`{"n":${index}}`) }));
    await stage.record({ channelId: 'other' });
    await stage.attempt(crm!, down());
    const details = await all.change(ids[0]!);
    expect(details).toMatchObject({
      event: { data: { changeId: ids[0], changes: [{ field: 'name', from: null, to: 'name 0' }] } },
      webhook: '{"n":0}',
      deliveries: [{ sink: 'crm', state: 'retrying', attempts: [{ outcome: 'retry', status: 502, durationMs: 12, response: null }] }],
      before: [],
    });
    expect(idsOf(details!.after)).toEqual(ids.slice(1, 6));
    const last = await all.change(ids[7]!);
    expect([idsOf(last!.before), last!.after, last!.deliveries]).toMatchObject([
      ids.slice(2, 7).toReversed(),
      [],
      [{ state: 'pending', attempts: [] }],
    ]);
    // A target that was down for a day.
    const [attempt] = await stage.database.kysely.selectFrom('attempt').selectAll().execute();
    const later = Array.from({ length: 119 }, (_, index) => ({ ...attempt!, at: attempt!.at + 1 + index }));
    await stage.database.kysely.insertInto('attempt').values(later).execute();
    const [delivery] = (await all.change(ids[0]!))!.deliveries;
    expect(delivery!.attempts.map(one => one.at)).toEqual([attempt!, ...later].map(one => one.at));
    const link = await all.link(ids[0]!, 'zh-CN', 'slack:U0ALICE');
    expect(link).toMatch(new RegExp(`^https://sync\\.example\\.com/x/changes/${ids[0]}\\?lang=zh-CN&until=\\d{10}&key=[\\w-]{43}$`));
    const recorded = await stage.database.kysely.selectFrom('audit').select(['action', 'actor', 'change_id', 'details']).execute();
    expect(recorded).toEqual([{ action: 'link', actor: 'slack:U0ALICE', change_id: ids[0], details: '{}' }]);
    expect(await within({ channels: ['x'] }).change(ids[0]!)).toBeNull();
    expect(await all.change('x')).toBeNull();
  });
});
