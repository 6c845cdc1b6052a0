import fc from 'fast-check';
import { slackChecker } from '../../../test/support/slack-checker.ts';
import { linesOf, shownTexts } from '../../../test/support/slack-messages.ts';
import { attemptOf, changeOf, channelOf, detailsOf, lookupOf, sinkOf } from '../../../test/support/slack-lookups.ts';
import { renderContext, resultAt } from '../../../test/support/slack-rendering.ts';
import { exampleEvent, exampleReport } from '../../../test/sink.contract.ts';
import { type ChangeType, type FieldName, type RejectionCause, fieldNames, rejectionCauses } from '../sink.js';
import type { AuditAction, Report, SinkResult } from '../report-sink.js';
import type { Alert } from '../alert.js';
import { type RenderContext, type Message, withoutImage } from './card/blocks.js';
import { card, fullTexts } from './card/card.js';
import { publicImageUrl } from './card/card-text.js';
import { digest, digestThread } from './card/digest.js';
import { type Words, en } from './words/en.js';
import { alertMessage, failures } from './alerts/alert.js';
import type { Lookup } from '../lookup.js';
import { answerTo } from './lookup/command.js';
import { detailsView } from './lookup/details.js';
import { homeView } from './lookup/home.js';
import { zhCN } from './words/zh-cn.js';

const hostile = fc.constantFrom(
  '<!channel>',
  '<!here>',
  '<!everyone>',
  '<@U012AB3CD>',
  '<#C012AB3CD>',
  '<!subteam^S1>',
  '<!date^0^{date}|x>',
  '<https://evil.example|bank>',
  'https://evil.example',
  '@channel',
  '*b* _i_ ~s~ `c`',
  '&lt;!channel&gt;',
  ':bomb:',
  ':企鹅:',
  ':été:',
  '> quote',
  '*b*_i_~s~',
  '_i_,',
  ':a:b:',
  '```c```',
  '\u202egnp.exe',
  '\u0000\u0007\u009b',
  '\n\r\u2028',
  '\ud800',
  '\udfff',
  '\u200b',
  ' ',
  'a'.repeat(20_000),
  '你'.repeat(5000),
  '👩‍👩‍👧‍👦'.repeat(500),
  `Z${'\u0310'.repeat(5000)}`,
  '&'.repeat(5000),
  '<'.repeat(5000),
);
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme', maxLength: 900 }),
  hostile,
  fc.array(hostile, { maxLength: 4 }).map(all => all.join('')),
);
const value = fc.option(text);
const avatar = fc.oneof(value, fc.webUrl(), fc.webUrl({ withQueryParameters: true, size: 'large' }));
const profile = fc.record({ name: value, avatarUrl: avatar, introduction: value, organization: value });
const time = fc.integer({ min: Date.parse('2010-01-01'), max: Date.parse('2100-01-01') });
const count = fc.nat({ max: 1e9 });
const sinkName = fc.oneof(fc.string({ minLength: 1 }), hostile);
const states = ['pending', 'retrying', 'delivered', 'superseded', 'parked', 'discarded'] as const;
const sinkResults = fc.array(
  fc.record<SinkResult>({
    sink: sinkName,
    state: fc.constantFrom(...states),
    reason: value,
    durationMs: fc.option(fc.double({ min: 0, max: 1e9, noNaN: true })),
    nextAttemptAt: fc.option(time),
    endedAt: fc.option(time),
    held: fc.constantFrom('paused', 'removed', null),
    skipped: fc.boolean(),
  }),
  { maxLength: 60 },
);
const auditActions = fc.array(
  fc.record<AuditAction>({
    at: time,
    action: fc.constantFrom('replay', 'discard'),
    actor: fc.oneof(fc.constantFrom('api', 'slack:U012AB3CD'), hostile),
  }),
  { maxLength: 9 },
);
const reports: fc.Arbitrary<Report> = fc
  .record({
    type: fc.constantFrom<ChangeType[]>('channel.created', 'channel.profile.updated', 'channel.destroyed'),
    sdkAppId: text,
    channelId: text,
    operator: value,
    revision: fc.option(fc.nat()),
    exists: fc.boolean(),
    before: profile,
    after: profile,
    results: sinkResults,
    auditActions,
    stale: fc.subarray<FieldName>([...fieldNames]),
    tie: fc.boolean(),
    eventTimeEstimated: fc.boolean(),
    at: time,
  })
  .map(({ type, before, after, at, sdkAppId, channelId, operator, revision, exists, ...rest }) => {
    const changes = fieldNames.map(field => ({ field, from: before[field], to: after[field] }));
    const data = { sdkAppId, channelId, operator, revision, exists, changes, profile: after };
    return exampleReport({ event: { ...exampleEvent(data), type, timestamp: new Date(at).toISOString() }, ...rest });
  });
const ended = { since: time, until: fc.option(time) };
const alerts: fc.Arbitrary<Alert> = fc.oneof(
  fc.record({
    kind: fc.constant('incident' as const),
    // Used as the value of a button, which must not be truncated.
    sink: fc.stringMatching(/^[a-z0-9_]{1,200}$/),
    state: fc.constantFrom('misconfigured' as const, 'down' as const, 'paused' as const),
    ...ended,
    reason: text,
    advice: text,
    waiting: count,
    failures: fc.array(fc.record({ at: time, error: text }), { maxLength: 40 }),
    again: fc.boolean(),
    paused: fc.boolean(),
    by: fc.option(text),
    removed: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('silence' as const), ...ended, afterMs: count, rejected: fc.boolean() }),
  fc.record({
    kind: fc.constant('rejected' as const),
    ...ended,
    counts: fc.dictionary(fc.constantFrom(...rejectionCauses), count) as fc.Arbitrary<Partial<Record<RejectionCause, number>>>,
    last: time,
  }),
  fc.record({
    kind: fc.constant('parked' as const),
    sink: fc.stringMatching(/^[a-z0-9_]{1,200}$/),
    ...ended,
    count,
    reason: text,
    advice: text,
    removed: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('differences' as const),
    // As in an incident.
    sink: fc.stringMatching(/^[a-z0-9_]{1,200}$/),
    ...ended,
    missing: count,
    older: count,
    newer: count,
    surplus: count,
    removed: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('summary' as const),
    since: time,
    until: time,
    changes: count,
    channels: count,
    sinks: fc.array(
      fc.record({
        sink: sinkName,
        delivered: count,
        slowestMs: fc.option(count),
        parked: count,
        waiting: count,
        messageRefs: fc.constant({ parked: null, waiting: null }),
      }),
      {
        maxLength: 60,
      },
    ),
  }),
);
const now = Date.parse('2026-01-01');
const contexts: fc.Arbitrary<RenderContext> = fc.record({
  sink: fc.constant('team'),
  words: fc.constantFrom(en, zhCN),
  timeZone: fc.constantFrom('UTC', 'Asia/Shanghai', 'America/St_Johns'),
  threads: fc.boolean(),
  buttons: fc.boolean(),
  severalApps: fc.boolean(),
  cards: fc.constantFrom('all', 'problems', 'none'),
  mention: fc.constantFrom([], ['U012AB3CD', 'S012AB3CD', 'here', 'channel']),
});

/** These messages, and those with an image also without it. */
function all(...messages: Message[]): Message[] {
  return messages.flatMap(one => [one, withoutImage(one)]).filter(one => one !== null);
}

/** Every kind of message that we may send. */
const messages: fc.Arbitrary<Message[]> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(reports, contexts).map(([report, context]) => all(card(report, context, now), ...fullTexts(report, context))),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(alerts, contexts, fc.record({ first: fc.boolean(), fallback: fc.boolean() }))
      .map(([alert, context, beside]) => all(alertMessage(alert, context, beside), ...failures(alert, context))),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.array(reports, { minLength: 1, maxLength: 12 }), contexts)
      .map(([many, context]) => all(digest(many, context), ...digestThread(many, context))),
  },
);

describe('any message', () => {
  const runs = { numRuns: 150 };
  let faultsOf: ReturnType<typeof slackChecker>;
  beforeAll(() => {
    faultsOf = slackChecker();
  });

  it('is one that Slack takes', () => {
    fc.assert(
      fc.property(messages, many => {
        for (const message of many) {
          expect(faultsOf(message)).toEqual([]);
          for (const one of shownTexts(message)) {
            expect(one).not.toBe('');
            expect(one.isWellFormed()).toBe(true);
            expect(one).not.toMatch(/(?!\n)[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u);
          }
        }
      }),
      runs,
    );
  });

  it('never has data where it could be live', () => {
    fc.assert(
      fc.property(messages, many => {
        for (const { text: top, blocks } of many) {
          expect(top).not.toMatch(/[<>]/);
          expect(top.replaceAll(/&(amp|lt|gt);/g, '')).not.toContain('&');
          // A quote, characters that could close markup opened earlier, and names of emoji.
          expect(top).not.toMatch(/^&gt;|[*~`]|\S_(?![A-Za-z0-9])|:[^\s:]+:/);
          expect(blocks.flatMap(liveParts)).toEqual([]);
        }
      }),
      runs,
    );
  });

  it('is short enough when everything is as long as can be', () => {
    const most = '👩‍👩‍👧‍👦'.repeat(500);
    const [before, after] = [most, `x${most}`].map(one => ({ name: one, avatarUrl: one, introduction: one, organization: one }));
    const changes = fieldNames.map(field => ({ field, from: before?.[field] ?? '', to: after?.[field] ?? '' }));
    const data = {
      sdkAppId: '&'.repeat(500),
      channelId: '&'.repeat(500),
      operator: most,
      changeId: most.slice(0, 60),
      changes,
      profile: after!,
    };
    const results = Array.from({ length: 100 }, (_, index) =>
      resultAt(most, states[index % 6] ?? 'parked', { reason: most, durationMs: 1e9, nextAttemptAt: now + 1e9 }),
    );
    const links = new Map(['1', '2'].map(messageRef => [messageRef, `https://tea.slack.com/${'a'.repeat(80)}`]));
    const auditActions = Array.from({ length: 9 }, () => ({ at: now, action: 'replay' as const, actor: most }));
    const report = exampleReport({
      event: exampleEvent(data),
      tie: true,
      eventTimeEstimated: true,
      stale: [...fieldNames],
      results,
      auditActions: auditActions,
    });
    for (const words of [en, zhCN]) {
      const context = renderContext(words);
      const many = Array.from({ length: 100 }, () => report);
      for (const message of [
        card(report, context, now),
        ...fullTexts(report, context),
        digest(many, context),
        ...digestThread(many, context),
      ]) {
        expect(faultsOf(message)).toEqual([]);
        expect(shownTexts(message).join('').length).toBeGreaterThan(4000);
      }
      const at = { since: now, until: null };
      const errors = Array.from({ length: 99 }, () => ({ at: now, error: most }));
      const longest: Alert[] = [
        {
          ...at,
          kind: 'incident',
          sink: 'a'.repeat(200),
          state: 'misconfigured',
          reason: most,
          advice: most,
          waiting: 1e15,
          failures: errors,
          paused: false,
          by: most,
          removed: false,
        },
        { ...at, kind: 'parked', sink: 'a'.repeat(200), count: 1e15, reason: most, advice: most, removed: false },
        { ...at, kind: 'differences', sink: 'a'.repeat(200), missing: 1e15, older: 1e15, newer: 1e15, surplus: 1e15, removed: false },
        { ...at, kind: 'summary', until: now, changes: 1e15, channels: 1e15, sinks: manySinks(most) },
      ];
      for (const message of longest.flatMap(one => [
        alertMessage(one, context, { first: true, fallback: true, links }),
        ...failures(one, context),
      ])) {
        expect(faultsOf(message)).toEqual([]);
      }
    }
  });

  it('has the same kinds of blocks whatever became of it, but for its buttons', () => {
    const kinds = ({ blocks }: Message) => blocks.map(({ type }) => type).filter(type => type !== 'actions');
    fc.assert(
      fc.property(reports, sinkResults, auditActions, contexts, (report, results, done, context) => {
        expect(kinds(card({ ...report, results, auditActions: done }, context, now))).toEqual(kinds(card(report, context, now)));
      }),
      runs,
    );
    fc.assert(
      fc.property(alerts, contexts, time, (alert, context, until) => {
        expect(kinds(alertMessage({ ...alert, until }, context))).toEqual(kinds(alertMessage(alert, context)));
      }),
      runs,
    );
  });

  it('is the same without its image but for the image', () => {
    fc.assert(
      fc.property(reports, contexts, (report, context) => {
        const full = card(report, context, now);
        const bare = withoutImage(full);
        expect(JSON.stringify(bare ?? full)).not.toContain('image_url');
        expect(linesOf(bare ?? full)).toEqual(linesOf(full));
      }),
      runs,
    );
  });
});

function manySinks(sink: string): Extract<Alert, { kind: 'summary' }>['sinks'] {
  return Array.from({ length: 99 }, () => ({
    sink,
    delivered: 1e15,
    slowestMs: 1e15,
    parked: 1e15,
    waiting: 1e15,
    messageRefs: { parked: '1', waiting: '2' },
  }));
}

const linkTexts = [en, zhCN].flatMap(({ card: { formerAvatar, newAvatar } }) => [formerAvatar, newAvatar]);

/**
 * Checks for active content: rich text may only hold text, our own emoji and dates; mrkdwn, allowed in context blocks only, a few of our
 * words around dates.
 */
function liveParts(block: Message['blocks'][number]): unknown[] {
  if (block.type === 'rich_text') {
    // Users who clicked or are named in settings are not webhook data; of that, only avatar URLs become links, with our labels.
    const isDead = (one: object) =>
      ('type' in one && (one.type === 'text' || one.type === 'date')) ||
      ('name' in one && /^[a-z_]+$/.test(String(one.name))) ||
      ('user_id' in one && one.user_id === 'U012AB3CD') ||
      ('usergroup_id' in one && one.usergroup_id === 'S012AB3CD') ||
      ('range' in one && ['here', 'channel'].includes(String(one.range))) ||
      ('url' in one && 'text' in one && publicImageUrl(String(one.url)) === one.url && linkTexts.includes(String(one.text)));
    return block.elements.flatMap(({ elements }) => elements as object[]).filter(one => !isDead(one));
  }
  if (block.type !== 'context') return JSON.stringify(block).includes('"type":"mrkdwn"') ? [block] : [];
  const date = /<!date\^\d+\^\{date_short_pretty\} \{time_secs\}\|[^<>&|]{10,60}>/g;
  const ours = ['@', '@ – @', 'Since @', '开始于 @'];
  return block.elements.filter(one => one.type === 'mrkdwn' && !ours.includes(one.text.replaceAll(date, '@')));
}

describe.each([
  ['en', en],
  ['zh-CN', zhCN],
] as const)('the texts in %s', (locale, words) => {
  /** Messages that use every text. Their data contains no letters, so all letters come from our texts. */
  function everyMessage(messages: Words): Message[] {
    const context = renderContext(messages);
    const bare = { ...context, threads: false, buttons: false };
    const on = (data: Parameters<typeof exampleEvent>[0], rest: Partial<Report> = {}, type: ChangeType = 'channel.profile.updated') => {
      const numbers = { sdkAppId: '1', channelId: '2', changeId: '3', operator: '4', changes: [], profile: profileOf('5') };
      return exampleReport({ event: { ...exampleEvent({ ...numbers, ...data }), type }, results: [], ...rest });
    };
    const result = (state: SinkResult['state'], rest: Partial<SinkResult> = {}) => resultAt('6', state, rest);
    const changes = fieldNames.map(field => ({ field, from: '7', to: '8' }));
    const field = (from: string | null, to: string | null) => [{ field: 'name' as const, from, to }];
    const cards = [
      on({ changes }, { results: [result('delivered'), result('delivered', { durationMs: 1, skipped: true })] }),
      on({ changes: [{ field: 'avatarUrl', from: 'https://1.1.1.1/', to: 'https://1.1.1.1/' }] }, { results: [result('discarded')] }),
      on({ changes: field('7'.repeat(999), '8'.repeat(19_999)) }, { stale: ['name'], eventTimeEstimated: true }),
      on({ changes: field(null, '8') }, { stale: ['name'], tie: true, results: [result('superseded', { reason: '9' })] }),
      on({ operator: null, profile: profileOf(null) }),
      on({ operator: null, source: 'comparison' }),
      on({ changes: field('', '8') }),
      on({ changes: field('\u200b', '7\u200b8'), operator: ' ', profile: profileOf('') }),
      on({ changes: field('7', '7\u202e') }),
      on({ test: true }),
      on({ revision: 1 }, {}, 'channel.created'),
      on({ revision: 2 }, {}, 'channel.created'),
      on({}, {}, 'channel.destroyed'),
      on({ revision: null }),
      on({ revision: null }, { stale: ['name'] }),
      on({ revision: null }, { tie: true }),
      on({ revision: null }, { tie: true, stale: ['name'] }),
      on({ revision: null, exists: true }, {}, 'channel.destroyed'),
      on({ revision: null, exists: false }, {}, 'channel.destroyed'),
      on(
        {},
        {
          results: [
            result('pending'),
            result('retrying', { reason: '9' }),
            result('retrying', { nextAttemptAt: now + 1 }),
            result('pending', { nextAttemptAt: now + 1 }),
            result('pending', { held: 'paused' }),
            result('retrying', { held: 'removed' }),
          ],
        },
      ),
      on({}, { results: states.flatMap(state => Array.from({ length: 21 }, () => result(state))) }),
      on({}, { results: [result('discarded'), result('parked')] }),
      on(
        {},
        { auditActions: Array.from({ length: 7 }, (_, index) => ({ at: now, action: index % 2 ? 'replay' : 'discard', actor: 'api' })) },
      ),
    ];
    const incident = {
      kind: 'incident',
      sink: '6',
      state: 'down',
      since: 0,
      until: null,
      reason: '9',
      advice: '1',
      waiting: 2,
      paused: false,
      by: 'api',
      removed: false,
    } as const;
    const alerts: Alert[] = [
      { ...incident, failures: [{ at: 0, error: '2' }] },
      { ...incident, state: 'retrying', failures: [] },
      ...[null, now].map(until => ({ ...incident, state: 'paused' as const, failures: [], paused: true, until })),
      ...[incident, { ...incident, waiting: 0, state: 'misconfigured' as const }].flatMap(one => [
        ...[false, true].map(paused => ({ ...one, failures: [], paused })),
        ...[false, true].map(removed => ({ ...one, failures: [], until: now, removed })),
      ]),
      ...[null, now].flatMap((until): Alert[] => [
        ...[false, true].map(rejected => ({ kind: 'silence' as const, since: 0, until, afterMs: 1, rejected })),
        ...rejectionCauses.map(cause => ({ kind: 'rejected' as const, since: 0, until, counts: { [cause]: 2 }, last: 0 })),
        ...(['misconfigured', 'retrying'] as const).map(state => {
          return { kind: 'vendor' as const, app: '6', state, since: 0, until, reason: '9', advice: '1' };
        }),
        ...[null, 'name', 'avatarUrl'].map((field): Alert => {
          const example = { channelId: '7', field, ours: null, theirs: '', reason: '9' };
          const counts = { total: 9, compared: 8, corrected: 1, destroyed: 2, imported: 3, failed: 1 };
          const [cause, reason] = [field === null ? 'import' : 'schedule', field === 'name' ? '9' : null];
          return { kind: 'compared', app: '6', cause, ...counts, reason, advice: reason, example, since: 0, until };
        }),
        ...[false, true].flatMap((removed): Alert[] => [
          { kind: 'parked', sink: '6', since: 0, until, count: 2, reason: '9', advice: '1', removed },
          { kind: 'differences', sink: '6', since: 0, until, missing: 1, older: 2, newer: 3, surplus: 4, removed },
        ]),
      ]),
      ...[0, 1].map((open): Alert => {
        const sinks = Array.from({ length: 31 }, () => ({
          sink: '6',
          delivered: 1,
          slowestMs: 2,
          parked: open,
          waiting: open,
          messageRefs: { parked: null, waiting: null },
        }));
        return { kind: 'summary', since: 0, until: now, changes: open, channels: open, sinks };
      }),
    ];
    const long = fieldNames.map(name => ({ field: name, from: '7'.repeat(299), to: '8'.repeat(299) }));
    const many = Array.from({ length: 40 }, () => on({ changes: long }));
    return [
      ...cards.flatMap(report => [card(report, context, now), ...fullTexts(report, context)]),
      ...cards.flatMap(report => card(report, { ...context, severalApps: true, cards: 'problems' }, now)),
      ...alerts.flatMap(alert => [
        alertMessage({ ...alert, again: true, by: 'slack:U012AB3CD' } as Alert, context, { first: true, fallback: true }),
        alertMessage(alert, context),
        alertMessage(alert, bare),
        ...failures(alert, context),
      ]),
      ...[many, many.slice(0, 1)].flatMap(some => [digest(some, context), digest(some, bare), ...digestThread(some, context)]),
    ];
  }

  /** The same for Home, Details and the command. */
  async function everyView(messages: Words): Promise<unknown[]> {
    const context = renderContext(messages);
    const sinks = [
      ...(['ok', 'retrying', 'misconfigured', 'down', 'paused'] as const).map(state => sinkOf({ state, reason: '9', advice: '1' })),
      sinkOf({ queued: 3 }),
      ...Array.from({ length: 30 }, () => sinkOf({ failed: 2 })),
    ];
    const state = (more: object) => ({ ...lookupOf('5', 1), sinks: async () => [sinkOf(more)] });
    const lookups = [
      lookupOf('5', 0),
      lookupOf('5', 30),
      { ...lookupOf('5', 1), sinks: async () => sinks },
      state({}),
      state({ queued: 3 }),
    ];
    const destroyed = { channels: [channelOf('5', { exists: false })], more: 3 };
    const commands = ['status', 'find 5', 'find', 'channel 5', 'failed', 'help'];
    const ask = (text: string, lookup: Lookup) => answerTo('/6', text, lookup, context);
    const answers = lookups.flatMap(lookup => commands.map(text => ask(text, { ...lookup, findChannels: async () => destroyed })));
    const changes = Array.from({ length: 11 }, () => changeOf('5'));
    const homes = [[], changes].map(some => homeView({ sinks, latest: some, failed: some, outcome: [] }, context, now));
    const outcomes = ['delivered', 'retry', 'refused', 'misconfigured'].map(outcome => attemptOf('5', outcome));
    const long = Array.from({ length: 100 }, () => attemptOf('5'.repeat(150)));
    const deliveries = [outcomes, long].map(attempts => ({ ...resultAt('6', 'parked'), attempts }));
    const many = Array.from({ length: 99 }, () => deliveries[0]!);
    const sources = (['webhook', 'comparison', 'import'] as const).map(source => {
      const change = changeOf('5');
      return detailsOf('5', 1, { event: { ...change.event, data: { ...change.event.data, source } }, deliveries });
    });
    const details = [
      ...sources,
      detailsOf('5', 0, { webhook: null, before: [] }),
      detailsOf('5', 1, { webhook: '5'.repeat(9000), deliveries: many }),
    ];
    const nothingFound = ask('find 5', lookupOf('5', 0));
    return [await Promise.all([...answers, nothingFound]), homes, details.map(one => detailsView(one, context, 'https://1.1.1.1/', now))];
  }

  it('are all used', async () => {
    const { marked, marks } = mark(words);
    // clicks.spec and views.spec cover ephemeral messages and the first line of Home.
    const elsewhere = ['clicks.', 'lookup.home.done.', 'lookup.details.gone'].map(path => `⟦${path}`);
    const shown = JSON.stringify([everyMessage(marked as Words), await everyView(marked as Words)]);
    expect(marks.length).toBeGreaterThan(100);
    expect(marks.filter(one => !shown.includes(one) && !elsewhere.some(path => one.startsWith(path)))).toEqual([]);
  });

  it('are the only ones, and all in that language', () => {
    const foreign = locale === 'en' ? /[^\P{L}\p{Script=Latin}]/u : /[^\P{L}\p{Script=Han}]/u;
    const names =
      /POST \/api\/v1\/sinks\/.*\/verify|"repair": true|API|WEBHOOK_TOKENS|WEBHOOK_BODY_LIMIT|SDK_APP_IDS|SPOOL_DIR|RETENTION_DAYS|RESTAPI|SdkAppid|Slack|ALERT_CHANNEL|Token|UTC|\{date_short_pretty\} \{time_secs\}|<!date/g;
    for (const one of everyMessage(words).flatMap(shownTexts)) {
      expect(one.replaceAll(names, '')).not.toMatch(foreign);
      expect(one).not.toMatch(/undefined|null|NaN|Infinity|\[object/);
    }
  });
});

function profileOf(name: string | null): Report['event']['data']['profile'] {
  return { name, avatarUrl: 'https://1.1.1.1/', introduction: '8', organization: '8' };
}

/** The same texts, each with a marker in it. */
function mark(value: unknown, path = ''): { marked: unknown; marks: string[] } {
  const own = `⟦${path}⟧`;
  if (typeof value === 'string') return { marked: own + value, marks: [own] };
  if (typeof value === 'function')
    return { marked: (...inside: unknown[]) => own + String(Reflect.apply(value, null, inside)), marks: [own] };
  if (Array.isArray(value)) {
    const items = value.map((item, index) => mark(item, `${path}.${index}`));
    return { marked: items.map(({ marked }) => marked), marks: items.flatMap(({ marks }) => marks) };
  }
  const parts = Object.entries(value as object)
    .filter(([key]) => key !== 'formats')
    .map(([key, one]) => [key, mark(one, path === '' ? key : `${path}.${key}`)] as const);
  const marked = { ...(value as object), ...Object.fromEntries(parts.map(([key, one]) => [key, one.marked])) };
  return { marked, marks: parts.flatMap(([, { marks }]) => marks) };
}
