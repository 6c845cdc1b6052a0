import { noProxies } from '../../../../test/support/proxy.ts';
import { createHmac } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { type FakeServer, type Handler, fakeServer } from '../../../../test/support/fake-server.ts';
import { until } from '../../../../test/support/until.ts';
import { noLookup } from '../../../../test/support/no-actions.ts';
import { changeOf, detailsOf } from '../../../../test/support/slack-lookups.ts';
import { linesOf } from '../../../../test/support/slack-messages.ts';
import { renderContext } from '../../../../test/support/slack-rendering.ts';
import type { Actions } from '../../sink.js';
import { idsOf, interactionsOf, isSignedBySlack, payloadOf } from './payload.js';
import { Interactions, isSlackUrl } from './interactions.js';
import { en } from '../words/en.js';
import { zhCN } from '../words/zh-cn.js';
import { SlackSettings } from '../slack.settings.js';

describe('the signature', () => {
  // Slack's own example: docs.slack.dev/authentication/verifying-requests-from-slack
  const secret = '8f742231b10e8888abcd99yyyzzz85a5';
  const time = '1531420618';
  const now = 1_531_420_618_000;
  const body =
    'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c';
  const headers = {
    'x-slack-request-timestamp': time,
    'x-slack-signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
  };

  it("is right on Slack's own example", () => expect(isSignedBySlack(Buffer.from(body), headers, secret, now)).toBe(true));

  // Planted: without Math.abs the first of the two that are late was taken, with > as >= both edges were not.
  it.each([
    [-300_999, false],
    [-300_000, true],
    [300_999, true],
    [301_000, false],
  ])('of a time that is %i ms from now: %s', (ms, taken) =>
    expect(isSignedBySlack(Buffer.from(body), headers, secret, now + ms)).toBe(taken),
  );

  it.each([
    ['another body', `${body}&`, {}],
    ['another time', body, { 'x-slack-request-timestamp': '1531420619' }],
    ['no signature', body, { 'x-slack-signature': undefined }],
    ['no time', body, { 'x-slack-request-timestamp': undefined }],
    ['a repeated signature', body, { 'x-slack-signature': `${headers['x-slack-signature']}, ${headers['x-slack-signature']}` }],
    ['a list of signatures', body, { 'x-slack-signature': [headers['x-slack-signature']] }],
    ['a repeated time', body, { 'x-slack-request-timestamp': `${time}, ${time}` }],
    ['a time with a sign', body, { 'x-slack-request-timestamp': `+${time}` }],
    ['a time with a blank', body, { 'x-slack-request-timestamp': ` ${time}` }],
    ['a short signature', body, { 'x-slack-signature': headers['x-slack-signature'].slice(0, -1) }],
    ['an empty signature', body, { 'x-slack-signature': 'v0=' }],
    ['another version', body, { 'x-slack-signature': headers['x-slack-signature'].replace('v0', 'v1') }],
    ['capitals', body, { 'x-slack-signature': headers['x-slack-signature'].toUpperCase() }],
  ])('with %s is not right', (_, signed, other) =>
    expect(isSignedBySlack(Buffer.from(signed), { ...headers, ...other }, secret, now)).toBe(false),
  );

  it('is over the bytes as they came', () => {
    const bytes = Buffer.from([0x70, 0xff, 0xfe]);
    const signature = `v0=${createHmac('sha256', secret).update(`v0:${time}:`).update(bytes).digest('hex')}`;
    expect(isSignedBySlack(bytes, { ...headers, 'x-slack-signature': signature }, secret, now)).toBe(true);
  });

  it('of another secret is not right', () => expect(isSignedBySlack(Buffer.from(body), headers, `${secret}x`, now)).toBe(false));

  it('is over the time as well, whatever the time is', () => {
    const signature = `v0=${createHmac('sha256', secret).update(`v0:9999999999:${body}`).digest('hex')}`;
    const stamped = { 'x-slack-request-timestamp': '9999999999', 'x-slack-signature': signature };
    expect(isSignedBySlack(Buffer.from(body), stamped, secret, now)).toBe(false);
  });
});

/** A click as Slack sends it, with more fields than we read. */
function blockActions(action: object, rest: object = {}): object {
  return {
    type: 'block_actions',
    team: { id: 'T01TEA' },
    user: { id: 'U0ALICE', username: 'alice' },
    api_app_id: 'A01SYNC',
    container: { type: 'message', message_ts: '1.1', channel_id: 'C0CHANNELS' },
    channel: { id: 'C0CHANNELS', name: 'official-channels' },
    response_url: 'https://hooks.slack.com/actions/T01TEA/1/x',
    actions: [{ type: 'button', block_id: 'b', action_ts: '1.2', ...action }],
    ...rest,
  };
}

const changeId = '0193a5b2-7c1e-7d2f-9b3a-1c2d3e4f5a6b';
const retry = { action_id: 'retry', value: `team:${changeId}` };

describe('a payload', () => {
  it.each([
    ['retry', changeId],
    ['discard', changeId],
    ['pause', 'crm_eu'],
    ['resume', 'crm_eu'],
    ['repair', 'search'],
    ['pause', `sink_${'x'.repeat(200)}`],
  ])('of the button %s is a click', (action, value) =>
    expect(interactionsOf(blockActions({ action_id: action, value: `team:${value}` }))).toEqual([
      {
        action,
        sink: 'team',
        target: value,
        user: 'U0ALICE',
        stranger: false,
        command: '',
        triggerId: '',
        inHome: false,
        isEphemeral: false,
        responseUrl: 'https://hooks.slack.com/actions/T01TEA/1/x',
      },
    ]),
  );

  it('without a response_url is a click too', () =>
    expect(interactionsOf(blockActions(retry, { response_url: undefined }))).toMatchObject([{ action: 'retry', responseUrl: null }]));

  it.each([
    ['another button', blockActions({ action_id: 'open', value: `team:${changeId}` })],
    ['a button named like a property of all objects', blockActions({ action_id: 'constructor', value: `team:${changeId}` })],
    ['no value', blockActions({ action_id: 'retry' })],
    ['an empty value', blockActions({ action_id: 'retry', value: '' })],
    ['a value of no sink', blockActions({ action_id: 'retry', value: changeId })],
    ['a value of a sink that cannot be named so', blockActions({ action_id: 'retry', value: `Team:${changeId}` })],
    ['a value about nothing', blockActions({ action_id: 'retry', value: 'team:' })],
    ['a value that is no id', blockActions({ action_id: 'retry', value: "team:x' or 1=1 --" })],
    ['a value with a line break at its end', blockActions({ action_id: 'retry', value: `team:${changeId}\n` })],
    ['a value that is too long', blockActions({ action_id: 'discard', value: `team:${'a'.repeat(256)}` })],
    ['a list as value', blockActions({ action_id: 'retry', value: [`team:${changeId}`] })],
    ['another type', blockActions(retry, { type: 'view_submission' })],
    ['no user', blockActions(retry, { user: undefined })],
    ['a user that is no id', blockActions(retry, { user: { id: 'U0ALICE> <!channel' } })],
    ['no actions', blockActions(retry, { actions: undefined })],
    ['null as an action', blockActions(retry, { actions: [null, 'retry', 1] })],
    ['null', null],
    ['a text', 'block_actions'],
    ['a list', []],
    ['an action that cannot be text', blockActions({ action_id: { toString: 1, valueOf: 1 } })],
  ])('with %s is no click', (_, payload) => expect(interactionsOf(payload)).toEqual([]));

  it('may have a trigger that cannot be text', () =>
    expect(interactionsOf(blockActions(retry, { trigger_id: { toString: 1, valueOf: 1 } }))).toMatchObject([{ triggerId: '' }]));

  it('is the JSON of a form', () => {
    const payload = blockActions({ ...retry, text: 'ü + % 你好 &' });
    expect(payloadOf(new URLSearchParams({ payload: JSON.stringify(payload) }).toString())).toEqual(payload);
  });

  it.each(['', 'payload', 'payload=', 'payload=%', 'payload=%7B', '{"type":', 'ssl_check=1&token=x'])('that is %j is none', body =>
    expect(payloadOf(body)).toBeNull(),
  );

  it('is the body itself if that is JSON', () => expect(payloadOf('{"type":"event_callback"}')).toEqual({ type: 'event_callback' }));

  it('has the ids by which it counts once', () => {
    expect(idsOf(blockActions(retry, { trigger_id: '1.2.x' }))).toEqual(['1.2.x']);
    expect(idsOf({ type: 'event_callback', event_id: 'Ev1', trigger_id: 7 })).toEqual(['Ev1']);
    for (const none of [null, 'x', [], {}]) expect(idsOf(none)).toEqual([]);
  });

  it('of any form never throws', () =>
    fc.assert(fc.property(fc.uint8Array(), bytes => void payloadOf(`payload=${Buffer.from(bytes).toString('latin1')}`))));

  it('of any JSON never throws', () =>
    fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), (user, actions) => void interactionsOf(blockActions({}, { user, actions })))));

  it('that is nested deeply is none', () => expect(payloadOf(`payload=${'['.repeat(200_000)}`)).toBeNull());
});

// Planted: with startsWith instead of the comparison of origins the second and third were Slack's.
test.each([
  ['https://hooks.slack.com/actions/T01TEA/1/x', true],
  ['https://hooks.slack.com.evil.example/actions', false],
  ['https://hooks.slack.com@evil.example/actions', false],
  ['https://hooks.slack.com:8443/actions', false],
  ['http://hooks.slack.com/actions', false],
  ['https://slack.com/actions', false],
  ['http://127.0.0.1:4010/_hooks/response/x', true],
  ['http://127.0.0.1:4011/_hooks/response/x', false],
  ['https://127.0.0.1:4010/_hooks/response/x', false],
  ['http://127.0.0.1:4010@evil.example/', false],
  ['http://169.254.169.254/', false],
  ['file:///etc/passwd', false],
  ['actions', false],
])('a response_url %s is of Slack: %s', (url, is) => expect(isSlackUrl(url, 'http://127.0.0.1:4010/api/')).toBe(is));

test('both languages say something of everything', () => {
  for (const texts of [en.clicks, zhCN.clicks]) {
    const all = [texts.notAllowed, texts.failed, ...Object.values(texts.nothingLeft)];
    expect(all).toHaveLength(10);
    for (const text of all) expect(text).toMatch(/^[^<>&]+$/);
  }
});

describe('clicks', () => {
  let server: FakeServer;
  let answer: Handler;
  let warnings: string[];
  let calls: [string, string, string][];
  beforeEach(async () => {
    answer = () => ({ body: { ok: true } });
    [warnings, calls, listed] = [[], [], 0];
    server = await fakeServer((...request) => answer(...request));
  });
  afterEach(() => server.close());

  /** Actions that record who requested what, and return `outcome`. */
  function actions(outcome: () => number | Promise<number>): Actions {
    const act = async (action: string, value: string, actor: string) => (calls.push([action, value, actor]), outcome());
    return {
      retry: (id, actor) => act('retry', id, actor),
      retryAll: (sink, actor) => act('retryAll', sink, actor),
      discard: (id, actor) => act('discard', id, actor),
      probe: async (sink, actor) => (await act('probe', sink, actor)) > 0,
      pause: async (sink, actor) => (await act('pause', sink, actor)) > 0,
      resume: async (sink, actor) => (await act('resume', sink, actor)) > 0,
      repair: async (sink, actor) => (await act('repair', sink, actor)) > 0,
      compareNow: async (app, actor) => (await act('compareNow', app, actor)) > 0,
    };
  }

  let listed: number;
  const list = async (max: number) => Array.from({ length: Math.min(listed, max) }, () => changeOf());

  function open(outcome: () => number | Promise<number>, settings: Partial<SlackSettings> = {}, words = en): Interactions {
    const context = {
      name: 'team',
      actions: actions(outcome),
      proxies: noProxies,
      warn: (text: string) => void warnings.push(text),
      now: () => 0,
      clean: (text: string) => text,
      lookup: { ...noLookup, latestChanges: list, failedChanges: list, change: async (id: string) => (id === 'gone' ? null : detailsOf()) },
    };
    const all = { BOT_TOKEN: 'xoxb-1', LOCALE: 'en', API_URL: `${server.url}/api/`, TIMEOUT_MS: 5000, READERS: 'everyone', ...settings };
    return new Interactions(Object.assign(new SlackSettings(), all), renderContext(words), context);
  }

  const isNew = Promise.resolve(true);
  const click = (action: object = retry, rest: object = {}) => blockActions(action, { response_url: `${server.url}/private`, ...rest });
  const replies = () =>
    server.requests.filter(({ path }) => path === '/private').map(({ path, body }) => [path, JSON.parse(body) as unknown]);
  /** What was shown to whom, ordered by user. */
  const shown = () =>
    server.requests
      .filter(({ path }) => path.startsWith('/api/views.'))
      .map(({ body }) => new URLSearchParams(body))
      .map(form => [form.get('user_id') ?? form.get('trigger_id'), linesOf(JSON.parse(form.get('view')!) as { blocks: [] })[0]])
      .toSorted((one, other) => (one.join() < other.join() ? -1 : 1));
  const privately = (text: string) => ['/private', { response_type: 'ephemeral', replace_original: false, text }];

  it('are done in the name of who clicked, and nothing is said when that worked', async () => {
    const clicks = open(() => 2);
    for (const action of ['retry', 'discard']) void clicks.take(click({ action_id: action, value: `team:${changeId}` }), isNew);
    for (const action of ['pause', 'resume', 'repair']) void clicks.take(click({ action_id: action, value: 'team:crm' }), isNew);
    await clicks.close();
    expect(calls).toEqual([
      ['retry', changeId, 'slack:U0ALICE'],
      ['discard', changeId, 'slack:U0ALICE'],
      ['pause', 'crm', 'slack:U0ALICE'],
      ['resume', 'crm', 'slack:U0ALICE'],
      ['repair', 'crm', 'slack:U0ALICE'],
    ]);
    expect([replies(), warnings]).toEqual([[], []]);
  });

  it.each([
    ['retry', changeId, { container: { is_ephemeral: true } }, {}, 'Sent again: 2 deliveries'],
    ['discard', changeId, {}, { WEBHOOK_URL: 'https://hooks.slack.com/x' }, 'Discarded: 2 deliveries'],
    // Messages from before a setting was changed.
    ['retry', changeId, {}, { CARDS: 'none' as const }, 'Sent again: 2 deliveries'],
    ['pause', 'crm', {}, { ALERTS: 'off' as const }, 'Paused: crm'],
    ['compareNow', '1400000001', {}, {}, 'Comparing the channels of app 1400000001 with Tencent'],
  ])('whose result no message shows are answered privately: %s of %s', async (action, target, rest, settings, said) => {
    const clicks = open(() => 2, settings);
    void clicks.take(click({ action_id: action, value: `team:${target}` }, rest), isNew);
    await until(() => server.requests.length === 1, 'a private word');
    expect(replies()).toEqual([privately(`✅ ${said}`)]);
    await clicks.close();
  });

  it.each(['retry', 'discard', 'pause', 'resume', 'repair'] as const)(
    'on %s are told, privately, when nothing was left to do',
    async action => {
      const clicks = open(() => 0);
      void clicks.take(click({ action_id: action, value: 'team:crm' }), isNew);
      await until(() => server.requests.length === 1, 'a private word');
      expect(replies()).toEqual([privately(en.clicks.nothingLeft[action])]);
      expect(server.requests[0]?.headers['content-type']).toBe('application/json');
      await clicks.close();
    },
  );

  // Planted: without the comparison a click on the message of another sink, which may let others click, was done here.
  it('on messages of other sinks are left to those', async () => {
    const clicks = open(() => 1);
    void clicks.take(click({ action_id: 'retry', value: `ops:${changeId}` }), isNew);
    void clicks.take(click(), isNew);
    await clicks.close();
    expect([calls, replies()]).toEqual([[['retry', changeId, 'slack:U0ALICE']], []]);
  });

  // Planted: with `some` for `includes` everybody passed.
  it('of others than the allowed users do nothing but tell them', async () => {
    const clicks = open(() => 1, { ALLOWED_USERS: ['U0BOB', 'U0CAROL'] }, zhCN);
    void clicks.take(click(), isNew);
    void clicks.take(click(retry, { user: { id: 'U0BOB' } }), isNew);
    await until(() => server.requests.length === 1, 'a private word');
    await clicks.close();
    expect(calls).toEqual([['retry', changeId, 'slack:U0BOB']]);
    expect(replies()).toEqual([privately(zhCN.clicks.notAllowed)]);
  });

  it.each([
    { user: { id: 'U0ALICE', team_id: 'T0OTHER' } },
    { user: { id: 'U0ALICE', team_id: 'T0OTHER' }, team: { id: 'T0OTHER' }, message: { team: 'T01TEA' } },
  ])('of a user of another workspace are done if that user is named (%j)', async rest => {
    const [open1, named] = [open(() => 1), open(() => 1, { ALLOWED_USERS: ['U0ALICE'] })];
    void open1.take(click(retry, rest), isNew);
    await until(() => server.requests.length === 1, 'a private word');
    expect([calls, replies()]).toEqual([[], [privately(en.clicks.notAllowed)]]);
    void named.take(click(retry, rest), isNew);
    void open1.take(click(retry, { user: { id: 'U0BOB', team_id: 'T01TEA' } }), isNew);
    await Promise.all([named.close(), open1.close()]);
    expect(calls.map(([, , who]) => who)).toEqual(['slack:U0ALICE', 'slack:U0BOB']);
  });

  it('in Home are answered there', async () => {
    const clicks = open(() => 2, { ALLOWED_USERS: ['U0ALICE'] });
    const view = { type: 'home', private_metadata: 'team' };
    const rest = { view, response_url: undefined, message: undefined };
    const inHome = (action: object, user = 'U0ALICE') => clicks.take(click(action, { ...rest, user: { id: user } }), isNew);
    expect(inHome({ action_id: 'refresh', value: 'team:home' }, 'U0BOB')).not.toBeNull();
    void inHome({ action_id: 'find', value: 'tea: <!channel>' });
    void inHome({ action_id: 'discard', value: `team:${changeId}` });
    void inHome({ action_id: 'pause', value: 'team:crm' }, 'U0BOB');
    const elsewhere = { ...rest, view: { ...view, private_metadata: 'ops' } };
    expect(clicks.take(click({ action_id: 'find', value: 'tea' }, elsewhere), isNew)).toBeNull();
    await until(() => server.requests.length === 4, 'what is shown');
    await clicks.close();
    expect(shown()).toEqual([
      ['U0ALICE', `*${en.lookup.noneFound('“tea: <!channel>”')}*`],
      ['U0ALICE', `*✅ ${en.lookup.home.done.discard('', 2)}*`],
      ['U0BOB', `*${en.clicks.notAllowed}*`],
      ['U0BOB', '✅ All sinks up to date'],
    ]);
    expect([calls.map(([action]) => action), replies()]).toEqual([['discard'], []]);
  });

  it('on Details open them for who may look, and act is not asked', async () => {
    const clicks = open(() => 1, { ALLOWED_USERS: ['U0BOB'] });
    const others = open(() => 1, { ALLOWED_USERS: ['U0BOB'], READERS: 'allowed' });
    const ask = { action_id: 'details', value: `team:${changeId}` };
    void clicks.take(click(ask, { trigger_id: '1.2.x' }), isNew);
    void clicks.take(click({ ...ask, value: 'team:gone' }, { trigger_id: '1.2.y' }), isNew);
    void others.take(click(ask, { trigger_id: '1.2.z' }), isNew);
    await until(() => server.requests.length === 3, 'Details and private words');
    await Promise.all([clicks.close(), others.close()]);
    expect(shown()).toEqual([['1.2.x', 'Tea House']]);
    expect(replies()).toEqual(expect.arrayContaining([privately(en.lookup.details.gone), privately(en.clicks.notAllowed)]));
    expect(calls).toEqual([]);
  });

  it('on Home itself show it, once', async () => {
    const clicks = open(() => 1);
    const opened = (event: object) => ({
      type: 'event_callback',
      event_id: 'Ev1',
      event: { type: 'app_home_opened', user: 'U0BOB', ...event },
    });
    for (const known of [isNew, Promise.resolve(false), Promise.reject(new Error('no database'))])
      expect(clicks.take(opened({ tab: 'home' }), known)).not.toBeNull();
    for (const other of [
      opened({ tab: 'messages' }),
      opened({ tab: 'home', user: '<!here>' }),
      opened({ tab: 'home', type: 'message' }),
      null,
    ])
      expect(clicks.take(other, isNew)).toBeNull();
    await until(() => server.requests.length === 2, 'Home, twice');
    await clicks.close();
    expect(shown().map(([who]) => who)).toEqual(['U0BOB', 'U0BOB']);
  });

  it('on Home show its ten latest and ten failed changes, with buttons for who may act', async () => {
    listed = 50;
    const clicks = open(() => 1, { ALLOWED_USERS: ['U0ALICE'] });
    for (const user of ['U0ALICE', 'U0BOB'])
      void clicks.take({ type: 'event_callback', event: { type: 'app_home_opened', tab: 'home', user } }, isNew);
    await until(() => server.requests.length === 2, 'Home, twice');
    await clicks.close();
    for (const { body } of server.requests) {
      const form = new URLSearchParams(body);
      const lines = linesOf(JSON.parse(form.get('view')!) as { blocks: [] });
      expect(lines.filter(line => line.startsWith('*Tea House*'))).toHaveLength(20);
      expect(lines).toContain('_Only the latest are shown._');
      expect(lines.filter(line => line === '[Retry] [Discard]')).toHaveLength(form.get('user_id') === 'U0ALICE' ? 10 : 0);
    }
  });

  it('that cannot be done are told, and the log does not get the reason', async () => {
    const clicks = open(() => Promise.reject(new Error('postgres://user:password@db')));
    void clicks.take(click(), isNew);
    await until(() => server.requests.length === 1, 'a private word');
    await clicks.close();
    expect(replies()).toEqual([privately(en.clicks.failed)]);
    expect(warnings).toEqual(['a click on retry could not be performed']);
  });

  it('that were done before, here or elsewhere, are done no more, and nobody is told', async () => {
    const clicks = open(() => 1, { ALLOWED_USERS: ['U0BOB'] });
    void clicks.take(click(), Promise.resolve(false));
    void clicks.take(click(retry, { user: { id: 'U0BOB' } }), Promise.resolve(false));
    await clicks.close();
    expect([calls, replies(), warnings]).toEqual([[], [], []]);
  });

  it('of which nobody knows whether they were done before are not done, and told', async () => {
    const clicks = open(() => 1);
    void clicks.take(click(), Promise.reject(new Error('postgres://user:password@db')));
    await until(() => server.requests.length === 1, 'a private word');
    await clicks.close();
    expect([calls, replies()]).toEqual([[], [privately(en.clicks.failed)]]);
  });

  it('return before anything is done, and closing waits until it is', async () => {
    let done = false;
    let finish: (count: number) => void = () => {};
    const clicks = open(() => new Promise<number>(resolve => (finish = resolve)).finally(() => (done = true)));
    void clicks.take(click(), isNew);
    expect(done).toBe(false);
    await setImmediate();
    let closed = false;
    const closing = clicks.close().then(() => (closed = true));
    await setImmediate();
    expect(closed).toBe(false);
    finish(1);
    await closing;
    expect(done).toBe(true);
  });

  // Planted: without the check the first one got the ephemeral message.
  it('never call a response_url that is not of Slack', async () => {
    const slack = await fakeServer(() => ({ body: 'ok' }));
    const clicks = open(() => 0, { API_URL: `${slack.url}/api/` });
    void clicks.take(click(), isNew);
    void clicks.take(click(retry, { response_url: `${slack.url}/private` }), isNew);
    await until(() => slack.requests.length === 1, 'the other private word');
    await clicks.close();
    await slack.close();
    expect([replies(), warnings]).toEqual([[], []]);
  });

  it('warn of a private word that did not arrive, without its URL', async () => {
    answer = () => ({ status: 404, body: 'expired_url' });
    const clicks = open(() => 0);
    void clicks.take(click(), isNew);
    await until(() => warnings.length === 1, 'a warning');
    await server.close();
    void clicks.take(click(), isNew);
    await until(() => warnings.length === 2, 'another warning');
    expect(warnings).toEqual([
      'a private message to someone who clicked was not accepted by Slack, which answered 404',
      'a private message to someone who clicked could not be sent: connection refused',
    ]);
    server = await fakeServer(() => ({}));
  });

  it('do not wait for a Slack that is silent when they close', async () => {
    answer = () => undefined;
    const clicks = open(() => 0);
    void clicks.take(click(), isNew);
    await until(() => server.requests.length === 1, 'a private word under way');
    await clicks.close();
    expect(warnings).toEqual([]);
  });
});
