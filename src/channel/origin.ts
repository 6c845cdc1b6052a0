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

/** The value if it is a text of 1 to 255 bytes, else `null`. */
export function shortText(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const text = wellFormed(value);
  return text !== '' && Buffer.byteLength(text) <= 255 ? text : null;
}
