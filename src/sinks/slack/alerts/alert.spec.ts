import type { Button, RichTextBlock, RichTextElement } from '@slack/types';
import { stored } from '../../../explanations/explanation.js';
import { linesOf } from '../../../../test/support/slack-messages.ts';
import { renderContext } from '../../../../test/support/slack-rendering.ts';
import type { Alert } from '../../alert.js';
import type { Message, RenderContext } from '../card/blocks.js';
import { type Words, en } from '../words/en.js';
import { alertMessage, failures, keyOf } from './alert.js';
import { zhCN } from '../words/zh-cn.js';

const context = renderContext(en);
const since = Date.parse('2022-12-09T08:00:00Z');
const until = since + 7_500_000;

const incident: Extract<Alert, { kind: 'incident' }> = {
  kind: 'incident',
  sink: 'crm',
  state: 'misconfigured',
  since,
  until: null,
  reason: 'answered 401',
  advice: stored(['check_credentials']),
  waiting: 1200,
  failures: [{ at: since + 1000, error: 'answered 401' }],
  paused: false,
  by: null,
  removed: false,
};

function kindsOf({ blocks }: Message): string[] {
  return blocks.map(({ type }) => type);
}

describe('the alert of an incident', () => {
  it('says what is wrong, what to do and how many changes wait', () => {
    const shown = alertMessage(incident, context);
    expect(linesOf(shown)).toEqual([
      '🔴 crm is stopped: check its settings',
      '*Error: *answered 401',
      '*What to do: *Check the credentials of this sink.',
      '1,200 changes are queued. Nothing is lost; they are sent as soon as it recovers.',
      'Since Dec 9, 2022, 08:00:00 UTC',
      '[Retry now] [Pause]',
    ]);
    expect(shown.text).toBe('🔴 crm is stopped: check its settings. Error: answered 401');
    expect(shown.blocks.at(-1)).toMatchObject({
      elements: [
        { action_id: 'probe', value: 'team:crm' },
        { action_id: 'pause', value: 'team:crm' },
      ],
    });
    expect(linesOf(alertMessage({ ...incident, again: true }, context))[4]).toBe('It recovered in between, but stopped again.');
  });

  it('says in Chinese what to do', () => {
    const [, , todo] = linesOf(alertMessage(incident, { ...context, words: zhCN }));
    expect(todo).toBe('*处理办法：*请检查该目标的凭据。');
    const alert = { ...others[2]!, advice: stored(['check_answers']) } as Alert;
    expect(linesOf(alertMessage(alert, { ...context, words: zhCN }))[2]).toBe('*处理办法：*请确认目标系统有响应。');
  });

  it('says who paused it, and who resumed it', () => {
    const paused = alertMessage({ ...incident, state: 'down', paused: true, by: 'slack:U012AB3CD', waiting: 0 }, context);
    expect(linesOf(paused)).toEqual([
      '⏸️ crm is paused',
      expect.any(String),
      expect.any(String),
      'No changes are queued. New ones are kept and sent when someone resumes it.',
      'Paused by @U012AB3CD.',
      expect.any(String),
      '[Resume]',
    ]);
    const resumed = linesOf(alertMessage({ ...incident, state: 'down', by: 'api', waiting: 1 }, context));
    expect(resumed).toContain('Resumed by the API.');
    expect(resumed[0]).toBe('🔴 crm is down');
    expect(resumed[3]).toBe('1 change is queued. Nothing is lost; they are sent as soon as it recovers.');
    // A name in a new message would notify.
    const first = alertMessage({ ...incident, state: 'paused', paused: true, by: 'slack:U012AB3CD' }, context, { first: true });
    expect(linesOf(first)).toContain('Paused by someone in Slack.');
    expect(JSON.stringify(first)).not.toContain('U012AB3CD');
    const chinese = alertMessage(
      { ...incident, state: 'paused', paused: true, by: 'slack:U012AB3CD' },
      { ...context, words: zhCN },
      { first: true },
    );
    expect(linesOf(chinese)).toContain('由 Slack 用户暂停。');
  });

  it('says of one that is only paused who did it, and nothing of what is wrong', () => {
    const paused = { ...incident, state: 'paused' as const, reason: '', advice: '', failures: [], paused: true, by: 'api' };
    expect(linesOf(alertMessage(paused, context))).toEqual([
      '⏸️ crm is paused',
      '1,200 changes are queued and will be sent when someone resumes it.',
      'Paused by the API.',
      'Since Dec 9, 2022, 08:00:00 UTC',
      '[Resume]',
    ]);
    expect(linesOf(alertMessage({ ...paused, until, waiting: 0 }, context))).toEqual([
      '▶️ crm has been resumed',
      'It was paused for 2 hr 5 min. No change was lost.',
      'Dec 9, 2022, 08:00:00 UTC – Dec 9, 2022, 10:05:00 UTC',
    ]);
    expect(linesOf(alertMessage({ ...paused, until, removed: true }, context))[2]).toBe('*Error was: *crm is paused');
  });

  it('is closed with how long it took', () => {
    const shown = alertMessage({ ...incident, until, waiting: 3 }, context);
    expect(linesOf(shown)).toEqual([
      '✅ crm has recovered',
      'The problem lasted 2 hr 5 min. No change was lost.',
      '3 queued changes are being sent.',
      '*Error was: *answered 401',
      'Dec 9, 2022, 08:00:00 UTC – Dec 9, 2022, 10:05:00 UTC',
    ]);
    expect(shown.text).toBe('✅ crm has recovered. The problem lasted 2 hr 5 min. No change was lost.');
    expect(linesOf(alertMessage({ ...incident, until, waiting: 0 }, context))).toHaveLength(4);
  });

  it('is closed with what stays owed when the sink is no longer configured', () => {
    const removed = { ...incident, until, removed: true, keptDays: 90 };
    expect(linesOf(alertMessage(removed, context))).toEqual([
      '⏹️ crm is no longer configured',
      '1,200 changes are still queued, to be sent if crm is configured again within 90 days.',
      '*Error was: *answered 401',
      'Dec 9, 2022, 08:00:00 UTC – Dec 9, 2022, 10:05:00 UTC',
    ]);
    expect(linesOf(alertMessage({ ...removed, waiting: 1, keptDays: 1 }, context))[1]).toBe(
      '1 change is still queued, to be sent if crm is configured again within 1 day.',
    );
    expect(linesOf(alertMessage({ ...removed, waiting: 0 }, context))[1]).toBe('No changes are queued for it.');
    expect(linesOf(alertMessage(removed, { ...context, words: zhCN })).slice(0, 2)).toEqual([
      '⏹️ crm 已从配置中移除',
      '1,200 项变更仍在排队：如果在 90 天之内重新配置 crm，则会发送。',
    ]);
  });

  it('says that more are waiting than are counted', () => {
    const shown = (rest: object, messages = en) =>
      linesOf(alertMessage({ ...incident, ...rest } as Alert, { ...context, words: messages }));
    expect(shown({ waiting: 10_000 })[3]).toMatch(/^10,000 changes are queued/);
    expect(shown({ waiting: 10_001 })[3]).toMatch(/^More than 10,000 changes are queued/);
    expect(shown({ waiting: 10_001, paused: true })[3]).toMatch(/^More than 10,000 changes are queued/);
    expect(shown({ waiting: 10_001, until })[2]).toBe('More than 10,000 queued changes are being sent.');
    expect(shown({ waiting: 10_001, until, removed: true })[1]).toMatch(/^More than 10,000 changes are still queued/);
    expect(shown({ waiting: 10_001 }, zhCN)[3]).toMatch(/^超过 10,000 项变更正在排队，/);
    expect(shown({ waiting: 10_001, until }, zhCN)[2]).toBe('超过 10,000 项排队的变更正在发送。');
  });

  it('lists the newest failures in its thread while it lasts', () => {
    expect(failures(incident, context).flatMap(linesOf)).toEqual(['*Latest errors*', 'Dec 9, 2022, 08:00:01 UTC: answered 401']);
    expect(failures({ ...incident, failures: [] }, context)).toEqual([]);
    expect(failures({ ...incident, until }, context)).toEqual([]);
  });
});

const others: Alert[] = [
  { kind: 'silence', since, until: null, afterMs: 21_600_000, rejected: false },
  { kind: 'rejected', since, until: null, counts: { signature: 9, clock: 3 }, last: since },
  { kind: 'parked', sink: 'crm', since, until: null, count: 3, reason: 'answered 400', advice: 'See its log.', removed: false },
];

describe('an alert', () => {
  it.each(
    [
      ['🔇 No webhook for more than 6 hr', '✅ Webhooks are arriving again', 'None for 2 hr 5 min.'],
      ['🔑 12 webhooks rejected', '✅ No more webhooks are rejected', '12 webhooks were rejected in 2 hr 5 min.'],
      ['❌ 3 changes could not be delivered to crm', '✅ No failed changes left at crm', 'The problem lasted 2 hr 5 min.'],
    ].map((texts, index) => [others[index]!.kind, others[index]!, texts] as const),
  )('of %s reads differently when it is over', (_, alert, texts) => {
    const [open, over] = [alertMessage(alert, context), alertMessage({ ...alert, until } as Alert, context)];
    expect([linesOf(open)[0], ...linesOf(over).slice(0, 2)]).toEqual(texts);
    expect(linesOf(open)).toContain('Since Dec 9, 2022, 08:00:00 UTC');
    expect(linesOf(over).at(-1)).toBe('Dec 9, 2022, 08:00:00 UTC – Dec 9, 2022, 10:05:00 UTC');
    expect(kindsOf(over)).toEqual(kindsOf(open).filter(kind => kind !== 'actions'));
  });

  it('of rejected webhooks says the likely cause of each kind', () => {
    const shown = (counts: object, messages = en) =>
      linesOf(alertMessage({ ...others[1]!, counts } as Alert, { ...context, words: messages })).slice(1, -1);
    expect(shown({ signature: 1200, clock: 1 })).toEqual([
      'They are lost: Tencent Chat does not send them again.',
      '*1 × too far from our clock: *check the clock of this machine. If it is right, someone else is calling this URL; those requests are rejected.',
      '*1,200 × invalid signature: *compare WEBHOOK_TOKENS with the token in the Tencent Chat console. If they match, someone else is calling this URL; those requests are rejected.',
    ]);
    const all = { app: 1, unsigned: 2, clock: 3, signature: 4, too_large: 5, invalid: 6, unavailable: 7 };
    expect(shown(all).map(line => line.split(':')[0])).toEqual([
      'They are lost',
      '*1 × unknown SdkAppid',
      '*2 × no signature',
      '*3 × too far from our clock',
      '*4 × invalid signature',
      '*5 × too large',
      '*6 × unreadable',
      '*7 × could not be stored',
    ]);
    expect(shown({ app: 2 }, zhCN)).toEqual([
      '这些回调已丢失：腾讯云不会重发。',
      '*2 条 SdkAppid 未知：*请核对 SDK_APP_IDS。如果其中已列出您的所有应用，则是他人在调用此地址，这些请求会被拒绝。',
    ]);
  });

  // Guards against saying that all is well while every webhook was rejected.
  it('of silence does not say that it is normal while webhooks are rejected', () => {
    const shown = (rejected: boolean): string | undefined => linesOf(alertMessage({ ...others[0]!, rejected } as Alert, context))[1];
    expect(shown(false)).toMatch(/^Normal if no profile was edited. Otherwise: check /);
    expect(shown(true)).toBe('Webhooks did arrive, but were rejected: see the alert about rejected webhooks.');
  });

  it('of what is parked says why and what to do', () => {
    expect(linesOf(alertMessage(others[2]!, context)).slice(1, 4)).toEqual([
      '*Latest error: *answered 400',
      '*What to do: *See its log.',
      'None is lost. Retry all of them here, or retry or discard each one on its card or through the API.',
    ]);
    expect(linesOf(alertMessage(others[2]!, context)).at(-1)).toBe('[Retry all]');
    // Promises nothing that does not exist.
    const decide = (rest: Partial<RenderContext>) => linesOf(alertMessage(others[2]!, { ...context, ...rest }))[3];
    expect(decide({ buttons: false })).toBe('None is lost. Retry or discard each one through the API.');
    expect(decide({ cards: 'none' })).toBe('None is lost. Retry all of them here, or retry or discard each one through the API.');
  });

  it('of what is parked says that there are more than are counted', () => {
    const [titleEn, titleZh] = [en, zhCN].map(
      messages => linesOf(alertMessage({ ...others[2]!, count: 10_001 } as Alert, { ...context, words: messages }))[0],
    );
    expect(titleEn).toBe('❌ More than 10,000 changes could not be delivered to crm');
    expect(titleZh).toBe('❌ 超过 10,000 项变更未能送达 crm');
  });

  it('of what is parked tells that it stays so when the sink is no longer configured', () => {
    const removed = { ...others[2]!, until, removed: true, keptDays: 90 } as Alert;
    expect(linesOf(alertMessage(removed, context)).slice(0, 3)).toEqual([
      '⏹️ crm is no longer configured',
      '3 failed changes are kept, to be retried if crm is configured again within 90 days.',
      '*Error was: *answered 400',
    ]);
    expect(linesOf(alertMessage(removed, { ...context, words: zhCN }))[1]).toBe(
      '3 项失败的变更仍保留：如果在 90 天之内重新配置 crm，则可以重试。',
    );
  });

  it('has a key of its own', () => {
    expect([incident, ...others].map(keyOf)).toEqual([
      `incident:crm:${since}`,
      `silence:${since}`,
      `rejected:${since}`,
      `parked:crm:${since}`,
    ]);
  });
});

const differences: Extract<Alert, { kind: 'differences' }> = {
  kind: 'differences',
  sink: 'search',
  since,
  until: null,
  missing: 1200,
  older: 2,
  newer: 0,
  surplus: 1,
  removed: false,
};

describe('the alert of an index', () => {
  it('says what differs and how it is mended', () => {
    const shown = alertMessage(differences, context);
    expect(linesOf(shown)).toEqual([
      '🧩 Search index search is out of sync',
      '*Latest comparison: *1,200 documents missing, 2 outdated, and 1 extra',
      '*What to do: *Repair it: missing and outdated documents are sent again; extra documents are deleted.',
      'If this keeps happening, something else is writing to this index.',
      'Since Dec 9, 2022, 08:00:00 UTC',
      '[Repair]',
    ]);
    expect(shown.blocks.at(-1)).toMatchObject({ elements: [{ action_id: 'repair', value: 'team:search' }] });
    expect(linesOf(alertMessage(differences, { ...context, buttons: false })).slice(2)).toEqual([
      '*What to do: *Repair it by POST /api/v1/sinks/search/verify with {"repair": true}: missing and outdated documents are sent again; extra documents are deleted.',
      'If this keeps happening, something else is writing to this index.',
      'Since Dec 9, 2022, 08:00:00 UTC',
    ]);
    expect(linesOf(alertMessage({ ...differences, newer: 3 }, { ...context, words: zhCN })).slice(0, 2)).toEqual([
      '🧩 搜索索引 search 数据不一致',
      '*最近一次比对：*缺少 1,200 个文档，2 个已过期，3 个比本地数据更新，1 个多余',
    ]);
  });

  it('is closed when it is mended, or the sink is no longer configured', () => {
    expect(linesOf(alertMessage({ ...differences, until }, context)).slice(0, 2)).toEqual([
      '✅ Search index search is in sync again',
      'The problem lasted 2 hr 5 min.',
    ]);
    expect(linesOf(alertMessage({ ...differences, until, removed: true }, context)).slice(0, 2)).toEqual([
      '⏹️ search is no longer configured',
      'Its index stays as it is.',
    ]);
  });
});

/** The confirmation text of an alert's button, or nothing. */
function askedBy(alert: Alert, words = en): (string | undefined)[] {
  const { blocks } = alertMessage(alert, { ...context, words });
  const { elements } = blocks.at(-1) as { elements: Button[] };
  return elements.flatMap(({ action_id: action, confirm }) => [
    action,
    confirm?.title?.text,
    confirm?.text.text,
    confirm?.confirm?.text,
    confirm?.deny?.text,
  ]);
}

describe('a mention', () => {
  const mention = ['U012AB3CD', 'W012AB3CD', 'S012AB3CD', 'here', 'channel'];
  const mentioned = (alert: Alert, beside = { first: true }, rest: Partial<RenderContext> = {}) =>
    (alertMessage(alert, { ...context, mention, ...rest }, beside).blocks[1] as RichTextBlock).elements
      .flatMap(({ elements }) => elements as RichTextElement[])
      .filter(({ type }) => ['user', 'usergroup', 'broadcast'].includes(type));

  it('is in the first message of a sink that stopped, of silence and of rejected webhooks, and in no other', () => {
    const all = [
      { type: 'user', user_id: 'U012AB3CD' },
      { type: 'user', user_id: 'W012AB3CD' },
      { type: 'usergroup', usergroup_id: 'S012AB3CD' },
      { type: 'broadcast', range: 'here' },
      { type: 'broadcast', range: 'channel' },
    ];
    for (const alert of [incident, { ...incident, state: 'down' as const }, others[0]!, others[1]!]) {
      expect(mentioned(alert)).toEqual(all);
      expect(mentioned(alert, { first: false })).toEqual([]);
      expect(mentioned({ ...alert, until } as Alert)).toEqual([]);
      expect(mentioned(alert, { first: true }, { mention: [] })).toEqual([]);
      expect(alertMessage(alert, { ...context, mention }, { first: true }).text).not.toMatch(/@|U012AB3CD/);
    }
    for (const alert of [others[2]!, differences, { ...incident, paused: true }, { ...incident, state: 'paused' as const, paused: true }])
      expect(mentioned(alert)).toEqual([]);
    expect(mentioned({ ...incident, state: 'retrying' })).toEqual([]);
  });
});

const unasked = (action: string) => [action, undefined, undefined, undefined, undefined];

describe('buttons', () => {
  it.each<[Alert, Words, (string | undefined)[]]>([
    [
      incident,
      en,
      [
        ...unasked('probe'),
        'pause',
        'Pause this sink?',
        'Nothing is sent to it until someone resumes it. Changes are queued meanwhile; none is lost.',
        'Pause',
        'Cancel',
      ],
    ],
    [incident, zhCN, [...unasked('probe'), 'pause', '暂停此目标？', expect.stringContaining('排队等待，不会丢失'), '暂停', '取消']],
    [
      differences,
      en,
      [
        'repair',
        'Repair this search index?',
        'Missing and outdated documents are sent again; extra documents are deleted.',
        'Repair',
        'Cancel',
      ],
    ],
    [differences, zhCN, ['repair', '修复此搜索索引？', '缺失和过期的文档会重新发送；多余的文档会被删除。', '修复', '取消']],
    [others[2]!, zhCN, ['retryAll', '重试所有失败的变更？', expect.stringContaining('请先解决问题'), '全部重试', '取消']],
    [{ ...incident, paused: true }, en, ['resume', undefined, undefined, undefined, undefined]],
  ])('ask first where they stop, delete or give up something', (alert, words, asked) => expect(askedBy(alert, words)).toEqual(asked));
});

describe('summary', () => {
  const none = { parked: null, waiting: null };
  const summary: Alert = {
    kind: 'summary',
    since: until - 86_400_000,
    until,
    changes: 1234,
    channels: 56,
    sinks: [
      { sink: 'crm', delivered: 1230, slowestMs: 1234, parked: 4, waiting: 0, messageRefs: { parked: 'p', waiting: 'i' } },
      { sink: 'log', delivered: 1234, slowestMs: 3, parked: 0, waiting: 0, messageRefs: none },
      { sink: 'search', delivered: 1222, slowestMs: null, parked: 0, waiting: 12, messageRefs: { parked: null, waiting: 'w' } },
    ],
  };

  it('tells of each sink', () => {
    const shown = alertMessage(summary, context);
    expect(linesOf(shown)).toEqual([
      '📋 Daily summary',
      '1,234 changes on 56 channels. Needs attention: 4 failed, 12 queued.',
      ':x:* crm* 1,230 delivered · slowest 1.2 sec · 4 failed',
      ':white_check_mark:* log* 1,234 delivered · slowest 3 ms',
      ':hourglass_flowing_sand:* search* 1,222 delivered · 12 queued',
      'Dec 8, 2022, 10:05:00 UTC – Dec 9, 2022, 10:05:00 UTC',
    ]);
    expect(shown.text).toBe('📋 Daily summary. 1,234 changes on 56 channels. Needs attention: 4 failed, 12 queued.');
    expect(linesOf(alertMessage(summary, { ...context, words: zhCN }))[1]).toBe(
      '56 个公众号共 1,234 项变更。需要处理：失败 4 项，排队 12 项。',
    );
  });

  it('links to the alerts of what is parked and waits, where it is known where they stand', () => {
    const [parked, waiting] = ['https://tea.slack.com/archives/C1/p1', 'https://tea.slack.com/archives/C1/p2'];
    const links = new Map([
      ['p', parked],
      ['w', waiting],
    ]);
    const shown = alertMessage(summary, context, { links });
    const linked = (shown.blocks[1] as RichTextBlock).elements.map(({ elements }) => elements.filter(({ type }) => type === 'link'));
    expect(linked).toEqual([
      [],
      [{ type: 'link', url: parked, text: '4 failed' }],
      [],
      [{ type: 'link', url: waiting, text: '12 queued' }],
    ]);
    expect(linesOf(shown)).toEqual(linesOf(alertMessage(summary, context)));
  });

  it('is short on a quiet day', () => {
    const sinks = [{ sink: 'crm', delivered: 0, slowestMs: null, parked: 0, waiting: 0, messageRefs: none }];
    expect(linesOf(alertMessage({ ...summary, changes: 0, channels: 0, sinks }, context)).slice(1, 3)).toEqual([
      'No changes. All sinks up to date.',
      ':white_check_mark:* crm* 0 delivered',
    ]);
  });

  it('leaves out the well ones of too many sinks', () => {
    const sinks = Array.from({ length: 100 }, (_, index) => ({
      sink: `s${index}`,
      delivered: 1,
      slowestMs: 1,
      parked: index === 90 ? 1 : 0,
      waiting: 0,
      messageRefs: none,
    }));
    const lines = linesOf(alertMessage({ ...summary, sinks }, context));
    expect(lines).toContain(':x:* s90* 1 delivered · slowest 1 ms · 1 failed');
    expect(lines.at(-2)).toBe('… and 80 sinks more');
  });
});

describe('durations', () => {
  it.each([
    [0, '0 ms'],
    [999.4, '999 ms'],
    [999.6, '1 sec'],
    [59_900, '59.9 sec'],
    [59_999, '1 min'],
    [3_599_000, '59 min 59 sec'],
    [3_600_000, '1 hr'],
    [90_000_000, '1 day 1 hr'],
    [86_400_000 * 3 + 5000, '3 days'],
  ])('%d ms are %s', (ms, text) => expect(en.formats.duration(ms)).toBe(text));
});

describe("the alerts about Tencent's API", () => {
  const vendor: Alert = {
    kind: 'vendor',
    app: '1400000001',
    state: 'misconfigured',
    since,
    until: null,
    reason: stored(['vendor_said', 70009, ['vendor_user_sig']]),
    advice: stored(['vendor_check_key', 'APP_1400000001']),
  };
  const compared: Extract<Alert, { kind: 'compared' }> = {
    kind: 'compared',
    app: '1400000001',
    cause: 'schedule',
    since,
    until,
    total: 1204,
    compared: 1204,
    corrected: 2,
    destroyed: 1,
    imported: 0,
    failed: 0,
    reason: null,
    advice: null,
    example: { channelId: '@TOA#_<!channel>', field: 'name', ours: null, theirs: '*new* name', reason: null },
  };

  it('say what is wrong and what to do, and when it works again', () => {
    expect(linesOf(alertMessage(vendor, context))).toEqual([
      '🔴 App 1400000001 is not compared with Tencent: check its settings',
      '*Error: *Tencent answered 70009: the UserSig is not accepted',
      '*What to do: *Check APP_1400000001_IDENTIFIER and APP_1400000001_SECRET_KEY.',
      'Webhooks and sinks are not affected. Failed calls are retried automatically.',
      'Since Dec 9, 2022, 08:00:00 UTC',
    ]);
    expect(linesOf(alertMessage({ ...vendor, until }, context))[0]).toBe("✅ Tencent's API works again for app 1400000001");
    expect(keyOf(vendor)).not.toBe(keyOf({ ...vendor, app: '1400000002' }));
  });

  it('say what a comparison corrected, with the first of it as data, and offer to compare', () => {
    const shown = alertMessage(compared, context);
    expect(linesOf(shown).slice(0, 3)).toEqual([
      '🔎 3 of 1,204 channels differed from Tencent and were corrected',
      'App 1400000001: 1 destroyed, 0 new, 0 could not be compared.',
      '*First of them: *@TOA#_<!channel>: Name unknown → *new* name',
    ]);
    expect(shown.text).not.toMatch(/<!|\*/);
    const button = (shown.blocks.at(-1) as { elements: Button[] }).elements[0]!;
    expect(button).toMatchObject({
      action_id: 'compareNow',
      value: 'team:1400000001',
      confirm: { title: { text: 'Compare all channels with Tencent?' } },
    });
    expect(linesOf(alertMessage(compared, { ...context, buttons: false })).join()).not.toContain('Compare now');
  });

  it('mention nobody', () => {
    for (const alert of [vendor, compared, { ...compared, until: null }])
      expect(JSON.stringify(alertMessage(alert, { ...context, mention: ['U012AB3CD'] }, { first: true }))).not.toContain('U012AB3CD');
  });

  it('say what an import brought, and why a comparison failed', () => {
    const imported = { ...compared, cause: 'import', corrected: 0, destroyed: 0, imported: 7, total: 10, example: null };
    expect(linesOf(alertMessage(imported, context))[0]).toBe('📥 7 of 10 channels imported');
    const failed = { ...compared, reason: stored(['too_many_gone', 30, 100]), advice: stored(['check_gone', 'APP_1']) };
    expect(linesOf(alertMessage(failed, context)).slice(0, 2)).toEqual([
      '🔴 The comparison of app 1400000001 with Tencent failed',
      '*Error: *30 of 100 channels do not exist any more at Tencent: none of them was recorded as destroyed',
    ]);
    expect(linesOf(alertMessage(failed, { ...context, words: zhCN }))[0]).toBe('🔴 应用 1400000001 与腾讯云的比对失败');
  });
});
