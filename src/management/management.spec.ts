import { sql } from 'kysely';
import { v7 as uuid } from 'uuid';
import { type Answer, Stage, channelId, down, never, path, start, token } from '../../test/support/management-stage.ts';
import { eachStore } from '../../test/support/stores.ts';
import type { Database } from '../database/database.js';
import { Misconfigured } from '../sinks/errors.js';
import { Clock } from '../process/clock.js';
import { EngineEvents } from '../process/engine-events.js';
import { Readiness } from './readiness.js';
import { warnOfRemovedSinks } from './removed-sinks.js';
import type { WebhookIntake } from '../intake/intake.js';

eachStore('management', store => {
  const open: Stage[] = [];
  const stageOf = async (environment?: Record<string, string>): Promise<Stage> => {
    const stage = new Stage(await store.open());
    await stage.open(environment);
    open.push(stage);
    return stage;
  };
  afterEach(async () => {
    for (const stage of open.splice(0)) await stage.close();
  });

  describe('the door', () => {
    test('without MANAGEMENT_TOKEN the API and its documentation are 404, health is not', async () => {
      const stage = await stageOf({});
      for (const path of ['/api/v1/sinks', '/api/v1/changes', '/docs', '/docs/', '/docs-json', '/docs/swagger-ui.css']) {
        expect(await stage.call(path)).toMatchObject({ status: 404, body: { status: 404 } });
      }
      expect((await stage.call('/livez')).status).toBe(200);
    });

    test.each([null, '', 'Bearer', 'Bearer ', 'Bearer wrong', `Basic ${token}`, `Bearer ${token.slice(0, -1)}`, token.slice(0, -1)])(
      '%j is 401, whatever is asked for',
      async authorization => {
        const stage = await stageOf();
        const calls = [
          '/api/v1/sinks',
          '/api/v1/changes?limit=0',
          '/api/v1/changes/x',
          '/api/v1/deliveries',
          '/api/v1/deliveries/{id}/discard',
          '/api/v1/replays',
          path,
          '/API/V1/Sinks',
          '/api/v1',
          '/api/v1/',
          '/api/v1/nothing/here',
        ];
        for (const call of calls) {
          const { status, headers, body } = await stage.call(call, { authorization });
          expect([call, status, headers.get('content-type'), headers.get('www-authenticate')]).toEqual([
            call,
            401,
            'application/problem+json; charset=utf-8',
            'Bearer',
          ]);
          expect(body).toEqual({ type: 'about:blank', title: 'Unauthorized', status: 401, detail: expect.stringContaining('Bearer') });
        }
        // The request is not read before it is authorized.
        for (const sent of ['', '{', `"${'x'.repeat(200_000)}"`])
          for (const call of ['/api/v1/sinks/crm/pause', '/api/v1/sinks/crm/resume', '/api/v1/%zz', '/api/v1/channels/1/%zz'])
            expect((await stage.call(call, { method: 'POST', authorization, body: sent })).status).toBe(401);
      },
    );

    test('the scheme of the token may be written in any case', async () => {
      const stage = await stageOf();
      expect((await stage.call('/api/v1/sinks', { authorization: `bearer ${Buffer.from(token).toString('latin1')}` })).status).toBe(200);
    });

    test('what nobody serves is a problem, with nothing of ours in it', async () => {
      const stage = await stageOf();
      for (const [call, method] of [
        ['/', 'GET'],
        ['/nothing', 'GET'],
        ['/api/v1/nothing', 'GET'],
        ['/api/v1/sinks/crm', 'GET'],
        ['/api/v1/sinks', 'DELETE'],
        ['/webhooks/tencent-chat', 'POST'],
      ] as const) {
        const { status, headers, body } = await stage.call(call, { method });
        expect([status, headers.get('content-type')]).toEqual([404, 'application/problem+json; charset=utf-8']);
        expect(body).toEqual({ type: 'about:blank', title: 'Not Found', status: 404, detail: 'there is no such call' });
        expect(headers.get('x-powered-by')).toBeNull();
      }
      expect(await stage.call('/api/v1/channels/1/%zz')).toMatchObject({ status: 400, body: { title: 'Bad Request', status: 400 } });
      expect(await stage.call('/api/v1/sinks/crm/pause', { method: 'POST', body: '{' })).toMatchObject({
        status: 400,
        body: { title: 'Bad Request', status: 400 },
      });
    });

    test('an option that would be ignored is 400 at every call that does something: unknown in the body, any in the query', async () => {
      const stage = await stageOf();
      await stage.register({ name: 'x' });
      const { paths } = (await stage.call('/docs-json')).body as { paths: Record<string, object> };
      const calls = Object.keys(paths).filter(path => 'post' in paths[path]!);
      expect(calls).toHaveLength(11);
      for (const call of calls.map(path => path.replace(/\{\w+\}/, 'x'))) {
        const unknown = await stage.call(call, { method: 'POST', body: '{"dryrun":true}' });
        expect([call, unknown.status, unknown.body.detail]).toEqual([
          call,
          400,
          expect.stringMatching(/^unknown option dryrun(: did you mean dryRun\?| \(known: |: this call has none)/),
        ]);
        for (const body of ['{}', '']) {
          const misplaced = await stage.call(`${call}?dryRun=true`, { method: 'POST', body });
          expect([call, misplaced.status, misplaced.body.detail]).toEqual([
            call,
            400,
            expect.stringContaining('put dryRun into the JSON body'),
          ]);
        }
      }
      expect((await stage.call('/api/v1/audit')).body.items).toEqual([]);
    });

    test('of each field the rule that says best what is wrong is told', async () => {
      const stage = await stageOf();
      const detail = async (call: string, body?: string) =>
        (await stage.call(call, body ? { method: 'POST', body } : {})).body.detail as string;
      const limit = 'limit must be a whole number from 1 to 500';
      expect(await detail('/api/v1/changes?limit=x&since=x')).toBe(`${limit}; since must be a time in ISO 8601`);
      expect(await detail('/api/v1/imports', '{"channelIds":"x"}')).toBe('channelIds must be an array');
    });

    // Regression: class-transformer overflowed the stack, answered with 500.
    test('a body that is nested deeply is 400, wherever it is sent', async () => {
      const stage = await stageOf();
      const id = await stage.record();
      const deep = '['.repeat(20_000) + ']'.repeat(20_000);
      for (const body of [deep, `{"channelId":${deep}}`, `{"sink":"crm","reason":${deep}}`, `{"sink":"crm","dryRun":true,"x":${deep}}`])
        for (const call of ['/api/v1/replays', `/api/v1/deliveries/${id}_1/discard`]) {
          const { status, body: problem } = await stage.call(call, { method: 'POST', body });
          expect([status, problem]).toEqual([400, expect.objectContaining({ detail: expect.stringContaining('levels') as unknown })]);
        }
    });

    test('bodies of up to 4 MB are taken, a larger one is 413', async () => {
      const stage = await stageOf();
      await stage.register({ name: 'crm' });
      const body = '{"sink":"crm","dryRun":true}'.padEnd(4 * 1024 * 1024);
      expect((await stage.call('/api/v1/replays', { method: 'POST', body })).status).toBe(202);
      const larger = await stage.call('/api/v1/replays', { method: 'POST', body: `${body} ` });
      expect([larger.status, larger.body.status]).toEqual([413, 413]);
    });

    test('the documentation is open', async () => {
      const stage = await stageOf();
      expect((await stage.call('/docs', { authorization: null })).body).toContain('swagger');
      expect((await stage.call('/docs-json', { authorization: null })).status).toBe(200);
    });
  });

  describe('health', () => {
    test('ready while webhooks can be kept, not while starting or draining', async () => {
      const stage = await stageOf({});
      expect(await stage.call('/readyz')).toMatchObject({ status: 200, body: { status: 'ready', reason: null } });
      for (const closed of ['starting', 'draining'] as const) {
        stage.readiness.closed = closed;
        expect(await stage.call('/readyz')).toMatchObject({ status: 503, body: { status: 'not ready', reason: closed } });
      }
      expect(await stage.call('/livez')).toMatchObject({ status: 200, body: { status: 'ok' } });
    });

    test('not ready before the tables are, nor while the database does not answer; asked once a second at most', async () => {
      const asked: number[] = [];
      const database = { ready: false, ping: () => Promise.resolve(void asked.push(1)) };
      const noSpool = { spoolWorks: false } as WebhookIntake;
      const readiness = new Readiness(database as unknown as Database, noSpool, new Clock(), new EngineEvents());
      expect(await readiness.reason()).toBe('starting');
      database.ready = true;
      for (let probe = 0; probe < 100; probe += 1) expect(await readiness.reason()).toBeNull();
      expect(asked).toHaveLength(1);

      const refusing = new Readiness(
        { ready: true, ping: () => Promise.reject(new Error('gone')) } as unknown as Database,
        noSpool,
        new Clock(),
        new EngineEvents(),
      );
      expect(await refusing.reason()).toBe('database cannot be written');
      const hanging = new Readiness(
        { ready: true, ping: () => new Promise(() => undefined) } as unknown as Database,
        noSpool,
        new Clock(),
        new EngineEvents(),
      );
      for (let probe = 0; probe < 2; probe += 1) expect(await hanging.reason()).toBe('database does not answer');
    });

    // A page for a ping may be left on a disk that is full. For ever would keep a load balancer from sending what clears it.
    test('not ready after webhooks could not be recorded, until some are, for ten seconds at most', async () => {
      let now = 0;
      const [clock, events] = [Object.assign(new Clock(), { monotonic: () => now }), new EngineEvents()];
      const database = { ready: true, ping: () => Promise.resolve() } as unknown as Database;
      const readiness = new Readiness(database, { spoolWorks: false } as WebhookIntake, clock, events);
      const full = Object.assign(new Error('database or disk is full'), { errcode: 13 });
      events.report('recording', full);
      expect(await readiness.reason()).toBe('the latest webhook could not be stored');
      events.emit('recorded', []);
      events.report('delivery', full);
      // A webhook that the database refuses for good.
      events.report('recording', new RangeError('too long'));
      expect(await readiness.reason()).toBeNull();
      events.report('recording', full);
      now = 9999;
      expect(await readiness.reason()).not.toBeNull();
      now = 10_000;
      expect(await readiness.reason()).toBeNull();
    });

    test('metrics are text for Prometheus, and those without the database survive it', async () => {
      const stage = await stageOf({});
      const [crm] = await stage.register({ name: 'crm' });
      await stage.record();
      const { status, headers, body } = await stage.call('/metrics', { authorization: null });
      expect([status, headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
      expect(body).toContain('channel_sync_pending{sink="crm"} 1');
      expect(body).toContain('channel_sync_sink_state{sink="crm",state="ok"} 1');
      await stage.attempt(crm!, down());
      expect((await stage.call('/metrics')).body).toContain('channel_sync_sink_state{sink="crm",state="retrying"} 1');

      await stage.database.kysely.schema.dropTable('delivery').execute();
      const without = await stage.call('/metrics');
      expect(without.status).toBe(200);
      expect(without.body).toContain('channel_sync_webhooks_total');
      expect(without.body).not.toContain('channel_sync_pending');
    });

    test('a bug is 500 without its words', async () => {
      const stage = await stageOf({});
      stage.readiness.reason = () => Promise.reject(new TypeError('something inside'));
      const detail = 'unexpected error; see the log';
      expect(await stage.call('/readyz')).toMatchObject({
        status: 500,
        body: { type: 'about:blank', title: 'Internal Server Error', status: 500, detail },
      });
      expect(stage.logged.at(-1)).toMatchObject({ level: 'error', error: expect.stringContaining('something inside') });
    });

    test('a database that fails is 503 without its words', async () => {
      const stage = await stageOf();
      await stage.database.kysely.schema.dropTable('delivery').execute();
      const { status, headers, body } = await stage.call('/api/v1/deliveries');
      expect([status, headers.get('content-type')]).toEqual([503, 'application/problem+json; charset=utf-8']);
      expect(body).toEqual({
        type: 'about:blank',
        title: 'Service Unavailable',
        status: 503,
        detail: 'the database is unavailable',
      });
      const failed = { level: 'warn', msg: 'an API call failed: the database is unavailable' };
      // One line: where in our code it failed says nothing about the database.
      expect(stage.logged.at(-1)).toMatchObject({ ...failed, error: expect.stringMatching(/^.*delivery.*$/) as unknown });
    });
  });

  describe('changes', () => {
    test('the newest first, page by page, each once', async () => {
      const stage = await stageOf();
      await stage.register({ name: 'crm' });
      const ids: string[] = [];
      for (let count = 0; count < 7; count += 1) ids.unshift(await stage.record());
      const seen: string[] = [];
      const sizes: number[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const { status, body }: Answer = await stage.call(`/api/v1/changes?limit=3${cursor && `&cursor=${cursor}`}`);
        expect(status).toBe(200);
        seen.push(...body.items.map(({ id }: { id: string }) => id));
        sizes.push(body.items.length);
        cursor = body.nextCursor;
      }
      expect(seen).toEqual(ids);
      expect(sizes).toEqual([3, 3, 1]);
      expect((await stage.call('/api/v1/changes?limit=7')).body.nextCursor).toBeNull();
    });

    test('50 unless told, up to 500', async () => {
      const stage = await stageOf();
      await stage.register();
      await Promise.all(Array.from({ length: 60 }, () => stage.record()));
      expect((await stage.call('/api/v1/changes')).body.items).toHaveLength(50);
      expect((await stage.call('/api/v1/changes?limit=500')).body.items).toHaveLength(60);
    });

    // Regression: an answer of hundreds of megabytes delayed webhooks for seconds.
    test('what is large comes in more pages, of one change each at least', async () => {
      const stage = await stageOf();
      const ids: string[] = [];
      for (const letter of ['a', 'b', 'c', 'd', 'e']) ids.unshift(await stage.record({ name: letter.repeat(1_300_000) }));
      const sizes: number[] = [];
      const seen: string[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const { body }: Answer = await stage.call(`/api/v1/changes?${cursor && `&cursor=${cursor}`}`);
        sizes.push(body.items.length);
        seen.push(...body.items.map(({ id }: { id: string }) => id));
        cursor = body.nextCursor;
      }
      expect([sizes, seen]).toEqual([[1, 1, 1, 2], ids]);
    });

    test('exactly these fields', async () => {
      const stage = await stageOf();
      await stage.register();
      const id = await stage.record({ name: 'One' });
      await stage.record({ eventTime: start - 5, name: 'Older', operator: null });
      const { items } = (await stage.call('/api/v1/changes')).body;
      expect(items[1]).toEqual({
        id,
        sdkAppId: '1400000001',
        channelId,
        type: 'channel.profile.updated',
        revision: 1,
        source: 'webhook',
        operator: 'leckie',
        clientIp: null,
        platform: null,
        owner: null,
        eventTime: '2026-01-01T00:00:00.500Z',
        eventTimeEstimated: false,
        tie: false,
        receivedAt: '2026-01-01T00:00:01.000Z',
        changes: [{ field: 'name', from: null, to: 'One' }],
        stale: [],
      });
      expect(items[0]).toMatchObject({ revision: null, operator: null, changes: [], stale: ['name'] });
    });

    // Regression: an invalid stored time made the whole list fail with 500.
    test('a damaged row is shown as far as it can be, and fails no list', async () => {
      const stage = await stageOf();
      await stage.register({ name: 'crm' });
      const [damaged, whole] = [await stage.record({ channelId: 'damaged' }), await stage.record({ channelId: 'whole' })];
      const far = 8_700_000_000_000_000;
      const broken = { changes: '{"broken', stale: 'null', profile: '' };
      await stage.database.kysely
        .updateTable('change')
        .set({ event_time: far, received_at: -far, ...broken })
        .where('id', '=', damaged)
        .execute();
      await stage.database.kysely.updateTable('channel').set({ updated_at: far, state: '[' }).where('channel_id', '=', 'damaged').execute();
      await stage.database.kysely.updateTable('delivery').set({ updated_at: far }).where('change_id', '=', damaged).execute();
      const shown = { eventTime: '9999-12-31T23:59:59.999Z', receivedAt: '0000-01-01T00:00:00.000Z', changes: [], stale: [] };
      const profile = { name: null, avatarUrl: null, introduction: null, organization: null };
      expect(await stage.call('/api/v1/changes')).toMatchObject({
        status: 200,
        body: { items: [{ id: whole }, { id: damaged, ...shown }] },
      });
      expect(await stage.call(`/api/v1/changes/${damaged}`)).toMatchObject({ status: 200, body: { ...shown, profile } });
      expect(await stage.call('/api/v1/deliveries')).toMatchObject({
        status: 200,
        body: { items: [{ changeId: whole }, { changeId: damaged }] },
      });
      expect(await stage.call('/api/v1/channels/1400000001/damaged')).toMatchObject({ status: 200, body: { exists: false, profile } });
    });

    test('filters: app, channel, since inclusive, until exclusive', async () => {
      const stage = await stageOf();
      await stage.register();
      const [first, second, third] = [
        await stage.record(),
        await stage.record({ channelId: '@other' }),
        await stage.record({ sdkAppId: '1400000002' }),
      ];
      const ids = async (query: string): Promise<string[]> =>
        (await stage.call(`/api/v1/changes?${query}`)).body.items.map(({ id }: { id: string }) => id);
      expect(await ids('sdkAppId=1400000001')).toEqual([second, first]);
      expect(await ids('sdkAppId=140')).toEqual([]);
      expect(await ids(`channelId=${encodeURIComponent(channelId)}`)).toEqual([third, first]);
      expect(await ids(`channelId=${encodeURIComponent(channelId)}&sdkAppId=1400000002`)).toEqual([third]);
      expect(await ids('channelId=%00')).toEqual([]);
      expect(await ids('since=2026-01-01T00:00:02.000Z')).toEqual([third, second]);
      expect(await ids('until=2026-01-01T00:00:02.000Z')).toEqual([first]);
      expect(await ids('since=2026-01-01T00:00:01Z&until=2026-01-01T00:00:03Z')).toEqual([second, first]);
      expect(await ids('since=2026-01-01T08:00:02%2B08:00')).toEqual([third, second]);
      for (const zone of ['+08:00', '+0800', '+08', '%2B08'])
        expect(await ids(`since=2026-01-01T08:00:02${zone}`)).toEqual([third, second]);
      expect(await ids('since=2026-01-01T00:00:03')).toEqual([third]);
      expect(await ids('since=2026-01-01')).toEqual([third, second, first]);
      expect(await ids('since=2026-01-02')).toEqual([]);
    });

    // Otherwise a misspelled filter would list everything.
    test('a parameter that a list does not have is 400 and named, with the one that was meant', async () => {
      const stage = await stageOf();
      const detail = async (call: string) => {
        const { status, body } = await stage.call(`/api/v1/${call}`);
        expect([call, status]).toEqual([call, 400]);
        return body.detail as string;
      };
      expect(await detail('deliveries?stat=parked')).toBe(
        'unknown parameter stat: did you mean state? (known: channelId, cursor, limit, sdkAppId, since, sink, state, until)',
      );
      expect(await detail('audit?untill=1&sink=crm')).toBe(
        'unknown parameter untill: did you mean until? (known: cursor, limit, since, until); unknown parameter sink: did you mean since? (known: cursor, limit, since, until)',
      );
      for (const list of ['audit', 'channels', 'changes', 'deliveries', 'sinks', 'apps', 'comparisons'])
        for (const name of ['limits', 'limit[]', 'channelId[x]', 'colour'])
          expect(await detail(`${list}?${name}=1`)).toContain(`unknown parameter ${name}`);
      // Never an error of ours; nobody means these.
      expect((await stage.call('/api/v1/changes?__proto__=x&constructor=y&toString=z')).status).toBe(200);
    });

    test('a parameter that is not what it should be is 400 and named', async () => {
      const stage = await stageOf();
      const limits = ['limit=0', 'limit=501', 'limit=-1', 'limit=1.5', 'limit=x', 'limit=', 'limit=1&limit=2', 'limit=1e2'];
      const times = [
        'since=yesterday',
        'since=',
        'since=2026-13-01',
        'since=2026-02-30',
        // Regression: ordinal dates were read as months, and negative years as positive ones.
        'since=2026-012',
        'since=-2026-01-01',
        'since=2026-W03-1',
        'until=1767225600000',
        'since=2026-01-01&since=2026-01-02',
      ];
      const cursors = [
        'cursor=',
        'cursor=x',
        'cursor=!!!',
        'cursor=0198C0DE-7A5B-7000-8000-00000000002A',
        `cursor=${Buffer.from('1; drop table').toString('base64url')}`,
        'cursor=a&cursor=b',
      ];
      for (const query of [...limits, ...times, ...cursors, 'sdkAppId=', 'channelId=a&channelId=b']) {
        for (const list of ['changes', 'deliveries']) {
          const { status, headers, body } = await stage.call(`/api/v1/${list}?${query}`);
          expect([list, query, status, headers.get('content-type')]).toEqual([list, query, 400, 'application/problem+json; charset=utf-8']);
          const detail = expect.stringContaining(query.split('=')[0]!) as string;
          expect(body).toEqual({ type: 'about:blank', title: 'Bad Request', status: 400, detail });
        }
      }
      for (const query of [...limits, ...cursors])
        expect([query, (await stage.call(`/api/v1/comparisons?${query}`)).status]).toEqual([query, 400]);
    });

    test('one change with its profile and every try', async () => {
      const stage = await stageOf();
      const [crm, index] = await stage.register({ name: 'crm' }, { name: 'index', type: 'opensearch', mode: 'state' });
      const id = await stage.record({ name: 'One' });
      await stage.attempt(crm!, Object.assign(down(), { response: 'no room' }));
      await stage.attempt(index!);
      const { status, body } = await stage.call(`/api/v1/changes/${id}`);
      expect(status).toBe(200);
      expect(body).toMatchObject({ id, revision: 1, profile: { name: 'One', avatarUrl: null, introduction: null, organization: null } });
      const at = '2026-01-01T00:00:01.000Z';
      const common = { sdkAppId: '1400000001', channelId, changeId: id, revision: 1, tries: 1, updatedAt: at };
      expect(body.deliveries).toEqual([
        {
          ...common,
          id: `${id}_${crm!.id}`,
          sink: 'crm',
          state: 'pending',
          reason: 'it answered 502 — no room',
          advice: 'Look at the CRM.',
          nextAttemptAt: '2026-01-01T00:00:02.012Z',
          attempts: [{ at, durationMs: 12, outcome: 'retry', status: 502, error: 'it answered 502', response: 'no room' }],
        },
        {
          ...common,
          id: `${id}_${index!.id}`,
          sink: 'index',
          state: 'delivered',
          reason: null,
          advice: null,
          nextAttemptAt: null,
          attempts: [{ at, durationMs: 12, outcome: 'delivered', status: null, error: null, response: null }],
        },
      ]);
      for (const unknown of [uuid(), 'x', '%00', `${id}x`]) expect((await stage.call(`/api/v1/changes/${unknown}`)).status).toBe(404);
    });
  });

  describe('deliveries', () => {
    test('newest change first, all filters, page by page', async () => {
      const stage = await stageOf();
      const [crm, log] = await stage.register({ name: 'crm' }, { name: 'log', type: 'log' });
      const first = await stage.record();
      await stage.attempt(crm!, never());
      await stage.attempt(log!);
      const second = await stage.record({ channelId: '@other' });
      await stage.attempt(log!);
      const all = [`${second}_${log!.id}`, `${second}_${crm!.id}`, `${first}_${log!.id}`, `${first}_${crm!.id}`];
      const ids = async (query: string): Promise<string[]> =>
        (await stage.call(`/api/v1/deliveries?${query}`)).body.items.map(({ id }: { id: string }) => id);
      expect(await ids('')).toEqual(all);
      expect(await ids('sink=crm')).toEqual([all[1], all[3]]);
      expect(await ids('sink=nobody')).toEqual([]);
      expect(await ids('state=parked')).toEqual([all[3]]);
      expect(await ids('state=delivered')).toEqual([all[0], all[2]]);
      expect(await ids('state=pending&sink=crm')).toEqual([all[1]]);
      expect(await ids('channelId=@other')).toEqual([all[0], all[1]]);
      expect(await ids('sdkAppId=1400000001&sink=log')).toEqual([all[0], all[2]]);
      expect(await ids('since=2026-01-01T00:00:02Z')).toEqual([all[0], all[1]]);
      expect(await ids('until=2026-01-01T00:00:02Z&sink=crm')).toEqual([all[3]]);
      const seen: string[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const { body }: Answer = await stage.call(`/api/v1/deliveries?limit=1${cursor && `&cursor=${cursor}`}`);
        seen.push(...body.items.map(({ id }: { id: string }) => id));
        cursor = body.nextCursor;
      }
      expect(seen).toEqual(all);
      expect((await stage.call('/api/v1/deliveries?state=parked')).body.items).toEqual([
        {
          id: all[3],
          sink: 'crm',
          state: 'parked',
          sdkAppId: '1400000001',
          channelId,
          changeId: first,
          revision: 1,
          tries: 1,
          reason: 'it answered 422',
          advice: 'Correct the name.',
          nextAttemptAt: null,
          updatedAt: '2026-01-01T00:00:01.000Z',
        },
      ]);
      for (const state of ['retrying', '', 'PARKED']) expect((await stage.call(`/api/v1/deliveries?state=${state}`)).status).toBe(400);
    });
  });

  describe('channels', () => {
    test('profile and how every sink stands to it', async () => {
      const stage = await stageOf();
      const [crm, index] = await stage.register(
        { name: 'crm' },
        { name: 'index', type: 'opensearch', mode: 'state' },
        { name: 'slack', type: 'slack', mode: 'report' },
      );
      const sinks = async (): Promise<Record<string, unknown>[]> => (await stage.call(path)).body.sinks;
      await stage.record({ name: 'One' });
      await stage.attempt(index!);
      const { status, body } = await stage.call(path);
      expect(status).toBe(200);
      expect(body).toEqual({
        sdkAppId: '1400000001',
        channelId,
        exists: true,
        revision: 1,
        updatedAt: '2026-01-01T00:00:00.500Z',
        verifiedAt: null,
        profile: { name: 'One', avatarUrl: null, introduction: null, organization: null },
        sinks: [
          {
            sink: 'crm',
            mode: 'log',
            revision: null,
            pending: 1,
            state: 'pending',
            nextAttemptAt: '2026-01-01T00:00:01.000Z',
            lastError: null,
          },
          { sink: 'index', mode: 'state', revision: 1, pending: 0, state: 'in_sync', nextAttemptAt: null, lastError: null },
          {
            sink: 'slack',
            mode: 'report',
            revision: null,
            pending: 1,
            state: 'pending',
            nextAttemptAt: null,
            lastError: null,
          },
        ],
      });
      await stage.attempt(crm!, down());
      expect((await sinks())[0]).toMatchObject({
        pending: 1,
        state: 'retrying',
        nextAttemptAt: '2026-01-01T00:00:02.012Z',
        lastError: 'it answered 502',
      });
      stage.clock.at += 60_000;
      await stage.attempt(crm!, never());
      expect((await sinks())[0]).toMatchObject({
        revision: null,
        pending: 0,
        state: 'parked',
        nextAttemptAt: null,
        lastError: 'it answered 422',
      });
      await stage.record({ name: 'Two' });
      await stage.attempt(crm!);
      expect((await sinks())[0]).toMatchObject({ revision: 2, pending: 0, state: 'parked', lastError: 'it answered 422' });
      expect((await sinks())[1]).toMatchObject({ revision: 1, pending: 1, state: 'pending' });
      await stage.record({ command: 'destroyed', fields: {} });
      expect((await stage.call(path)).body).toMatchObject({ exists: false, revision: 3, profile: { name: null } });
    });

    test('a removed sink is shown only while it owes something; an unknown channel is 404', async () => {
      const stage = await stageOf();
      const [crm] = await stage.register({ name: 'crm' });
      await stage.record();
      await stage.register({ name: 'log', type: 'log' });
      const names = async (): Promise<string[]> => (await stage.call(path)).body.sinks.map(({ sink }: { sink: string }) => sink);
      expect(await names()).toEqual(['crm', 'log']);
      expect((await stage.call(path)).body.sinks[0]).toMatchObject({ pending: 1, nextAttemptAt: null });
      // The sink is declared again, gets the change, and is removed again.
      await stage.register({ name: 'crm' }, { name: 'log', type: 'log' });
      await stage.attempt(crm!);
      await stage.register({ name: 'log', type: 'log' });
      expect(await names()).toEqual(['log']);
      for (const unknown of ['1400000001/nobody', '1/@TOA', '1400000001/%00'])
        expect((await stage.call(`/api/v1/channels/${unknown}`)).status).toBe(404);
    });
  });

  describe('sinks', () => {
    test('state, accounts and lag', async () => {
      const stage = await stageOf();
      const [crm, index] = await stage.register({ name: 'crm' }, { name: 'index', type: 'opensearch', mode: 'state' });
      const zero = { owed: 0, pending: 0, delivered: 0, superseded: 0, parked: 0, discarded: 0 };
      const ok = { state: 'ok', since: null, reason: null, advice: null, lagSeconds: 0 };
      expect((await stage.call('/api/v1/sinks')).body).toEqual({
        items: [
          { name: 'index', type: 'opensearch', mode: 'state', ...ok, counts: zero },
          { name: 'crm', type: 'webhook', mode: 'log', ...ok, counts: zero },
        ],
        nextCursor: null,
      });
      await stage.record();
      await stage.attempt(crm!, never());
      await stage.record();
      await stage.record();
      await stage.attempt(index!);
      await stage.attempt(crm!, down());
      stage.clock.at += 2500;
      const { items } = (await stage.call('/api/v1/sinks')).body;
      expect(items[0]).toEqual({
        name: 'index',
        type: 'opensearch',
        mode: 'state',
        ...ok,
        counts: { ...zero, owed: 3, delivered: 1, superseded: 2 },
      });
      expect(items[1]).toEqual({
        name: 'crm',
        type: 'webhook',
        mode: 'log',
        state: 'retrying',
        since: '2026-01-01T00:00:03.000Z',
        reason: 'it answered 502',
        advice: 'Look at the CRM.',
        lagSeconds: 3.5,
        counts: { ...zero, owed: 3, pending: 2, parked: 1 },
      });
    });

    // Seen failing: it began again with each kind of stop, while the alert in Slack did not.
    test('a stop that changes its kind goes on', async () => {
      const stage = await stageOf();
      const [crm] = await stage.register({ name: 'crm' });
      await stage.record();
      const seen = async () => (await stage.call('/api/v1/sinks')).body.items[0] as { state: string; since: string };
      await stage.attempt(crm!, new Misconfigured(['answered', 401], ['check_credentials'], 401));
      const { state, since } = await seen();
      expect(state).toBe('misconfigured');
      for (let probes = 0; probes < 5; probes++) {
        stage.clock.at += 20_000;
        await stage.attempt(crm!, down());
      }
      expect(await seen()).toMatchObject({ state: 'down', since });
    });

    test('accounts of more deliveries than are counted at once', async () => {
      const stage = await stageOf();
      const [crm, log] = await stage.register({ name: 'crm' }, { name: 'log', type: 'log' });
      for (const { id } of [crm!, log!]) {
        await sql`insert into delivery (change_id, sink, channel, position, state, open, tries, enqueued_at, updated_at, moved)
          with recursive n(i) as (select 0 union all select i + 1 from n where i < 24999)
          select 'x' || (100000 + i), ${sql.lit(id)}, 1, i, case when i % 5 = 0 then 'parked' else 'delivered' end, 0, 1, 1, 1, 0 from n`.execute(
          stage.database.kysely,
        );
      }
      const counts = { owed: 25_000, pending: 0, delivered: 20_000, superseded: 0, parked: 5000, discarded: 0 };
      expect((await stage.call('/api/v1/sinks')).body.items).toMatchObject([{ counts }, { counts }]);
    });

    test('metrics of more deliveries than are counted at once', async () => {
      const stage = await stageOf();
      const [crm] = await stage.register({ name: 'crm' });
      await sql`insert into delivery (change_id, sink, channel, position, state, open, tries, enqueued_at, updated_at, moved, cause)
        with recursive n(i) as (select 0 union all select i + 1 from n where i < 89999)
        select 'x' || (100000 + i), ${sql.lit(crm!.id)}, 1, i, case when i % 2 = 0 then 'parked' else 'pending' end, 0, 1,
          case when i < 60000 then 7 else i end, 1, 0, case when i % 6 = 0 then 'expired' else 'refused' end from n`.execute(
        stage.database.kysely,
      );
      const { body } = await stage.call('/metrics');
      expect(body).toContain('channel_sync_pending{sink="crm"} 45000');
      expect(body).toContain('channel_sync_parked{sink="crm",reason="expired"} 15000');
      expect(body).toContain('channel_sync_parked{sink="crm",reason="refused"} 30000');
    });

    test('while it is stopped, what waits is tried with the next probe', async () => {
      const stage = await stageOf();
      const [crm] = await stage.register({ name: 'crm' });
      await stage.record();
      await stage.attempt(crm!, new Misconfigured(['answered', 401], ['as_said', 'Check the credentials.'], 401));
      const nextAttemptAt = '2026-01-01T00:00:13.000Z';
      expect((await stage.call(path)).body.sinks[0]).toMatchObject({ pending: 1, nextAttemptAt });
      expect((await stage.call('/api/v1/deliveries')).body.items[0]).toMatchObject({ state: 'pending', tries: 0, nextAttemptAt });
      expect((await stage.call('/api/v1/sinks')).body.items[0]).toMatchObject({ state: 'misconfigured', reason: 'answered 401' });
    });

    test('page by page; a removed sink has no lag; a replaced one gives way to its successor', async () => {
      const stage = await stageOf();
      await stage.register({ name: 'crm' }, { name: 'gone' });
      await stage.record();
      await stage.register({ name: 'crm', mode: 'state' }, { name: 'log', type: 'log' });
      const { body: one } = await stage.call('/api/v1/sinks?limit=2');
      expect(one.items.map(({ name, mode }: Record<string, string>) => [name, mode])).toEqual([
        ['log', 'log'],
        ['crm', 'state'],
      ]);
      const { body: two } = await stage.call(`/api/v1/sinks?limit=2&cursor=${one.nextCursor}`);
      expect(two).toMatchObject({
        items: [{ name: 'gone', state: 'removed', since: '2026-01-01T00:00:01.000Z', lagSeconds: null, counts: { pending: 1 } }],
        nextCursor: null,
      });
      for (const query of ['limit=0', 'limit=501', 'cursor=x']) expect((await stage.call(`/api/v1/sinks?${query}`)).status).toBe(400);
    });

    test('pause stops it and is remembered; resume lets it go on', async () => {
      const stage = await stageOf();
      const [crm, log] = await stage.register({ name: 'crm' }, { name: 'log', type: 'log' });
      const id = await stage.record();
      await stage.attempt(crm!, down());
      await stage.attempt(log!, down());
      stage.clock.at += 10_000;
      const paused = await stage.call('/api/v1/sinks/crm/pause', { method: 'POST' });
      const since = '2026-01-01T00:00:11.000Z';
      expect(paused).toMatchObject({
        status: 200,
        body: { name: 'crm', state: 'paused', since, reason: 'paused by a person', lagSeconds: 10, counts: { owed: 1, pending: 1 } },
      });
      expect(stage.logged.at(-1)).toMatchObject({ level: 'info', msg: 'sink paused', sink: 'crm', by: 'api' });
      expect((await stage.call(path)).body.sinks[0]).toMatchObject({ sink: 'crm', state: 'retrying', nextAttemptAt: null });
      stage.clock.at += 5000;
      expect((await stage.call('/api/v1/sinks/crm/pause', { method: 'POST' })).body.since).toBe(since);
      await stage.attempt(crm!);
      expect((await stage.call('/api/v1/sinks/crm/resume', { method: 'POST' })).body).toMatchObject({
        state: 'retrying',
        since: '2026-01-01T00:00:01.000Z',
        counts: { pending: 1 },
      });
      expect(stage.logged.filter(({ msg }) => msg === 'sink paused' || msg === 'sink resumed')).toHaveLength(2);
      expect(stage.woken).toEqual([[crm!.id]]);
      expect((await stage.call('/api/v1/sinks')).body.items[0]).toMatchObject({ name: 'log', since: '2026-01-01T00:00:01.000Z' });
      stage.clock.at += 5000;
      expect((await stage.call('/api/v1/sinks/crm/resume', { method: 'POST' })).body).toMatchObject({ since: '2026-01-01T00:00:01.000Z' });
      await stage.attempt(crm!);
      expect((await stage.call(`/api/v1/deliveries?sink=crm`)).body.items).toMatchObject([{ changeId: id, state: 'delivered', tries: 2 }]);
      expect((await stage.call('/api/v1/sinks')).body.items[1]).toMatchObject({ name: 'crm', state: 'ok', since: null });
    });

    test('a removed sink is neither tried nor fed, which is told: it keeps its deliveries, is counted, and says when they go', async () => {
      const stage = await stageOf();
      const [gone] = await stage.register({ name: 'gone' }, { name: 'crm' }, { name: 'empty' });
      await stage.record();
      await stage.attempt(gone!, never());
      await stage.record();
      await stage.database.kysely
        .deleteFrom('delivery')
        .where('sink', '=', gone!.id + 2)
        .execute();
      await stage.register({ name: 'crm' });
      for (const call of ['test', 'check'].map(action => `sinks/gone/${action}`))
        expect([call, await stage.call(`/api/v1/${call}`, { method: 'POST' })]).toMatchObject([
          call,
          { status: 409, body: { detail: 'this sink is no longer configured: declare it again to use it' } },
        ]);
      for (const dryRun of [true, false]) {
        const replay = (sink: string) => stage.call('/api/v1/replays', { method: 'POST', body: JSON.stringify({ sink, dryRun }) });
        expect(await replay('gone')).toMatchObject({ status: 409, body: { detail: expect.stringContaining('no longer configured') } });
        expect(await replay('nosuch')).toMatchObject({ status: 404, body: { detail: 'no sink has this name' } });
      }
      expect((await stage.call('/api/v1/audit')).body.items).toEqual([]);
      const advice =
        'To continue, set SINK_GONE_TYPE=webhook again. Once it has not been configured for RETENTION_DAYS, its queued and failed changes are discarded. It never gets the changes that are made meanwhile.';
      const [, , shown] = (await stage.call('/api/v1/sinks')).body.items;
      expect(shown).toMatchObject({ name: 'gone', state: 'removed', reason: 'no longer configured', advice });
      const metrics = (await stage.call('/metrics')).body as string;
      expect(metrics).toContain('channel_sync_pending{sink="gone"} 1');
      expect(metrics).toContain('channel_sync_parked{sink="gone",reason="refused"} 1');
      expect(metrics).not.toContain('channel_sync_lag_seconds{sink="gone"}');
      stage.logged.length = 0;
      await warnOfRemovedSinks(stage.database, stage.clock.at, stage.log);
      const msg = 'a sink is no longer configured, but deliveries of it are kept';
      expect(stage.logged).toMatchObject([{ level: 'warn', msg, sink: 'gone', pending: 1, parked: 1, since: shown.since, advice }]);
    });

    // A replica of an older release may serve it during an update, and a pause holds when it returns.
    test.each(['pause', 'resume', 'probe'])('%s of a removed sink is 200, as of others', async verb => {
      const stage = await stageOf();
      await stage.register({ name: 'gone' });
      await stage.register({ name: 'crm' });
      expect(await stage.call(`/api/v1/sinks/gone/${verb}`, { method: 'POST' })).toMatchObject({
        status: 200,
        body: { name: 'gone', state: 'removed' },
      });
    });

    test.each(['pause', 'resume'])('%s of an unknown sink is 404', async verb => {
      const stage = await stageOf();
      await stage.register({ name: 'crm' });
      for (const name of ['nobody', '%00', 'CRM'])
        expect(await stage.call(`/api/v1/sinks/${name}/${verb}`, { method: 'POST' })).toMatchObject({
          status: 404,
          body: { title: 'Not Found' },
        });
      expect(stage.woken).toEqual([]);
    });
  });
});
