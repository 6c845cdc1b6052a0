import { type Emulator, createEmulator } from 'emulate';
import { type Answer, type FakeServer, type Handler, fakeServer } from '../../../test/support/fake-server.ts';
import { attempt, exampleEvent, exampleReport, expectNoLeak, sinkContract } from '../../../test/sink.contract.ts';
import { readClass, settingsOf } from '../../settings/setting.js';
import { Misconfigured, type Report, type ReportSink, type SinkContext, SinkError, type SinkResult, TryAgain } from '../sink.js';
import { slack } from './slack.sink.js';

const token = 'xoxb-1111-2222-TheTokenOfTheBot';
const hookPath = '/services/T0SECRET1/B0SECRET2/TheTokenOfTheHook';
const context: SinkContext = { name: 'team', now: Date.now, warn: () => {} };

async function open(texts: Record<string, string>, overrides: object = {}, now = context.now): Promise<ReportSink> {
  const { value, mistakes } = readClass(slack.settings, new Map(Object.entries(texts)));
  expect(mistakes).toEqual([]);
  return (await slack.open(Object.assign(value, overrides), { ...context, now })) as ReportSink;
}

function bot(origin: string, overrides: object = {}, texts: Record<string, string> = {}): Promise<ReportSink> {
  return open({ BOT_TOKEN: token, CHANNEL: 'C000000001', API_URL: `${origin}/api`, ...texts }, overrides);
}

function hook(origin: string, overrides: object = {}, now?: () => number): Promise<ReportSink> {
  return open({ WEBHOOK_URL: origin + hookPath }, overrides, now);
}

const never = new AbortController().signal;

function result(state: SinkResult['state'], rest: Partial<SinkResult> = {}): SinkResult {
  return { sink: 'crm', type: 'webhook', state, reason: null, durationMs: null, ...rest };
}

describe('settings', () => {
  function mistakes(texts: Record<string, string>): string[] {
    return readClass(slack.settings, new Map(Object.entries(texts)), 'SINK_TEAM_').mistakes;
  }
  const [BOT_TOKEN, CHANNEL, WEBHOOK_URL] = [token, 'C1', `https://hooks.slack.com${hookPath}`];

  it.each([[{ BOT_TOKEN, CHANNEL }], [{ WEBHOOK_URL }], [{ BOT_TOKEN, CHANNEL, API_URL: 'http://127.0.0.1:4003/api/' }]])(
    'takes %#',
    texts => expect(mistakes(texts)).toEqual([]),
  );

  it.each([
    [{}, ['SINK_TEAM_BOT_TOKEN is required, together with CHANNEL; or set WEBHOOK_URL instead of both']],
    [{ BOT_TOKEN }, ['SINK_TEAM_CHANNEL is required, since BOT_TOKEN is set: the id of the channel to post to']],
    [{ CHANNEL }, ['SINK_TEAM_BOT_TOKEN is required, since CHANNEL is set']],
    [
      { BOT_TOKEN, CHANNEL, WEBHOOK_URL },
      [expect.stringMatching(/^SINK_TEAM_BOT_TOKEN and WEBHOOK_URL/), expect.stringMatching(/^SINK_TEAM_CHANNEL goes/)],
    ],
    [{ WEBHOOK_URL: 'hooks.slack.com' }, ['SINK_TEAM_WEBHOOK_URL must be an http or https URL without user name and password']],
    [
      { WEBHOOK_URL: 'https://me:pw@hooks.slack.com/x' },
      ['SINK_TEAM_WEBHOOK_URL must be an http or https URL without user name and password'],
    ],
    [{ BOT_TOKEN: 'ключ', CHANNEL }, ['SINK_TEAM_BOT_TOKEN must be a token: letters, digits and signs without blanks']],
    [{ BOT_TOKEN, CHANNEL, API_URL: 'http://a/api?x=1' }, ['SINK_TEAM_API_URL must not have a query or fragment']],
    [{ BOT_TOKEN, CHANNEL, CONCURRENCY: '0' }, ['SINK_TEAM_CONCURRENCY must not be less than 1']],
    [{ BOT_TOKEN, CHANNEL, RATE_PER_SECOND: '-1' }, ['SINK_TEAM_RATE_PER_SECOND must be a finite number of at least 0.001']],
  ])('explains what is wrong with %j', (texts, told) => {
    expect(mistakes(texts)).toEqual(told);
    expect(mistakes(texts).join()).not.toMatch(/TheToken|pw@|ключ/);
  });

  it('has its own defaults and keeps the secrets secret', () => {
    const { value } = readClass(slack.settings, new Map(Object.entries({ WEBHOOK_URL })));
    expect(value).toMatchObject({ CONCURRENCY: 2, RATE_PER_SECOND: 1, TIMEOUT_MS: 10_000 });
    expect(slack.mode(value)).toBe('report');
    expect(
      settingsOf(slack.settings)
        .filter(({ secret }) => secret)
        .map(({ property }) => property),
    ).toEqual(['BOT_TOKEN', 'WEBHOOK_URL']);
  });
});

describe('against a Slack API server', () => {
  let server: Emulator;
  beforeAll(async () => {
    server = await createEmulator({
      service: 'slack',
      port: 0,
      seed: { tokens: { [token]: { login: 'admin', scopes: ['chat:write', 'channels:history'] } } },
    });
  });
  afterEach(() => server.reset());
  afterAll(() => server.close());

  interface Message {
    ts: string;
    text: string;
    blocks: unknown[];
    edited?: unknown;
    metadata?: unknown;
  }

  async function history(): Promise<Message[]> {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ channel: 'C000000001', include_all_metadata: true });
    const response = await fetch(`${server.url}/api/conversations.history`, { method: 'POST', headers, body });
    return ((await response.json()) as { messages: Message[] }).messages;
  }

  it('posts a card, then edits it', async () => {
    const sink = await bot(server.url);
    const report = exampleReport({ results: [result('pending')] });
    const receipt = await sink.report(report, never);
    const [posted, ...others] = await history();
    expect(others).toEqual([]);
    expect(JSON.parse(receipt as string)).toEqual({ channel: 'C000000001', ts: posted?.ts });
    expect(posted?.text).toContain('Waiting for 1 of 1 sink');
    expect(posted?.metadata).toEqual({ event_type: 'channel_sync_change', event_payload: { delivery_id: report.id } });

    const later = { ...report, receipt: receipt as string, results: [result('parked', { reason: 'answered 400' })] };
    expect(await sink.report(later, never)).toBe(receipt);
    const [edited, ...more] = await history();
    expect(more).toEqual([]);
    expect(edited?.ts).toBe(posted?.ts);
    expect(edited?.edited).toBeDefined();
    expect(edited?.text).toContain('Done: 1 parked');
    expect(JSON.stringify(edited?.blocks)).toContain('parked: answered 400');
  });

  it('takes any text to the other side unharmed', async () => {
    const name = '<!channel> & *x* "\\" \u{1F468}\u200D\u{1F469} + %20 你好';
    const event = exampleEvent({ profile: { ...exampleEvent().data.profile, name } });
    await (await bot(server.url)).report(exampleReport({ event }), never);
    const [posted] = await history();
    expect(posted?.blocks[0]).toMatchObject({ text: { type: 'plain_text', text: name, emoji: false } });
    expect(posted?.text).toMatch(/^&lt;!channel&gt; &amp; /);
  });

  it('posts a fresh card when the old one is gone', async () => {
    const sink = await bot(server.url);
    const receipt = await sink.report(exampleReport({ receipt: JSON.stringify({ channel: 'C000000001', ts: '1.000001' }) }), never);
    const [posted] = await history();
    expect(JSON.parse(receipt as string).ts).toBe(posted?.ts);
  });

  it.each(['{"posted":true}', 'garbage', 'null', '{}'])('posts a fresh card for a receipt that is not of a card (%s)', async receipt => {
    const sink = await bot(server.url);
    expect(await sink.report(exampleReport({ receipt }), never)).toContain('"ts"');
    expect(await history()).toHaveLength(1);
  });

  it('tells a wrong channel', async () => {
    const error = await attempt(await bot(server.url, {}, { CHANNEL: 'C0NOWHERE' }));
    expect(error).toBeInstanceOf(Misconfigured);
    expect(error).toMatchObject({ message: 'Slack answered channel_not_found', advice: expect.stringContaining('CHANNEL') });
  });

  it('posts once by an incoming webhook', async () => {
    const sink = await open({ WEBHOOK_URL: `${server.url}/services/T000000001/B000000001/X000000001` });
    const receipt = await sink.report(exampleReport(), never);
    const [posted, ...others] = await history();
    expect(others).toEqual([]);
    expect(posted?.text).toContain('All sinks have it');
    expect(JSON.stringify(posted?.blocks)).toContain('NewName');
    expect(await sink.report(exampleReport({ receipt: receipt as string }), never)).toBe(receipt);
    expect(await history()).toHaveLength(1);
  });
});

describe('with a Slack that', () => {
  let server: FakeServer | undefined;
  afterEach(async () => {
    await server?.close();
    server = undefined;
  });

  async function target(handler: Handler): Promise<string> {
    server = await fakeServer(handler);
    return server.url;
  }

  const ok = { body: { ok: true, channel: 'C000000001', ts: '1700000000.000100' } };

  async function failure(error: unknown, rest: object = {}, headers: Record<string, string> = {}): Promise<SinkError> {
    const told = await attempt(await bot(await target(() => ({ headers, body: { ok: false, error, ...rest } }))));
    if (told === null) throw new Error('it was delivered');
    expectNoLeak(told, [token, 'NewName', ...(typeof error === 'string' && !/^[a-z_]{1,60}$/.test(error) ? [error] : [])]);
    return told;
  }

  it.each([
    'ratelimited',
    'rate_limited',
    'service_unavailable',
    'internal_error',
    'fatal_error',
    'request_timeout',
    'team_added_to_org',
    'org_login_required',
    'message_limit_exceeded',
    'accesslimited',
    'update_failed',
    'some_new_word',
    'constructor',
    '__proto__',
  ])('says %s is tried again', async word =>
    expect(await failure(word)).toMatchObject({ outcome: 'retry', message: `Slack answered ${word}` }),
  );

  it.each([
    ...['invalid_auth', 'not_authed', 'account_inactive', 'token_revoked', 'token_expired', 'not_allowed_token_type', 'team_not_found'].map(
      word => [word, 'BOT_TOKEN'],
    ),
    ...['missing_scope', 'no_permission'].map(word => [word, 'chat:write']),
    ...['channel_not_found', 'is_archived', 'not_in_channel', 'restricted_action', 'restricted_action_read_only_channel'].map(word => [
      word,
      'CHANNEL',
    ]),
    ...['ekm_access_denied', 'enterprise_is_restricted', 'access_denied', 'app_access_restricted'].map(word => [word, 'admin']),
    ['unknown_method', 'API_URL'],
  ])('says %s stops the sink, and the advice names %s', async (word, names) => {
    expect(await failure(word)).toMatchObject({
      outcome: 'misconfigured',
      message: `Slack answered ${word}`,
      advice: expect.stringContaining(names ?? ''),
    });
  });

  it.each([
    'invalid_blocks',
    'invalid_blocks_format',
    'msg_blocks_too_long',
    'msg_too_long',
    'no_text',
    'invalid_arg_name',
    'invalid_arguments',
    'metadata_too_large',
    'invalid_metadata_format',
    'too_many_attachments',
  ])('says %s has the delivery parked', async word =>
    expect(await failure(word, { response_metadata: { messages: ['[ERROR] no such block'] } })).toMatchObject({ outcome: 'refused' }),
  );

  it.each(['Bad Word', 'UPPER', '<b>x</b>', 'a'.repeat(61), 7, null, { a: 1 }])('says %j never gets it into an error', async word => {
    expect(await failure(word)).toMatchObject({ outcome: 'retry', message: 'answered something that is not of the Slack API' });
  });

  it('is rate limited with 200 obeys its Retry-After', async () => {
    expect(await failure('ratelimited', {}, { 'retry-after': '9' })).toMatchObject({ outcome: 'retry', retryAfterMs: 9000 });
  });

  it.each([
    ['<!doctype html><title>Sign in</title>', 'retry'],
    ['', 'retry'],
    ['null', 'retry'],
    ['[]', 'retry'],
    ['"ok"', 'retry'],
    ['{"ok":true}', 'retry'],
  ])('answers 200 and %j is tried again', async (body, outcome) => {
    expect(await attempt(await bot(await target(() => ({ body }))))).toMatchObject({ outcome, status: 200 });
  });

  it('says in a 4xx what is wrong is understood', async () => {
    const error = await attempt(await bot(await target(() => ({ status: 400, body: { ok: false, error: 'invalid_auth' } }))));
    expect(error).toMatchObject({ outcome: 'misconfigured', message: 'Slack answered invalid_auth', status: 400 });
  });

  const imageFailed = {
    ok: false,
    error: 'invalid_blocks',
    response_metadata: { messages: ['[ERROR] downloading image failed [json-pointer:/blocks/0/accessory/image_url]'] },
  };

  it.each([
    ['in its messages', imageFailed],
    ['in its errors', { ok: false, error: 'invalid_blocks', errors: ['downloading image failed'] }],
    ['without a word', { ok: false, error: 'invalid_blocks' }],
  ])('cannot fetch the image, as told %s, gets the card without it, and edits too', async (_, body) => {
    const origin = await target(({ body: form }) => (form.includes('image_url') ? { body } : ok));
    const sink = await bot(origin);
    const receipt = await sink.report(exampleReport(), never);
    expect(JSON.parse(receipt as string)).toEqual({ channel: 'C000000001', ts: '1700000000.000100', image: false });
    expect(server?.requests).toHaveLength(2);
    expect(await sink.report(exampleReport({ receipt: receipt as string }), never)).toBe(receipt);
    expect(server?.requests.map(({ path }) => path)).toEqual(['/api/chat.postMessage', '/api/chat.postMessage', '/api/chat.update']);
  });

  it('refuses the card even without its image has it parked', async () => {
    const sink = await bot(await target(() => ({ body: imageFailed })));
    expect(await attempt(sink)).toMatchObject({ outcome: 'refused' });
    expect(server?.requests).toHaveLength(2);
  });

  it.each([
    ['message_not_found', 'C000000001'],
    ['edit_window_closed', 'C000000001'],
    ['cant_update_message', 'C000000001'],
    ['block_mismatch', 'C000000001'],
    ['channel_not_found', 'C0THEOLDONE'],
    ['is_archived', 'C0THEOLDONE'],
  ])('refuses an edit with %s in %s gets a fresh card', async (error, channel) => {
    const sink = await bot(await target(({ path }) => (path.endsWith('update') ? { body: { ok: false, error } } : ok)));
    const receipt = await sink.report(exampleReport({ receipt: JSON.stringify({ channel, ts: '1.1' }) }), never);
    expect(JSON.parse(receipt as string)).toEqual({ channel: 'C000000001', ts: '1700000000.000100' });
  });

  it('refuses an edit since the channel is archived stops the sink', async () => {
    const receipt = JSON.stringify({ channel: 'C000000001', ts: '1.1' });
    const sink = await bot(await target(() => ({ body: { ok: false, error: 'is_archived' } })));
    await expect(sink.report(exampleReport({ receipt }), never)).rejects.toBeInstanceOf(Misconfigured);
    expect(server?.requests).toHaveLength(1);
  });

  it('gets the token in a header only, and nothing that could mention', async () => {
    await (await bot(await target(() => ok))).report(exampleReport(), never);
    const [request] = server?.requests ?? [];
    expect(request?.headers.authorization).toBe(`Bearer ${token}`);
    expect(request?.path + (request?.body ?? '')).not.toContain(token);
    const form = Object.fromEntries(new URLSearchParams(request?.body));
    expect(form).toMatchObject({
      channel: 'C000000001',
      parse: 'none',
      link_names: 'false',
      mrkdwn: 'false',
      unfurl_links: 'false',
      unfurl_media: 'false',
    });
  });

  it('is slow bounds both tries together', async () => {
    const sink = await bot(
      await target(async ({ body }) => {
        await new Promise(resolve => setTimeout(resolve, 300));
        return body.includes('image_url') ? { body: imageFailed } : ok;
      }),
      { TIMEOUT_MS: 450 },
    );
    expect(await attempt(sink)).toMatchObject({ outcome: 'retry', message: 'timed out' });
  });

  async function hooked(answer: Answer): Promise<SinkError | null> {
    const error = await attempt(await hook(await target(() => answer)));
    if (error) expectNoLeak(error, ['T0SECRET1', 'TheTokenOfTheHook', 'NewName']);
    return error;
  }

  it.each([
    [400, 'invalid_payload', 'refused'],
    [400, 'invalid_blocks', 'refused'],
    [400, 'no_text', 'refused'],
    [400, 'too_many_attachments', 'refused'],
    [400, 'some_new_word', 'refused'],
    [400, 'user_not_found', 'misconfigured'],
    [400, 'posting_to_general_channel_denied', 'misconfigured'],
    [403, 'action_prohibited', 'misconfigured'],
    [403, 'invalid_token', 'misconfigured'],
    [404, 'channel_not_found', 'misconfigured'],
    [404, 'no_service', 'misconfigured'],
    [404, 'no_service_id', 'misconfigured'],
    [404, 'no_team', 'misconfigured'],
    [404, 'no_active_hooks', 'misconfigured'],
    [404, 'team_disabled', 'misconfigured'],
    [410, 'channel_is_archived', 'misconfigured'],
  ])('answers a webhook %i %s', async (status, body, outcome) => {
    const error = await hooked({ status, body });
    expect(error).toMatchObject({ outcome, status, message: `answered ${status}, ${body}` });
    expect(error?.advice).toContain(outcome === 'misconfigured' ? 'WEBHOOK_URL' : 'report');
  });

  it.each([
    [429, 'rate_limited'],
    [500, 'rollup_error'],
    [200, '<html>Sign in</html>'],
  ])('answers a webhook %i %s is tried again', async (status, body) => expect(await hooked({ status, body })).toBeInstanceOf(TryAgain));

  it('takes a webhook without its image only gets that', async () => {
    const sink = await hook(
      await target(({ body }) => (body.includes('image_url') ? { status: 400, body: 'invalid_blocks' } : { body: 'ok' })),
    );
    expect(await attempt(sink)).toBeNull();
    expect(server?.requests).toHaveLength(2);
  });
});

describe('patience of an incoming webhook', () => {
  let server: FakeServer;
  beforeEach(async () => {
    server = await fakeServer(() => ({ body: 'ok' }));
  });
  afterEach(() => server.close());

  async function at(ms: number, rest: Partial<Report>): Promise<unknown> {
    const sink = await hook(server.url, {}, () => 1_000_000 + ms);
    return sink.report(exampleReport({ receivedAt: 1_000_000, ...rest }), never);
  }

  it.each(['pending', 'retrying'] as const)('waits 60 s for what is %s', async state => {
    const results = [result('delivered'), result(state)];
    expect(await at(0, { results })).toEqual({ postponedUntil: 1_060_000 });
    expect(await at(59_999, { results })).toEqual({ postponedUntil: 1_060_000 });
    expect(server.requests).toEqual([]);
    expect(await at(60_000, { results })).toBe('{"posted":true}');
    expect(server.requests[0]?.body).toContain('Waiting for 1 of 2 sinks');
  });

  it('posts at once when every result is there', async () => {
    const results = (['delivered', 'superseded', 'parked', 'discarded'] as const).map(state => result(state));
    expect(await at(0, { results })).toBe('{"posted":true}');
  });

  it('posts at once when there is no other sink', async () => {
    expect(await at(0, { results: [] })).toBe('{"posted":true}');
  });

  it('posts once', async () => {
    expect(await at(0, { receipt: '{"channel":"C1","ts":"1.1"}' })).toBe('{"channel":"C1","ts":"1.1"}');
    expect(server.requests).toEqual([]);
  });
});

sinkContract('slack, bot token', {
  open: (origin, overrides) => bot(origin, overrides),
  secrets: [token],
  answer: (status, text) => ({
    status,
    body: status < 300 ? { ok: true, channel: 'C000000001', ts: '1.1', text } : { ok: false, error: text },
  }),
  // It carries no body, so that nothing tells where the card stands.
  classes: status => (status === 204 ? 'retry' : undefined),
});

sinkContract('slack, incoming webhook', {
  open: (origin, overrides) => hook(origin, overrides),
  secrets: ['T0SECRET1', 'B0SECRET2', 'TheTokenOfTheHook'],
  answer: (status, text) => ({ status, body: status < 300 ? 'ok' : text }),
});
