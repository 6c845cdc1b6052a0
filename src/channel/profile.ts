/** The fields of a profile, in the order in which changes list them. */
export const fieldNames = ['name', 'avatarUrl', 'introduction', 'organization'] as const;
export type FieldName = (typeof fieldNames)[number];

/** The vendor's names of the fields (Tencent Cloud, product 1047, documents 60758 and 60797). */
export const vendorNames = {
  name: 'Name',
  avatarUrl: 'FaceUrl',
  introduction: 'Introduction',
  organization: 'Organization',
} as const satisfies Record<FieldName, string>;

/** A channel's profile; `null` means unknown, `""` means cleared. */
export type Profile = Record<FieldName, string | null>;

/** A changed field; `null` means unknown. */
export interface FieldChange {
  field: FieldName;
  from: string | null;
  to: string | null;
}

export const unknownProfile: Profile = { name: null, avatarUrl: null, introduction: null, organization: null };

/** The changed fields, in the order of `fieldNames`. */
export function diff(before: Profile, after: Profile): FieldChange[] {
  return fieldNames.filter(field => before[field] !== after[field]).map(field => ({ field, from: before[field], to: after[field] }));
}
