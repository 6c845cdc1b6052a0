import { groupLimits } from '../database/limits.js';
import type { VendorEvent } from './merge.js';

interface Grouped extends Pick<VendorEvent, 'fields'> {
  sdkAppId: string;
  channelId: string;
  body: Uint8Array;
}

/**
 * Picks the webhooks of the next transaction, oldest first. When one is too large, smaller later ones may still go, but each channel
 * stays in order of arrival.
 * @param sinks the maximum number of deliveries per webhook
 */
export function nextGroup<T extends { webhook: Grouped }>(waiting: readonly T[], sinks: number): { group: T[]; rest: T[] } {
  const maxWebhooks = Math.min(groupLimits.webhooks, Math.max(1, Math.floor(groupLimits.rows / sinks)));
  const [group, rest]: [T[], T[]] = [[], []];
  const passedOver = new Set<string>();
  let bytes = 0;
  for (const [index, item] of waiting.entries()) {
    if (group.length === maxWebhooks) return { group, rest: rest.concat(waiting.slice(index)) };
    const size = sizeOf(item.webhook);
    const channel = keyOf(item.webhook);
    if (group.length > 0 && (bytes + size > groupLimits.bytes || passedOver.has(channel))) {
      passedOver.add(channel);
      rest.push(item);
      continue;
    }
    bytes += size;
    group.push(item);
  }
  return { group, rest };
}

/** Estimated size in bytes: each text is stored three times (state, profile and previous value). Must not throw on an invalid webhook. */
function sizeOf({ body, fields }: Grouped): number {
  return Object.values(fields).reduce((bytes, text) => bytes + 3 * text.length, (body as Uint8Array | undefined)?.length ?? 0);
}

/** Identifies a channel across apps. */
export function keyOf({ sdkAppId, channelId }: Pick<Grouped, 'sdkAppId' | 'channelId'>): string {
  return `${sdkAppId} ${channelId}`;
}
