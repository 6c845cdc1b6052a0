import fc from 'fast-check';
import { type ChangeType, type FieldName, type Report, type SinkResult, fieldNames } from '../sink.js';
import { exampleEvent, exampleReport } from '../../../test/sink.contract.ts';
import { clean, publicImageUrl } from './card-text.js';
import { type Card, card, withoutImage } from './card.js';

function result(sink: string, state: SinkResult['state'], rest: Partial<SinkResult> = {}): SinkResult {
  return { sink, type: 'webhook', state, reason: null, durationMs: null, ...rest };
}

function reportOf(data: Parameters<typeof exampleEvent>[0] & { type?: ChangeType }, rest: Partial<Report> = {}): Report {
  const { type = 'channel.profile.updated', ...others } = data ?? {};
  return exampleReport({ event: { ...exampleEvent(others), type }, ...rest });
}

/** A card as people read it: one line per line, ~old~ and *new* as Slack would show them. */
function read({ blocks }: Card): string[] {
  return blocks.flatMap(block => {
    if (block.type === 'section') return [block.text.text];
    if (block.type === 'context') return [block.elements.map(({ text }) => text).join(' | ')];
    return block.elements.map(({ elements }) =>
      elements
        .map(element => {
          if (element.type === 'emoji') return `:${element.name}:`;
          const marks = `${element.style?.bold ? '*' : ''}${element.style?.strike ? '~' : ''}${element.style?.italic ? '_' : ''}${element.style?.code ? '`' : ''}`;
          return `${marks}${element.text}${marks.split('').reverse().join('')}`;
        })
        .join(''),
    );
  });
}

/** Every text of a card that is shown, in its order. */
function shownTexts(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(shownTexts);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, one]) =>
    typeof one === 'string' ? (key === 'text' || key === 'alt_text' ? [one] : []) : shownTexts(one),
  );
}

describe('card', () => {
  it('tells what changed, who, when, and what became of it', () => {
    const shown = card(
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
    expect(read(shown)).toEqual([
      'NewName',
      '*Profile changed* `@TOA#_test_OA_for_penn`',
      'Name: ~Old name~ → *NewName*',
      'Introduction: ~_(empty)_~ → *Hello there*',
      'by leckie | <!date^1670574414^{date_short_pretty} {time_secs}|2022-12-09T08:26:54.123Z> | app 1400000001, revision 3, change 01980000-0000-7000-8000-000000000001',
      ':white_check_mark:* crm* delivered in 81 ms',
      ':warning:* search* failing, is tried again: answered 503',
      '*Waiting for 1 of 2 sinks*',
    ]);
    expect(shown.text).toBe('NewName (@TOA#_test_OA_for_penn): Profile changed (name, introduction). Waiting for 1 of 2 sinks.');
    expect(shown.blocks[0]).toMatchObject({ accessory: { type: 'image', image_url: 'http://this.is.newface.url/' } });
  });

  it.each([
    [['delivered', 'delivered'], 'All sinks have it'],
    [['delivered', 'superseded'], 'All sinks have it or something newer'],
    [['parked'], 'Done: 1 parked'],
    [['delivered', 'parked', 'discarded', 'parked'], 'Done: 2 parked, 1 discarded, 1 delivered'],
    [['pending'], 'Waiting for 1 of 1 sink'],
    [[], 'No other sink to tell'],
  ] as const)('sums up %j', (states, said) => {
    const shown = card(reportOf({}, { results: states.map((state, index) => result(`s${index}`, state)) }));
    expect(read(shown).at(-1)).toBe(`*${said}*`);
    expect(shown.text).toContain(`${said}.`);
  });

  it('has a word and a reason for every state', () => {
    const reason = 'answered 400';
    const all = (['pending', 'retrying', 'delivered', 'superseded', 'parked', 'discarded'] as const).map(state =>
      result('x', state, { reason }),
    );
    expect(read(card(reportOf({}, { results: all }))).slice(-7, -1)).toEqual([
      ':hourglass_flowing_sand:* x* waiting: answered 400',
      ':warning:* x* failing, is tried again: answered 400',
      ':white_check_mark:* x* delivered',
      ':fast_forward:* x* superseded by something newer: answered 400',
      ':x:* x* parked: answered 400',
      ':wastebasket:* x* discarded: answered 400',
    ]);
  });

  it('folds the harmless ones of very many sinks, never the failed ones', () => {
    const all = Array.from({ length: 200 }, (_, index) =>
      result(`sink-${index}`, index === 150 ? 'parked' : 'delivered', { reason: 'answered 400' }),
    );
    const lines = read(card(reportOf({}, { results: all })));
    expect(lines).toContain(':x:* sink-150* parked: answered 400');
    expect(lines.at(-2)).toBe('… and 180 more: 180 delivered');
    expect(lines.at(-1)).toBe('*Done: 1 parked, 199 delivered*');
  });

  it('tells of a destroyed channel by its last name', () => {
    const unknown = { name: null, avatarUrl: null, introduction: null, organization: null };
    const changes = [{ field: 'name' as const, from: 'Shop', to: null }];
    const shown = card(reportOf({ type: 'channel.destroyed', exists: false, operator: null, changes, profile: unknown }));
    expect(read(shown).slice(0, 4)).toEqual([
      'Shop',
      '*Channel destroyed* `@TOA#_test_OA_for_penn`',
      'Name: ~Shop~ → *_unknown_*',
      expect.stringMatching(/^operator not told \| /),
    ]);
    expect(withoutImage(shown)).toBeNull();
  });

  it('tells of a created one, of a tie, of stale fields and of an estimated time', () => {
    const changes = [{ field: 'name' as const, from: null, to: 'Shop' }];
    const lines = read(
      card(reportOf({ type: 'channel.created', changes }, { tie: true, stale: ['organization'], eventTimeEstimated: true })),
    );
    expect(lines.slice(1, 6)).toEqual([
      '*Channel created* `@TOA#_test_OA_for_penn`',
      'Name: ~_unknown_~ → *Shop*',
      '_Not applied: organization, because what we have is newer or of the same time._',
      '_Another webhook of the same time says something else; of two such texts the greater one counts._',
      '_The webhook carried no usable time: this is when it arrived._',
    ]);
  });

  it('says when two values differ only in what is not shown', () => {
    const changes = [{ field: 'name' as const, from: 'Shop\u202e', to: 'Shop' }];
    expect(read(card(reportOf({ changes })))[2]).toBe('Name: ~Shop~ → *Shop*_ (they differ in what is not shown here)_');
  });

  it.each([
    [{}, {}, 'equal to what we have'],
    [{}, { stale: ['name', 'avatarUrl'] as FieldName[] }, 'older than what we have (name, avatar)'],
    [{}, { stale: ['name'] as FieldName[], tie: true }, 'another webhook of the same time counts (name)'],
    [{ type: 'channel.destroyed' as const }, {}, 'older than what we have'],
    [{ type: 'channel.destroyed' as const, exists: false }, {}, 'the channel was destroyed already'],
  ])('gives one line to a change that altered nothing (%j %j)', (data, rest, why) => {
    const shown = card(reportOf({ ...data, revision: null, changes: [] }, { ...rest, results: [] }));
    expect(read(shown).slice(0, 2)).toEqual(['NewName', `Nothing changed: ${why}. \`@TOA#_test_OA_for_penn\``]);
    expect(shown.blocks).toHaveLength(3);
    expect(shown.text).toBe(`NewName (@TOA#_test_OA_for_penn): Nothing changed: ${why}.`);
  });

  it('shows <!channel> as these ten characters', () => {
    const name = '<!channel>';
    const shown = card(reportOf({ changes: [{ field: 'name', from: 'a', to: name }], profile: { ...exampleEvent().data.profile, name } }));
    expect(read(shown)[0]).toBe(name);
    expect(read(shown)[2]).toBe('Name: ~a~ → *<!channel>*');
    expect(shown.text).toMatch(/^&lt;!channel&gt; /);
  });

  it.each([
    [null, '(name unknown)'],
    ['', '(no name)'],
    [' \u200b\u202e', '(no name)'],
  ])('has a title without a name (%j)', (name, title) => {
    expect(read(card(reportOf({ changes: [], profile: { ...exampleEvent().data.profile, name } })))[0]).toBe(title);
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

  it('is quick with a megabyte of anything', () => {
    const start = performance.now();
    for (const text of [' ', '\n', 'a', '\u0301', '\u200d', '\u202e', '👩‍']) clean(text.repeat(1_000_000));
    expect(performance.now() - start).toBeLessThan(3000);
  });
});

describe('publicImageUrl', () => {
  it.each([
    'https://example.com/a.png',
    'http://this.is.newface.url/',
    'https://8.8.8.8/x',
    'https://[2606:4700::1111]/x',
    'https://cdn.example.com:8443/x?y=%E4%BD%A0',
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

const hostile = fc.constantFrom(
  '<!channel>',
  '<!here>',
  '<!everyone>',
  '<@U012AB3CD>',
  '<#C012AB3CD>',
  '<!subteam^S1>',
  '<https://evil.example|bank>',
  'https://evil.example',
  '@channel',
  '*b* _i_ ~s~ `c`',
  '&lt;!channel&gt;',
  ':bomb:',
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
const states = ['pending', 'retrying', 'delivered', 'superseded', 'parked', 'discarded'] as const;
const sinkResults = fc.array(
  fc.record({
    sink: fc.oneof(fc.string({ minLength: 1 }), hostile),
    type: fc.constant('webhook'),
    state: fc.constantFrom(...states),
    reason: value,
    durationMs: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true })),
  }),
  { maxLength: 60 },
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
    stale: fc.subarray<FieldName>([...fieldNames]),
    tie: fc.boolean(),
    eventTimeEstimated: fc.boolean(),
    at: fc.date({ min: new Date('2010-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }),
  })
  .map(({ type, before, after, at, sdkAppId, channelId, operator, revision, exists, ...rest }) => {
    const changes = fieldNames.map(field => ({ field, from: before[field], to: after[field] }));
    const data = { sdkAppId, channelId, operator, revision, exists, changes, profile: after };
    return exampleReport({ event: { ...exampleEvent(data), type, timestamp: at.toISOString() }, ...rest });
  });

describe('any card', () => {
  const runs = { numRuns: 300 };

  it('is short enough when everything is as long as can be', () => {
    const most = '👩‍👩‍👧‍👦'.repeat(500);
    const [before, after] = [most, `x${most}`].map(one => ({ name: one, avatarUrl: one, introduction: one, organization: one }));
    const changes = fieldNames.map(field => ({ field, from: before?.[field] ?? '', to: after?.[field] ?? '' }));
    const data = { sdkAppId: '&'.repeat(500), channelId: '&'.repeat(500), operator: most, changeId: most, changes, profile: after! };
    const results = Array.from({ length: 100 }, (_, index) =>
      result(most, states[index % 6] ?? 'parked', { reason: most, durationMs: 1e9 }),
    );
    const shown = card(reportOf(data, { tie: true, eventTimeEstimated: true, stale: [...fieldNames], results }));
    const length = shownTexts(shown.blocks).join('').length + shown.text.length;
    expect(length).toBeGreaterThan(7000);
    expect(length).toBeLessThan(10_000);
  });

  it('keeps to what Slack takes', () => {
    fc.assert(
      fc.property(reports, report => {
        const shown = card(report);
        expect(shown.blocks.length).toBeLessThanOrEqual(50);
        expect(shown.text.length).toBeLessThan(4000);
        const texts = shownTexts(shown.blocks);
        expect(texts.join('').length + shown.text.length).toBeLessThan(10_000);
        for (const one of [...texts, shown.text]) {
          expect(one).not.toBe('');
          expect(one.isWellFormed()).toBe(true);
          expect(one).not.toMatch(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u);
        }
        expect(shown.blocks.flatMap(faultsOf)).toEqual([]);
      }),
      runs,
    );
  });

  it('never has data where it could be live', () => {
    fc.assert(
      fc.property(reports, report => {
        const { text: top, blocks } = card(report);
        expect(top).not.toMatch(/[<>]/);
        expect(top.replaceAll(/&(amp|lt|gt);/g, '')).not.toContain('&');
        for (const block of blocks) {
          if (block.type !== 'context') continue;
          for (const element of block.elements) {
            if (element.type !== 'mrkdwn') continue;
            expect(element.text).toMatch(/^<!date\^\d+\^\{date_short_pretty\} \{time_secs\}\|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z>$/);
          }
        }
      }),
      runs,
    );
  });

  it('has the same kinds of blocks whatever its results', () => {
    const kinds = (report: Report) => card(report).blocks.map(({ type }) => type);
    fc.assert(
      fc.property(reports, sinkResults, (report, results) => {
        expect(kinds({ ...report, results })).toEqual(kinds(report));
      }),
      runs,
    );
  });

  it('is the same without its image but for the image', () => {
    fc.assert(
      fc.property(reports, report => {
        const full = card(report);
        const bare = withoutImage(full);
        expect(JSON.stringify(bare ?? full)).not.toContain('image_url');
        expect(shownTexts((bare ?? full).blocks)).toEqual(
          shownTexts(full.blocks).filter((one, index) => index !== 1 || one !== 'Avatar' || !bare),
        );
      }),
      runs,
    );
  });
});

/** The limits of the block reference, and that nothing is in a block but what its kind has: what does not fit, in words. */
function faultsOf(block: Card['blocks'][number]): string[] {
  const faults: [boolean, string][] = [];
  if (block.type === 'section') {
    const { text, accessory, ...rest } = block;
    faults.push([text.type !== 'plain_text' || text.emoji || text.text.length > 3000, 'section.text']);
    faults.push([Object.keys(rest).join() !== 'type', 'section']);
    if (accessory) {
      faults.push([Object.keys(accessory).sort().join() !== 'alt_text,image_url,type', 'accessory']);
      faults.push([accessory.image_url.length > 3000 || !/^https?:\/\/[^/]+\//.test(accessory.image_url), 'image_url']);
      faults.push([accessory.alt_text.length > 2000, 'alt_text']);
    }
  } else if (block.type === 'context') {
    faults.push([block.elements.length === 0 || block.elements.length > 10, 'context.elements']);
    faults.push([block.elements.some(one => one.type !== 'mrkdwn' && one.emoji), 'context emoji']);
  } else {
    faults.push([block.elements.length === 0, 'rich_text.elements']);
    const sections = block.elements.every(one => one.type === 'rich_text_section' && one.elements.length > 0);
    faults.push([!sections, 'rich_text_section']);
    const safe = block.elements
      .flatMap(({ elements }) => elements)
      .every(one => one.type === 'text' || (one.type === 'emoji' && /^[a-z_]+$/.test(one.name)));
    faults.push([!safe, 'rich text element']);
  }
  return faults.filter(([is]) => is).map(([, what]) => what);
}
