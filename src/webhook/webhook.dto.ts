import { applyDecorators } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { IsOptional, IsString } from 'class-validator';
import type { Command } from '../channel/merge.js';
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
