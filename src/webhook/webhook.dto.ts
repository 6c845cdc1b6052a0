import { applyDecorators } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { IsOptional, IsString } from 'class-validator';
import { earliestEventTime, latestAheadMs } from '../channel/event-time.js';
import type { Command } from '../channel/merge.js';
import type { InboundWebhook } from '../channel/inbound-webhook.js';
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

/** NUL and lone surrogates cannot be stored by every database, so they become U+FFFD like other broken text. */
function wellFormed(value: unknown): unknown {
  return typeof value === 'string' ? value.toWellFormed().replaceAll('\0', '\ufffd') : value;
}

const Text = (): PropertyDecorator => Transform(({ value }: { value: unknown }) => wellFormed(value));

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

  /** Milliseconds, an integer or a text of digits; anything else is replaced by the arrival time. */
  EventTime?: unknown;

  /** One of ours; agreed between query and body before. */
  CallbackCommand!: string;
}

/** The keys of a body that get any further. */
export const knownKeys = ['Official_Account', 'Name', 'FaceUrl', 'Introduction', 'Organization', 'Operator_Account', 'EventTime'] as const;

/** The EventTime of a webhook, or the arrival time where it tells none that can be. Milliseconds. */
export function eventTimeOf(value: unknown, arrival: number): { eventTime: number; eventTimeEstimated: boolean } {
  const time = typeof value === 'string' && /^0*\d{1,16}$/.test(value) ? Number(value) : value;
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
