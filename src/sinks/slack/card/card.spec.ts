import type { RichTextBlock } from '@slack/types';
import fc from 'fast-check';
import { stored } from '../../../explanations/explanation.js';
import { linesOf } from '../../../../test/support/slack-messages.ts';
import { renderContext, resultAt as result } from '../../../../test/support/slack-rendering.ts';
import { exampleEvent, exampleReport } from '../../../../test/sink.contract.ts';
import type { ChangeType, FieldName } from '../../sink.js';
import type { Report, SinkResult } from '../../report-sink.js';
import { type RenderContext, type Message, withoutImage } from './blocks.js';
import { card, fullTexts, hasCard } from './card.js';
import { clean, cleanLines, escape, isLong, publicImageUrl } from './card-text.js';
import { en } from '../words/en.js';
import { zhCN } from '../words/zh-cn.js';

const context = renderContext(en, { buttons: false });
const now = Date.parse('2022-12-09T08:27:00Z');

function reportOf(data: Parameters<typeof exampleEvent>[0] & { type?: ChangeType }, rest: Partial<Report> = {}): Report {
  const { type = 'channel.profile.updated', ...others } = data ?? {};
  return exampleReport({ event: { ...exampleEvent(others), type }, ...rest });
}

function cardOf(report: Report, how: Partial<RenderContext> = {}): Message {
  return card(report, { ...context, ...how }, now);
}

describe('card', () => {
  it('tells what changed, who, when, and what became of it', () => {
    const shown = cardOf(
      reportOf(
        {
          changes: [
            { field: 'name', from: 'Old name', to: 'NewName' },
            { field: 'introduction', from: '', to: 'Hello\nthere' },
          ],
        },
        { results: [result('crm', 'delivered', { durationMs: 81 }), result('search', 'retrying', { reason: 'answered 503' })] },
      ),
    );
    expect(linesOf(shown)).toEqual([
      '*NewName* · Profile changed · `@TOA#_test_OA_for_penn`',
      'Name: ~Old name~ → *NewName*',
      'Introduction: ~_(empty)_~ → *Hello there*',
      'by leckie · RESTAPI | Dec 9, 2022, 08:26:54 UTC | revision 3',
      ':hourglass_flowing_sand: *Waiting for 1 of 2 sinks*',
      ':warning:* search* retrying: answered 503',
      ':white_check_mark: crm 81 ms',
    ]);
    expect(shown.text).toBe('NewName (@TOA#_test_OA_for_penn): Profile changed (name and introduction). Waiting for 1 of 2 sinks');
    expect(shown.blocks[1]).toMatchObject({
      elements: [
        { type: 'image', image_url: 'http://this.is.newface.url/' },
        {},
        { text: '<!date^1670574414^{date_short_pretty} {time_secs}|Dec 9, 2022, 08:26:54 UTC>' },
        {},
      ],
    });
    expect(JSON.stringify(shown)).not.toMatch(/1400000001|01980000/);
    expect(linesOf(cardOf(reportOf({}), { severalApps: true }))).toContainEqual(expect.stringMatching(/\| revision 3 · app 1400000001$/));
  });

  it('speaks Chinese, and tells times without Slack in the time zone', () => {
    const results = [
      result('crm', 'delivered', { durationMs: 1234 }),
      result('search', 'retrying', {
        reason: stored(['with_answer', ['answered', 503], 'Service Unavailable']),
        nextAttemptAt: now + 90_000,
      }),
    ];
    const shown = cardOf(reportOf({}, { results }), { words: zhCN, timeZone: 'Asia/Shanghai' });
    expect(linesOf(shown)).toEqual([
      '*NewName* · 资料已更新 · `@TOA#_test_OA_for_penn`',
      '名称：~Old name~ → *NewName*',
      '操作者 leckie · RESTAPI | 2022年12月9日 16:26:54 GMT+8 | 版本 3',
      ':hourglass_flowing_sand: *等待中：2 个目标中还有 1 个未完成*',
      ':warning:* search* 重试中：返回 503 — Service Unavailable · 下次重试 2022年12月9日 16:28:30 GMT+8',
      ':white_check_mark: crm 1.2 秒',
    ]);
    expect(shown.text).toBe('NewName（@TOA#_test_OA_for_penn）：资料已更新（名称）。等待中：2 个目标中还有 1 个未完成');
  });

  it.each(['pending', 'retrying'] as const)('says when what is %s is tried next, if that is to come', state => {
    const line = (nextAttemptAt: number | null) =>
      linesOf(cardOf(reportOf({}, { results: [result('x', state, { nextAttemptAt })] }))).at(-1);
    expect(line(now + 60_000)).toMatch(/ · next (retry|attempt) Dec 9, 2022, 08:28:00 UTC$/);
    expect(line(now)).not.toContain('2022');
    expect(line(null)).not.toContain('2022');
  });

  // Planted: "skipped: a newer change was sent: answered 503" showed an obsolete error.
  it('says why what waits is not tried, and nothing of what failed before something newer arrived', () => {
    const failed = { reason: 'answered 503' };
    const shown = reportOf(
      {},
      {
        results: [
          result('a', 'pending', { held: 'paused' }),
          result('b', 'retrying', { held: 'removed', ...failed }),
          result('c', 'superseded', failed),
        ],
      },
    );
    expect(linesOf(cardOf(shown)).slice(-3)).toEqual([
      ':warning:* b* retrying: the sink is no longer configured',
      ':hourglass_flowing_sand:* a* queued: the sink is paused',
      ':white_check_mark: c skipped: a newer change was sent',
    ]);
  });

  it('has buttons while something is parked, where clicks can reach us', () => {
    const parked = reportOf({}, { results: [result('crm', 'delivered'), result('search', 'parked')] });
    const { changeId } = parked.event.data;
    const withButtons = cardOf(parked, { buttons: true });
    expect(linesOf(withButtons).at(-1)).toBe('[Retry] [Discard] [Details]');
    expect(withButtons.blocks.at(-1)).toMatchObject({
      type: 'actions',
      elements: [
        { action_id: 'retry', value: `team:${changeId}` },
        {
          action_id: 'discard',
          value: `team:${changeId}`,
          style: 'danger',
          confirm: {
            title: { text: 'Discard this change?' },
            text: { text: 'It will not be sent to the sinks where it failed. You can still replay it through the API.' },
            confirm: { text: 'Discard' },
            deny: { text: 'Cancel' },
          },
        },
        { action_id: 'details', value: `team:${changeId}` },
      ],
    });
    expect(JSON.stringify((withButtons.blocks.at(-1) as { elements: unknown[] }).elements[0])).not.toContain('confirm');
    expect(cardOf(parked, { buttons: false }).blocks.map(({ type }) => type)).not.toContain('actions');
    const retried = reportOf({}, { results: [result('crm', 'delivered'), result('search', 'retrying')] });
    expect(linesOf(cardOf(retried, { buttons: true })).at(-1)).toBe('[Details]');
    expect(cardOf(retried, { buttons: true, threads: false }).blocks.map(({ type }) => type)).not.toContain('actions');
  });

  // Planted: the line of the sink repeated that a person did it.
  it('tells of a discard without a reason once', () => {
    const results = [result('crm', 'delivered'), result('search', 'discarded', { reason: stored(['discarded']) })];
    const auditActions = [{ at: now, action: 'discard' as const, actor: 'api' }];
    expect(linesOf(cardOf(reportOf({}, { results, auditActions: auditActions }), { words: zhCN })).slice(-3)).toEqual([
      ':wastebasket:* search* 已放弃',
      ':white_check_mark: crm 已送达',
      ':wastebasket: 由 API 放弃，2022年12月9日 08:27:00 UTC',
    ]);
  });

  it('tells what people did, the last of it', () => {
    const auditActions = [
      ...Array.from({ length: 6 }, (_, index) => ({ at: now + index, action: 'replay' as const, actor: 'slack:U012AB3CD' })),
      { at: now, action: 'discard' as const, actor: 'api' },
    ];
    expect(linesOf(cardOf(reportOf({}, { auditActions: auditActions }))).slice(-6)).toEqual([
      '_… and 2 earlier actions_',
      ...Array.from({ length: 4 }, () => ':repeat: Retried by @U012AB3CD, Dec 9, 2022, 08:27:00 UTC'),
      ':wastebasket: Discarded by the API, Dec 9, 2022, 08:27:00 UTC',
    ]);
  });

  it('tells long texts in full in its thread, with their lines', () => {
    const long = `${'first line, '.repeat(40)}\u202e\r\nlast line`;
    const report = reportOf({
      changes: [
        { field: 'introduction', from: 'short', to: long },
        { field: 'organization', from: 'a\nb', to: 'c' },
      ],
    });
    expect(linesOf(cardOf(report))[1]).toMatch(/^Introduction: ~short~ → \*first line, .*…\*_ \(full text in the thread\)_$/);
    expect(linesOf(cardOf(report))[2]).toBe('Organization: ~a b~ → *c*');
    expect(linesOf(cardOf(report, { threads: false }))[1]).toMatch(/…\*$/);
    expect(fullTexts(report, context).flatMap(linesOf)).toEqual(['*Introduction now*', `> ${'first line, '.repeat(40)}\nlast line`]);
  });

  it('has nothing for its thread if nothing was cut', () => {
    expect(fullTexts(reportOf({ changes: [{ field: 'name', from: '\u200b'.repeat(9000), to: 'a\n'.repeat(150) }] }), context)).toEqual([]);
  });

  it('says in its thread what is too long for that, too', () => {
    const changes = [{ field: 'introduction' as const, from: 'a'.repeat(20_000), to: 'b'.repeat(400) }];
    expect(fullTexts(reportOf({ changes }), context).flatMap(linesOf)).toEqual([
      '*Introduction before*',
      `> ${'a'.repeat(4399)}…_\nShortened; see the API._`,
      '*Introduction now*',
      `> ${'b'.repeat(400)}`,
    ]);
  });

  it.each([
    [['delivered', 'delivered'], 'All sinks up to date', ' · s0 delivered · s1 delivered'],
    [['delivered', 'superseded'], 'All sinks up to date', ' · s0 delivered · s1 skipped: a newer change was sent'],
    [['parked'], 'Needs attention: 1 failed'],
    [['delivered', 'parked', 'discarded', 'parked'], 'Needs attention: 2 failed, 1 discarded, 1 delivered'],
    [['parked', 'pending'], 'Needs attention: 1 failed, 1 queued'],
    [['delivered', 'discarded'], 'Finished: 1 discarded, 1 delivered'],
    [['pending'], 'Waiting for 1 of 1 sink'],
    [[], 'No other sinks configured'],
  ] as [SinkResult['state'][], string, string?][])('sums up %j', (states, phrase, each = '') => {
    const shown = cardOf(reportOf({}, { results: states.map((state, index) => result(`s${index}`, state)) }), { buttons: false });
    expect(linesOf(shown)[3]).toMatch(new RegExp(`^:[a-z_]+: \\*${phrase}\\*${each}$`));
    // Failures come first on a locked phone.
    expect(shown.text).toMatch(phrase.startsWith('Needs') ? new RegExp(`^${phrase}\\. NewName`) : new RegExp(`\\. ${phrase}$`));
  });

  it('that is there for a failure alone says when that was fixed', () => {
    const results = [result('crm', 'delivered', { durationMs: 81, endedAt: now }), result('search', 'delivered', { endedAt: now - 9000 })];
    expect(linesOf(cardOf(reportOf({}, { results }), { cards: 'problems' })).at(-1)).toBe(
      ':white_check_mark: *Fixed *Dec 9, 2022, 08:27:00 UTC · *All sinks up to date* · crm 81 ms · search delivered',
    );
  });

  it('is there for every change, for those that failed, or for none', () => {
    const [well, failed] = (['delivered', 'parked'] as const).map(state => reportOf({}, { results: [result('crm', state)] }));
    const those = (cards: RenderContext['cards']) => [well!, failed!].map(one => hasCard(one, { ...context, cards }));
    expect((['all', 'problems', 'none'] as const).map(those)).toEqual([
      [true, true],
      [false, true],
      [false, false],
    ]);
  });

  it('links to avatars that Slack may be told of, with words of ours', () => {
    const line = (from: string | null, to: string | null) => {
      const { blocks } = cardOf(reportOf({ changes: [{ field: 'avatarUrl', from, to }] }));
      return (blocks[0] as RichTextBlock).elements[1]!.elements;
    };
    const [old, next] = ['https://cdn.example.com/<old>', 'https://cdn.example.com/new'];
    expect(line(old, next)).toEqual([
      { type: 'text', text: 'Avatar: ' },
      { type: 'link', url: 'https://cdn.example.com/%3Cold%3E', text: 'old picture' },
      { type: 'text', text: ' → ' },
      { type: 'link', url: next, text: 'new picture' },
    ]);
    for (const unfit of ['http://10.0.0.1/a', 'http://nas.local/a', 'javascript:alert(1)', `${next}${'a'.repeat(500)}`])
      expect(JSON.stringify(line(unfit, unfit))).not.toContain('"link"');
  });

  it('has a word and a reason for every state', () => {
    const reason = 'answered 400';
    const all = (['pending', 'retrying', 'delivered', 'superseded', 'parked', 'discarded'] as const).map(state =>
      result('x', state, { reason }),
    );
    expect(
      linesOf(cardOf(reportOf({}, { results: [...all, result('y', 'delivered', { skipped: true })] }), { buttons: false })).slice(-5),
    ).toEqual([
      ':x:* x* failed: answered 400',
      ':warning:* x* retrying: answered 400',
      ':wastebasket:* x* discarded: answered 400',
      ':hourglass_flowing_sand:* x* queued: answered 400',
      ':white_check_mark: x delivered · x skipped: a newer change was sent · y not sent (template)',
    ]);
  });

  it('folds the harmless ones of very many sinks, never the failed ones', () => {
    const all = Array.from({ length: 200 }, (_, index) =>
      result(`sink-${index}`, index === 150 ? 'parked' : 'delivered', { reason: 'answered 400' }),
    );
    const lines = linesOf(cardOf(reportOf({}, { results: all }), { buttons: false }));
    expect(lines.at(-3)).toBe(':x: *Needs attention: 1 failed, 199 delivered*');
    expect(lines.at(-2)).toBe(':x:* sink-150* failed: answered 400');
    expect(lines.at(-1)).toMatch(
      /^:white_check_mark: sink-0 delivered · sink-1 delivered · .* · sink-19 delivered · … and 179 more: 179 delivered$/,
    );
  });

  it('tells of a destroyed channel by its last name', () => {
    const unknown = { name: null, avatarUrl: null, introduction: null, organization: null };
    const changes = [{ field: 'name' as const, from: 'Shop', to: null }];
    const shown = cardOf(reportOf({ type: 'channel.destroyed', exists: false, operator: null, changes, profile: unknown }));
    expect(linesOf(shown).slice(0, 3)).toEqual([
      '*Shop* · Channel destroyed · `@TOA#_test_OA_for_penn`',
      'Name: ~Shop~',
      expect.stringMatching(/^operator unknown · RESTAPI \| /),
    ]);
    expect(withoutImage(shown)).toBeNull();
  });

  it('tells of a created one, of a tie, of stale fields and of an estimated time', () => {
    const changes = [{ field: 'name' as const, from: null, to: 'Shop' }];
    const lines = linesOf(
      cardOf(reportOf({ type: 'channel.created', revision: 1, changes }, { tie: true, stale: ['organization'], eventTimeEstimated: true })),
    );
    expect(lines.slice(0, 5)).toEqual([
      '*NewName* · Channel created · `@TOA#_test_OA_for_penn`',
      'Name: *Shop*',
      '_Organization ignored: the current value is newer, or as new._',
      '_Two updates had the same timestamp; one was chosen by a fixed rule._',
      '_No valid time in the webhook; arrival time shown._',
    ]);
  });

  it('tells of one that was created again, and of a value that is unknown', () => {
    const changes = [{ field: 'name' as const, from: null, to: 'Shop' }];
    expect(linesOf(cardOf(reportOf({ type: 'channel.created', revision: 2, changes })))[0]).toMatch(/ · Channel created again · /);
    expect(linesOf(cardOf(reportOf({ revision: 1, changes })))[1]).toBe('Name: ~_unknown_~ → *Shop*');
  });

  it('says when two values differ only in what is not shown', () => {
    const changes = [{ field: 'name' as const, from: 'Shop\u202e', to: 'Shop' }];
    expect(linesOf(cardOf(reportOf({ changes })))[1]).toBe('Name: ~Shop~ → *Shop*_ (they differ only in hidden or shortened characters)_');
  });

  it.each([
    [{}, {}, 'No change: these values were already set'],
    [{}, { stale: ['name', 'avatarUrl'] as FieldName[] }, 'Ignored: older than the current profile (name and avatar)'],
    [{}, { tie: true }, 'Ignored: another update with the same timestamp won'],
    [{}, { stale: ['name'] as FieldName[], tie: true }, 'Ignored: another update with the same timestamp won (name)'],
    [{ type: 'channel.destroyed' as const }, {}, 'Ignored: older than the current profile'],
    [{ type: 'channel.destroyed' as const, exists: false }, {}, 'No change: the channel was already destroyed'],
  ])('gives one line to a change that altered nothing (%j %j)', (data, rest, why) => {
    const shown = cardOf(reportOf({ ...data, revision: null, changes: [] }, { ...rest, results: [] }));
    expect(linesOf(shown)[0]).toBe(`*NewName* · ${why} · \`@TOA#_test_OA_for_penn\``);
    expect(shown.blocks).toHaveLength(2);
    expect(shown.text).toBe(`NewName (@TOA#_test_OA_for_penn): ${why}`);
  });

  it('shows <!channel> as these ten characters', () => {
    const name = '<!channel>';
    const shown = cardOf(
      reportOf({ changes: [{ field: 'name', from: 'a', to: name }], profile: { ...exampleEvent().data.profile, name } }),
    );
    expect(linesOf(shown)[0]).toMatch(/^\*<!channel>\* · /);
    expect(linesOf(shown)[1]).toBe('Name: ~a~ → *<!channel>*');
    expect(shown.text).toMatch(/^&lt;!channel&gt; /);
  });

  it.each([
    [null, '(name unknown)'],
    ['', '(no name)'],
    [' \u200b\u202e', '(no name)'],
  ])('has a title without a name (%j)', (name, title) => {
    expect(linesOf(cardOf(reportOf({ changes: [], profile: { ...exampleEvent().data.profile, name } })))[0]).toContain(`*${title}* · `);
  });
});

describe('clean', () => {
  it.each([
    ['a\r\n\n b\tc\u2028d', 'a b c d'],
    ['\u0000a\u001b[31mb\u0085c\u009f', 'a[31mb c'],
    ['\u202eevil\u2066\u2069\u200f', 'evil'],
    ['👩‍👩‍👧‍👦', '👩‍👩‍👧‍👦'],
    ['\ud800x', '\ufffdx'],
    ['\u200b\ufeff\u2060', ''],
  ])('%j becomes %j', (text, shown) => expect(clean(text)).toBe(shown));

  it('cuts between graphemes', () => {
    expect(clean('é'.repeat(300))).toBe('é'.repeat(300));
    expect(clean('a'.repeat(301))).toBe(`${'a'.repeat(299)}…`);
    expect(clean('👩‍👩‍👧‍👦'.repeat(400))).toMatch(/^(👩‍👩‍👧‍👦){45}…$/u);
    expect(clean(`a${'\u0301'.repeat(9000)}`)).toMatch(/^a\u0301{498}…$/u);
    expect(clean('abcdef', 4)).toBe('abc…');
  });

  it('knows what it has to cut', () => {
    expect([`${'a'.repeat(300)}`, 'a\n'.repeat(150), '', '\u200b'.repeat(9000)].map(isLong)).toEqual([false, false, false, false]);
    expect(['a'.repeat(301), `a${'\u0301'.repeat(500)}`].map(isLong)).toEqual([true, true]);
  });

  it('keeps lines where they are wanted', () => {
    expect(cleanLines(' a\r\nb\tc\u2028\u202ed\u0000\n', 100)).toBe('a\nb c\nd');
    expect(cleanLines('abcdef', 4)).toBe('abc…');
  });

  it('is quick with a megabyte of anything', () => {
    const start = performance.now();
    for (const text of [' ', '\n', 'a', '\u0301', '\u200d', '\u202e', '👩‍']) clean(text.repeat(1_000_000));
    expect(performance.now() - start).toBeLessThan(3000);
  });
});

describe('the text of a notification', () => {
  it.each([
    ['<!channel>', '&lt;!channel&gt;'],
    ['&lt;!here&gt;', '&amp;lt;!here&amp;gt;'],
    ['*b* _i_ ~s~ `c`', '∗b∗ _iˍ ∼s∼ ˋcˋ'],
    ['*你好*，_你好_', '∗你好∗，ˍ你好ˍ'],
    ['(_i_) __i__', '(_iˍ) __iˍˍ'],
    ['> said', '› said'],
    [':bomb: at 10:30', ':bomb∶ at 10:30'],
    // Planted: with ASCII names alone these were emoji.
    [':企鹅: :été: :+1::skin-tone-2:', ':企鹅∶ :été∶ :+1∶∶skin-tone-2∶'],
    ['a: b :c', 'a: b :c'],
    ['@TOA#_test_OA_for_penn', '@TOA#_test_OA_for_penn'],
  ])('of %s is %s', (text, dead) => expect(escape(text)).toBe(dead));
});

describe('publicImageUrl', () => {
  it('leaves out a private address in whatever notation', () => {
    const byte = fc.nat({ max: 255 });
    const address = fc.oneof(
      fc.tuple(fc.constantFrom(10, 127), byte, byte, byte),
      fc.tuple(fc.constantFrom(192), fc.constantFrom(168), byte, byte),
      fc.tuple(fc.constantFrom(172), fc.integer({ min: 16, max: 31 }), byte, byte),
      fc.tuple(fc.constantFrom(169), fc.constantFrom(254), byte, byte),
    );
    const notations = ([a, b, c, d]: [number, number, number, number]): string[] => {
      const hex = (value: number): string => `0x${value.toString(16)}`;
      const octal = (value: number): string => `0${value.toString(8)}`;
      const whole = ((a * 256 + b) * 256 + c) * 256 + d;
      const mapped = `::ffff:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
      return [
        [a, b, c, d].join('.'),
        [hex(a), octal(b), c, hex(d)].join('.'),
        `${octal(a)}.${b}.${c * 256 + d}`,
        `${a}.${hex(whole % 2 ** 24)}`,
        String(whole),
        hex(whole),
        octal(whole),
        `[::ffff:${a}.${b}.${c}.${d}]`,
        `[${mapped}]`,
        `[64:ff9b::${a}.${b}.${c}.${d}]`,
      ].flatMap(host => (host.startsWith('[') ? [host] : [host, `${host}.`]));
    };
    fc.assert(
      fc.property(address, fc.constantFrom('', ':80', ':8443'), (bytes, port) => {
        for (const host of notations(bytes)) expect([host, publicImageUrl(`http://${host}${port}/a.png`)]).toEqual([host, null]);
      }),
    );
  });

  it.each([
    'https://example.com/a.png',
    'http://this.is.newface.url/',
    'https://8.8.8.8/x',
    'https://[2606:4700::1111]/x',
    'https://cdn.example.com:8443/x?y=%E4%BD%A0',
    // Any name with a dot but .local and .internal may be public.
    'https://cdn.example/a.png',
    'http://img.shop.test/a.png',
    'http://local.shop/a.png',
  ])('takes %s', url => expect(publicImageUrl(url)).toBe(url));

  it.each([
    null,
    '',
    'x',
    '/a.png',
    'ftp://example.com/a',
    'data:image/png;base64,AAAA',
    'https://user:pw@example.com/',
    'https://user@example.com/',
    'http://localhost/a',
    'http://LOCALHOST./a',
    'http://a.localhost/',
    'http://printer/a',
    'http://nas.local/',
    'http://nas.local../',
    'http://localhost../',
    'http://nas%2elocal/',
    'http://nas。local/',
    'http://NAS.Internal.:8080/',
    'http://[::ffff:10.0.0.1]/',
    'http://[::ffff:a00:1]/',
    'http://0300.0250.1/',
    'http://10.1./',
    'http://0xac.16.0x1/',
    'http://①②⑦.0.0.1/',
    'http://crm.svc.cluster.local:80/',
    'http://metadata.google.internal/',
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://10.1.2.3/',
    'http://172.31.0.1/',
    'http://192.168.0.1/',
    'http://169.254.169.254/latest/meta-data',
    'http://100.100.100.200/',
    'http://0.0.0.0/',
    'http://224.0.0.1/',
    'http://[::1]/',
    'http://[::]/',
    'http://[fe80::1]/',
    'http://[fd00::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[2002:7f00:1::]/',
    `https://example.com/${'a'.repeat(3000)}`,
    `https://example.com/${'你'.repeat(1000)}`,
  ])('leaves out %s', url => expect(publicImageUrl(url)).toBeNull());
});
