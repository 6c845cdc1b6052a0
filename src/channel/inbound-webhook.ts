import { createHash } from 'node:crypto';
import type { Told } from './merge.js';
import type { Origin, Source } from './origin.js';
import { fieldNames } from './profile.js';

/** The bounds of an EventTime that a webhook tells, in milliseconds: not before 2010, and so far ahead of its arrival at most. */
export const earliestEventTime = Date.UTC(2010, 0, 1);
export const latestAheadMs = 10 * 60_000;

/** A webhook that passed every check, ready to be kept; or what a reading of the vendor's REST API amounts to. */
export interface InboundWebhook extends Told {
  /** Given on arrival; becomes the change's id. */
  id: string;
  sdkAppId: string;
  channelId: string;
  source: Source;
  operator: string | null;
  origin: Origin;
  eventTimeEstimated: boolean;
  receivedAt: number;
  /** The body as it arrived, inflated; empty if there was no webhook. */
  body: Uint8Array;
}

/**
 * What an exact repeat shares (contract, section 2): app, command, channel, EventTime, operator and profile fields. A webhook whose
 * time was estimated is never a repeat of another, so its own id stands in.
 */
export function fingerprint(webhook: InboundWebhook): string {
  if (webhook.eventTimeEstimated) return webhook.id;
  const { sdkAppId, command, channelId, eventTime, operator, fields } = webhook;
  const shared = [sdkAppId, command, channelId, eventTime, operator, ...fieldNames.map(field => fields[field] ?? null)];
  // The time in front keeps the index's new entries together on few pages.
  return `${eventTime}-${createHash('sha256').update(JSON.stringify(shared)).digest('base64url')}`;
}
