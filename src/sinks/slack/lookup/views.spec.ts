import { type FakeServer, fakeServer } from '../../../../test/support/fake-server.ts';
import { noActions, noLookup } from '../../../../test/support/no-actions.ts';
import { noProxies } from '../../../../test/support/proxy.ts';
import { changeOf, detailsOf, now, sinkOf } from '../../../../test/support/slack-lookups.ts';
import { linesOf } from '../../../../test/support/slack-messages.ts';
import { renderContext } from '../../../../test/support/slack-rendering.ts';
import { until } from '../../../../test/support/until.ts';
import type { Lookup } from '../../lookup.js';
import type { ReportSink } from '../../report-sink.js';
import { openInteractions } from '../slack.sink.js';
import { SlackSettings } from '../slack.settings.js';
import { en } from '../words/en.js';

describe('what opens in Slack', () => {
  let slack: FakeServer;
  let warnings: string[];
  let links: string[];
  beforeEach(async () => {
    [warnings, links] = [[], []];
    slack = await fakeServer(() => ({ body: { ok: true } }));
  });
  afterEach(() => slack.close());

  const lookup: Lookup = {
    ...noLookup,
    sinks: async () => [sinkOf({ state: 'paused', queued: 3 })],
    latestChanges: async most => Array.from({ length: Math.min(most, 50) }, () => changeOf('Latest')),
    failedChanges: async most => Array.from({ length: Math.min(most, 50) }, () => changeOf('Failed')),
    change: async id => (id === 'gone' ? null : detailsOf()),
    link: async (id, language, actor) => (links.push(`${id} ${language} ${actor}`), 'https://sync.example.com/changes/1'),
  };

  async function open(settings: Partial<SlackSettings> = {}, looked: Lookup = lookup): Promise<Pick<ReportSink, 'interaction' | 'close'>> {
    const all = {
      BOT_TOKEN: 'xoxb-1',
      SIGNING_SECRET: 's',
      TIMEOUT_MS: 5000,
      READERS: 'everyone',
      LOCALE: 'en',
      API_URL: `${slack.url}/api`,
    };
    const context = {
      name: 'team',
      now: () => now,
      warn: (text: string) => void warnings.push(text),
      proxies: noProxies,
      sdkAppIds: ['1400000001'],
      clean: (text: string) => text,
      actions: Object.assign({}, noActions, { pause: async () => true, discard: async () => 2 }),
      lookup: looked,
      interaction: () => Promise.resolve(''),
    };
    return openInteractions(Object.assign(new SlackSettings(), all, settings), renderContext(en), context);
  }

  /** The views that Slack was asked to show, and to whom. */
  async function shownBy(sink: Pick<ReportSink, 'interaction'>, payload: object): Promise<{ path: string; to: string; lines: string[] }> {
    const before = slack.requests.length;
    expect(await sink.interaction!(payload, 's', Promise.resolve(true))).toBe('');
    await until(() => slack.requests.length > before, 'a view');
    const { path, body } = slack.requests.at(-1)!;
    const form = new URLSearchParams(body);
    const view = JSON.parse(form.get('view')!) as { blocks: unknown[] };
    return { path, to: form.get('user_id') ?? form.get('trigger_id') ?? '', lines: linesOf(view) };
  }
  const opened = (user = 'U0ALICE') => ({ type: 'event_callback', event: { type: 'app_home_opened', tab: 'home', user } });
  const inHome = (action: string, value: string, user = 'U0ALICE') => ({
    type: 'block_actions',
    user: { id: user },
    trigger_id: '1.2.x',
    view: { type: 'home', private_metadata: 'team' },
    actions: [{ action_id: action, value }],
  });

  it('is Home with what needs attention first, 10 failed and 10 latest changes', async () => {
    const { path, to, lines } = await shownBy(await open(), opened());
    expect([path, to, lines[0], lines[2]]).toEqual([
      '/api/views.publish',
      'U0ALICE',
      '🔴 1 sink needs attention',
      expect.stringContaining('paused · 3 queued'),
    ]);
    expect([lines.filter(line => line.startsWith('*Failed')).length, lines.filter(line => line.startsWith('*Latest')).length]).toEqual([
      10, 10,
    ]);
    expect(lines.filter(line => line === '[Retry] [Discard]')).toHaveLength(10);
    expect(lines).toContain('_Only the latest are shown._');
  });

  it('is Home without buttons for who may not act, and a word for who may not look', async () => {
    const acting = await shownBy(await open({ ALLOWED_USERS: ['U0BOB'] }), opened());
    expect(acting.lines.filter(line => line.startsWith('['))).toEqual(['[Refresh]']);
    const reading = await shownBy(await open({ ALLOWED_USERS: ['U0BOB'], READERS: 'allowed' }), opened());
    expect(reading.lines).toEqual([en.clicks.notAllowed]);
  });

  it('is Home after a click there, with the outcome as its first line', async () => {
    const sink = await open({ ALLOWED_USERS: ['U0ALICE'] });
    const first = async (...click: Parameters<typeof inHome>) => (await shownBy(sink, inHome(...click))).lines[0];
    expect(await first('pause', 'team:crm')).toBe(`*✅ ${en.lookup.home.done.pause('crm')}*`);
    expect(await first('discard', 'team:change-1')).toBe(`*✅ ${en.lookup.home.done.discard('', 2)}*`);
    expect(await first('resume', 'team:crm')).toBe(`*${en.clicks.nothingLeft.resume}*`);
    expect(await first('pause', 'team:crm', 'U0BOB')).toBe(`*${en.clicks.notAllowed}*`);
    expect(await first('refresh', 'team:home')).toBe('🔴 1 sink needs attention');
    expect(await first('find', 'nothing')).toBe('*No channel matches “nothing”*');
  });

  it('is Home that says so when nothing can be looked up', async () => {
    const broken = { ...lookup, sinks: () => Promise.reject(new Error('postgres://user:password@db')) };
    expect((await shownBy(await open({}, broken), opened())).lines).toEqual([en.clicks.failed]);
    expect(warnings).toEqual(['Home could not be drawn']);
  });

  it('is Details, with a link to the page that is made at the click', async () => {
    const sink = await open();
    const click = (target: string, more: object = {}) => ({ ...inHome('details', `team:${target}`), view: undefined, ...more });
    const { path, to, lines } = await shownBy(sink, click('change-1'));
    expect([path, to]).toEqual(['/api/views.open', '1.2.x']);
    expect(lines).toContain('Open as a page (this link is good for one hour)');
    expect(links).toEqual(['change-1 en slack:U0ALICE']);
    await sink.interaction!(click('gone', { response_url: `${slack.url}/private` }), 's', Promise.resolve(true));
    await until(() => slack.requests.length === 2, 'a private word');
    expect(JSON.parse(slack.requests[1]!.body)).toMatchObject({ text: en.lookup.details.gone });
  });
});
