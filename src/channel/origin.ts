import { type FieldName, fieldNames, vendorNames } from './profile.js';

/** Where a change came from: a webhook, or a reading of the vendor's REST API; `import` if the channel was unknown before the reading. */
export const sources = ['webhook', 'comparison', 'import'] as const;
export type Source = (typeof sources)[number];

/** Metadata of a change: each a text of 1 to 255 bytes or `null` (Tencent Cloud, product 1047, documents 60796 to 60798). */
export interface Origin {
  clientIp: string | null;
  /** The client's platform, as the vendor spells it. */
  platform: string | null;
  owner: string | null;
}

export function originColumns({ clientIp, platform, owner }: Origin) {
  return { client_ip: clientIp, platform, owner };
}

export function originOf({ client_ip: clientIp, platform, owner }: ReturnType<typeof originColumns>): Origin {
  return { clientIp, platform, owner };
}

/** Makes a text storable in every database: NUL and lone surrogates become U+FFFD. */
export function wellFormed(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd');
}

/** The profile fields that the vendor sent as texts; any other value means "not sent". */
export function fieldsIn(sent: Partial<Record<(typeof vendorNames)[FieldName], unknown>>): Partial<Record<FieldName, string>> {
  const fields: Partial<Record<FieldName, string>> = {};
  for (const field of fieldNames) {
    const value = sent[vendorNames[field]];
    if (typeof value === 'string') fields[field] = wellFormed(value);
  }
  return fields;
}

/** Whether the value can be the id of a channel: a well-formed text of at most 255 bytes that is not blank. */
export function isChannelId(value: unknown): value is string {
  return typeof value === 'string' && shortText(value) === value && value.trim() !== '';
}

/** The value if it is a text of 1 to 255 bytes, else `null`. */
export function shortText(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const text = wellFormed(value);
  return text !== '' && Buffer.byteLength(text) <= 255 ? text : null;
}
