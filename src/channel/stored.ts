import { type FieldChange, type FieldName, type Profile, fieldNames, unknownProfile } from './profile.js';

// Parsers for the columns of changes. A damaged row throws here, so that it affects only this change and not the code that renders it.

const isText = (value: unknown): boolean => value === null || typeof value === 'string';
const isField = (value: unknown): value is FieldName => (fieldNames as readonly unknown[]).includes(value);

/** A stored time as ISO 8601. @throws RangeError if it is not a valid date */
export function readTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** @param json `null` if nothing is known. @throws if this is not the JSON of a profile */
export function readProfile(json: string | null): Profile {
  if (json === null) return unknownProfile;
  const profile = JSON.parse(json) as Profile;
  if (!fieldNames.every(field => isText(profile[field]))) throw new TypeError('no profile');
  return profile;
}

/** @param profile the profile after the change, which holds the new values. @throws if this is not the JSON of changes */
export function readChanges(json: string, profile: Profile): FieldChange[] {
  const changes = JSON.parse(json) as Omit<FieldChange, 'to'>[];
  if (!changes.every(({ field, from }) => isField(field) && isText(from))) throw new TypeError('no changes');
  return changes.map(({ field, from }) => ({ field, from, to: profile[field] }));
}

/** @throws if this is not a JSON array of field names */
export function readFields(json: string): FieldName[] {
  const fields = JSON.parse(json) as FieldName[];
  if (!fields.every(isField)) throw new TypeError('no fields');
  return fields;
}
