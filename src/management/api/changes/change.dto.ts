import type { ChangeType } from '../../../channel/change.js';
import type { Source } from '../../../channel/origin.js';
import type { FieldName } from '../../../channel/profile.js';
import { DeliveryWithAttemptsDto } from '../deliveries/delivery.dto.js';
import { PageDto } from '../list.dto.js';

/** A channel's profile; null is unknown, an empty text was cleared. */
export class ProfileDto {
  /** Its name @example "Shop news" */
  name!: string | null;
  /** The address of its picture @example "https://img.example.com/shop.png" */
  avatarUrl!: string | null;
  /** What it says of itself @example "All that is new in our shop" */
  introduction!: string | null;
  /** To whom it belongs @example "Shop Ltd." */
  organization!: string | null;
}

/** One field that differs. */
export class FieldChangeDto {
  /** Which one */
  field!: FieldName;
  /** The value before; null if it was unknown @example "Shop" */
  from!: string | null;
  /** The value after; null if it is unknown @example "Shop news" */
  to!: string | null;
}

/** What one kept webhook did to its channel. */
export class ChangeDto {
  /** Given on arrival */
  id!: string;
  sdkAppId!: string;
  channelId!: string;
  /** By its effect; of one that altered nothing, what the webhook was about */
  type!: ChangeType;
  /** The channel's revision that it made; null if it altered nothing */
  revision!: number | null;
  /** webhook, or what a reading of the vendor's REST API led to: comparison, or import of a channel never heard of */
  source!: Source;
  /** Who asked for it; null if the webhook did not tell @example "administrator" */
  operator!: string | null;
  /** The address of whoever made it, as the vendor tells it @example "203.0.113.7" */
  clientIp!: string | null;
  /** The platform on which it was made, as the vendor writes it @example "RESTAPI" */
  platform!: string | null;
  /** The channel's owner, as the vendor tells it @example "administrator" */
  owner!: string | null;
  /** When it happened */
  eventTime!: Date;
  /** True if the webhook told no usable time, so that its arrival stands in */
  eventTimeEstimated!: boolean;
  /** True if a field had another value of the very same time */
  tie!: boolean;
  /** When the webhook arrived */
  receivedAt!: Date;
  /** The fields that differ */
  changes!: FieldChangeDto[];
  /** Fields of the webhook that were older than what was known and were not applied */
  stale!: FieldName[];
}

/** A change with the profile that it made and what became of it. */
export class ChangeDetailDto extends ChangeDto {
  /** The whole profile after it */
  profile!: ProfileDto;
  /** One for each sink that is owed it, in the order of their names */
  deliveries!: DeliveryWithAttemptsDto[];
}

export class ChangePageDto extends PageDto {
  /** The newest arrival first */
  items!: ChangeDto[];
}
