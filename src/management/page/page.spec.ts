import fc from 'fast-check';
import { Stage, never, token } from '../../../test/support/management-stage.ts';
import { resultAt } from '../../../test/support/slack-rendering.ts';
import { eachStore } from '../../../test/support/stores.ts';
import type { ChangeDetails } from '../../sinks/lookup.js';
import { hasPassword, isGoodLink, linkTo } from './key.js';
import { changePage, contentSecurityPolicy } from './page.js';

const id = '0193a5b2-7c1e-7d2f-9b3a-1c2d3e4f5a6b';
const now = Date.UTC(2026, 0, 1);
const hour = 3_600_000;

describe('a link', () => {
  const link = new URL(linkTo('http://sync.local:3001/base/', id, 'en', token, now));
  const words = { until: link.searchParams.get('until')!, key: link.searchParams.get('key')! };

  it('leads to the page below the public URL', () =>
    expect(link.href).toMatch(/^http:\/\/sync\.local:3001\/base\/changes\/0193a5b2-[\w-]+\?lang=en&until=\d{10}&key=[\w-]{43}$/));

  it('is good for this change, with this token, for an hour', () => {
    expect(isGoodLink(words, id, token, now)).toBe(true);
    expect(isGoodLink(words, id, token, now + hour - 1)).toBe(true);
    expect(isGoodLink(words, id, token, now + hour)).toBe(false);
    expect(isGoodLink(words, id.replace('0', '1'), token, now)).toBe(false);
    expect(isGoodLink(words, id, `${token}x`, now)).toBe(false);
    const later = String(Number(words.until) + 1);
    const wrong = [
      {},
      { until: words.until },
      { key: words.key },
      { ...words, until: later },
      { ...words, key: 'a'.repeat(43) },
      { ...words, key: '' },
    ];
    for (const one of wrong) expect([one, isGoodLink(one, id, token, now)]).toEqual([one, false]);
    const lists = { until: [words.until], key: [words.key] } as unknown as typeof words;
    expect(isGoodLink(lists, id, token, now)).toBe(false);
  });
});

test.each([
  [`Basic ${btoa('any:a:b')}`, 'a:b', true],
  [`basic ${btoa(':a:b')}`, 'a:b', true],
  [`Basic ${Buffer.from(`me:${token}`).toString('base64')}`, token, true],
  [`Basic ${btoa('a:b')}`, 'a:b', false],
  [`Basic ${btoa('x')}`, '', false],
  ['Bearer a:b', 'a:b', false],
  [undefined, '', false],
])('%j has the password %j: %s', (header, password, has) => expect(hasPassword(header, password)).toBe(has));

const details = (text: string, more: Partial<ChangeDetails> = {}): ChangeDetails => {
  const profile = { name: text, avatarUrl: text, introduction: text, organization: null };
  const data = { changeId: id, sdkAppId: '1', channelId: text, revision: 1, exists: true, operator: text, source: 'webhook' as const };
  const change = {
    event: {
      type: 'channel.created' as const,
      timestamp: '2026-01-01T00:00:00.000Z',
      data: { ...data, changes: [{ field: 'name' as const, from: null, to: text }], profile },
    },
    origin: { clientIp: text, platform: text, owner: null },
    receivedAt: now,
    eventTimeEstimated: false,
    tie: false,
    stale: [],
  };
  const attempt = { at: now, durationMs: 42, outcome: 'refused', status: 422, error: text, response: text };
  const deliveries = [{ ...resultAt('crm', 'parked', { reason: text }), attempts: [attempt] }];
  return { ...change, webhook: text, deliveries, before: [change], after: [], ...more };
};

describe('the page', () => {
  it('shows every text as text, whatever it holds', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.constant(`<script>alert(1)</script>"'&<!--`), fc.string({ unit: 'binary' })),
        fc.constantFrom('en', 'zh-CN'),
        (text, language) => {
          const page = changePage(details(text), language as 'en', now);
          const tags = page.match(/<\/?[a-z0-9]+/gi) ?? [];
          const ours = /^<\/?(html|head|meta|title|style|body|h[123]|p|table|tr|t[hd]|bdi|pre|span|div)$/;
          expect(tags.filter(tag => !ours.test(tag))).toEqual([]);
          expect(page).not.toMatch(/undefined|\[object|(?![\n\t])\p{Cc}/u);
        },
      ),
    );
  });

  it('shows all that Details shows', () => {
    const { event, origin, ...rest } = details('Tea');
    const changes = [{ field: 'name' as const, from: 'Old tea', to: 'New tea' }];
    const before = { ...rest, origin, event: { ...event, data: { ...event.data, changes: [{ ...changes[0]!, from: 'Oldest tea' }] } } };
    const after = { ...before, event: { ...event, type: 'channel.destroyed' as const } };
    const page = changePage(
      {
        ...details('Tea', { before: [before], after: [after], webhook: '{"Name":"raw"}' }),
        event: { ...event, data: { ...event.data, changes, operator: 'leckie' } },
        origin: { clientIp: '192.0.2.7', platform: 'RESTAPI', owner: 'lihua' },
      },
      'en',
      now,
    );
    const shown = page.replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
    const attempt = ['2026-01-01 00:00:00 UTC', 'rejected', '42 ms', '422', 'Tea', "Target's answer"];
    const facts = ['leckie', '192.0.2.7', 'RESTAPI', 'lihua', '{"Name":"raw"}', 'crm · failed: ', 'received by webhook'];
    for (const text of [...facts, ...attempt, 'Old tea', 'New tea', 'Oldest tea', 'Channel destroyed']) expect(shown).toContain(text);
  });

  it('says of what was not sent, and of what was skipped, what the card says', () => {
    const results = [resultAt('a', 'delivered', { skipped: true }), resultAt('b', 'superseded', { reason: 'answered 503' })];
    const page = changePage(details('x', { deliveries: results.map(one => ({ ...one, attempts: [] })) }), 'en', now);
    expect(page.match(/<h3>.*?<\/h3>/g)).toEqual(['<h3>a · not sent (template)</h3>', '<h3>b · skipped: a newer change was sent</h3>']);
  });

  it('says of what is still open when it is tried next, as Details do', () => {
    const at = now + hour;
    const results = [
      resultAt('a', 'retrying', { reason: 'answered 503', nextAttemptAt: at }),
      resultAt('b', 'pending', { nextAttemptAt: now }),
      resultAt('c', 'pending', { held: 'paused' }),
    ];
    const page = changePage(details('x', { deliveries: results.map(one => ({ ...one, attempts: [] })) }), 'en', now);
    expect(page.match(/<h3>.*?<\/h3>/g)).toEqual([
      '<h3>a · retrying: <bdi>answered 503</bdi> · next retry <span class="time">2026-01-01 01:00:00 UTC</span></h3>',
      '<h3>b · queued</h3>',
      '<h3>c · queued: <bdi>the sink is paused</bdi></h3>',
    ]);
  });

  it('says so where there is nothing', () => {
    const page = changePage(details('x', { webhook: null, deliveries: [], before: [] }), 'en', now);
    for (const text of ['There was no webhook', 'No other sinks configured', 'None']) expect(page).toContain(text);
  });
});

eachStore('the page over HTTP', store => {
  let stage: Stage;
  const open = async (environment?: Record<string, string>): Promise<void> => {
    stage = new Stage(await store.open());
    await stage.open(environment);
  };
  afterEach(() => stage.close());
  const basic = `Basic ${Buffer.from(`anyone:${token}`).toString('base64')}`;

  it('lets in by the token as password, or by a link, and nobody else', async () => {
    await open();
    const [crm] = await stage.register({ name: 'crm' });
    const changeId = await stage.record({ name: '<b>Tea</b>', body: Buffer.from('{"Name":"<b>Tea</b>"}') });
    await stage.attempt(crm!, never());
    for (const authorization of [null, `Bearer ${token}`, `Basic ${btoa('anyone:wrong-password-1')}`]) {
      const refused = await stage.call(`/changes/${changeId}`, { authorization });
      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Basic realm="channel-sync", charset="UTF-8"']);
    }
    const link = new URL(linkTo('http://x', changeId, 'zh-CN', token, stage.clock.at));
    const pages = [
      await stage.call(`/changes/${changeId}`, { authorization: basic }),
      await stage.call(link.pathname + link.search, { authorization: null }),
    ];
    for (const page of pages) {
      expect(page.status).toBe(200);
      expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(page.headers.get('cache-control')).toBe('no-store');
      expect(page.headers.get('referrer-policy')).toBe('no-referrer');
      expect(page.headers.get('content-security-policy')).toBe(contentSecurityPolicy);
      expect(page.body).toContain('&#60;b&#62;Tea');
      expect(page.body).not.toMatch(/<b>|<script/);
    }
    expect(contentSecurityPolicy).toMatch(/^default-src 'none'; /);
    expect([pages[0]!.body, pages[1]!.body]).toEqual([expect.stringContaining('Raw webhook'), expect.stringContaining('原始回调')]);
    stage.clock.at += hour;
    expect((await stage.call(link.pathname + link.search, { authorization: null })).status).toBe(401);
  });

  it('is 404 for what is not kept, and without MANAGEMENT_TOKEN', async () => {
    await open();
    for (const one of [id, 'x', '%zz', `${id}/x`])
      expect([one, (await stage.call(`/changes/${one}`, { authorization: basic })).status >= 400]).toEqual([one, true]);
    expect((await stage.call(`/changes/${id}`, { authorization: basic })).status).toBe(404);
    await stage.close();
    await open({});
    expect((await stage.call(`/changes/${id}`, { authorization: basic })).status).toBe(404);
  });
});
