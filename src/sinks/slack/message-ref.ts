/** Where a message stands, as we remember it. */
export interface MessageRef {
  channel: string;
  ts: string;
  /** Slack could not fetch its image, so that edits need not find that out again. */
  image?: false;
  /** Its thread is complete. */
  thread?: true;
}

/** The messageRef of each change in a digest: it has no card of its own. */
export function digestRef({ channel, ts }: MessageRef): string {
  return JSON.stringify({ channel, ts, digest: true });
}

/** `null` for what is not of a message of its own, such as the messageRef of an incoming webhook that this sink was before. */
export function readMessageRef(text: string | null): MessageRef | null {
  try {
    const { channel, ts, image, thread, digest } = JSON.parse(text ?? '{}') as Partial<MessageRef> & { digest?: unknown };
    if (typeof channel !== 'string' || typeof ts !== 'string' || digest !== undefined) return null;
    return { channel, ts, ...(image === false && { image }), ...(thread === true && { thread }) };
  } catch {
    return null;
  }
}
