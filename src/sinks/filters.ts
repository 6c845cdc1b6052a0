import type { FieldName } from '../channel/profile.js';

/** Which changes a sink wants; an absent filter wants all. Filters choose changes, they do not edit them. */
export interface Filters {
  fields?: FieldName[];
  channels?: string[];
  sdkAppIds?: string[];
}

/** What the filters look at. */
export interface Filterable {
  sdkAppId: string;
  channelId: string;
  existenceChanged: boolean;
  /** The fields that changed or, without a revision, those that the webhook named. */
  fields: readonly FieldName[];
}

/** Whether a change is wanted. */
export function wants({ fields, channels, sdkAppIds }: Filters, change: Filterable): boolean {
  if (sdkAppIds && !sdkAppIds.includes(change.sdkAppId)) return false;
  if (channels && !isWanted(channels, change.channelId)) return false;
  return !fields || change.existenceChanged || change.fields.some(field => fields.includes(field));
}

/** Filters that were read, by their text. */
const known = new Map<string, Filters>();
/** More than a process has sinks: beyond that it forgets those of the past. */
const mostKnown = 1000;

/** Reads stored filters, each text once: every webhook asks for those of all sinks. */
export function filtersFrom(json: string): Filters {
  const filters = known.get(json) ?? (JSON.parse(json) as Filters);
  if (known.size === mostKnown) known.clear();
  known.set(json, filters);
  return filters;
}

/** The patterns of filters: of a long list most are ids as they stand. */
const sorted = new WeakMap<readonly string[], { ids: Set<string>; globs: string[] }>();

function isWanted(channels: readonly string[], id: string): boolean {
  let patterns = sorted.get(channels);
  if (!patterns) {
    const { ids = [], globs = [] } = Object.groupBy(channels, pattern => (/[*?]/.test(pattern) ? 'globs' : 'ids'));
    sorted.set(channels, (patterns = { ids: new Set(ids), globs }));
  }
  return patterns.ids.has(id) || patterns.globs.some(pattern => matches(pattern, id));
}

/** Glob match: `*` is any characters, `?` one. Walks back only to the last star, so that no pattern is slow. */
export function matches(pattern: string, text: string): boolean {
  const [letters, marks] = [[...text], [...pattern]];
  let [at, mark, star, resume] = [0, 0, -1, 0];
  while (at < letters.length) {
    if (marks[mark] === '*') [star, resume, mark] = [mark, at, mark + 1];
    else if (marks[mark] === '?' || marks[mark] === letters[at]) [at, mark] = [at + 1, mark + 1];
    else if (star >= 0) [resume, at, mark] = [resume + 1, resume + 1, star + 1];
    else return false;
  }
  return marks.slice(mark).every(one => one === '*');
}
