import { member } from './document.js';

/** Incremented when the mapping changes, so that indices of older releases count as outdated. */
const schema = 3;

/** The key in the mapping's `_meta` that marks an index as ours. */
const mark = 'channel-sync';

/**
 * `cjk` indexes pairs of Chinese characters, so it cannot find a single one; the `standard` sub-field can. `prefix` matches the beginnings
 * of words, up to 20 characters; a run of Chinese counts as a word, even next to Latin letters. `keyword` is for exact matches and sorting;
 * it ignores texts over Lucene's term limit (32,766 bytes), which would otherwise fail the document. Invisible characters are ignored by
 * all but `keyword` and analyzers from plugins. Needs no plugins.
 */
function text(analyzer: string): object {
  return {
    type: 'text',
    // A character filter cannot be added to a built-in analyzer, so these are defined anew below.
    analyzer: ['cjk', 'standard'].includes(analyzer) ? `visible_${analyzer}` : analyzer,
    fields: {
      keyword: { type: 'keyword', ignore_above: 8191 },
      standard: { type: 'text', analyzer: 'visible_standard' },
      prefix: { type: 'text', analyzer: 'prefixes', search_analyzer: 'beginnings' },
    },
  };
}

/** Invisible characters: soft hyphens, byte-order and direction marks, zero-width joiners and spaces, variation selectors, fillers. */
export const invisible =
  '[\\p{Cf}\\u034F\\u115F\\u1160\\u17B4\\u17B5\\u180B-\\u180F\\u3164\\uFE00-\\uFE0F\\uFFA0\\uDB40\\uDD00-\\uDB40\\uDDEF]';

const cjk = '[\\p{IsHan}\\p{IsHiragana}\\p{IsKatakana}\\p{IsHangul}]';

/** The stop words of the built-in `cjk` analyzer. */
const cjkStopWords =
  'a and are as at be but by for if in into is it no not of on or s such t that the their then there these they this to was will with www';

const analysis = {
  char_filter: { visible: { type: 'pattern_replace', pattern: invisible, replacement: '' } },
  // Splits at anything but letters and digits, and between Chinese, Japanese or Korean and other scripts.
  tokenizer: { words: { type: 'pattern', pattern: `[^\\p{L}\\p{N}]+|(?<=${cjk})(?!${cjk})|(?<!${cjk})(?=${cjk})` } },
  filter: {
    prefixes: { type: 'edge_ngram', min_gram: 1, max_gram: 20 },
    beginning: { type: 'truncate', length: 20 },
    cjk_stop: { type: 'stop', stopwords: cjkStopWords.split(' ') },
  },
  analyzer: {
    prefixes: { type: 'custom', char_filter: ['visible'], tokenizer: 'words', filter: ['cjk_width', 'lowercase', 'prefixes'] },
    beginnings: { type: 'custom', char_filter: ['visible'], tokenizer: 'words', filter: ['cjk_width', 'lowercase', 'beginning'] },
    visible_standard: { type: 'custom', char_filter: ['visible'], tokenizer: 'standard', filter: ['lowercase'] },
    visible_cjk: {
      type: 'custom',
      char_filter: ['visible'],
      tokenizer: 'standard',
      filter: ['cjk_width', 'lowercase', 'cjk_bigram', 'cjk_stop'],
    },
  },
};

export function newMark(analyzer: string): object {
  return { schema, analyzer };
}

/** Reads our marker from an index in the response to `GET /<index>/_mapping`; `null` if the index is not ours. */
export function markOf(definition: unknown): object | null {
  const found = member(member(member(definition, 'mappings'), '_meta'), mark);
  return typeof member(found, 'schema') === 'number' ? (found as object) : null;
}

/** The request body that creates an index and its alias in one call, so that no replica sees one without the other. */
export function newIndex(alias: string, analyzer: string): object {
  return {
    aliases: { [alias]: {} },
    settings: { analysis },
    mappings: {
      dynamic: 'strict',
      _meta: { [mark]: newMark(analyzer) },
      properties: {
        sdkAppId: { type: 'keyword' },
        channelId: { type: 'keyword' },
        name: text(analyzer),
        avatarUrl: { type: 'keyword', index: false, doc_values: false },
        introduction: text(analyzer),
        organization: text(analyzer),
        revision: { type: 'long' },
        updatedAt: { type: 'date' },
        deleted: { type: 'boolean' },
      },
    },
  };
}
