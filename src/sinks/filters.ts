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
  if (channels && !channels.some(pattern => matches(pattern, change.channelId))) return false;
  return !fields || change.existenceChanged || change.fields.some(field => fields.includes(field));
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
