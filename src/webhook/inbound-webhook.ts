import { earliestEventTime, latestAheadMs } from '../channel/event-time.js';
import type { InboundWebhook } from '../channel/recorder.js';
import { type WebhookDto, commands } from './webhook.dto.js';

/** The EventTime of a webhook, or the arrival time where it tells none that can be. Milliseconds. */
export function eventTimeOf(told: unknown, arrival: number): { eventTime: number; eventTimeEstimated: boolean } {
  const time = typeof told === 'string' && /^0*\d{1,16}$/.test(told) ? Number(told) : told;
  const usable = typeof time === 'number' && Number.isSafeInteger(time) && time >= earliestEventTime && time <= arrival + latestAheadMs;
  return usable ? { eventTime: time, eventTimeEstimated: false } : { eventTime: arrival, eventTimeEstimated: true };
}

/** Translates the vendor's words into ours. */
export function inboundWebhookOf(dto: WebhookDto, sdkAppId: string, arrival: { id: string; at: number; body: Uint8Array }): InboundWebhook {
  const fields: InboundWebhook['fields'] = {};
  if (typeof dto.Name === 'string') fields.name = dto.Name;
  if (typeof dto.FaceUrl === 'string') fields.avatarUrl = dto.FaceUrl;
  if (typeof dto.Introduction === 'string') fields.introduction = dto.Introduction;
  if (typeof dto.Organization === 'string') fields.organization = dto.Organization;
  return {
    id: arrival.id,
    sdkAppId,
    channelId: dto.Official_Account,
    command: commands[dto.CallbackCommand]!,
    operator: dto.Operator_Account ?? null,
    ...eventTimeOf(dto.EventTime, arrival.at),
    receivedAt: arrival.at,
    fields,
    body: arrival.body,
  };
}
