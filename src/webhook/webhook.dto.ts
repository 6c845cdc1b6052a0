import { applyDecorators } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { IsOptional, IsString } from 'class-validator';
import { type InboundWebhook, minEventTime, maxEventTimeAheadMs } from '../channel/inbound-webhook.js';
import type { Command } from '../channel/merge.js';
import { shortText, wellFormed } from '../channel/origin.js';
import { Must } from '../settings/setting.js';

/** The vendor's commands that are ours (Tencent Cloud, product 1047, documents 60796, 60797, 60798). */
export const commands: Readonly<Record<string, Command>> = {
  'OfficialAccount.CallbackAfterCreateOfficialAccount': 'created',
  'OfficialAccount.CallbackAfterOfficialAccountInfoChanged': 'changed',
  'OfficialAccount.CallbackAfterOfficialAccountDestroyed': 'destroyed',
};

/** Whether a command word is one of ours. */
export function isOurs(command: unknown): command is string {
  return typeof command === 'string' && Object.hasOwn(commands, command);
}

const Text = (): PropertyDecorator => Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? wellFormed(value) : value));

const OptionalText = (): PropertyDecorator => applyDecorators(IsString(), IsOptional(), Text());

const isChannelId = Must(
  'a text that is not blank, of at most 255 bytes',
  value => typeof value === 'string' && value.trim() !== '' && Buffer.byteLength(value) <= 255,
);

/**
 * What we look at in a webhook's body; everything else is ignored. Absent or `null` means unchanged, `""` means cleared.
 * Source: Tencent Cloud, product 1047, document 60797.
 */
export class WebhookDto {
  /** The channel's id, such as `@TOA#_shop_news`. */
  @Text()
  @isChannelId
  Official_Account!: string;

  @OptionalText()
  Name?: string | null;

  @OptionalText()
  FaceUrl?: string | null;

  @OptionalText()
  Introduction?: string | null;

  @OptionalText()
  Organization?: string | null;

  /** Who asked for it; what is not text counts as absent. */
  @Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? wellFormed(value) : undefined))
  Operator_Account?: string;

  /** The channel's owner; what is no text of 1 to 255 bytes counts as absent. */
  @Transform(({ value }: { value: unknown }) => shortText(value))
  Owner_Account?: string | null;

  /** Milliseconds, an integer or a text of digits; anything else is replaced by the arrival time. */
  EventTime?: unknown;

  /** One of ours; agreed between query and body before. */
  CallbackCommand!: string;
}

/** The keys of a body that get any further. */
export const knownKeys = [
  'Official_Account',
  'Name',
  'FaceUrl',
  'Introduction',
  'Organization',
  'Operator_Account',
  'Owner_Account',
  'EventTime',
] as const;

/** The EventTime of a webhook, or the arrival time where it tells none that can be. Milliseconds. */
export function eventTimeOf(value: unknown, arrival: number): { eventTime: number; eventTimeEstimated: boolean } {
  const time = typeof value === 'string' && /^0*\d{1,16}$/.test(value) ? Number(value) : value;
  const usable = typeof time === 'number' && Number.isSafeInteger(time) && time >= minEventTime && time <= arrival + maxEventTimeAheadMs;
  return usable ? { eventTime: time, eventTimeEstimated: false } : { eventTime: arrival, eventTimeEstimated: true };
}

/** Translates the vendor's words into ours. `ClientIP` and `OptPlatform` of the query are kept if they are one text of 1 to 255 bytes. */
export function inboundWebhookOf(
  dto: WebhookDto,
  { SdkAppid, ClientIP, OptPlatform }: Partial<Record<string, unknown>>,
  arrival: { id: string; at: number; body: Uint8Array },
): InboundWebhook {
  const fields: InboundWebhook['fields'] = {};
  if (typeof dto.Name === 'string') fields.name = dto.Name;
  if (typeof dto.FaceUrl === 'string') fields.avatarUrl = dto.FaceUrl;
  if (typeof dto.Introduction === 'string') fields.introduction = dto.Introduction;
  if (typeof dto.Organization === 'string') fields.organization = dto.Organization;
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
    fields,
    body: arrival.body,
  };
}
