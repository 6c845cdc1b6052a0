import type { FieldName } from '../channel/profile.js';

/** Selects the changes that a sink gets; an absent filter matches all. Filters never modify changes. */
export interface Filters {
  fields?: FieldName[];
  channels?: string[];
  sdkAppIds?: string[];
}

/** The properties of a change that filters look at. */
export interface Filterable {
  sdkAppId: string;
  channelId: string;
  existenceChanged: boolean;
  /** The fields that changed; for a change without a revision, the fields in the webhook. */
  fields: readonly FieldName[];
}

export function wants({ fields, channels, sdkAppIds }: Filters, change: Filterable): boolean {
  if (sdkAppIds && !sdkAppIds.includes(change.sdkAppId)) return false;
  if (channels && !isWanted(channels, change.channelId)) return false;
  return !fields || change.existenceChanged || change.fields.some(field => fields.includes(field));
}

/** Parsed filters by their JSON. */
const cache = new Map<string, Filters>();
/** Larger than the number of sinks; beyond it the cache is cleared, since old filters pile up. */
const maxCached = 1000;

/** Parses stored filters, with a cache, since every webhook needs those of all sinks. */
export function filtersFrom(json: string): Filters {
  const filters = cache.get(json) ?? (JSON.parse(json) as Filters);
  if (cache.size === maxCached) cache.clear();
  cache.set(json, filters);
  return filters;
}

/** Channel patterns split into plain ids and globs, since long lists are mostly ids. */
const compiled = new WeakMap<readonly string[], { ids: Set<string>; globs: string[] }>();

function isWanted(channels: readonly string[], id: string): boolean {
  let patterns = compiled.get(channels);
  if (!patterns) {
    const { ids = [], globs = [] } = Object.groupBy(channels, pattern => (/[*?]/.test(pattern) ? 'globs' : 'ids'));
    compiled.set(channels, (patterns = { ids: new Set(ids), globs }));
  }
  return patterns.ids.has(id) || patterns.globs.some(pattern => matches(pattern, id));
}

/** Matches a glob: `*` any characters, `?` one. Backtracks only to the last star, so that no pattern is slow. */
export function matches(pattern: string, text: string): boolean {
  const [letters, marks] = [[...text], [...pattern]];
  let [at, mark, star, resume] = [0, 0, -1, 0];
  while (at < letters.length) {
    if (marks[mark] === '*') [star, resume, mark] = [mark, at, mark + 1];
    else if (marks[mark] === '?' || marks[mark] === letters[at]) [at, mark] = [at + 1, mark + 1];
    else if (star >= 0) [resume, at, mark] = [resume + 1, resume + 1, star + 1];
    else return false;
  }
  return marks.slice(mark).every(rest => rest === '*');
}
