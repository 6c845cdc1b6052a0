import { Misconfigured } from '../sink.js';
import { member } from './document.js';

/** Grows when the mapping changes so that an index made by an older release has to be rebuilt. */
const schema = 1;

/** Where the mapping tells that the index is ours. */
const mark = 'channel-sync';

/**
 * `cjk` indexes pairs of Chinese characters, so that a single one finds nothing: that is what the `standard` sub-field is for. `keyword`
 * finds and sorts by the exact text, up to what Lucene takes as one term (32,766 bytes): a longer text must not fail the document.
 */
const text = {
  type: 'text',
  analyzer: 'cjk',
  fields: { keyword: { type: 'keyword', ignore_above: 8191 }, standard: { type: 'text', analyzer: 'standard' } },
};

/** The body that creates an index together with its alias: in one call, so that no replica ever sees the one without the other. */
export function newIndex(alias: string): object {
  return {
    aliases: { [alias]: {} },
    mappings: {
      dynamic: 'strict',
      _meta: { [mark]: { schema } },
      properties: {
        sdkAppId: { type: 'keyword' },
        channelId: { type: 'keyword' },
        name: text,
        avatarUrl: { type: 'keyword', index: false, doc_values: false },
        introduction: text,
        organization: text,
        revision: { type: 'long' },
        updatedAt: { type: 'date' },
        deleted: { type: 'boolean' },
      },
    },
  };
}

/** The first index behind an alias; later ones count on. */
export function firstIndex(alias: string): string {
  return `${alias}-v1`;
}

/** Why what `GET /<alias>/_mapping` answered is not an index of ours, with what to do about it; `null` if it is one. */
export function foreignIndex(alias: string, mappings: unknown): Misconfigured | null {
  if (typeof mappings !== 'object' || mappings === null || Array.isArray(mappings) || Object.keys(mappings).length === 0) {
    return new Misconfigured('the answer is not one of OpenSearch', 'Check the URL of this sink: something else seems to be there.');
  }
  const indices = Object.keys(mappings);
  if (indices.length > 1) {
    return new Misconfigured(
      `INDEX is an alias of ${indices.length} indices`,
      'Let the alias point at the one index that channel-sync made.',
    );
  }
  const [index = ''] = indices;
  if (index === alias) {
    return new Misconfigured(
      'INDEX is an index, not an alias',
      'Set INDEX to a name that is not taken, or delete or rename that index; nothing was written to it.',
    );
  }
  const found = member(member(member(member(member(mappings, index), 'mappings'), '_meta'), mark), 'schema');
  if (found === schema) return null;
  if (typeof found === 'number') {
    return new Misconfigured(
      'the index was made by another release of channel-sync',
      'Let one release run, and rebuild the index with it.',
    );
  }
  return new Misconfigured(
    'INDEX is an alias of an index that channel-sync did not make',
    'Set INDEX to a name that is not taken, or remove that alias; nothing was written to it.',
  );
}
