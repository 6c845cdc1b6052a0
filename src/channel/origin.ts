/** How a change came to us: by the vendor's webhook, or by reading its REST API, where an import is of a channel that we had never heard of. */
export const sources = ['webhook', 'comparison', 'import'] as const;
export type Source = (typeof sources)[number];

/** What the vendor tells beside the change, each a text of 1 to 255 bytes, or `null` (Tencent Cloud, product 1047, documents 60796 to 60798). */
export interface Origin {
  /** The address of whoever made the change. */
  clientIp: string | null;
  /** The platform on which it was made, as the vendor writes it. */
  platform: string | null;
  /** The channel's owner. */
  owner: string | null;
}

/** An origin as its row has it. */
export function originColumns({ clientIp, platform, owner }: Origin) {
  return { client_ip: clientIp, platform, owner };
}

/** The origin of a row. */
export function originOf({ client_ip: clientIp, platform, owner }: ReturnType<typeof originColumns>): Origin {
  return { clientIp, platform, owner };
}

/** Texts of the vendor as every database can store them: NUL and lone surrogates become U+FFFD, like other broken text. */
export function wellFormed(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd');
}

/** One text of 1 to 255 bytes; `null` for anything else. */
export function shortText(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const text = wellFormed(value);
  return text !== '' && Buffer.byteLength(text) <= 255 ? text : null;
}
