import type { Button, RichTextBlock } from '@slack/types';
import { stored } from '../../../explanations/explanation.js';
import { linesOf } from '../../../../test/support/slack-messages.ts';
import type { Alert } from '../../alert.js';
import type { Message, RenderContext } from '../card/blocks.js';
import { type Words, en } from '../words/en.js';
import { alertMessage, failures, keyOf } from './alert.js';
import { zhCN } from '../words/zh-cn.js';

const context: RenderContext = { sink: 'team', words: en, timeZone: 'UTC', threads: true, buttons: true };
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
      '🔴 crm stands still: its set-up is wrong',
      '*What is wrong: *answered 401',
      '*What to do: *Check the credentials of this sink.',
      '1,200 changes wait for it. Nothing is lost: they go out as soon as it works again.',
      'Since Dec 9, 2022, 08:00:00 UTC',
      '[Pause]',
    ]);
    expect(shown.text).toBe('🔴 crm stands still: its set-up is wrong. What is wrong: answered 401');
    expect(shown.blocks.at(-1)).toMatchObject({ elements: [{ action_id: 'pause', value: 'team:crm' }] });
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
      'No change waits for it. New ones will be kept until somebody resumes it.',
      'Paused by @U012AB3CD.',
      expect.any(String),
      '[Resume]',
    ]);
    const resumed = linesOf(alertMessage({ ...incident, state: 'down', by: 'api', waiting: 1 }, context));
    expect(resumed).toContain('Resumed by the API.');
    expect(resumed[0]).toBe('🔴 crm is down');
    expect(resumed[3]).toBe('1 change waits for it. Nothing is lost: they go out as soon as it works again.');
  });

  it('says of one that is only paused who did it, and nothing of what is wrong', () => {
    const paused = { ...incident, state: 'paused' as const, reason: '', advice: '', failures: [], paused: true, by: 'api' };
    expect(linesOf(alertMessage(paused, context))).toEqual([
      '⏸️ crm is paused',
      '1,200 changes wait for it. Nothing is lost: they go out when somebody resumes it.',
      'Paused by the API.',
      'Since Dec 9, 2022, 08:00:00 UTC',
      '[Resume]',
    ]);
    expect(linesOf(alertMessage({ ...paused, until, waiting: 0 }, context))).toEqual([
      '▶️ crm is not paused any more',
      'It lasted 2 hr 5 min. No change was lost.',
      'Dec 9, 2022, 08:00:00 UTC – Dec 9, 2022, 10:05:00 UTC',
    ]);
    expect(linesOf(alertMessage({ ...paused, until, removed: true }, context))[2]).toBe('*What was wrong: *crm is paused');
  });

  it('is closed with how long it took', () => {
    const shown = alertMessage({ ...incident, until, waiting: 3 }, context);
    expect(linesOf(shown)).toEqual([
      '✅ crm is well again',
      'It lasted 2 hr 5 min. No change was lost.',
      '3 changes that waited are on the way.',
      '*What was wrong: *answered 401',
      'Dec 9, 2022, 08:00:00 UTC – Dec 9, 2022, 10:05:00 UTC',
    ]);
    expect(shown.text).toBe('✅ crm is well again. It lasted 2 hr 5 min. No change was lost.');
    expect(linesOf(alertMessage({ ...incident, until, waiting: 0 }, context))).toHaveLength(4);
  });

  it('is closed with what stays owed when the sink is no longer configured', () => {
    const removed = { ...incident, until, removed: true };
    expect(linesOf(alertMessage(removed, context))).toEqual([
      '⏹️ crm is no longer configured',
      '1,200 changes still wait for it, to go out if it is configured again within RETENTION_DAYS.',
      '*What was wrong: *answered 401',
      'Dec 9, 2022, 08:00:00 UTC – Dec 9, 2022, 10:05:00 UTC',
    ]);
    expect(linesOf(alertMessage({ ...removed, waiting: 0 }, context))[1]).toBe('No change waits for it.');
    expect(linesOf(alertMessage(removed, { ...context, words: zhCN })).slice(0, 2)).toEqual([
      '⏹️ crm 已不在配置中',
      '1,200 项变更仍在等待：如果在 RETENTION_DAYS 之内重新配置它，则会发送。',
    ]);
  });

  it('says that more are waiting than are counted', () => {
    const shown = (rest: object, messages = en) =>
      linesOf(alertMessage({ ...incident, ...rest } as Alert, { ...context, words: messages }));
    expect(shown({ waiting: 10_000 })[3]).toMatch(/^10,000 changes wait /);
    expect(shown({ waiting: 10_001 })[3]).toMatch(/^More than 10,000 changes wait /);
    expect(shown({ waiting: 10_001, paused: true })[3]).toMatch(/^More than 10,000 changes wait /);
    expect(shown({ waiting: 10_001, until })[2]).toBe('More than 10,000 changes that waited are on the way.');
    expect(shown({ waiting: 10_001, until, removed: true })[1]).toMatch(/^More than 10,000 changes still wait /);
    expect(shown({ waiting: 10_001 }, zhCN)[3]).toMatch(/^超过 10,000 项变更在等待。/);
    expect(shown({ waiting: 10_001, until }, zhCN)[2]).toBe('超过 10,000 项等待过的变更正在发送。');
  });

  it('lists the newest failures in its thread while it lasts', () => {
    expect(failures(incident, context).flatMap(linesOf)).toEqual(['*The newest failures*', 'Dec 9, 2022, 08:00:01 UTC: answered 401']);
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
      ['❌ 3 changes are parked at crm', '✅ Nothing is parked at crm any more', 'It lasted 2 hr 5 min.'],
    ].map((texts, index) => [others[index]!.kind, others[index]!, texts] as const),
  )('of %s reads differently when it is over', (_, alert, texts) => {
    const [open, over] = [alertMessage(alert, context), alertMessage({ ...alert, until } as Alert, context)];
    expect([linesOf(open)[0], ...linesOf(over).slice(0, 2)]).toEqual(texts);
    expect(linesOf(open).at(-1)).toBe('Since Dec 9, 2022, 08:00:00 UTC');
    expect(linesOf(over).at(-1)).toBe('Dec 9, 2022, 08:00:00 UTC – Dec 9, 2022, 10:05:00 UTC');
    expect(kindsOf(over)).toEqual(kindsOf(open));
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
      '*2 条来自未知应用：*请核对 SDK_APP_IDS。如果其中已列出您的所有应用，则是他人在调用此地址，这些请求会被拒绝。',
    ]);
  });

  // Guards against words that all is well, while every webhook was refused.
  it('of silence does not say that it is normal while webhooks are rejected', () => {
    const shown = (rejected: boolean): string | undefined => linesOf(alertMessage({ ...others[0]!, rejected } as Alert, context))[1];
    expect(shown(false)).toMatch(/^Normal if no profile was edited. Otherwise: check /);
    expect(shown(true)).toBe('Webhooks did arrive, but were rejected: see the alert about rejected webhooks.');
  });

  it('of what is parked says why and what to do', () => {
    expect(linesOf(alertMessage(others[2]!, context)).slice(1, 4)).toEqual([
      '*Why, of the newest: *answered 400',
      '*What to do: *See its log.',
      'Each waits until somebody sends it again or discards it: on its card, or over the API.',
    ]);
    expect(linesOf(alertMessage(others[2]!, { ...context, buttons: false }))[3]).toBe(
      'Each waits until somebody sends it again or discards it over the API.',
    );
  });

  it('of what is parked says that there are more than are counted', () => {
    const [titleEn, titleZh] = [en, zhCN].map(
      messages => linesOf(alertMessage({ ...others[2]!, count: 10_001 } as Alert, { ...context, words: messages }))[0],
    );
    expect(titleEn).toBe('❌ More than 10,000 changes are parked at crm');
    expect(titleZh).toBe('❌ 超过 10,000 项变更在 crm 处被搁置');
  });

  it('of what is parked tells that it stays so when the sink is no longer configured', () => {
    const removed = { ...others[2]!, until, removed: true } as Alert;
    expect(linesOf(alertMessage(removed, context)).slice(0, 3)).toEqual([
      '⏹️ crm is no longer configured',
      '3 changes stay parked there, to be sent again if it is configured again within RETENTION_DAYS.',
      '*What was wrong: *answered 400',
    ]);
    expect(linesOf(alertMessage(removed, { ...context, words: zhCN }))[1]).toBe(
      '3 项变更仍被搁置：如果在 RETENTION_DAYS 之内重新配置它，则可以重新发送。',
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
      '🧩 The index of search is not what it should be',
      '*What is wrong: *the newest comparison with our store found 1,200 documents missing, 2 out of date, and 1 too many',
      '*What to do: *Repair it: missing and outdated documents are sent again; extra documents are deleted.',
      'If it comes back, something else writes into this index.',
      'Since Dec 9, 2022, 08:00:00 UTC',
      '[Repair]',
    ]);
    expect(shown.blocks.at(-1)).toMatchObject({ elements: [{ action_id: 'repair', value: 'team:search' }] });
    expect(linesOf(alertMessage(differences, { ...context, buttons: false })).slice(2)).toEqual([
      '*What to do: *Repair it by POST /api/v1/sinks/search/verify with {"repair": true}: missing and outdated documents are sent again; extra documents are deleted.',
      'If it comes back, something else writes into this index.',
      'Since Dec 9, 2022, 08:00:00 UTC',
    ]);
    expect(linesOf(alertMessage({ ...differences, newer: 3 }, { ...context, words: zhCN })).slice(0, 2)).toEqual([
      '🧩 search 的索引与应有内容不符',
      '*问题：*最近一次与存储的比较发现：缺少 1,200 个文档，2 个过旧，3 个比存储更新，1 个多余',
    ]);
  });

  it('is closed when it is mended, or the sink is no longer configured', () => {
    expect(linesOf(alertMessage({ ...differences, until }, context)).slice(0, 2)).toEqual([
      '✅ The index of search is what it should be again',
      'It lasted 2 hr 5 min. The newest comparison found nothing or mended it, or the index was built anew.',
    ]);
    expect(linesOf(alertMessage({ ...differences, until, removed: true }, context)).slice(0, 2)).toEqual([
      '⏹️ search is no longer configured',
      'Its index stays as it is.',
    ]);
  });
});

/** What an alert's button asks before it does anything, or nothing. */
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

describe('buttons', () => {
  it.each<[Alert, Words, (string | undefined)[]]>([
    [
      incident,
      en,
      [
        'pause',
        'Pause this sink?',
        'Nothing is sent to it until someone resumes it. Changes are queued meanwhile; none is lost.',
        'Pause',
        'Cancel',
      ],
    ],
    [incident, zhCN, ['pause', '暂停此目标？', expect.stringContaining('排队等待，不会丢失'), '暂停', '取消']],
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
      '📋 Summary of the day',
      '1,234 changes on 56 channels. 4 parked, 12 waiting.',
      ':x:* crm* 1,230 delivered, the slowest in 1.2 sec, 4 parked',
      ':white_check_mark:* log* 1,234 delivered, the slowest in 3 ms',
      ':hourglass_flowing_sand:* search* 1,222 delivered, 12 waiting',
      'Dec 8, 2022, 10:05:00 UTC – Dec 9, 2022, 10:05:00 UTC',
    ]);
    expect(shown.text).toBe('📋 Summary of the day. 1,234 changes on 56 channels. 4 parked, 12 waiting.');
    expect(linesOf(alertMessage(summary, { ...context, words: zhCN }))[1]).toBe('56 个公众号共 1,234 项变更。搁置 4 项，等待 12 项。');
  });

  it('links to the alerts of what is parked and waits, where it is known where they stand', () => {
    const [parked, waiting] = ['https://tea.slack.com/archives/C1/p1', 'https://tea.slack.com/archives/C1/p2'];
    const links = new Map([
      ['p', parked],
      ['w', waiting],
    ]);
    const shown = alertMessage(summary, context, links);
    const linked = (shown.blocks[1] as RichTextBlock).elements.map(({ elements }) => elements.filter(({ type }) => type === 'link'));
    expect(linked).toEqual([
      [],
      [{ type: 'link', url: parked, text: '4 parked' }],
      [],
      [{ type: 'link', url: waiting, text: '12 waiting' }],
    ]);
    expect(linesOf(shown)).toEqual(linesOf(alertMessage(summary, context)));
  });

  it('is short on a quiet day', () => {
    const sinks = [{ sink: 'crm', delivered: 0, slowestMs: null, parked: 0, waiting: 0, messageRefs: none }];
    expect(linesOf(alertMessage({ ...summary, changes: 0, channels: 0, sinks }, context)).slice(1, 3)).toEqual([
      'No changes. Every sink has everything.',
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
    expect(lines).toContain(':x:* s90* 1 delivered, the slowest in 1 ms, 1 parked');
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
