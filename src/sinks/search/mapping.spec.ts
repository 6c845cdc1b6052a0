import { invisible, newIndex } from './mapping.js';

interface Field {
  type: string;
  analyzer?: string;
  search_analyzer?: string;
  fields?: Record<string, Field>;
}

interface NewIndex {
  settings: { analysis: { analyzer: Record<string, { char_filter: string[] }>; char_filter: Record<string, { pattern: string }> } };
  mappings: { properties: Record<string, Field> };
}

const hidden = [
  '00AD',
  'FEFF',
  '200B',
  '200C',
  '200D',
  '200E',
  '200F',
  '202A',
  '202E',
  '2060',
  '2066',
  '2069',
  'FE0F',
  '034F',
  '180E',
  'E0101',
  '3164',
];

it('puts a filter of invisible characters before all analysis, when texts are indexed and when they are searched', () => {
  for (const analyzer of ['cjk', 'standard']) {
    const { settings, mappings } = newIndex('channels', analyzer) as NewIndex;
    const texts = Object.values(mappings.properties)
      .flatMap(field => [field, ...Object.values(field.fields ?? {})])
      .filter(({ type }) => type === 'text');
    expect(texts).toHaveLength(9);
    const used = texts.flatMap(field => [field.analyzer ?? '', field.search_analyzer ?? []].flat());
    for (const one of used) expect([one, settings.analysis.analyzer[one]?.char_filter]).toEqual([one, ['visible']]);
    expect(settings.analysis.char_filter['visible']?.pattern).toBe(invisible);
  }
});

it('leaves an analyzer of a plugin to its plugin', () => {
  const { mappings } = newIndex('channels', 'smartcn') as NewIndex;
  expect(mappings.properties['name']?.analyzer).toBe('smartcn');
});

it('takes out what nobody sees, and nothing else', () => {
  // Java and JavaScript interpret this pattern identically.
  const pattern = new RegExp(invisible, 'gu');
  for (const code of hidden)
    expect([code, `Cof${String.fromCodePoint(Number.parseInt(code, 16))}fee`.replace(pattern, '')]).toEqual([code, 'Coffee']);
  const seen = 'Coffee, Café 频道 ﾊﾟ 한국 हिन्दी 👩💻 a\tb\nc\u00A0d\u3000e';
  expect(seen.replace(pattern, '')).toBe(seen);
});
