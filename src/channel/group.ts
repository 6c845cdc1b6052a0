import { groupLimits } from '../database/limits.js';
import type { Told } from './merge.js';

/** What the group of a webhook depends on. */
interface Grouped extends Pick<Told, 'fields'> {
  sdkAppId: string;
  channelId: string;
  body: Uint8Array;
}

/**
 * What goes into the next transaction: what has waited longest, and of what came after one that is too large for it what still fits, but each channel
 * in the order of arrival.
 * @param sinks how many sinks may be owed each webhook
 */
export function nextGroup<T extends { webhook: Grouped }>(waiting: readonly T[], sinks: number): { group: T[]; rest: T[] } {
  const most = Math.min(groupLimits.webhooks, Math.max(1, Math.floor(groupLimits.rows / sinks)));
  const [group, rest]: [T[], T[]] = [[], []];
  const passedOver = new Set<string>();
  let bytes = 0;
  for (const [index, one] of waiting.entries()) {
    if (group.length === most) return { group, rest: rest.concat(waiting.slice(index)) };
    const size = sizeOf(one.webhook);
    const channel = keyOf(one.webhook);
    if (group.length > 0 && (bytes + size > groupLimits.bytes || passedOver.has(channel))) {
      passedOver.add(channel);
      rest.push(one);
      continue;
    }
    bytes += size;
    group.push(one);
  }
  return { group, rest };
}

/** Its body, and each of its texts in the state, in the profile, and as what was before. Of what the database will refuse, any. */
function sizeOf({ body, fields }: Grouped): number {
  return Object.values(fields).reduce((bytes, text) => bytes + 3 * text.length, (body as Uint8Array | undefined)?.length ?? 0);
}

/** Names a channel: one of an app's. */
export function keyOf({ sdkAppId, channelId }: Pick<Grouped, 'sdkAppId' | 'channelId'>): string {
  return `${sdkAppId} ${channelId}`;
}
