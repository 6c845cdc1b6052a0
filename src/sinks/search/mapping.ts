import { member } from './document.js';

/** Grows when the mapping changes, so that an index of an older release counts as outdated. */
const schema = 3;

/** The key in the mapping's `_meta` that marks an index as ours. */
const mark = 'channel-sync';

/**
 * `cjk` indexes pairs of Chinese characters, so that a single one finds nothing: that is what the `standard` sub-field is for. `prefix` finds
 * words by how they begin, up to 20 characters; a run of Chinese is a word to it, also right beside Latin letters. `keyword` finds and sorts by the exact text, up
 * to what Lucene takes as one term (32,766 bytes): a longer text must not fail the document. Invisible characters count for none of them but `keyword`, and for an
 * analyzer of a plugin. All of this is in every OpenSearch and Elasticsearch, without plugins.
 */
function text(analyzer: string): object {
  return {
    type: 'text',
    analyzer: Object.hasOwn(rebuilt, analyzer) ? rebuilt[analyzer]! : analyzer,
    fields: {
      keyword: { type: 'keyword', ignore_above: 8191 },
      standard: { type: 'text', analyzer: 'visible_standard' },
      prefix: { type: 'text', analyzer: 'prefixes', search_analyzer: 'beginnings' },
    },
  };
}

/** Analyzers of the engine that are built anew below, since a filter of characters cannot be put before one that is ready-made. */
const rebuilt: Record<string, string> = { cjk: 'visible_cjk', standard: 'visible_standard' };

/** What nobody sees and nobody types: soft hyphens, byte-order and direction marks, zero-width joiners and spaces, variation selectors, fillers. */
export const invisible =
  '[\\p{Cf}\\u034F\\u115F\\u1160\\u17B4\\u17B5\\u180B-\\u180F\\u3164\\uFE00-\\uFE0F\\uFFA0\\uDB40\\uDD00-\\uDB40\\uDDEF]';

const cjk = '[\\p{IsHan}\\p{IsHiragana}\\p{IsKatakana}\\p{IsHangul}]';

/** Those of the ready-made `cjk`. */
const cjkStopWords =
  'a and are as at be but by for if in into is it no not of on or s such t that the their then there these they this to was will with www'.split(
    ' ',
  );

const analysis = {
  char_filter: { visible: { type: 'pattern_replace', pattern: invisible, replacement: '' } },
  // Between what is no letter and no digit, and where Chinese, Japanese or Korean meets another script.
  tokenizer: { words: { type: 'pattern', pattern: `[^\\p{L}\\p{N}]+|(?<=${cjk})(?!${cjk})|(?<!${cjk})(?=${cjk})` } },
  filter: {
    prefixes: { type: 'edge_ngram', min_gram: 1, max_gram: 20 },
    beginning: { type: 'truncate', length: 20 },
    cjk_stop: { type: 'stop', stopwords: cjkStopWords },
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

/** What an index of ours says of itself. */
export function newMark(analyzer: string): object {
  return { schema, analyzer };
}

/** What the answer to `GET /<index>/_mapping` says of that index of ours, as `newMark` would; `null` if it is not one. */
export function markOf(definition: unknown): object | null {
  const found = member(member(member(definition, 'mappings'), '_meta'), mark);
  return typeof member(found, 'schema') === 'number' ? (found as object) : null;
}

/** The body that creates an index together with its alias: in one call, so that no replica ever sees the one without the other. */
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
