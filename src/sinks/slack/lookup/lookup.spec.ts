import type { KnownBlock } from '@slack/types';
import fc from 'fast-check';
import { noLookup } from '../../../../test/support/no-actions.ts';
import { slackChecker } from '../../../../test/support/slack-checker.ts';
import { linesOf, shownTexts } from '../../../../test/support/slack-messages.ts';
import { attemptOf, changeOf, channelOf, detailsOf, lookupOf, now, sinkOf } from '../../../../test/support/slack-lookups.ts';
import { renderContext, resultAt } from '../../../../test/support/slack-rendering.ts';
import type { ChangeDetails, Lookup } from '../../lookup.js';
import type { RenderContext } from '../card/blocks.js';
import { en } from '../words/en.js';
import { zhCN } from '../words/zh-cn.js';
import { answerTo } from './command.js';
import { detailsView } from './details.js';
import { homeView, homeText } from './home.js';

const context = renderContext(en);
const hostile = '<!channel> *a* _b_ `c` https://evil.example <b>&amp; :smile: @here\u202e\n> x';

const ask = async (text: string, lookup: Lookup = noLookup, more: Partial<RenderContext> = {}) => {
  const answer = await answerTo('/sync', text, lookup, { ...context, ...more });
  return { text: answer.text, blocks: answer.blocks ?? [] };
};

describe('the slash command', () => {
  it.each(['', '  ', 'status', 'STATUS now'])('%j is status', async text => {
    const lookup = { ...noLookup, sinks: async () => [sinkOf({ sink: 'search', state: 'paused', queued: 3, lagMs: 60_000 }), sinkOf()] };
    const { blocks } = await ask(text, lookup);
    expect(linesOf({ blocks })).toEqual([
      '*🔴 1 sink needs attention*',
      ':double_vertical_bar:* search* paused · 3 queued, the oldest for 1 min',
      ':white_check_mark:* crm* up to date',
    ]);
  });

  it('says why a sink is stopped and what to do', async () => {
    const lookup = {
      ...noLookup,
      sinks: async () => [sinkOf({ state: 'misconfigured', reason: 'answered 401', advice: 'Check it.', failed: 2 })],
    };
    expect(linesOf(await ask('status', lookup)).slice(1)).toEqual([
      ':red_circle:* crm* stopped: check its settings · 2 failed',
      `*${en.wrong}*answered 401`,
      `*${en.todo}*Check it.`,
    ]);
  });

  it('finds channels', async () => {
    const lookup: Lookup = {
      ...noLookup,
      findChannels: async (text, most) => {
        expect([text, most]).toEqual(['Tea House', 10]);
        return { channels: [channelOf(), channelOf('Old', { exists: false, sdkAppId: '2', updatedAt: null })], more: 5 };
      },
    };
    expect(linesOf(await ask(' Find  Tea House ', lookup))).toEqual([
      '*Channels that match “Tea House”*',
      '*Tea* `@TOA#_tea` · app 1400000001 · updated Jan 1, 2026, 10:00:00 UTC',
      '*Old* `@TOA#_tea` · destroyed · app 2',
      '_… and 5 more_',
    ]);
    expect(linesOf(await ask('find x'))).toEqual(['*No channel matches “x”*']);
    expect(linesOf(await ask('find '))).toEqual(['*Say what to look for: /sync find …*']);
  });

  it('shows a channel by an id with blanks, in every app', async () => {
    const asked: string[] = [];
    const lookup = { ...lookupOf('Tea', 1), channel: (id: string) => (asked.push(id), lookupOf('Tea', 2).channel(id)) };
    const lines = linesOf(await ask('channel @TOA#_a b', lookup));
    expect(asked).toEqual(['@TOA#_a b']);
    await ask('channel  x ', { ...lookup, channel: async id => (asked.push(id), []) });
    expect(asked.slice(1)).toEqual([' x ', 'x']);
    expect(lines).toHaveLength(20);
    expect(lines.slice(0, 6)).toEqual([
      '*Tea* `@TOA#_tea` · updated Jan 1, 2026, 10:00:00 UTC · revision 7',
      'Name: Tea House',
      'Avatar: _unknown_',
      'Introduction: Tea',
      'Organization: _(empty)_',
      ':warning:* crm* retrying: Tea',
    ]);
    expect(linesOf(await ask('channel x'))).toEqual(['*No channel has the id “x”*']);
  });

  it('shows failed changes, with buttons for who may act', async () => {
    const lines = linesOf(await ask('failed', lookupOf('Tea', 1)));
    expect(lines).toEqual([
      '*Failed changes*',
      expect.stringMatching(/^\*Tea House\* `@TOA#_tea` .* · by Tea · Jan 1, 2026, 09:00:00 UTC$/),
      ':x:* crm*: Tea',
      '[Retry] [Discard]',
    ]);
    expect(linesOf(await ask('failed', lookupOf('Tea', 1), { buttons: false }))).toHaveLength(3);
    expect(linesOf(await ask('failed'))).toEqual(['*No failed changes*']);
  });

  it('shows the ten latest failed changes, and says that there are more', async () => {
    const failedChanges = async (max: number) => Array.from({ length: max }, () => changeOf());
    const lines = linesOf(await ask('failed', { ...noLookup, failedChanges }));
    expect(lines.filter(line => line === '[Retry] [Discard]')).toHaveLength(10);
    expect(lines[1]).toBe('_Only the latest are shown._');
  });

  it.each(['help', 'HELP me', 'unknown'])('%j is help', async text => expect((await ask(text)).text).toBe('What you can ask'));
});

const home = (more: Partial<Parameters<typeof homeView>[0]> = {}, other: Partial<RenderContext> = {}) =>
  homeView({ sinks: [sinkOf()], latest: [], failed: [], outcome: [], ...more }, { ...context, ...other }, now);

describe('Home', () => {
  it('says at first what to expect', () =>
    expect(linesOf(home())).toEqual([
      '✅ All sinks up to date',
      '[Refresh]',
      '✅ crm up to date',
      'No failed changes',
      'Latest changes',
      ...en.lookup.home.first,
      'As of Jan 1, 2026, 10:00:00 UTC',
    ]));

  it('has a search field, whose Enter is heard and whose sink is known', () => {
    const { blocks, private_metadata: owner } = home();
    expect(owner).toBe(context.sink);
    expect(blocks.filter(({ type }) => type === 'input')).toMatchObject([
      { dispatch_action: true, element: { type: 'plain_text_input', action_id: 'find' } },
    ]);
  });

  it('has no buttons for who may not act, but Refresh', () => {
    const all = home({ failed: [changeOf()], latest: [changeOf()] }, { buttons: false });
    expect(linesOf(all).filter(line => line.startsWith('['))).toEqual(['[Refresh]']);
  });

  it('has the buttons of each sink', () => {
    const stopped = sinkOf({ state: 'down', reason: 'x', advice: 'y', failed: 1 });
    const lines = linesOf(home({ sinks: [stopped, sinkOf({ state: 'paused' })] })).filter(line => line.startsWith('['));
    expect(lines).toEqual(['[Refresh]', `[${en.buttons.probe}] [${en.buttons.retryAll}] [Pause]`, '[Resume]']);
  });

  // Seen failing: "retryingError: answered 503What to do: Wait."
  it('gives error and advice of a sink that is retrying lines of their own', () => {
    const retrying = sinkOf({ state: 'retrying', reason: 'answered 503', advice: 'Wait.' });
    expect(linesOf(home({ sinks: [retrying] }))).toContain('⚠️ crm retrying\nError: answered 503\nWhat to do: Wait.');
  });

  it('shows 20 sinks in full and the rest in one line', () => {
    const sinks = Array.from({ length: 50 }, (_, index) => sinkOf({ sink: `s${index}`, state: index > 45 ? 'retrying' : 'ok' }));
    const lines = linesOf(home({ sinks }));
    expect(lines.filter(line => / s\d+ /.test(line))).toHaveLength(20);
    expect(lines).toContain('_… and 30 more: 26 up to date and 4 retrying_');
  });

  it('says in a word who may not look', () => expect(linesOf(homeText('No.') as { blocks: KnownBlock[] })).toEqual(['No.']));
});

describe('Details', () => {
  it('say what changed, by whom and how, every try with the answer, the raw webhook and the changes around it', () => {
    const delivered = { ...resultAt('search', 'delivered'), attempts: [attemptOf(null, 'delivered')] };
    const details = detailsOf('Tea', 1, { origin: { clientIp: '192.0.2.1', platform: 'RESTAPI', owner: null } });
    details.deliveries.push(delivered);
    const view = detailsView(details, context, 'https://sync.example.com/changes/1?key=x', now);
    expect([view.title.text, view.close?.text]).toEqual(['Details', 'Close']);
    expect(linesOf(view)).toEqual([
      'Tea House',
      `*${en.change.updated([])}* \`@TOA#_tea\``,
      'Name: ~Tea~ → *Tea House*',
      `${en.card.by('Tea')} · platform RESTAPI · from 192.0.2.1`,
      'received by webhook · app 1400000001 · revision 2',
      'Changed Jan 1, 2026, 09:00:00 UTC, received Jan 1, 2026, 10:00:00 UTC',
      'Open as a page (this link is good for one hour)',
      'Delivery',
      `:warning:* crm_0* ${en.results.state.retrying}: Tea`,
      'Jan 1, 2026, 10:00:00 UTC · failed, to be retried · 42 ms · HTTP 502 · Tea · `Tea`',
      `:white_check_mark:* search* ${en.results.state.delivered}`,
      'Jan 1, 2026, 10:00:00 UTC · delivered · 42 ms',
      'Raw webhook',
      '{"Name":"Tea"}',
      'Earlier changes of this channel',
      'Jan 1, 2026, 09:00:00 UTC · Name: ~Tea~ → *Tea House* · by Tea',
      'Later changes of this channel',
      'None',
    ]);
    expect(JSON.stringify(detailsView(details, context, null, now))).not.toContain('"link"');
    // Truncated, both URLs are the same text; as links their URLs are not shown.
    const [from, to] = ['old', 'new'].map(name => `https://cdn.example.com/avatars/of/the/tea/house/${name}.png`) as [string, string];
    const before = changeOf();
    before.event.data.changes = [{ field: 'avatarUrl', from, to }];
    expect(linesOf(detailsView({ ...details, before: [before] }, context, null, now)).join()).not.toContain(en.card.alike);
  });
});

describe('Details', () => {
  const linesWith = (more: Partial<ChangeDetails>) => linesOf(detailsView(detailsOf('Tea', 0, more), context, null, now));

  // Guards against "delivered" without an attempt for changes that the template skipped, and against old errors of skipped ones.
  it('say of each sink what its card says', () => {
    const failed = { reason: 'answered 503' };
    const results = [
      resultAt('a', 'delivered', { skipped: true }),
      resultAt('b', 'superseded', failed),
      resultAt('c', 'pending', { held: 'paused' }),
      resultAt('d', 'retrying', { ...failed, nextAttemptAt: now + 60_000 }),
    ];
    expect(linesWith({ deliveries: results.map(one => ({ ...one, attempts: [] })) })).toEqual(
      expect.arrayContaining([
        ':white_check_mark:* a* not sent (template)',
        ':fast_forward:* b* skipped: a newer change was sent',
        ':hourglass_flowing_sand:* c* queued: the sink is paused',
        ':warning:* d* retrying: answered 503 · next retry Jan 1, 2026, 10:01:00 UTC',
      ]),
    );
  });

  it('say how many sinks there are beyond those that a window has room for', () => {
    const deliveries = Array.from({ length: 400 }, (_, index) => ({ ...resultAt(`crm_${index}`, 'delivered'), attempts: [] }));
    const lines = linesWith({ deliveries });
    const shown = lines.filter(line => line.includes('crm_'));
    expect(shown.length).toBeGreaterThan(50);
    expect(lines).toContain(`_… and ${400 - shown.length} more_`);
  });

  // Guards against "found by comparison".
  it('say of an imported channel that it was imported, and nothing of an operator', () => {
    const { event } = changeOf();
    const imported = { ...event, data: { ...event.data, source: 'import' as const, operator: null } };
    const origin = { clientIp: null, platform: null, owner: null };
    expect(linesWith({ event: imported, origin })[3]).toBe('imported · app 1400000001 · revision 2');
    expect(linesOf(home({ latest: [{ ...changeOf(), event: imported }] })).join()).toContain(' · imported · ');
  });

  // Slack fetches images while it opens a modal, within three seconds, and opens none if one of them fails.
  it('have no picture', () => {
    const { event } = changeOf();
    const profile = { ...event.data.profile, avatarUrl: 'https://cdn.example.com/gone.png' };
    const details = detailsOf('Tea', 1, { event: { ...event, data: { ...event.data, profile } } });
    expect(JSON.stringify(detailsView(details, context, null, now))).not.toContain('gone.png');
  });
});

describe('Slack takes', () => {
  const check = slackChecker();
  const texts = fc.oneof(fc.constant(hostile), fc.string({ unit: 'binary', maxLength: 600 }), fc.constant('茶'.repeat(600)));

  it('every answer and every Home, whatever the texts, in both languages', async () => {
    await fc.assert(
      fc.asyncProperty(texts, fc.constantFrom(0, 1, 11, 60), fc.constantFrom('en', 'zh-CN'), async (text, count, locale) => {
        const words = locale === 'en' ? en : zhCN;
        const lookup = lookupOf(text, count);
        for (const typed of ['status', `find ${text}`, `channel ${text}`, 'failed', 'help', text]) {
          const answer = await ask(typed, lookup, { words });
          expect([typed, check(answer)]).toEqual([typed, []]);
        }
        const view = homeView(
          {
            sinks: await lookup.sinks(),
            latest: await lookup.failedChanges(10),
            failed: await lookup.failedChanges(11),
            outcome: [[{ type: 'text', text: 'Done' }]],
          },
          { ...context, words },
          now,
        );
        expect(view.blocks.length).toBeLessThanOrEqual(100);
        for (const block of view.blocks) expect(check({ text: 'x', blocks: [block as KnownBlock] })).toEqual([]);
        // Only our own words are mrkdwn.
        const marked = JSON.stringify(view).match(/"type":"mrkdwn","text":"[^"]*"/g) ?? [];
        expect(marked.filter(one => !/<!date/.test(one))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  it('Details, whatever the texts, in both languages', () => {
    fc.assert(
      fc.property(texts, fc.constantFrom(0, 1, 30), fc.constantFrom('en', 'zh-CN'), (text, count, locale) => {
        const more = count === 0 ? { webhook: null, before: [] } : { webhook: text.repeat(20) };
        const view = detailsView(detailsOf(text, count, more), { ...context, words: locale === 'en' ? en : zhCN }, null, now);
        expect([view.title.text.length <= 24, (view.close?.text.length ?? 0) <= 24, view.blocks.length <= 100]).toEqual([true, true, true]);
        for (const block of view.blocks) expect(check({ text: 'x', blocks: [block as KnownBlock] })).toEqual([]);
        expect(shownTexts(view.blocks).join('').length).toBeLessThan(14_000);
        expect(JSON.stringify(view)).not.toMatch(/mrkdwn/);
      }),
      { numRuns: 60 },
    );
  });

  it('hostile texts as what they are', async () => {
    const { text, blocks } = await ask(`find ${hostile}`, lookupOf(hostile, 2));
    expect(text).not.toMatch(/[<>*`]/);
    expect(shownTexts(blocks).join('')).toContain('<!channel>');
    expect(JSON.stringify(blocks)).not.toMatch(/mrkdwn|"type":"(link|broadcast|user)"/);
  });
});
