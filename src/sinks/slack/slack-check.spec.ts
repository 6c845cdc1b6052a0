import { type Answer, type FakeServer, fakeServer } from '../../../test/support/fake-server.ts';
import { noActions, noLookup } from '../../../test/support/no-actions.ts';
import { mark } from '../../../test/support/planted.ts';
import { noProxies } from '../../../test/support/proxy.ts';
import { expectNoLeak } from '../../../test/sink.contract.ts';
import { checkSink } from '../../checks/check-sink.js';
import { inEnglish } from '../../explanations/explanation.js';
import { readClass } from '../../settings/setting.js';
import type { SinkContext } from '../sink-type.js';
import { slack } from './slack.sink.js';

let warned: string[];
const context: SinkContext = {
  name: 'team',
  sdkAppIds: ['1400000001'],
  now: Date.now,
  warn: message => warned.push(message),
  proxies: noProxies,
  clean: text => text,
  actions: noActions,
  lookup: noLookup,
  interaction: () => Promise.resolve(''),
};
const signal = new AbortController().signal;
let server: FakeServer;
/** The answer of each method; all others are unknown. */
let says: Record<string, object>;
let scopes: string | null;
beforeEach(() => void (warned = []));
beforeEach(async () => {
  scopes = null;
  says = { 'auth.test': { ok: true } };
  server = await fakeServer(({ path }): Answer => {
    const body = says[path.replace('/api/', '')] ?? { ok: false, error: 'unknown_method' };
    return { body, ...(scopes !== null && { headers: { 'x-oauth-scopes': scopes } }) };
  });
});
afterEach(() => server.close());

async function told(texts: Record<string, string> = {}): Promise<string[]> {
  const all = { BOT_TOKEN: `xoxb-${mark}`, CHANNEL: 'C000000001', API_URL: `${server.url}/api/`, ...texts };
  const { value, mistakes } = readClass(slack.settings, new Map(Object.entries(all)));
  expect(mistakes).toEqual([]);
  const { problems, summary } = await checkSink(await slack.open(value, context), signal);
  expect(summary).not.toContain(mark);
  for (const problem of problems) {
    expectNoLeak(problem, [mark]);
    expect(inEnglish(problem.advice)).toMatch(/^[A-Z].* .*\.$/);
  }
  return problems.length === 0 ? [summary] : problems.map(({ outcome, message }) => `${outcome}: ${message}`);
}
const asked = (): string[] => server.requests.map(({ path }) => path.replace('/api/', ''));
const no = (error: string): object => ({ ok: false, error });

test('a wrong token', async () => {
  says['auth.test'] = no('invalid_auth');
  expect(await told()).toEqual(['misconfigured: Slack answered invalid_auth']);
  expect(asked()).toEqual(['auth.test']);
});

test('a token without chat:write', async () => {
  scopes = 'channels:read,commands';
  says['conversations.info'] = { ok: true, channel: { is_member: true } };
  expect(await told()).toEqual(['misconfigured: BOT_TOKEN lacks the scope chat:write']);
});

test('with the scope to look, whether the bot is in the channel, and whether that is archived', async () => {
  scopes = 'chat:write,channels:read';
  says['conversations.info'] = { ok: true, channel: { is_member: true, is_archived: false } };
  expect(await told()).toEqual(['the token is accepted; the bot is in the channel of CHANNEL']);
  says['conversations.info'] = { ok: true, channel: { is_member: true, is_archived: true } };
  expect(await told()).toEqual(['misconfigured: the channel of CHANNEL is archived']);
  says['conversations.info'] = { ok: true, channel: { is_member: false } };
  expect(await told()).toEqual(['misconfigured: the bot is not in the channel of CHANNEL']);
  scopes += ',chat:write.public';
  says['chat.getPermalink'] = no('message_not_found');
  expect(await told()).toEqual([expect.stringContaining('exists')]);
  says['conversations.info'] = { ok: true, channel: { is_member: false, is_private: true } };
  expect(await told()).toEqual(['misconfigured: the bot is not in the channel of CHANNEL']);
});

test('with the scope to read messages', async () => {
  scopes = 'chat:write,groups:history';
  says['conversations.history'] = { ok: true, messages: [] };
  expect(await told()).toEqual(['the token is accepted; the bot is in the channel of CHANNEL']);
  says['conversations.history'] = no('not_in_channel');
  expect(await told()).toEqual(['misconfigured: the bot is not in the channel of CHANNEL']);
  // It may be of a kind that this scope does not cover.
  says['conversations.history'] = no('channel_not_found');
  says['chat.getPermalink'] = no('message_not_found');
  expect(await told()).toEqual([expect.stringContaining('exists')]);
  says['chat.getPermalink'] = no('channel_not_found');
  expect(await told()).toEqual(['misconfigured: Slack answered channel_not_found']);
});

test('without any scope but that to post, whether there is such a channel', async () => {
  scopes = 'chat:write';
  says['chat.getPermalink'] = no('channel_not_found');
  expect(await told()).toEqual(['misconfigured: Slack answered channel_not_found']);
  says['chat.getPermalink'] = no('message_not_found');
  expect(await told()).toEqual(['the token is accepted; the channel of CHANNEL exists; whether the bot is in it was not asked']);
  expect(asked().filter(method => method.startsWith('conversations'))).toEqual([]);
});

test('a channel of alerts that cannot be posted to stops no cards', async () => {
  scopes = 'chat:write';
  says['chat.getPermalink'] = no('channel_not_found');
  expect(await told({ CHANNEL: '#general', ALERT_CHANNEL: 'C000000009' })).toEqual([
    'the token is accepted; CHANNEL is not an id and cannot be looked up',
  ]);
  expect(warned).toEqual([
    expect.stringMatching(/^alerts go to CHANNEL, since ALERT_CHANNEL cannot be posted to: Slack answered channel_not_found/),
  ]);
});

test('what cannot be asked is no problem', async () => {
  expect(await told()).toEqual([expect.stringContaining('the channel of CHANNEL cannot be looked up')]);
  expect(await told({ CHANNEL: '#general' })).toEqual([expect.stringContaining('CHANNEL is not an id')]);
});

test('an API that is not there, or is something else', async () => {
  await server.close();
  expect(await told()).toEqual(['retry: connection refused']);
  server = await fakeServer(() => ({ body: '<html>' }));
  expect(await told()).toEqual(['retry: answered something that is not of the Slack API']);
});

test('an incoming webhook is connected to, and nothing is posted', async () => {
  const hook = { BOT_TOKEN: '', CHANNEL: '', API_URL: '', WEBHOOK_URL: `${server.url}/services/${mark}` };
  const { value } = readClass(slack.settings, new Map(Object.entries(hook).filter(([, text]) => text !== '')));
  const sink = await slack.open(value, context);
  const { problems, summary } = await checkSink(sink, signal);
  expect([problems, summary]).toEqual([[], expect.stringMatching(/^reachable; the path of WEBHOOK_URL is not tried/)]);
  expect(server.requests).toEqual([]);
  await server.close();
  expect((await checkSink(sink, signal)).problems).toMatchObject([{ outcome: 'retry', message: 'connection refused' }]);
});
