import type { ChangeType } from '../../../channel/change.js';
import type { Source } from '../../../channel/origin.js';
import type { FieldName } from '../../../channel/profile.js';
import { DeliveryWithAttemptsDto } from '../deliveries/delivery.dto.js';
import { PageDto } from '../list.dto.js';

/** A channel's profile; null means unknown, an empty text means cleared. */
export class ProfileDto {
  /** Its name @example "Shop news" */
  name!: string | null;
  /** The URL of its avatar @example "https://img.example.com/shop.png" */
  avatarUrl!: string | null;
  /** Its introduction @example "All that is new in our shop" */
  introduction!: string | null;
  /** Its organization @example "Shop Ltd." */
  organization!: string | null;
}

/** A changed field. */
export class FieldChangeDto {
  /** The name of the field */
  field!: FieldName;
  /** The old value; null if unknown @example "Shop" */
  from!: string | null;
  /** The new value; null if unknown @example "Shop news" */
  to!: string | null;
}

/** The effect of a webhook, or of a comparison or import, on a channel. */
export class ChangeDto {
  /** Assigned on arrival */
  id!: string;
  sdkAppId!: string;
  channelId!: string;
  /** Its effect on the channel; if it altered nothing, the type of the webhook */
  type!: ChangeType;
  /** The revision that it created; null if it altered nothing */
  revision!: number | null;
  /** webhook; or found through Tencent's REST API: comparison, or import of an unknown channel */
  source!: Source;
  /** Who made the change; null if unknown @example "administrator" */
  operator!: string | null;
  /** The operator's IP address, as reported by Tencent @example "203.0.113.7" */
  clientIp!: string | null;
  /** The platform on which it was made, as reported by Tencent @example "RESTAPI" */
  platform!: string | null;
  /** The channel's owner, as reported by Tencent @example "administrator" */
  owner!: string | null;
  /** When it happened */
  eventTime!: Date;
  /** True if the webhook carried no valid time, so that eventTime is its arrival */
  eventTimeEstimated!: boolean;
  /** True if a field already had another value with the same timestamp */
  tie!: boolean;
  /** When the webhook arrived */
  receivedAt!: Date;
  /** The fields that it changed */
  changes!: FieldChangeDto[];
  /** Fields that were not applied, because newer values were already known */
  stale!: FieldName[];
}

/** A change with its resulting profile and its deliveries. */
export class ChangeDetailDto extends ChangeDto {
  /** The complete profile after the change */
  profile!: ProfileDto;
  /** One per sink that receives the change, by sink name */
  deliveries!: DeliveryWithAttemptsDto[];
}

export class ChangePageDto extends PageDto {
  /** Latest arrival first */
  items!: ChangeDto[];
}
