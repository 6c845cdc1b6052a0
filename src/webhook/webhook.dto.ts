import { applyDecorators } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { IsOptional, IsString } from 'class-validator';
import { type InboundWebhook, minEventTime, maxEventTimeAheadMs } from '../channel/inbound-webhook.js';
import { fieldsIn, isChannelId, shortText, wellFormed } from '../channel/origin.js';
import { vendorNames } from '../channel/profile.js';
import { Must } from '../settings/setting.js';
import { commands } from './commands.js';

/** Texts may be a megabyte long: `fieldsIn` makes them well-formed, once. */
const ProfileText = (): PropertyDecorator => applyDecorators(IsString(), IsOptional());

/** The fields of a webhook that we use (Tencent Cloud, product 1047, document 60797); absent or `null` means unchanged, `""` cleared. */
export class WebhookDto {
  /** The channel's id, such as `@TOA#_shop_news`. */
  @Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? wellFormed(value) : value))
  @Must('a text that is not blank, of at most 255 bytes', isChannelId)
  Official_Account!: string;

  @ProfileText()
  Name?: string | null;

  @ProfileText()
  FaceUrl?: string | null;

  @ProfileText()
  Introduction?: string | null;

  @ProfileText()
  Organization?: string | null;

  /** Who made the change. Anything but a string counts as absent. */
  @Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? wellFormed(value) : undefined))
  Operator_Account?: string;

  /** The channel's owner. Anything but a string of 1 to 255 bytes counts as absent. */
  @Transform(({ value }: { value: unknown }) => shortText(value))
  Owner_Account?: string | null;

  /** Milliseconds, as an integer or a string of digits. Anything else is replaced by the arrival time. */
  EventTime?: unknown;

  /** One of `commands`; already checked to agree between query and body. */
  CallbackCommand!: string;
}

/** The keys that are copied from the body. */
export const knownKeys = ['Official_Account', 'Operator_Account', 'Owner_Account', 'EventTime', ...Object.values(vendorNames)];

/** The EventTime of a webhook, or the arrival time if EventTime is missing or implausible. Milliseconds. */
export function eventTimeOf(value: unknown, arrival: number): { eventTime: number; eventTimeEstimated: boolean } {
  const time = typeof value === 'string' && /^0*\d{1,16}$/.test(value) ? Number(value) : value;
  const usable = typeof time === 'number' && Number.isSafeInteger(time) && time >= minEventTime && time <= arrival + maxEventTimeAheadMs;
  return usable ? { eventTime: time, eventTimeEstimated: false } : { eventTime: arrival, eventTimeEstimated: true };
}

/** Maps the vendor's fields to ours. `ClientIP` and `OptPlatform` of the query are kept if each is a single string of 1 to 255 bytes. */
export function inboundWebhookOf(
  dto: WebhookDto,
  { SdkAppid, ClientIP, OptPlatform }: Partial<Record<string, unknown>>,
  arrival: { id: string; at: number; body: Uint8Array },
): InboundWebhook {
  return {
    id: arrival.id,
    sdkAppId: SdkAppid as string,
    channelId: dto.Official_Account,
    command: commands[dto.CallbackCommand]!,
    source: 'webhook',
    operator: dto.Operator_Account ?? null,
    origin: { clientIp: shortText(ClientIP), platform: shortText(OptPlatform), owner: dto.Owner_Account ?? null },
    ...eventTimeOf(dto.EventTime, arrival.at),
    receivedAt: arrival.at,
    fields: fieldsIn(dto),
    body: arrival.body,
  };
}
