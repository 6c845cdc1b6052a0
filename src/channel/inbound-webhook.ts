import { hash } from 'node:crypto';
import type { VendorEvent } from './merge.js';
import type { Origin, Source } from './origin.js';
import { fieldNames } from './profile.js';

/** An EventTime before this (ms), or further than `maxEventTimeAheadMs` ahead of the arrival, is replaced by the arrival time. */
export const minEventTime = Date.UTC(2010, 0, 1);
export const maxEventTimeAheadMs = 10 * 60_000;

/** A validated webhook, ready to be recorded; or the equivalent of one, from a reading of the vendor's REST API. */
export interface InboundWebhook extends VendorEvent {
  /** Assigned on arrival; becomes the id of the change. */
  id: string;
  sdkAppId: string;
  channelId: string;
  source: Source;
  operator: string | null;
  origin: Origin;
  eventTimeEstimated: boolean;
  receivedAt: number;
  /** The raw body, decompressed; empty for a reading. */
  body: Uint8Array;
}

/**
 * Detects exact repeats: a hash of app, command, channel, EventTime, operator and profile fields. A webhook with
 * an estimated time is never a repeat, so its own id is used.
 */
export function fingerprint(webhook: InboundWebhook): string {
  if (webhook.eventTimeEstimated) return webhook.id;
  const { sdkAppId, command, channelId, eventTime, operator, fields } = webhook;
  const shared = [sdkAppId, command, channelId, eventTime, operator, ...fieldNames.map(field => fields[field] ?? null)];
  // The time prefix keeps new index entries together on few pages.
  return `${eventTime}-${hash('sha256', JSON.stringify(shared), 'base64url')}`;
}
