import { Stage } from '../../test/support/management-stage.ts';
import { eachStore } from '../../test/support/stores.ts';
import { until } from '../../test/support/until.ts';
import { countUpToMax } from '../reports/counting.js';
import { observe } from '../reports/observe.js';
import type { SinkSettings } from '../sinks/settings.js';
import { Misconfigured, Refused, type SinkError, TryAgain } from '../sinks/errors.js';
import type { Delivery } from '../sinks/sink.js';
import type { ServedSink } from '../sinks/served-sinks.js';

const wrongToken = (): SinkError => new Misconfigured(['answered', 401], ['check_credentials'], 401);
const busy = (): SinkError => new TryAgain(['answered', 503], ['wait'], 503);

/** A sink with configurable results of checks and deliveries. */
class Scripted {
  checks = 0;
  problems: SinkError[] = [];
  failure: SinkError | null = null;
  skips = false;
  readonly got: Delivery[] = [];
  /** Called during a check. */
  meanwhile: () => unknown = () => undefined;

  async check() {
    this.checks += 1;
    await this.meanwhile();
    return { problems: this.problems, summary: 'reachable' };
  }

  async deliver(delivery: Delivery): Promise<'skipped' | void> {
    this.got.push(delivery);
    if (this.failure) throw this.failure;
    if (this.skips) return 'skipped';
  }
}

eachStore('checks', store => {
  const open: Stage[] = [];
  afterEach(async () => {
    for (const stage of open.splice(0)) await stage.close();
  });

  /** A process that serves a sink named crm. */
  async function stageOf<S extends object = Scripted>(sink: S = new Scripted() as never, mode: 'log' | 'state' = 'log') {
    const stage = new Stage(await store.open());
    await stage.open();
    open.push(stage);
    const [crm] = await stage.register({ name: 'crm', mode });
    stage.servedSinks.push({ ...crm!, sink: sink as never, settings: { TIMEOUT_MS: 2000 } as SinkSettings });
    return { stage, crm: crm!, sink };
  }
  const stateOf = async (stage: Stage) => {
    const { state, since, reason, advice } = (await stage.call('/api/v1/sinks')).body.items[0];
    return { state, since, reason, advice };
  };
  const linesOf = (stage: Stage): unknown[] => stage.logged.filter(({ level }) => level !== 'debug').map(({ msg }) => msg);
  /** Advances the clock, then runs the due checks once. */
  const after = async (stage: Stage, ms: number): Promise<void> => {
    stage.clock.at += ms;
    await stage.checks.once();
  };
  const ok = { state: 'ok', since: null, reason: null, advice: null };

  test('what the check at a start finds is the state, in the log once, and told at once', async () => {
    const { stage, sink } = await stageOf();
    sink.problems = [busy(), wrongToken()];
    const since = new Date(stage.clock.at).toISOString();
    await stage.checks.once();
    const found = { state: 'misconfigured', since, reason: 'answered 401', advice: 'Check the credentials of this sink.' };
    expect(await stateOf(stage)).toEqual(found);
    expect(stage.logged).toMatchObject([
      { level: 'warn', sink: 'crm', state: 'misconfigured', reason: 'answered 401' },
      { level: 'warn', sink: 'crm', reason: 'answered 503' },
    ]);
    const alerts = async (atMs: number) => {
      const heard = { webhookAt: null, startedAt: stage.clock.at, rejected: {}, rejectedSince: 0 };
      const seen = await stage.database.kysely
        .transaction()
        .execute(async trx => observe(trx, await countUpToMax(trx), heard, { apps: [], RETENTION_DAYS: 90 }, stage.clock.at + atMs));
      return [...seen.values()];
    };
    expect(await alerts(0)).toMatchObject([{ kind: 'incident', sink: 'crm', state: 'misconfigured', waiting: 0, failures: [] }]);
    // An unchanged problem is not logged again.
    await after(stage, 60_000);
    expect(sink.checks).toBe(2);
    expect(stage.logged).toHaveLength(2);
    sink.problems = [];
    await after(stage, 60_000);
    expect(await stateOf(stage)).toEqual(ok);
    expect(linesOf(stage).at(-1)).toBe('the check of the sink succeeds again');
    expect(await alerts(0)).toEqual([]);
    // A problem found by a later check may disappear within a minute.
    sink.problems = [busy()];
    await after(stage, 600_000);
    expect(await stateOf(stage)).toMatchObject({ state: 'retrying', reason: 'answered 503' });
    expect(await alerts(59_999)).toEqual([]);
    expect(await alerts(60_000)).toMatchObject([{ kind: 'incident', state: 'retrying', reason: '["answered",503]' }]);
  });

  test('it holds back no delivery; one that succeeds shows better, one that fails shows worse', async () => {
    const { stage, crm, sink } = await stageOf();
    sink.problems = [wrongToken()];
    await stage.checks.once();
    await stage.record({ channelId: 'a' });
    await stage.record({ channelId: 'b' });
    const got: Delivery[] = [];
    await stage.attempt(crm, undefined, async deliveries => got.push(...deliveries));
    // Both at once, as for a healthy sink.
    expect(got).toHaveLength(2);
    expect(await stateOf(stage)).toEqual(ok);
    await after(stage, 60_000);
    expect(await stateOf(stage)).toMatchObject({ state: 'misconfigured', reason: 'answered 401' });
    await stage.record({ channelId: 'c' });
    await stage.attempt(crm, new Misconfigured(['unknown_host'], ['check_host']));
    expect(await stateOf(stage)).toMatchObject({ state: 'misconfigured', reason: 'unknown host' });
  });

  test('a good check heals nothing that an attempt found', async () => {
    const { stage, crm, sink } = await stageOf();
    await stage.record();
    await stage.attempt(crm, wrongToken());
    const found = await stateOf(stage);
    expect(found.state).toBe('misconfigured');
    await stage.checks.once();
    expect(sink.checks).toBe(1);
    expect(await stateOf(stage)).toEqual(found);
    stage.clock.at += 20_000;
    await stage.attempt(crm);
    expect(await stateOf(stage)).toEqual(ok);
  });

  test('what was delivered while a check was under way tells more than the check', async () => {
    const { stage, sink } = await stageOf();
    sink.problems = [busy()];
    sink.meanwhile = () => stage.events.emit('attempt', { sink: 'crm', outcome: 'delivered', durationMs: 1 } as never);
    await stage.checks.once();
    expect(await stateOf(stage)).toEqual(ok);
  });

  test('an idle sink is checked every 10 minutes, every minute while that is bad, and not while something is pending or it is paused', async () => {
    const { stage, crm, sink } = await stageOf();
    await stage.checks.once();
    for (let minute = 1; minute <= 30; minute++) await after(stage, 60_000);
    expect(sink.checks).toBe(4);
    // An attempt replaces a check.
    stage.clock.at += 300_000;
    stage.events.emit('attempt', { sink: 'crm', outcome: 'refused', durationMs: 1 } as never);
    for (let minute = 0; minute < 9; minute++) await after(stage, 60_000);
    expect(sink.checks).toBe(4);
    sink.problems = [busy()];
    await after(stage, 60_000);
    expect(sink.checks).toBe(5);
    await after(stage, 59_000);
    expect(sink.checks).toBe(5);
    await after(stage, 1000);
    expect(sink.checks).toBe(6);
    await stage.record();
    await after(stage, 60_000);
    expect(sink.checks).toBe(6);
    await stage.attempt(crm, new Refused(['answered', 422], ['wait'], 422));
    await after(stage, 0);
    expect(sink.checks).toBe(7);
    await stage.call('/api/v1/sinks/crm/pause', { method: 'POST' });
    await after(stage, 600_000);
    expect(sink.checks).toBe(7);
    await stage.call('/api/v1/sinks/crm/resume', { method: 'POST' });
    await after(stage, 0);
    expect(sink.checks).toBe(8);
  });

  test('a clock that was ahead does not stop the checks', async () => {
    const { stage, sink } = await stageOf();
    await stage.checks.once();
    await stage.database.kysely
      .updateTable('sink')
      .set({ next_check_at: stage.clock.at + 86_400_000 })
      .execute();
    await after(stage, 1000);
    expect(sink.checks).toBe(2);
  });

  test('of several processes one checks', async () => {
    const { stage, sink } = await stageOf();
    const other = new Stage(stage.database);
    await other.open();
    open.push(other);
    other.servedSinks.push(...stage.servedSinks);
    await Promise.all([stage.checks.once(), other.checks.once()]);
    // SQLite has a single process, which always checks at its start.
    expect(sink.checks).toBe(stage.database.embedded ? 2 : 1);
    sink.checks = 0;
    for (let minute = 1; minute <= 20; minute++) {
      other.clock.at = stage.clock.at + 60_000;
      await Promise.all([after(stage, 60_000), other.checks.once()]);
    }
    expect(sink.checks).toBe(2);
  });

  test('a sink that hangs holds up no other, and counts as one that does not answer', async () => {
    const { stage, sink } = await stageOf();
    sink.meanwhile = () => new Promise(() => undefined);
    const [other] = await stage.register({ name: 'crm' }, { name: 'other' });
    const quick = new Scripted();
    stage.servedSinks.push({ ...other!, name: 'other', id: other!.id + 1, sink: quick, settings: {} as SinkSettings } as ServedSink);
    const looked = stage.checks.once();
    await until(() => quick.checks === 1, 'the check of the other');
    expect(stage.logged.filter(line => line['sink'] === 'crm')).toEqual([]);
    await looked;
    expect(stage.logged).toContainEqual(expect.objectContaining({ sink: 'crm', state: 'retrying', reason: 'timed out' }));
  }, 20_000);

  describe('through the API', () => {
    const post = (stage: Stage, what: string) => stage.call(`/api/v1/sinks/${what}`, { method: 'POST' });

    test('check: what is wrong, which is its state then', async () => {
      const { stage, sink } = await stageOf();
      expect(await post(stage, 'crm/check')).toMatchObject({ status: 200, body: { ok: true, problems: [], durationMs: 0 } });
      sink.problems = [wrongToken()];
      const { body } = await post(stage, 'crm/check');
      const problem = { problem: 'answered 401', advice: 'Check the credentials of this sink.' };
      expect(body).toEqual({ ok: false, problems: [problem], durationMs: 0 });
      expect((await stateOf(stage)).state).toBe('misconfigured');
      expect((await post(stage, 'nobody/check')).status).toBe(404);
      expect((await stage.call('/api/v1/audit')).body.items).toEqual([]);
    });

    test('test: a marked sample goes out at once, whatever the state; of it nothing is kept but the deed, and success heals', async () => {
      const { stage, crm, sink } = await stageOf();
      await stage.record();
      await stage.attempt(crm, wrongToken());
      await post(stage, 'crm/pause');
      sink.failure = Object.assign(wrongToken(), { response: 'no such token' });
      const failed = await post(stage, 'crm/test');
      const answer = { outcome: 'misconfigured', status: 401, reason: 'answered 401 — no such token', response: 'no such token' };
      expect(failed).toMatchObject({ status: 200, body: { ...answer, advice: 'Check the credentials of this sink.' } });
      expect(Object.keys(failed.body).sort()).toEqual(['advice', 'durationMs', 'outcome', 'reason', 'response', 'status']);
      const logged = { sink: 'crm', by: 'api', outcome: 'misconfigured', status: 401, reason: 'answered 401' };
      expect(stage.logged.findLast(({ msg }) => msg === 'sink tested')).toMatchObject(logged);
      sink.failure = null;
      const none = { status: null, reason: null, advice: null, response: null };
      expect((await post(stage, 'crm/test')).body).toMatchObject({ outcome: 'delivered', ...none });
      const [first, second] = sink.got;
      expect(first).toMatchObject({
        event: { type: 'channel.profile.updated', data: { sdkAppId: '1400000001', channelId: '@TOA#_channel-sync-test', test: true } },
      });
      expect(second!.id).not.toBe(first!.id);
      // It is still paused, but has recovered underneath.
      expect((await stateOf(stage)).state).toBe('paused');
      await post(stage, 'crm/resume');
      expect((await stateOf(stage)).state).toBe('retrying');
      expect(stage.woken).toContainEqual([crm.id]);
      const { kysely } = stage.database;
      expect(await kysely.selectFrom('change').select('id').execute()).toHaveLength(1);
      expect(await kysely.selectFrom('attempt').select('outcome').execute()).toEqual([{ outcome: 'misconfigured' }]);
      const deeds = (await stage.call('/api/v1/audit')).body.items.map(({ action, details }: { action: string; details: object }) => [
        action,
        details,
      ]);
      expect(deeds.filter(([action]: [string]) => action === 'test')).toEqual([
        ['test', { sink: 'crm' }],
        ['test', { sink: 'crm' }],
      ]);
      expect((await post(stage, 'nobody/test')).status).toBe(404);
      // Queued deliveries are sent in order, as after any success.
      const waited: Delivery[] = [];
      await stage.attempt(crm);
      await stage.attempt(crm, undefined, async deliveries => waited.push(...deliveries));
      expect(waited).toHaveLength(1);
      expect((await stateOf(stage)).state).toBe('ok');
    });

    test('test: a sample that the template skips heals nothing', async () => {
      const { stage, crm, sink } = await stageOf();
      await stage.record();
      await stage.attempt(crm, wrongToken());
      sink.skips = true;
      expect((await post(stage, 'crm/test')).body).toMatchObject({ outcome: 'delivered', reason: 'not sent (template)' });
      expect((await stateOf(stage)).state).toBe('misconfigured');
    });

    test('of an index the test document is taken out again, and it is said where that fails', async () => {
      const written: string[] = [];
      let left: SinkError | null = null;
      const index = {
        check: async () => ({ problems: [], summary: '' }),
        deliverMany: async ([one]: Delivery[]) => {
          written.push(`+${one!.event.data.channelId} ${one!.version}`);
          return [null];
        },
        compare: () => Promise.resolve([]),
        remove: async ([one]: { channelId: string; version: number }[]) => {
          written.push(`-${one!.channelId} ${one!.version}`);
          if (left) throw left;
        },
      };
      const { stage } = await stageOf(index, 'state');
      expect((await post(stage, 'crm/test')).body).toMatchObject({ outcome: 'delivered' });
      const version = stage.clock.at;
      expect(written).toEqual([`+@TOA#_channel-sync-test ${version}`, `-@TOA#_channel-sync-test ${version}`]);
      left = wrongToken();
      expect((await post(stage, 'crm/test')).body).toMatchObject({
        outcome: 'misconfigured',
        reason: 'the test document was written and could not be taken out again: answered 401',
      });
    });

    test('probe: a stopped sink is tried at once, and nothing else', async () => {
      const { stage, crm, sink } = await stageOf();
      expect(await post(stage, 'crm/probe')).toMatchObject({ status: 200, body: { name: 'crm', state: 'ok' } });
      expect((await post(stage, 'nobody/probe')).status).toBe(404);
      expect((await stage.call('/api/v1/audit')).body.items).toEqual([]);
      await stage.record();
      await stage.attempt(crm, wrongToken());
      stage.clock.at += 1000;
      const tried: Delivery[] = [];
      await stage.attempt(crm, wrongToken(), async deliveries => tried.push(...deliveries));
      // The next scheduled probe is due in 12 s.
      expect(tried).toEqual([]);
      expect(await post(stage, 'crm/probe')).toMatchObject({ status: 200, body: { state: 'misconfigured' } });
      expect(stage.woken.at(-1)).toEqual([crm.id]);
      expect((await stage.call('/api/v1/audit')).body.items).toMatchObject([{ action: 'probe', actor: 'api', details: { sink: 'crm' } }]);
      await stage.attempt(crm, undefined, async deliveries => tried.push(...deliveries));
      expect(tried).toHaveLength(1);
      expect((await stateOf(stage)).state).toBe('ok');
      // A problem found by a check is checked again.
      sink.problems = [wrongToken()];
      await post(stage, 'crm/check');
      sink.problems = [];
      await stage.checks.once();
      await post(stage, 'crm/check');
      sink.problems = [wrongToken()];
      await post(stage, 'crm/check');
      sink.problems = [];
      await post(stage, 'crm/probe');
      await after(stage, 0);
      expect((await stateOf(stage)).state).toBe('ok');
      await post(stage, 'crm/pause');
      const before = (await stage.call('/api/v1/audit')).body.items.length;
      await post(stage, 'crm/probe');
      expect((await stage.call('/api/v1/audit')).body.items).toHaveLength(before);
    });

    test('a sink that is not configured any more can be neither checked nor tested', async () => {
      const { stage } = await stageOf();
      stage.servedSinks.splice(0);
      for (const what of ['check', 'test']) expect((await post(stage, `crm/${what}`)).status).toBe(409);
    });

    test('all of it is documented', async () => {
      const { stage } = await stageOf();
      const { paths } = (await stage.call('/docs-json')).body;
      for (const what of ['pause', 'resume', 'probe', 'check', 'test']) expect(paths[`/api/v1/sinks/{name}/${what}`].post).toBeDefined();
    });
  });
});
