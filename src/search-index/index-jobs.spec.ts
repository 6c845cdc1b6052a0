import { Stage } from '../../test/support/management-stage.ts';
import { repeatedly } from '../process/repeatedly.js';
import { eachStore } from '../../test/support/stores.ts';
import { until } from '../../test/support/until.ts';
import type { ChannelKey, Delivery, Difference, SearchSink } from '../sinks/sink.js';
import { Misconfigured, Refused, type SinkError, TryAgain } from '../sinks/errors.js';
import { type VerifyProgress, beginJob, findJob } from './index-job.js';
import { IndexJobs } from './index-jobs.js';
import { logTo, soundEvents } from '../../test/support/engine.js';
import type { ServedSinks } from '../sinks/served-sinks.js';

type Documents = Map<string, { key: ChannelKey; version: number; revision: number | null; name: string | null }>;

const nameOf = ({ sdkAppId, channelId }: ChannelKey): string => `${sdkAppId}:${channelId}`;
const bytes = (one: ChannelKey, other: ChannelKey): number =>
  Buffer.compare(Buffer.from(one.sdkAppId), Buffer.from(other.sdkAppId)) ||
  Buffer.compare(Buffer.from(one.channelId), Buffer.from(other.channelId));

/** An in-memory engine that keeps the highest version, as engines with external versions do. */
class TestIndex implements SearchSink {
  readonly batchSize = 500;
  readonly settleMs = 5000;
  readonly indices = new Map<string, Documents>([['v1', new Map()]]);
  readonly tombstones = new Map<string, number>();
  used = 'v1';
  outdated = false;
  calls: string[] = [];
  /** Runs in the middle of each call. */
  meanwhile: (call: string) => Promise<void> | void = () => undefined;

  get documents(): Documents {
    return this.indices.get(this.used)!;
  }

  write(documents: Documents, { event: { data }, version }: Delivery): void {
    const { sdkAppId, channelId, revision, profile } = data;
    const name = nameOf(data);
    if ((documents.get(name)?.version ?? this.tombstones.get(name) ?? -1) < version)
      documents.set(name, { key: { sdkAppId, channelId }, version, revision, name: profile.name });
  }

  /** Deletes a document from outside; the engine remembers its version for a while. */
  delete(name: string): void {
    this.tombstones.set(name, this.documents.get(name)!.version + 1);
    this.documents.delete(name);
  }

  async deliverMany(deliveries: readonly Delivery[]): Promise<null[]> {
    for (const documents of this.indices.values()) for (const one of deliveries) this.write(documents, one);
    return deliveries.map(() => null);
  }

  async current(): Promise<{ index: string; outdated: boolean }> {
    return { index: this.used, outdated: this.outdated };
  }

  async compare(
    wanted: readonly Delivery[],
    { after, until }: { after: ChannelKey | null; until: ChannelKey | null },
  ): Promise<Difference[]> {
    await this.meanwhile('compare');
    const inside = [...this.documents.values()].filter(
      ({ key }) => (!after || bytes(key, after) > 0) && (!until || bytes(key, until) <= 0),
    );
    const byName = new Map(wanted.map(one => [nameOf(one.event.data), one]));
    const found: Difference[] = [];
    for (const { key, version, revision, name } of inside) {
      const one = byName.get(nameOf(key));
      byName.delete(nameOf(key));
      if (!one) found.push({ ...key, kind: 'surplus', version });
      else if ((revision ?? 0) > one.event.data.revision!) found.push({ ...key, kind: 'newer', version });
      else if (revision !== one.event.data.revision || name !== one.event.data.profile.name) found.push({ ...key, kind: 'older', version });
    }
    for (const { event } of byName.values())
      found.push({ sdkAppId: event.data.sdkAppId, channelId: event.data.channelId, kind: 'missing', version: null });
    return found;
  }

  async remove(surplus: readonly Difference[]): Promise<void> {
    for (const one of surplus) this.documents.delete(nameOf(one));
  }

  async prepare(): Promise<string> {
    this.calls.push('prepare');
    this.indices.set('v2', new Map());
    return 'v2';
  }

  async fill(index: string, deliveries: readonly Delivery[]): Promise<(SinkError | null)[]> {
    this.calls.push(`fill ${deliveries.length}`);
    await this.meanwhile('fill');
    for (const one of deliveries) this.write(this.indices.get(index)!, one);
    return deliveries.map(({ event }) =>
      event.data.channelId === 'refused' ? new Refused(['as_said', 'mapping'], ['as_said', 'look'], 400) : null,
    );
  }

  async swap(index: string): Promise<void> {
    this.calls.push('swap');
    await this.meanwhile('swap');
    this.used = index;
    this.indices.delete('v1');
  }
}

/** Runs everything that is due. */
async function once(jobs: IndexJobs): Promise<void> {
  await Promise.all(jobs.works(new AbortController().signal).map(one => one.work()));
}

const servedBy = (searches: object[]): ServedSinks => ({ searches }) as unknown as ServedSinks;

eachStore('index jobs', store => {
  const open: Stage[] = [];
  afterEach(async () => {
    for (const stage of open.splice(0)) await stage.close();
  });

  const stageOf = async (filters = {}) => {
    const stage = new Stage(await store.open());
    await stage.open();
    open.push(stage);
    stage.clock.at = Date.UTC(2026, 0, 1);
    const [search] = await stage.register({ name: 'search', type: 'opensearch', mode: 'state', filters });
    stage.searchSinks.push({ id: search!.id, name: 'search' });
    const index = new TestIndex();
    const logged: string[] = [];
    const served = [{ id: search!.id, name: 'search', sink: index }];
    const process = () =>
      new IndexJobs(
        stage.database,
        servedBy(served),
        stage.clock,
        logTo((message, fields) => void logged.push(`${message} ${JSON.stringify(fields)}`)),
        soundEvents(),
      );
    const jobs = process();
    const run = () => once(jobs);
    /** Delivers everything that is due, as the worker would. */
    const deliver = async (): Promise<void> => {
      await stage.attempt(search!, undefined, works => index.deliverMany(works));
    };
    const verify = async (repair = false) => {
      await beginJob(stage.database, search!.id, 'verify', repair, { at: stage.clock.at, actor: 'api' });
      await run();
      const job = (await findJob<VerifyProgress>(stage.database, search!.id, 'verify'))!;
      expect(job.state).toBe('done');
      const { compared, missing, older, newer, surplus, repaired } = job.progress;
      return { compared, missing, older, newer, surplus, repaired };
    };
    return { stage, search: search!, index, run, deliver, verify, logged, process };
  };
  const fine = { missing: 0, older: 0, newer: 0, surplus: 0, repaired: 0 };

  test('an index that is what the store says has no differences; what was tampered with is found, and repaired under a greater version', async () => {
    const { stage, index, deliver, verify } = await stageOf();
    // Ordered by bytes, not by a locale's collation.
    for (const channelId of ['Zoo', 'apple', 'ähnlich', '@TOA#_b', '深圳', '😀']) await stage.record({ channelId });
    await stage.record({ channelId: 'apple' });
    await stage.record({ channelId: 'other', sdkAppId: '1400000002' });
    await deliver();
    expect(await verify()).toEqual({ ...fine, compared: 7 });

    const document = (channelId: string) => index.documents.get(`1400000001:${channelId}`)!;
    index.delete('1400000001:深圳');
    document('apple').revision = 1;
    document('Zoo').name = 'another text';
    Object.assign(document('ähnlich'), { revision: 9, version: document('ähnlich').version + 1_000_000 });
    index.documents.set('1400000001:gone', { key: { sdkAppId: '1400000001', channelId: 'gone' }, version: 1, revision: 1, name: null });
    expect(await verify()).toEqual({ compared: 7, missing: 1, older: 2, newer: 1, surplus: 1, repaired: 0 });
    expect(await verify(true)).toEqual({ compared: 7, missing: 1, older: 2, newer: 1, surplus: 1, repaired: 5 });
    await deliver();
    expect(await verify()).toEqual({ ...fine, compared: 7 });
    const [item] = (await stage.call('/api/v1/sinks')).body.items;
    expect(item.counts.pending).toBe(0);
  });

  test('an index that hangs, whatever its signal says, holds up neither the jobs of others nor the end', async () => {
    const { stage, index, search } = await stageOf();
    const [, other] = await stage.register(
      { name: 'search', type: 'opensearch', mode: 'state' },
      { name: 'more', type: 'opensearch', mode: 'state' },
    );
    let asked = 0;
    const hanging = Object.assign(new TestIndex(), { compare: () => new Promise(() => (asked += 1)) });
    const served = [
      { id: search.id, name: 'search', sink: hanging },
      { id: other!.id, name: 'more', sink: index },
    ];
    const jobs = new IndexJobs(stage.database, servedBy(served), stage.clock, logTo(), soundEvents());
    const begin = (sink: number) => beginJob(stage.database, sink, 'verify', false, { at: stage.clock.at, actor: null });
    await begin(search.id);
    await begin(other!.id);
    const stop = new AbortController();
    const ended = repeatedly(jobs.works(stop.signal), () => undefined, stop.signal);
    const stateOf = async (sink: number) => (await findJob(stage.database, sink, 'verify'))?.state;
    await until(async () => asked > 0 && (await stateOf(other!.id)) === 'done', 'the job of the other sink');
    expect(await stateOf(search.id)).toBe('running');
    stop.abort();
    await ended;
    // Any process may continue at once.
    const left = stage.database.kysely.selectFrom('index_job').select(['lease', 'due_at']).where('sink', '=', search.id);
    expect(await left.executeTakeFirst()).toEqual({ lease: null, due_at: stage.clock.at });
  });

  test('what is on its way, or moves while it is compared, is no difference', async () => {
    const { stage, index, deliver, verify } = await stageOf();
    for (const channelId of ['a', 'b']) await stage.record({ channelId });
    await deliver();
    await stage.record({ channelId: 'a' });
    expect(await verify()).toEqual({ ...fine, compared: 2 });
    await deliver();
    let moved = false;
    index.meanwhile = async () => {
      if (!moved) await stage.record({ channelId: 'b' });
      if (!moved) await deliver();
      moved = true;
    };
    expect(await verify()).toEqual({ ...fine, compared: 2 });
  });

  test('channels that the filters do not want are surplus, and changes that they left out are no difference', async () => {
    const { stage, index, deliver, verify } = await stageOf({ channels: ['wanted*'], fields: ['name'] });
    for (const channelId of ['wanted', 'unwanted']) await stage.record({ channelId });
    await deliver();
    await stage.record({ channelId: 'wanted', fields: { introduction: 'not asked for' } });
    expect(await verify()).toEqual({ ...fine, compared: 1 });
    index.documents.set('1400000001:unwanted', {
      key: { sdkAppId: '1400000001', channelId: 'unwanted' },
      version: 1,
      revision: 1,
      name: null,
    });
    expect(await verify()).toEqual({ ...fine, compared: 1, surplus: 1 });
  });

  test('an index is built anew beside the one that is used, page by page, while deliveries go on; then it is used', async () => {
    const { stage, search, index, run, deliver, verify } = await stageOf();
    await stage.recordMany(1201);
    await stage.record({ channelId: 'refused' });
    await deliver();
    const versions = new Map([...index.documents].map(([name, { version }]) => [name, version]));
    const { status, body } = await stage.call('/api/v1/sinks/search/rebuild', { method: 'POST' });
    expect([status, body]).toEqual([
      202,
      {
        state: 'running',
        startedAt: new Date(stage.clock.at).toISOString(),
        finishedAt: null,
        error: null,
        done: 0,
        total: 0,
        index: null,
      },
    ]);
    await run();
    // Nothing is read until every process writes to both indices.
    expect(index.calls).toEqual(['prepare']);
    stage.clock.at += 5000;
    index.meanwhile = async call => {
      if (call === 'fill') await stage.record({ channelId: 'channel 7' });
      if (call === 'fill') await deliver();
    };
    await run();
    expect(index.calls).toEqual(['prepare', 'fill 500', 'fill 500', 'fill 202', 'swap']);
    expect(index.used).toBe('v2');
    for (const [name, { version }] of index.documents) expect(version).toBeGreaterThan(versions.get(name)!);
    expect(await verify()).toEqual({ ...fine, compared: 1202 });
    expect((await stage.call('/api/v1/sinks/search/rebuild')).body).toMatchObject({
      state: 'done',
      done: 1202,
      total: 1202,
      index: 'v2',
      error: null,
    });
    expect((await findJob(stage.database, search.id, 'rebuild'))!.finishedAt).toBe(stage.clock.at);
    // Three pages of channels on a possibly busy machine.
  }, 20_000);

  // Guards against an invalid time in a row, which failed the job for an hour and then for good.
  test('a channel whose row is damaged stops no job: it is no difference, and is left out of a new index', async () => {
    const { stage, index, run, deliver, verify, logged } = await stageOf();
    for (const channelId of ['a', 'damaged', 'z']) await stage.record({ channelId });
    await deliver();
    const { kysely } = stage.database;
    await kysely.updateTable('channel').set({ updated_at: 8_700_000_000_000_000 }).where('channel_id', '=', 'damaged').execute();
    expect(await verify(true)).toEqual({ ...fine, compared: 3 });
    expect(index.documents.size).toBe(3);
    await stage.call('/api/v1/sinks/search/rebuild', { method: 'POST' });
    await run();
    stage.clock.at += 5000;
    await run();
    expect([index.used, [...index.documents.keys()]]).toEqual(['v2', ['1400000001:a', '1400000001:z']]);
    expect(logged).toContainEqual(expect.stringMatching(/left out of the new index .*1400000001:damaged/));
  });

  // Guards against pages of 500 channels regardless of size: half a gigabyte with texts of a megabyte.
  test('a page holds a few megabytes at most', async () => {
    const { stage, search, index, run, verify } = await stageOf();
    for (const channelId of 'abcdef') await stage.record({ channelId, fields: { introduction: 'x'.repeat(1_000_000) } });
    await beginJob(stage.database, search.id, 'rebuild', false, { at: stage.clock.at, actor: null });
    await run();
    stage.clock.at += 5000;
    await run();
    expect(index.calls).toEqual(['prepare', 'fill 4', 'fill 2', 'swap']);
    expect(await verify()).toMatchObject({ compared: 6 });
  });

  test('a process that is killed in the middle is followed by another, which goes on from there', async () => {
    const { stage, search, index, run, deliver, process } = await stageOf();
    await stage.recordMany(600);
    await deliver();
    await beginJob(stage.database, search.id, 'rebuild', false, { at: stage.clock.at, actor: null });
    await run();
    stage.clock.at += 5000;
    index.meanwhile = () => {
      throw new Error('killed');
    };
    await expect(run()).rejects.toThrow('killed');
    index.meanwhile = () => undefined;
    await once(process());
    // With PostgreSQL a live process may hold the lease, so it has to expire first.
    expect(index.calls).toHaveLength(stage.database.embedded ? 5 : 2);
    stage.clock.at += 10_000;
    await once(process());
    expect(index.calls).toEqual(['prepare', 'fill 500', 'fill 500', 'fill 100', 'swap']);
  });

  // Fails without the renewal of leases.
  test('however long a page takes, no other process begins it while the first one lives', async () => {
    const { stage, search, index, run, process } = await stageOf();
    await beginJob(stage.database, search.id, 'verify', false, { at: stage.clock.at, actor: null });
    let compared = 0;
    index.meanwhile = async () => {
      compared += 1;
      stage.clock.at += 9000;
      await until(async () => (await lease()) > stage.clock.at + 9000, 'the renewal');
      stage.clock.at += 9000;
      if (!stage.database.embedded) await once(process());
    };
    const lease = async (): Promise<number> =>
      (await stage.database.kysely.selectFrom('index_job').select('due_at').executeTakeFirstOrThrow()).due_at;
    await run();
    expect(compared).toBe(1);
    expect((await findJob(stage.database, search.id, 'verify'))!.state).toBe('done');
  }, 20_000);

  // Guards against delays of 20 to 40 s after the first failure already.
  test('what fails once holds a job up for seconds, what goes on failing for longer and longer', async () => {
    const { stage, search, index, run } = await stageOf();
    index.meanwhile = () => {
      throw new TryAgain(['answered', 503], ['wait'], 503);
    };
    await beginJob(stage.database, search.id, 'verify', false, { at: stage.clock.at, actor: null });
    const waits: number[] = [];
    for (let failures = 0; failures < 8; failures += 1) {
      await run();
      const { due_at: dueAt } = await stage.database.kysely.selectFrom('index_job').select('due_at').executeTakeFirstOrThrow();
      waits.push(dueAt - stage.clock.at);
      stage.clock.at = dueAt;
    }
    expect(waits[0]).toBeLessThanOrEqual(5000);
    for (const [at, wait] of waits.entries()) expect(wait).toBeGreaterThanOrEqual(Math.min(1000 * 2 ** at, 15_000));
    expect(waits.at(-1)).toBe(15_000);
  });

  test('what the sink says holds a job up, is told once, and after an hour the job has failed', async () => {
    const { stage, search, index, run, deliver, logged } = await stageOf();
    await stage.record();
    await deliver();
    index.documents.clear();
    index.meanwhile = () => {
      throw new TryAgain(['answered', 503], ['wait'], 503);
    };
    await beginJob(stage.database, search.id, 'verify', false, { at: stage.clock.at, actor: 'api' });
    // Guards against counting the hour from the start of the job instead of the first failure.
    stage.clock.at += 7_200_000;
    await run();
    await run();
    expect((await stage.call('/api/v1/sinks/search/verify')).body).toMatchObject({ state: 'running', error: 'answered 503' });
    stage.clock.at += 60_000;
    index.meanwhile = () => {
      throw new Misconfigured(['answered', 401], ['as_said', 'Check API_KEY.'], 401);
    };
    await run();
    expect(logged).toEqual([
      'verify of the index is held up {"sink":"search","reason":"answered 503","advice":"If it lasts, check the status and the log of the target."}',
      'verify of the index is held up {"sink":"search","reason":"answered 401","advice":"Check API_KEY."}',
    ]);
    stage.clock.at += 3_600_000;
    await run();
    expect((await stage.call('/api/v1/sinks/search/verify')).body).toMatchObject({ state: 'failed', error: 'answered 401' });
    index.meanwhile = () => undefined;
    await stage.call('/api/v1/sinks/search/verify', { method: 'POST', body: '{"repair":true}' });
    await run();
    expect((await stage.call('/api/v1/sinks/search/verify')).body).toMatchObject({ state: 'done', error: null, missing: 1, repaired: 1 });
  });

  test('an outdated index is built anew by itself, and every index is compared once a day', async () => {
    const { stage, search, index, run, deliver, logged } = await stageOf();
    await stage.record();
    await deliver();
    index.outdated = true;
    await run();
    expect(logged[0]).toBe('the index was made by another release or analyzer: rebuilding it {"sink":"search"}');
    index.outdated = false;
    stage.clock.at += 5000;
    await run();
    expect(index.used).toBe('v2');
    expect(await findJob(stage.database, search.id, 'verify')).toBeNull();
    stage.clock.at += 86_400_000;
    await run();
    expect((await findJob<VerifyProgress>(stage.database, search.id, 'verify'))!.progress).toMatchObject({ compared: 1, repair: false });
  });

  test('the API begins one job of a kind at a time, on record, for search sinks only', async () => {
    const { stage, search } = await stageOf();
    await stage.register({ name: 'search', type: 'opensearch', mode: 'state' }, { name: 'crm' });
    const call = (path: string, method = 'POST', body = '{}') =>
      stage.call(`/api/v1/sinks/${path}`, { method, ...(method === 'POST' && { body }) });
    expect((await call('search/verify', 'GET')).body).toEqual({
      state: 'idle',
      startedAt: null,
      finishedAt: null,
      error: null,
      compared: 0,
      ...fine,
      examples: [],
    });
    expect((await call('search/rebuild', 'GET')).body).toEqual({
      state: 'idle',
      startedAt: null,
      finishedAt: null,
      error: null,
      done: 0,
      total: 0,
      index: null,
    });
    expect(await call('search/verify', 'POST', '{"repair":true}')).toMatchObject({ status: 202, body: { state: 'running' } });
    expect((await call('search/verify')).status).toBe(202);
    expect((await findJob<VerifyProgress>(stage.database, search.id, 'verify'))!.progress.repair).toBe(true);
    // Guards against losing a requested repair because a comparison is running.
    const goesOn = { ...(await findJob<VerifyProgress>(stage.database, search.id, 'verify'))!.progress, compared: 3 };
    const put = (progress: object) =>
      stage.database.kysely
        .updateTable('index_job')
        .set({ progress: JSON.stringify(progress), lease: 'of a page' })
        .execute();
    await put(goesOn);
    for (const body of ['{}', '{"repair":true}']) expect((await call('search/verify', 'POST', body)).body.compared).toBe(3);
    await put({ ...goesOn, repair: false });
    expect((await call('search/verify', 'POST', '{}')).body.compared).toBe(3);
    expect((await call('search/verify', 'POST', '{"repair":true}')).body.compared).toBe(0);
    expect(await stage.database.kysely.selectFrom('index_job').select('lease').executeTakeFirst()).toEqual({ lease: null });
    for (const path of ['crm/verify', 'crm/rebuild'])
      for (const method of ['GET', 'POST']) expect((await call(path, method)).status).toBe(409);
    expect((await call('nobody/verify')).status).toBe(404);
    expect((await call('search/verify', 'POST', '{"repair":"yes"}')).status).toBe(400);
    const audit = await stage.database.kysely.selectFrom('audit').select(['actor', 'action', 'details']).execute();
    const begun = { actor: 'api', action: 'verify', details: JSON.stringify({ sink: 'search', repair: true }) };
    expect(audit).toEqual([begun, begun]);
  });

  // Fails without the check of the lease: the end of the replaced comparison is logged, too.
  test('a comparison that gives way to one that repairs while it reads the index ends nowhere', async () => {
    const { stage, search, index, run, deliver, logged } = await stageOf();
    await stage.record({ channelId: 'a' });
    await deliver();
    index.documents.clear();
    const begin = (repair: boolean) => beginJob(stage.database, search.id, 'verify', repair, { at: stage.clock.at, actor: 'api' });
    await begin(false);
    index.meanwhile = async () => {
      index.meanwhile = () => undefined;
      expect(await begin(true)).toBe(true);
    };
    await run();
    expect(logged).toEqual([]);
    await run();
    expect(logged).toEqual([expect.stringMatching(/^verify of the index is done .*"missing":1.*"repaired":1/)]);
  });

  test('who clicks on Repair begins a comparison that mends, on record, unless one is under way', async () => {
    const { stage, search, index, run, deliver, verify } = await stageOf();
    const click = (sink: string) => stage.auditActions.repair(sink, 'slack:U0ALICE');
    await stage.record({ channelId: 'a' });
    await deliver();
    for (const sink of ['search', 'crm']) expect(await click(sink)).toBeNull();
    index.documents.get('1400000001:a')!.name = 'another text';
    expect(await verify()).toMatchObject({ older: 1, repaired: 0 });
    expect(await click('search')).toBe(true);
    expect(await click('search')).toBe(false);
    await run();
    expect((await findJob<VerifyProgress>(stage.database, search.id, 'verify'))!.progress).toMatchObject({ older: 1, repaired: 1 });
    const audit = await stage.database.kysely.selectFrom('audit').select(['actor', 'details']).orderBy('id').execute();
    expect(audit.at(-1)).toEqual({ actor: 'slack:U0ALICE', details: JSON.stringify({ sink: 'search', repair: true }) });
    expect(audit).toHaveLength(2);
  });
});
