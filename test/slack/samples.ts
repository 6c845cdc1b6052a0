import type { Explanation } from '../../src/explanations/explanation.js';
import type { ChangeEvent, FieldChange } from '../../src/sinks/sink.js';
import type { Alert } from '../../src/sinks/alert.js';
import type { Report } from '../../src/sinks/report-sink.js';
import { resultAt as result } from '../support/slack-rendering.ts';

export const locales = ['en', 'zh-CN'] as const;
export type Locale = (typeof locales)[number];

/** When all of it happened, so that pictures change only when messages do. */
export const now = Date.parse('2026-03-02T09:30:00Z');
const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

/** Served by the gallery itself: no picture comes from outside. */
export const avatarUrl = 'https://cdn.tea-palace.com/avatars/tea.png';
const formerAvatarUrl = 'https://cdn.tea-palace.com/avatars/old.png';

/** What people wrote into profiles. */
const profiles = {
  en: {
    name: 'Tea Palace',
    former: 'Tea House',
    organization: 'Tea & Co.',
    formerOrganization: 'Tea Brothers',
    short: 'Fresh tea every day.',
    long: [
      'We pick, dry and roast our tea by hand, and have done so for four generations.',
      ...['Spring', 'Summer', 'Autumn', 'Winter'].map(
        one => `${one}: new teas each week, tastings on Saturdays, and free delivery for members.`,
      ),
      'Write to us here from nine to six.',
    ].join('\n'),
    operator: 'leckie',
    shop: 'Shop',
  },
  'zh-CN': {
    name: '清风茶馆',
    former: '老茶馆',
    organization: '清风茶业有限公司',
    formerOrganization: '兄弟茶行',
    short: '每日新茶上市。',
    long: [
      '我们四代人坚持手工采摘、晾晒和烘焙，从茶园到茶杯，每一步都亲自把关，只为让您喝到一杯放心的好茶。',
      ...['春季', '夏季', '秋季', '冬季'].map(
        one => `${one}：每周推出新茶，每周六下午在各门店举办品鉴会，会员免费参加，另有限量礼盒可供预订，数量有限，先到先得，敬请关注。`,
      ),
      '客服时间为每天上午九点至下午六点，欢迎随时在此留言。',
    ].join('\n'),
    operator: 'lihua',
    shop: '分店',
  },
} as const;

/** As the service stores it. */
const stored = (explanation: Explanation): string => JSON.stringify(explanation);
const id = (number: number): string => `019cadf1-5c00-7000-8000-${String(number).padStart(12, '0')}`;

interface Sample extends Partial<Omit<Report, 'event'>> {
  type?: ChangeEvent['type'];
  data?: Partial<ChangeEvent['data']>;
}

/** The n-th is its channel's revision n, n seconds after `now`. */
function reports(locale: Locale, samples: readonly Sample[]): Report[] {
  return samples.map((one, index) => report(locale, index + 1, one));
}

function report(locale: Locale, number: number, { type = 'channel.profile.updated', data = {}, ...rest }: Sample): Report {
  const { name, short, organization, operator } = profiles[locale];
  const timestamp = new Date(now + number * second).toISOString();
  const profile = { name, avatarUrl, introduction: short, organization };
  const defaults = {
    changeId: id(number),
    sdkAppId: '1400000001',
    channelId: '@TOA#_tea',
    revision: number,
    exists: true,
    operator,
    source: 'webhook' as const,
    changes: [],
    profile,
  };
  return {
    id: `${id(number)}_1`,
    version: now,
    updatedAt: timestamp,
    event: { type, timestamp, data: { ...defaults, ...data } },
    origin: { clientIp: null, platform: 'RESTAPI', owner: null },
    receivedAt: now,
    eventTimeEstimated: false,
    tie: false,
    stale: [],
    results: [crm, search],
    auditActions: [],
    possiblyPostedSince: null,
    messageRef: null,
    ...rest,
  };
}

const crm = result('crm', 'delivered', { durationMs: 42 });
const shop = result('shop_crm', 'delivered', { durationMs: 1240 });
const search = result('search', 'delivered', { durationMs: 18 });
const refused = result('shop_crm', 'parked', {
  reason: stored(['with_answer', ['answered', 422], '{"error":"shop 17 is closed"}']),
  durationMs: 35,
});

/** What can happen to a channel. */
export function cards(locale: Locale): Report[] {
  const { name, former, short, long, organization, formerOrganization } = profiles[locale];
  const profile = { name, avatarUrl, introduction: short, organization };
  const unknown = { name: null, avatarUrl: null, introduction: null, organization: null };
  const renamed: FieldChange = { field: 'name', from: former, to: name };
  const samples: Sample[] = [
    {
      type: 'channel.created',
      data: {
        profile: { ...unknown, name: former, introduction: '' },
        changes: [
          { field: 'name', from: null, to: former },
          { field: 'introduction', from: null, to: '' },
        ],
      },
    },
    {
      data: {
        profile: { ...profile, introduction: long },
        changes: [
          renamed,
          { field: 'avatarUrl', from: formerAvatarUrl, to: avatarUrl },
          { field: 'introduction', from: short, to: long },
          { field: 'organization', from: formerOrganization, to: organization },
        ],
      },
    },
    { data: { operator: null, changes: [{ field: 'introduction', from: short, to: '' }] }, eventTimeEstimated: true },
    { data: { changes: [renamed] }, tie: true },
    { data: { revision: null }, stale: ['name', 'introduction'] },
    {
      type: 'channel.destroyed',
      data: {
        exists: false,
        profile: unknown,
        changes: [
          { field: 'name', from: name, to: null },
          { field: 'avatarUrl', from: avatarUrl, to: null },
          { field: 'introduction', from: short, to: null },
          { field: 'organization', from: organization, to: null },
        ],
      },
    },
    {
      type: 'channel.created',
      data: { profile: { ...unknown, name }, changes: [{ field: 'name', from: null, to: name }] },
    },
  ];
  return reports(locale, samples);
}

/** What can become of a change at the sinks. */
export function results(locale: Locale): Report[] {
  const { name, former } = profiles[locale];
  const data = { changes: [{ field: 'name' as const, from: former, to: name }] };
  const failing = result('search', 'retrying', {
    reason: stored(['with_answer', ['answered', 503], 'Service Unavailable']),
    nextAttemptAt: now + 2 * minute,
  });
  const retried = { at: now + minute, action: 'replay' as const, actor: 'slack:U0ALICE' };
  const discarded = { at: now + 2 * minute, action: 'discard' as const, actor: 'slack:U0ALICE' };
  return reports(locale, [
    { data, results: [crm, failing, result('shop_crm', 'pending')] },
    { data, results: [crm, search, refused] },
    { data, results: [crm, search, shop], auditActions: [retried] },
    {
      data,
      results: [crm, search, result('shop_crm', 'discarded', { reason: stored(['discarded']) })],
      auditActions: [retried, discarded],
    },
    { data, results: [crm, result('search', 'superseded'), shop] },
  ]);
}

/** Many changes that every sink has. */
export function burst(locale: Locale): Report[] {
  const { shop: word } = profiles[locale];
  const samples = Array.from({ length: 23 }, (_, index): Sample => {
    const name = `${word} ${index + 1}`;
    const to = `${name} ★`;
    return {
      data: {
        channelId: `@TOA#_shop_${index + 1}`,
        profile: { name: to, avatarUrl: null, introduction: null, organization: null },
        changes: [{ field: 'name', from: name, to }],
      },
    };
  });
  return reports(locale, samples);
}

const incident: Extract<Alert, { kind: 'incident' }> = {
  kind: 'incident',
  sink: 'crm',
  state: 'down',
  since: now,
  until: null,
  reason: stored(['connection_refused']),
  advice: stored(['check_runs']),
  waiting: 1234,
  failures: [30, 15, 0].map(seconds => ({ at: now + seconds * second, error: stored(['connection_refused']) })),
  paused: false,
  by: null,
  removed: false,
};

const compared: Extract<Alert, { kind: 'compared' }> = {
  kind: 'compared',
  app: '1400000001',
  cause: 'schedule',
  since: now,
  until: now + minute,
  total: 1204,
  compared: 1204,
  corrected: 3,
  destroyed: 0,
  imported: 0,
  failed: 0,
  reason: null,
  advice: null,
  example: { channelId: '@TOA#_shop_news', field: 'name', ours: 'Shop', theirs: 'Shop news', reason: null },
};

/** It links to nothing. */
const messageRefs = { parked: null, waiting: null };

/** What the service tells of itself. */
export const notices: readonly Alert[] = [
  incident,
  {
    ...incident,
    sink: 'search',
    state: 'misconfigured',
    reason: stored(['with_answer', ['answered', 401], 'invalid API key']),
    advice: stored(['check_credentials']),
    failures: [],
  },
  { ...incident, sink: 'shop_crm', failures: [], paused: true, by: 'slack:U0ALICE' },
  { ...incident, sink: 'vip_crm', state: 'paused', reason: '', advice: '', failures: [], paused: true, by: 'slack:U0ALICE', waiting: 0 },
  { ...incident, sink: 'old_crm', state: 'retrying', failures: [], waiting: 0 },
  { ...incident, sink: 'mail_crm', until: now + 85 * minute, failures: [] },
  { ...incident, sink: 'gone_crm', until: now + 85 * minute, failures: [], removed: true, keptDays: 90 },
  {
    kind: 'parked',
    sink: 'shop_crm',
    since: now,
    until: null,
    count: 3,
    reason: stored(['with_answer', ['answered', 422], '{"error":"shop 17 is closed"}']),
    advice: stored(['fix_at_target']),
    removed: false,
  },
  { kind: 'differences', sink: 'search', since: now, until: null, missing: 12, older: 3, newer: 0, surplus: 1, removed: false },
  ...[false, true].map((rejected): Alert => ({ kind: 'silence', since: now, until: null, afterMs: 6 * hour, rejected })),
  {
    kind: 'vendor',
    app: '1400000001',
    state: 'misconfigured',
    since: now,
    until: null,
    reason: stored(['vendor_said', 70003, ['vendor_user_sig']]),
    advice: stored(['vendor_check_user_sig', 'APP_1400000001']),
  },
  compared,
  {
    ...compared,
    corrected: 0,
    reason: stored(['too_many_gone', 180, 1204]),
    advice: stored(['check_gone', 'APP_1400000001']),
    example: { channelId: '@TOA#_shop_news', field: null, ours: null, theirs: null, reason: stored(['channel_gone']) },
  },
  { ...compared, cause: 'import', total: 40, compared: 39, corrected: 0, imported: 38, failed: 1, example: null },
  { kind: 'rejected', since: now, until: null, counts: { app: 2, signature: 25, clock: 3 }, last: now + 3 * minute },
  {
    kind: 'summary',
    since: now - 24 * hour,
    until: now,
    changes: 1318,
    channels: 204,
    sinks: [
      { sink: 'crm', delivered: 1318, slowestMs: 840, parked: 0, waiting: 0, messageRefs },
      { sink: 'search', delivered: 1296, slowestMs: 12_400, parked: 0, waiting: 22, messageRefs },
      { sink: 'shop_crm', delivered: 1315, slowestMs: 95_000, parked: 3, waiting: 0, messageRefs },
    ],
  },
];
