import fc from 'fast-check';
import { Stage, never, start } from '../../test/support/management-stage.ts';
import { eachStore } from '../../test/support/stores.ts';
import { folded } from '../channel/findable.js';
import { findChannels } from './api/channels/channels.queries.js';

eachStore('the list of channels', store => {
  let stage: Stage;
  beforeEach(async () => {
    stage = new Stage(await store.open());
    await stage.open();
  });
  afterEach(() => stage.close());

  const list = async (query = ''): Promise<{ items: Record<string, unknown>[]; nextCursor: string | null }> => {
    const { status, body } = await stage.call(`/api/v1/channels${query}`);
    expect([query, status]).toEqual([query, 200]);
    return body as Awaited<ReturnType<typeof list>>;
  };
  const idsOf = async (query = ''): Promise<unknown[]> => (await list(query)).items.map(item => item['channelId']);
  const find = (text: string) => idsOf(`?query=${encodeURIComponent(text)}`);

  it('has all of them, the one that was altered last first, with what failed', async () => {
    const [crm] = await stage.register({ name: 'crm' });
    await stage.record({ channelId: 'a', command: 'created', name: 'Tea' });
    await stage.record({ channelId: 'b', name: 'Coffee' });
    await stage.attempt(crm!, never());
    await stage.record({ channelId: 'c', command: 'destroyed' });
    await stage.record({ channelId: 'a', fields: { introduction: 'Green' } });
    // This change alters nothing.
    await stage.record({ channelId: 'b', name: 'Coffee' });
    expect((await list()).items).toEqual([
      { sdkAppId: '1400000001', channelId: 'a', name: 'Tea', exists: true, revision: 2, updatedAt: at(4), verifiedAt: null, failed: 1 },
      { sdkAppId: '1400000001', channelId: 'c', name: null, exists: false, revision: 1, updatedAt: at(3), verifiedAt: null, failed: 0 },
      { sdkAppId: '1400000001', channelId: 'b', name: 'Coffee', exists: true, revision: 1, updatedAt: at(2), verifiedAt: null, failed: 1 },
    ]);
    const order = ['sdkAppId', 'channelId', 'name', 'exists', 'revision', 'updatedAt', 'verifiedAt', 'failed'];
    expect(Object.keys((await list()).items[0]!)).toEqual(order);
    expect(await idsOf('?exists=true')).toEqual(['a', 'b']);
    expect(await idsOf('?exists=false')).toEqual(['c']);
    expect(await idsOf('?sdkAppId=1400000002')).toEqual([]);
    expect(await idsOf('?sdkAppId=1400000001&query=TE&exists=true')).toEqual(['a']);
  });

  it('goes in pages, each channel once', async () => {
    await stage.recordMany(7);
    const seen: unknown[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await list(`?limit=3&cursor=${cursor}`.replace(/&cursor=$/, ''));
      seen.push(...page.items.map(item => item['channelId']));
      cursor = page.nextCursor;
    }
    expect(seen).toEqual([6, 5, 4, 3, 2, 1, 0].map(index => `channel ${index}`));
  });

  it('gives large channels in more pages, of one channel each at least', async () => {
    for (const channelId of ['a', 'b', 'c', 'd']) await stage.record({ channelId, name: 'x'.repeat(1_300_000) });
    await stage.record({ channelId: 'e', name: 'x'.repeat(5_000_000) });
    const pages: unknown[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await list(`?cursor=${cursor}`.replace(/\?cursor=$/, ''));
      pages.push(page.items.map(item => item['channelId']));
      cursor = page.nextCursor;
    }
    expect(pages).toEqual([['e'], ['d', 'c', 'b'], ['a']]);
  });

  it.each(['exists=yes', 'exists=', 'query=', 'limit=0', 'limit=501', 'cursor=x', 'cursor=1', 'query=a&query=b'])(
    '%s is 400',
    async query => expect(await stage.call(`/api/v1/channels?${query}`)).toMatchObject({ status: 400, body: { status: 400 } }),
  );

  it('finds any part of a name or an id, whatever its case and width, to the letter', async () => {
    await stage.record({ channelId: '@TOA#_one', name: 'Größe 100%_[*] ＡＢＣ 茶馆' });
    await stage.record({ channelId: '@toa#_two', name: "ΟΔΟΣ '\\ \\n" });
    for (const text of ['GRÖSSE', 'größe', 'sse', '100%_[*]', 'abc', 'ＢＣ', '馆', '_one', '%'])
      expect([text, await find(text)]).toEqual([text, ['@TOA#_one']]);
    for (const text of ['οδος', 'δοσ', "'", '\\', '#_TWO']) expect([text, await find(text)]).toEqual([text, ['@toa#_two']]);
    expect(await find('@toa')).toEqual(['@toa#_two', '@TOA#_one']);
    // No match spans the name and the id.
    for (const text of ['茶馆\n@', '茶馆@', 'x', '1*', '_o_e', '\0']) expect([text, await find(text)]).toEqual([text, []]);
  });

  it('finds every part of every text', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }), fc.nat(11), fc.nat(11), async (name, from, to) => {
        const stored = name.toWellFormed().replaceAll('\0', '\ufffd');
        await stage.record({ channelId: 'one', name: stored });
        const letters = [...stored];
        const part = letters.slice(Math.min(from, letters.length - 1), Math.max(from, to) + 1).join('');
        fc.pre(folded(stored).includes(folded(part)));
        expect(await find(part)).toEqual(['one']);
      }),
      { numRuns: 100 },
    );
  });

  it('keeps to filters, to the letter', async () => {
    for (const channelId of ['shop_a', 'shop%a', 'shop[a', 'Shop_b', 'other']) await stage.record({ channelId, name: 'tea' });
    const found = async (...channels: string[]): Promise<string[]> =>
      (await findChannels(stage.database, { channels, query: 'tea' }, 9, null)).items.map(item => item.channelId).sort();
    expect(await found('shop_*')).toEqual(['shop_a']);
    expect(await found('shop?a')).toEqual(['shop%a', 'shop[a', 'shop_a']);
    expect(await found('shop[a', '*%*')).toEqual(['shop%a', 'shop[a']);
    expect((await findChannels(stage.database, { sdkAppIds: ['1'] }, 9, null)).items).toEqual([]);
  });
});

function at(seconds: number): string {
  return new Date(start + seconds * 1000 - 500).toISOString();
}
